//! Chunk tiers: where the bytes of larger chunks are. Which chunks exist, and where, is the metadata engine's to know.

pub mod by_region;
pub mod cached;
pub mod checksum;
pub mod db;
pub mod disk;
pub mod disk_cache;
#[doc(hidden)]
pub mod faulty;
pub mod memory;
pub mod object;
pub mod packed;
#[cfg(test)]
mod tests;
pub mod verified;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Hash, Region, TenantId, Timestamp};

use self::by_region::ByRegion;
use crate::{Error, Result};

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
    /// The [`checksum`](checksum::checksum) of both, from whoever looked at the bytes just before; none: a tier that wants it
    /// looks at them again.
    pub checksum: Option<u64>,
}

/// A chunk that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// Bytes that a tier has, whether a row names them or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundChunk {
    /// What [`Chunks::erase`] takes. Its length is what the bytes take in the tier, which can be less than the chunk has.
    pub chunk: KeptChunk,
    /// The life of the chunk that they were written for. A lease's row comes before the bytes, and a generation never
    /// comes twice: bytes whose tenant, hash and generation no row has will never be anybody's.
    pub generation: i64,
    /// They were written then or before, by the clock of whoever keeps them; none: nobody noted it.
    pub written_at: Option<Timestamp>,
}

impl FoundChunk {
    /// Whether they were there so long ago. Of what nobody noted the time it is never said.
    #[must_use]
    pub fn is_as_old_as(&self, age: Duration, now: Timestamp) -> bool {
        self.written_at.is_some_and(|written_at| now.since(written_at) >= age)
    }
}

/// A part of what a tier has.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the tier's order; there may be none although the walk goes on.
    pub chunks: Vec<FoundChunk>,
    /// Where the walk goes on; none: this was the end.
    pub next: Option<Cursor>,
}

/// How far a walk through a tier has come. Meaningless elsewhere; it stays good over a restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor(pub Vec<u8>);

/// What a place tells of where it is, for people.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Whereabouts {
    /// In which region; none: the tier knows of none.
    pub region: Option<Region>,
    /// In what kind of tier: `db`, `disk`, `objects`, `memory`.
    pub tier: String,
}

/// The error of a place that no tier of this kind gave out: the bytes may be well in the tier that did.
fn elsewhere(chunk: &KeptChunk, what: &str) -> Error {
    let KeptChunk { hash, place, .. } = chunk;
    Error::Failed(
        format!("chunk {hash}: {:02x?} is not the place of {what}: is --chunks right?", place.0).into(),
    )
}

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
    /// [`Error::Damaged`] when they are not what was written, or gone.
    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes>;

    /// Forgets the bytes at a place. What is gone already is fine.
    ///
    /// # Errors
    /// The bytes may still be there.
    async fn erase(&self, chunk: &KeptChunk) -> Result<()>;

    /// What is there, in pages of about `limit` at most: all that was written before the first page was asked for and
    /// not erased since; what comes or goes meanwhile may be missed or told. The bytes are not read.
    ///
    /// # Errors
    /// The tier's; a cursor of something else.
    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page>;

    /// Where a place is. A tier that stands before others asks the one whose place it is.
    fn whereabouts(&self, place: &Place) -> Whereabouts;

    /// Who decides where tenants are at home, if it is this tier or one that it stands before; none: all places are.
    fn by_region(&self) -> Option<&ByRegion>;
}
