//! Chunks as objects of S3, Google Cloud Storage, Azure, or of a folder that is used like them.
//!
//! An object is `PREFIX/TENANT/HH/HASH-GENERATION-ATTEMPT`, where HH are the hash's first two digits. A name is never
//! used twice: generations are not, and two that write one life at once differ in their random attempt. So a plain put
//! is all it takes, it may be repeated, and no conditions are needed that some stores lack.

mod address;
mod names;
mod patience;
#[cfg(test)]
mod tests;

use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Timestamp};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::sync::Semaphore;

pub use self::address::{Address, AddressError};
use self::names::Name;
use self::patience::Patience;
use super::by_region::ByRegion;
use super::{Chunks, Cursor, FoundChunk, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// How an [`Object`] tier works.
#[derive(Clone, Copy, Debug)]
pub struct ObjectSettings {
    /// How many requests at once.
    pub concurrency: usize,
    /// Of one request. Well below the deadline, so that what hangs is tried again.
    pub request_timeout: Duration,
    /// Of a read, a write or an erasure with all its tries.
    pub deadline: Duration,
    /// Between the first try and the second; it doubles from there.
    pub first_pause: Duration,
}

impl Default for ObjectSettings {
    fn default() -> Self {
        ObjectSettings {
            concurrency: 64,
            request_timeout: Duration::from_secs(8),
            deadline: Duration::from_secs(30),
            first_pause: Duration::from_millis(50),
        }
    }
}

/// A bucket, or a part of one.
///
/// What it reads has the length that was written; whether it is the same bytes is for
/// [`Verified`](super::verified::Verified) to say.
pub struct Object {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Whether it lists in the order of names.
    is_ordered: bool,
    patience: Patience,
    permits: Semaphore,
}

impl Object {
    /// Where an address points. Asks nothing of it yet.
    ///
    /// # Errors
    /// What the environment says does not fit; a folder that can't be made.
    pub fn open(address: &Address, settings: ObjectSettings) -> Result<Self> {
        let store = address.connect(&settings)?;
        Ok(Object::over(store, address.prefix(), address.lists_in_order(), &settings))
    }

    fn over(store: Arc<dyn ObjectStore>, prefix: Path, is_ordered: bool, settings: &ObjectSettings) -> Self {
        let permits = Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Object { store, prefix, is_ordered, patience: Patience::new(settings), permits }
    }

    /// One thing, as often as it takes, with a permit.
    async fn try_on<T, F>(&self, chunk: &Name, attempt: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let what = format!("object {}", chunk.path(&self.prefix));
        self.patience.try_on(&what, &self.permits, attempt).await
    }

    async fn write_one(&self, chunk: NewChunk) -> Result<Place> {
        if chunk.bytes.len() > CHUNK_SIZE {
            return Err(Error::Failed(format!("a chunk of {} bytes", chunk.bytes.len()).into()));
        }
        let name = Name::new(&chunk)?;
        let path = name.path(&self.prefix);
        let put = || self.store.put(&path, PutPayload::from_bytes(chunk.bytes.clone()));
        match self.try_on(&name, put).await {
            Ok(_) => Ok(name.place()),
            // Where nothing is missing yet it can only be what the object goes into.
            Err(Error::Missing(_)) => Err(Error::Failed("the bucket or folder is not there".into())),
            Err(error) => Err(error),
        }
    }

    /// The first objects behind a path, sorted.
    async fn list_from(&self, after: Option<&Path>, limit: usize) -> object_store::Result<Vec<ObjectMeta>> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let mut objects = match after {
            None => self.store.list(prefix),
            Some(after) => self.store.list_with_offset(prefix, after),
        };
        if self.is_ordered {
            return objects.take(limit).try_collect().await;
        }
        // All of them are walked past, but no more are held than are asked for.
        let mut first = BinaryHeap::new();
        while let Some(object) = objects.try_next().await? {
            first.push(ByPath(object));
            if first.len() > limit {
                first.pop();
            }
        }
        Ok(first.into_sorted_vec().into_iter().map(|object| object.0).collect())
    }

    fn found(&self, object: &ObjectMeta) -> Option<FoundChunk> {
        let Some(name) = Name::parse(&self.prefix, &object.location) else {
            tracing::warn!(object = %object.location, "not a chunk's, so it is not touched");
            return None;
        };
        let chunk = KeptChunk {
            tenant: name.tenant,
            hash: name.hash,
            length: u32::try_from(object.size).unwrap_or(u32::MAX),
            place: name.place(),
        };
        let written_at = Timestamp::from_micros(object.last_modified.timestamp_micros());
        Some(FoundChunk { chunk, generation: name.generation, written_at: Some(written_at) })
    }
}

/// Ordered by where it is.
struct ByPath(ObjectMeta);

impl Ord for ByPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.location.cmp(&other.0.location)
    }
}

impl PartialOrd for ByPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByPath {
    fn eq(&self, other: &Self) -> bool {
        self.0.location == other.0.location
    }
}

impl Eq for ByPath {}

/// What a store answered, unless it is too long to be a chunk: that is not read at all.
async fn body(found: GetResult) -> object_store::Result<Option<Bytes>> {
    let is_plausible = found.meta.size <= CHUNK_SIZE as u64;
    if is_plausible { found.bytes().await.map(Some) } else { Ok(None) }
}

#[async_trait]
impl Chunks for Object {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        try_join_all(chunks.into_iter().map(|chunk| self.write_one(chunk))).await
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let name = Name::of(chunk)?;
        let path = name.path(&self.prefix);
        let get = || async { body(self.store.get(&path).await?).await };
        let damaged = |what| Error::Damaged(format!("object {path}, chunk {}: {what}", chunk.hash));
        match self.try_on(&name, get).await {
            Ok(Some(bytes)) if bytes.len() == chunk.length as usize => Ok(bytes),
            Ok(_) => Err(damaged("the lengths differ")),
            Err(Error::Missing(_)) => Err(damaged("it is not there")),
            Err(error) => Err(error),
        }
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let name = Name::of(chunk)?;
        let path = name.path(&self.prefix);
        match self.try_on(&name, || self.store.delete(&path)).await {
            Ok(()) | Err(Error::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let wrong = || Error::Failed("a cursor of another tier".into());
        let after = after.map(|after| {
            let text = std::str::from_utf8(&after.0).map_err(|_| wrong())?;
            Path::parse(text).map_err(|_| wrong())
        });
        let (after, limit) = (after.transpose()?, limit.max(1));
        let list = || self.list_from(after.as_ref(), limit);
        let objects = match self
            .patience
            .try_long(&format!("the objects below {}", self.prefix), &self.permits, list)
            .await
        {
            // A folder in which nothing was put yet.
            Err(Error::Missing(_)) => return Ok(Page::default()),
            answer => answer?,
        };
        let next = objects.last().filter(|_| objects.len() == limit);
        let next = next.map(|last| Cursor(last.location.as_ref().as_bytes().to_vec()));
        Ok(Page { chunks: objects.iter().filter_map(|object| self.found(object)).collect(), next })
    }

    fn whereabouts(&self, _: &Place) -> Whereabouts {
        Whereabouts { region: None, tier: "objects".to_owned() }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        None
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
