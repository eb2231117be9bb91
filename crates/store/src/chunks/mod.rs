//! Chunk tiers: where the bytes of larger chunks are. Which chunks exist, and where, is the metadata engine's to know.

pub mod disk;
pub mod memory;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Hash, TenantId};

use crate::Result;

/// A chunk to be kept.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// Whose.
    pub tenant: TenantId,
    /// Of the bytes; the caller computed it from them.
    pub hash: Hash,
    /// Which life of the chunk this is; a tier whose places are names puts it into the name.
    pub generation: i64,
    /// At most [`CHUNK_SIZE`](cacheroach_model::CHUNK_SIZE).
    pub bytes: Bytes,
}

/// A chunk that is kept.
#[derive(Clone, Debug)]
pub struct KeptChunk {
    /// Whose.
    pub tenant: TenantId,
    /// Of the bytes.
    pub hash: Hash,
    /// Of the bytes.
    pub length: u32,
    /// What [`Chunks::write`] answered.
    pub place: Place,
}

/// Where a tier keeps the bytes of a chunk. Meaningless elsewhere, and never given out twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place(pub Vec<u8>);

/// A chunk tier.
#[async_trait]
pub trait Chunks: Send + Sync {
    /// Keeps bytes, and answers their places in the same order. Once this has answered they survive the loss of power.
    ///
    /// # Errors
    /// None of them counts as kept then.
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>>;

    /// The bytes, verified.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when they are not what was written, or gone.
    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes>;

    /// Forgets the bytes at a place. What is gone already is fine.
    ///
    /// # Errors
    /// The bytes may still be there.
    async fn erase(&self, chunk: &KeptChunk) -> Result<()>;
}
