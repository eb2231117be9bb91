//! Chunks in local, append-only pack files.
//!
//! Many writers append at once, each into a region of its own, and share one sync. A region that was handed out is never
//! handed out again: each process begins packs of its own, numbered above all it finds, and never appends to those of
//! an earlier one. A pack in which a write or a sync failed is abandoned, and the next write begins a new one.
//!
//! # Format
//!
//! Packs are named `0000000001.pack` and so on. All numbers are big-endian; what is not listed is zero. Everything begins
//! at multiples of 4096 bytes, so that a sweep finds records again behind holes and behind what a crash tore.
//!
//! The first 4096 bytes of a pack:
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 8 | `crpacks` and the version, 1 |
//! | 8 | 4 | the pack's number |
//! | 16 | 8 | the pack's seed, random |
//! | 24 | 8 | XXH3-64 of bytes 0 to 24 |
//!
//! Then records, each a header of 128 bytes, the chunk's bytes, and zeros up to the next multiple of 4096:
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 8 | `crchunk` and the version, 1 |
//! | 8 | 4 | length of the chunk |
//! | 16 | 8 | generation, signed |
//! | 24 | 16 | tenant |
//! | 40 | 8 | the checksum: XXH3-64 of the chunk's hash, then its bytes |
//! | 48 | 8 | when it was written, microseconds since 1970; 0: nobody noted it, and the pack's own time counts |
//! | 88 | 8 | XXH3-64 of the header with these 8 bytes zero, seeded with the pack's seed |
//! | 96 | 32 | the chunk's hash, SHA-256 |
//! | 128 | length | the chunk's bytes |
//!
//! A chunk may itself hold what looks like a record, at a multiple of 4096; it cannot know the seed. A hole reads as
//! zeros, and so does a region whose write failed.
//!
//! A place has 21 bytes: the version, 1 (1 byte); the pack's number (4); the record's offset in blocks of 4096 (4); the
//! chunk's length (4); the checksum (8). It is enough to verify what is read, and the header to make the place again.

mod files;
mod pack;
mod packs;
mod record;
mod records;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use self::files::{Files, Folder};
use self::packs::Packs;
use super::by_region::ByRegion;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// How a [`Disk`] works.
#[derive(Clone, Copy, Debug)]
pub struct DiskSettings {
    /// A pack of this size or more is closed and a new one begun.
    pub pack_size_bytes: u64,
    /// How many write to the disk at once, and how many read.
    pub concurrency: usize,
    /// How many packs are held open for reading, each by way of the kernel's cache and past it.
    pub open_packs: usize,
}

impl Default for DiskSettings {
    fn default() -> Self {
        DiskSettings { pack_size_bytes: 1 << 30, concurrency: 16, open_packs: 64 }
    }
}

/// A directory of packs.
pub struct Disk {
    packs: Arc<Packs>,
    writes: Arc<Semaphore>,
    /// Apart from the writes, so that reads go on while a full or busy disk holds those up.
    reads: Arc<Semaphore>,
}

impl Disk {
    /// The packs in a directory, which is created if it is absent. Blocks. Nothing is written to it before the first
    /// chunk, so that a disk that became read-only can still be read.
    ///
    /// # Errors
    /// The directory can be neither listed nor created.
    pub fn open(dir: &Path, settings: DiskSettings) -> Result<Disk> {
        Disk::over(Box::new(Folder::open(dir)?), settings)
    }

    fn over(files: Box<dyn Files>, settings: DiskSettings) -> Result<Disk> {
        let concurrency = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Disk {
            packs: Arc::new(Packs::open(files, settings.pack_size_bytes, settings.open_packs)?),
            writes: Arc::new(Semaphore::new(concurrency)),
            reads: Arc::new(Semaphore::new(concurrency)),
        })
    }

    /// Runs to its end even if the caller goes away; the permit is held as long.
    async fn blocking<T: Send + 'static>(
        &self,
        semaphore: &Arc<Semaphore>,
        work: impl FnOnce(&Packs) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit =
            semaphore.clone().acquire_owned().await.map_err(|closed| Error::Failed(closed.into()))?;
        let packs = self.packs.clone();
        let done = spawn_blocking(move || {
            let _permit = permit;
            work(&packs)
        });
        done.await.map_err(|gone| Error::Failed(gone.into()))?
    }
}

#[async_trait]
impl Chunks for Disk {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let permit =
            self.writes.clone().acquire_owned().await.map_err(|closed| Error::Failed(closed.into()))?;
        let packs = self.packs.clone();
        let (answer, answered) = oneshot::channel();
        // Not awaited: the thread may go on to sync for others after this caller has its answer.
        spawn_blocking(move || packs.write(chunks, permit, answer));
        answered.await.map_err(|gone| Error::Failed(gone.into()))?
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let chunk = chunk.clone();
        self.blocking(&self.reads, move |packs| packs.read(&chunk)).await
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let chunk = chunk.clone();
        self.blocking(&self.writes, move |packs| packs.erase(&chunk)).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let after = after.cloned();
        self.blocking(&self.reads, move |packs| packs.list(after.as_ref(), limit)).await
    }

    fn whereabouts(&self, _: &Place) -> Whereabouts {
        Whereabouts { region: None, tier: "disk".to_owned() }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        None
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}
