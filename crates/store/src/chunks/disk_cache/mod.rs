//! Chunks that were read lately, in files of their own, so that they outlive the process. For tiers that are far away.
//!
//! A file is `HH/NAME`, where NAME is the hash of whose chunk it is and where it is kept, HH its first two digits, and
//! holds the chunk's bytes, nothing else; with a key it is `HH/NAME.MARK`, sealed (`seal.rs`). What another key sealed, or
//! none where there is one now, goes at the start. Nothing is synced: what a crash tore is not what its hash says, and then it
//! is as if it had never been there. Whatever the cache's disk does, the tier behind it answers.

mod index;
mod seal;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::index::{Index, Name, parse, text};
pub use self::seal::CacheKey;
use self::seal::{MARK, OVERHEAD, Seal};
use super::by_region::ByRegion;
use super::verified::is_whole;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::Result;

/// What is read while so many files are being written is not kept: reads do not wait for the cache.
const WRITERS: usize = 8;
/// Of a file that is being written.
const UNFINISHED: &str = "new";

/// A tier with a folder beside it.
pub struct DiskCache {
    inner: Arc<dyn Chunks>,
    folder: Arc<Folder>,
    writers: Arc<Semaphore>,
}

struct Folder {
    dir: PathBuf,
    capacity: u64,
    /// None: the files are plain.
    seal: Option<Seal>,
    index: Mutex<Index>,
}

impl DiskCache {
    /// Around a tier, with files in a folder of its own, which is created if it is absent. Blocks. What an earlier
    /// process left there with the same key, or as without one, is used.
    ///
    /// # Errors
    /// The folder can be neither listed nor created.
    pub fn open(
        inner: Arc<dyn Chunks>,
        dir: &Path,
        capacity_bytes: u64,
        key: Option<&CacheKey>,
    ) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let (dir, seal) = (dir.to_owned(), key.map(Seal::new));
        let folder = Folder { dir, capacity: capacity_bytes, seal, index: Mutex::default() };
        folder.find_files()?;
        Ok(DiskCache { inner, folder: Arc::new(folder), writers: Arc::new(Semaphore::new(WRITERS)) })
    }

    /// The bytes of an entry, if there is one and it is whole.
    async fn find(&self, name: Name, chunk: &KeptChunk) -> Option<Bytes> {
        if !self.folder.index().touch(&name) {
            return None;
        }
        let folder = Arc::clone(&self.folder);
        let bytes = spawn_blocking(move || folder.read(&name)).await.ok()?;
        match bytes {
            Some(bytes) if is_whole(chunk, &bytes).await.unwrap_or(false) => Some(bytes),
            _ => {
                self.remove(name).await;
                None
            }
        }
    }

    async fn remove(&self, name: Name) {
        let folder = Arc::clone(&self.folder);
        // A thread that is gone leaves a file that the next start finds.
        let _ = spawn_blocking(move || folder.remove(&name)).await;
    }

    /// Keeps a copy, later and elsewhere.
    fn keep(&self, name: Name, bytes: &Bytes) {
        let Ok(permit) = Arc::clone(&self.writers).try_acquire_owned() else { return };
        let (folder, bytes) = (Arc::clone(&self.folder), bytes.clone());
        drop(spawn_blocking(move || {
            folder.add(name, &bytes);
            drop(permit);
        }));
    }
}

impl Folder {
    /// The tenant is part of it: equal bytes of two are two entries, and neither's speed tells of the other's.
    fn name(&self, chunk: &KeptChunk) -> Name {
        if let Some(seal) = &self.seal {
            return seal.name(chunk);
        }
        let digest = Sha256::new()
            .chain_update(chunk.tenant.as_bytes())
            .chain_update(chunk.hash.as_bytes())
            .chain_update(&chunk.place.0)
            .finalize();
        *digest.first_chunk().expect("a SHA-256 has 32 bytes")
    }

    /// What is there already, the oldest first. Only what has names of ours is looked at, let alone removed.
    fn find_files(&self) -> io::Result<()> {
        let mut found: Vec<(SystemTime, Name, u64)> = Vec::new();
        for shelf in fs::read_dir(&self.dir)? {
            let shelf = shelf?.path();
            let is_ours = shelf.file_name().and_then(|name| name.to_str()).is_some_and(is_shelf);
            if !is_ours || !shelf.is_dir() {
                continue;
            }
            for file in fs::read_dir(&shelf)? {
                let file = file?;
                let path = file.path();
                let Some(name) = path.file_stem().and_then(|name| name.to_str()).and_then(parse) else {
                    continue;
                };
                if path == self.path(&name)
                    && let Ok(metadata) = file.metadata()
                {
                    found.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, metadata.len()));
                } else if path.extension().is_none_or(is_extension) && shelf.ends_with(&text(&name)[..2]) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
        found.sort();
        let mut index = self.index();
        for (_, name, size) in found {
            index.add(name, size);
        }
        drop(index);
        self.make_room(0);
        Ok(())
    }

    fn path(&self, name: &Name) -> PathBuf {
        let text = text(name);
        let path = self.dir.join(&text[..2]).join(text);
        match &self.seal {
            Some(seal) => path.with_extension(seal.mark()),
            None => path,
        }
    }

    fn read(&self, name: &Name) -> Option<Bytes> {
        let path = self.path(name);
        // A file that grew is nothing to read into memory.
        let longest = (CHUNK_SIZE + OVERHEAD) as u64;
        let is_plausible = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= longest);
        let file = is_plausible.then(|| fs::read(&path).ok()).flatten()?;
        match &self.seal {
            Some(seal) => seal.open(name, file),
            None => Some(file.into()),
        }
    }

    fn add(&self, name: Name, bytes: &[u8]) {
        // What two readers missed at once is kept once, and makes room once.
        if !self.index().begin(&name) {
            return;
        }
        let filled = self.fill(&name, bytes);
        let size = *filled.as_ref().unwrap_or(&None);
        self.finish(&name, size);
        if let Err(error) = filled {
            self.complain(&error);
        }
    }

    /// Its file, and how large it is; `None` for what is larger than the whole cache.
    fn fill(&self, name: &Name, bytes: &[u8]) -> Result<Option<u64>> {
        let sealed = self.seal.as_ref().map(|seal| seal.close(name, bytes)).transpose()?;
        let bytes = sealed.as_deref().unwrap_or(bytes);
        let size = bytes.len() as u64;
        if size > self.capacity {
            return Ok(None);
        }
        self.make_room(size);
        self.write(name, bytes)?;
        Ok(Some(size))
    }

    /// A file is done, or given up. What was erased while it was written does not come back.
    fn finish(&self, name: &Name, size: Option<u64>) {
        let mut index = self.index();
        let is_wanted = index.end(name);
        match size {
            Some(size) if is_wanted => index.add(*name, size),
            _ => {
                drop(index);
                let _ = fs::remove_file(self.path(name));
            }
        }
    }

    /// Whole or not at all, as long as the power stays on; the hash tells the rest.
    fn write(&self, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let unfinished = path.with_extension(UNFINISHED);
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let mut file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let shelf = path.parent().unwrap_or(&self.dir);
                DirBuilder::new().recursive(true).mode(0o700).create(shelf)?;
                open()?
            }
            // One that is there is another's.
            opened => opened?,
        };
        let written = file.write_all(bytes).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn remove(&self, name: &Name) {
        self.index().forget(name);
        let _ = fs::remove_file(self.path(name));
    }

    fn make_room(&self, size: u64) {
        loop {
            let oldest = {
                let mut index = self.index();
                if index.size() + size <= self.capacity {
                    return;
                }
                index.oldest()
            };
            let Some(oldest) = oldest else { return };
            let _ = fs::remove_file(self.path(&oldest));
        }
    }

    /// Once, and not again until the next start: a full disk says so elsewhere.
    fn complain(&self, error: &dyn Display) {
        if !std::mem::replace(&mut self.index().complained, true) {
            tracing::warn!(%error, dir = %self.dir.display(), "the disk cache can't keep a chunk");
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // What a panic left half done is a wrong count at worst.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_shelf(name: &str) -> bool {
    name.len() == 2 && is_hex(name)
}

/// Of what is being written, or was sealed with whichever key.
fn is_extension(extension: &OsStr) -> bool {
    extension == UNFINISHED || extension.to_str().is_some_and(|mark| mark.len() == MARK && is_hex(mark))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
}

#[async_trait]
impl Chunks for DiskCache {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        self.inner.write(chunks).await
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let name = self.folder.name(chunk);
        if let Some(bytes) = self.find(name, chunk).await {
            return Ok(bytes);
        }
        let bytes = self.inner.read(chunk).await?;
        self.keep(name, &bytes);
        Ok(bytes)
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let erased = self.inner.erase(chunk).await;
        // Now nobody brings it back who has not read it already.
        self.remove(self.folder.name(chunk)).await;
        erased
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
