//! Nothing leaves that is not what its hash says.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::Hash;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::by_region::ByRegion;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// Compares what a tier answers with its SHA-256, for tiers that have no checksum of their own.
pub struct Verified {
    inner: Arc<dyn Chunks>,
}

impl Verified {
    /// Around a tier.
    #[must_use]
    pub fn new(inner: Arc<dyn Chunks>) -> Self {
        Verified { inner }
    }
}

/// Whether bytes are those of a chunk. They are hashed on a thread where that keeps nobody waiting.
pub(super) async fn is_whole(chunk: &KeptChunk, bytes: &Bytes) -> Result<bool> {
    if bytes.len() != chunk.length as usize {
        return Ok(false);
    }
    let bytes = bytes.clone();
    let hashed = spawn_blocking(move || Hash::new(Sha256::digest(&bytes).into())).await;
    Ok(hashed.map_err(|gone| Error::Failed(gone.into()))? == chunk.hash)
}

#[async_trait]
impl Chunks for Verified {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        self.inner.write(chunks).await
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let bytes = self.inner.read(chunk).await?;
        if is_whole(chunk, &bytes).await? {
            return Ok(bytes);
        }
        let (hash, place) = (chunk.hash, &chunk.place.0);
        Err(Error::Damaged(format!("chunk {hash}, place {place:02x?}: the bytes are not what was written")))
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        self.inner.erase(chunk).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.inner.list(after, limit).await
    }

    fn whereabouts(&self, place: &Place) -> Whereabouts {
        self.inner.whereabouts(place)
    }

    fn by_region(&self) -> Option<&ByRegion> {
        self.inner.by_region()
    }
}
