//! Contents on their way in, as a stream of bytes.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cacheroach_hash::{Whole, hash};
use cacheroach_model::{Expected, Hash, Metadata, Path, TenantId, UploadId, Version};
use cacheroach_store::Store;
use cacheroach_store::buffers::Buffers;
use cacheroach_store::failpoint::{Step as Failpoint, hit};
use cacheroach_store::files::{INLINE_SIZE, NewFile};
use cacheroach_store::uploads::{NewUpload, Step, Stepped};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::chain::{self, AT_ONCE, link};
use super::gathering::{GROUP, Gathering};
use super::{Hashed, discard, keep};
use crate::{Error, Result};

/// Takes a content piece by piece. Nothing is visible before [`Writer::finish`] has answered; what is dropped before
/// leaves nothing but rows that the purge clears away.
pub struct Writer {
    /// How many may hold more than a small content; one that does has a permit.
    room: Arc<Semaphore>,
    permit: Option<Arc<OwnedSemaphorePermit>>,
    store: Store,
    target: Target,
    timeout: Duration,
    id: UploadId,
    /// Whether the store knows of the upload: small contents never need that.
    begun: bool,
    gathering: Gathering,
    /// The groups that are on their way.
    working: VecDeque<JoinHandle<Result<()>>>,
    /// What comes before the next one.
    before: Before,
}

/// Where a content goes, and how it is described there.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    pub(crate) path: Path,
    /// Empty: told by the name or the content when read.
    pub(crate) content_type: String,
    pub(crate) metadata: Metadata,
    /// What must be there for the content to become the next version.
    pub(crate) expected: Expected,
}

impl Target {
    /// The file, of a content.
    pub(crate) fn of(self, hash: Hash) -> NewFile {
        let Target { tenant, path, content_type, metadata, expected } = self;
        NewFile { tenant, path, hash, content_type, metadata, expected }
    }
}

/// The hash up to the end of the group before, and where that is once it is safe.
type Before = chain::Before<Whole, u64>;
type After = chain::After<Whole, u64>;

/// What a content has become.
pub struct Written {
    /// Its version.
    pub version: Version,
    /// Its hash.
    pub hash: Hash,
    /// In bytes.
    pub size: u64,
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        target: Target,
        id: UploadId,
        timeout: Duration,
        room: Arc<Semaphore>,
        buffers: Buffers,
    ) -> Self {
        Writer {
            room,
            permit: None,
            store,
            target,
            timeout,
            id,
            begun: false,
            gathering: Gathering::new(buffers),
            working: VecDeque::new(),
            before: Before::known(Whole::default(), 0),
        }
    }

    /// Takes more bytes. Answers when there is room for more.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many large contents are on their way already; the store's. The content is lost then.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        if self.permit.is_none() && self.gathering.small() + bytes.len() > INLINE_SIZE {
            let permit = Arc::clone(&self.room).try_acquire_owned();
            self.permit = Some(Arc::new(permit.map_err(|_| Error::Busy)?));
            self.gathering.expect_much();
        }
        while !bytes.is_empty() {
            self.gathering.take(&mut bytes);
            // A slow sender's chunks go one by one as they come; a fast one's gather while others are on their way.
            let is_free = self.working.iter().all(JoinHandle::is_finished);
            if self.gathering.full() == GROUP || is_free {
                self.send_on(None).await?;
            }
        }
        Ok(())
    }

    /// Makes what was written the next version of the file.
    ///
    /// # Errors
    /// [`Error::Conflict`] when something else is there than was expected; the store's. Nothing is visible then.
    pub async fn finish(mut self) -> Result<Written> {
        let content = self.gathering.take_rest();
        if !self.begun && self.gathering.full() == 0 && content.len() <= INLINE_SIZE {
            return self.finish_small(content).await;
        }
        self.send_on((!content.is_empty()).then_some(content)).await?;
        self.wait(0).await?;
        let hash = self.before.planned().await?.finish();
        let file = self.file(hash);
        hit(Failpoint::UploadAfterHash);
        let size = self.before.reached().await?;
        let version = self.store.metadata.commit_upload(self.id, size, &file).await?;
        hit(Failpoint::UploadAfterCommit);
        Ok(Written { version, hash, size })
    }

    /// Lets go of what was written so far.
    pub async fn abandon(self) {
        self.working.iter().for_each(JoinHandle::abort);
        if self.begun
            && let Err(error) = self.store.metadata.abandon_upload(self.id).await
        {
            tracing::warn!(%error, "an upload that failed is left to the purge");
        }
    }

    async fn finish_small(self, content: Bytes) -> Result<Written> {
        let (hash, size) = (hash(&content), content.len() as u64);
        let version = self.store.metadata.put_file(&self.file(hash), content).await?;
        hit(Failpoint::PutAfterCommit);
        Ok(Written { version, hash, size })
    }

    fn file(&self, hash: Hash) -> NewFile {
        self.target.clone().of(hash)
    }

    /// Sends the full chunks on their way, and what is the last one, once few enough are.
    async fn send_on(&mut self, last: Option<Bytes>) -> Result<()> {
        self.wait(AT_ONCE - 1).await?;
        if self.gathering.full() == 0 && last.is_none() {
            return Ok(());
        }
        if !self.begun {
            let (id, timeout) = (self.id, self.timeout);
            let Target { tenant, path, .. } = self.target.clone();
            self.store.metadata.begin_upload(&NewUpload { id, tenant, path, timeout }).await?;
            hit(Failpoint::UploadAfterBegin);
            self.begun = true;
        }
        let group = Group {
            store: self.store.clone(),
            tenant: self.target.tenant,
            upload: self.id,
            timeout: self.timeout,
            chunks: self.gathering.take_full(GROUP).into_iter().chain(last).collect(),
            _permit: self.permit.clone(),
        };
        let (after, then) = link();
        let before = mem::replace(&mut self.before, then);
        self.working.push_back(tokio::spawn(group.store(before, after)));
        Ok(())
    }

    /// Until at most so many groups are on their way, and no first one that is done. The first one that failed says why.
    async fn wait(&mut self, most: usize) -> Result<()> {
        let is_waited_for = |working: &VecDeque<JoinHandle<_>>| {
            working.len() > most || working.front().is_some_and(JoinHandle::is_finished)
        };
        while is_waited_for(&self.working)
            && let Some(first) = self.working.pop_front()
        {
            first.await.map_err(Error::internal)??;
        }
        Ok(())
    }
}

struct Group {
    store: Store,
    tenant: TenantId,
    upload: UploadId,
    timeout: Duration,
    chunks: Vec<Bytes>,
    /// It counts as on its way until it is done, also when its writer is gone.
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Group {
    /// It is hashed while the one before is written, and written beside it; it becomes a part of the upload after it.
    async fn store(self, mut before: Before, mut after: After) -> Result<()> {
        let length: u64 = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let (hashed, named) = hash_all(before.planned().await?, self.chunks).await?;
        after.plan(hashed);
        let pieces = keep(&self.store, self.tenant, self.upload, named).await?;
        let step = Step { pieces, extend: Some(self.timeout), ..Step::default() };
        let from = before.reached().await?;
        match self.store.metadata.advance_upload(self.upload, from, &step).await? {
            Stepped::Done(beaten) => {
                hit(Failpoint::UploadAfterRow);
                discard(&self.store, self.tenant, &step.pieces, &beaten).await;
            }
            // Nobody else knows of this upload.
            Stepped::Behind => return Err(Error::internal("an upload moved by itself")),
        }
        after.reach(from + length);
        Ok(())
    }
}

/// Hashes chunks, each by itself and all together, off the threads that serve others.
async fn hash_all(mut whole: Whole, chunks: Vec<Bytes>) -> Result<(Whole, Vec<Hashed>)> {
    let hashing = tokio::task::spawn_blocking(move || {
        let named = chunks.into_iter().map(|chunk| Hashed::new(whole.update_chunk(&chunk), chunk)).collect();
        (whole, named)
    });
    hashing.await.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use cacheroach_model::{CHUNK_SIZE, Tenant};
    use cacheroach_store::chunks::by_region::ByRegion;
    use cacheroach_store::chunks::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
    use cacheroach_store::{Location, Settings, Tier};
    use tokio::sync::Barrier;

    use super::*;
    use crate::seams::Still;

    /// A tier that begins to write only when two groups are there to be written.
    struct Both(Arc<dyn Chunks>, Barrier);

    #[async_trait]
    impl Chunks for Both {
        async fn write(&self, chunks: Vec<NewChunk>) -> cacheroach_store::Result<Vec<Place>> {
            self.1.wait().await;
            self.0.write(chunks).await
        }

        async fn read(&self, chunk: &KeptChunk) -> cacheroach_store::Result<Bytes> {
            self.0.read(chunk).await
        }

        async fn erase(&self, chunk: &KeptChunk) -> cacheroach_store::Result<()> {
            self.0.erase(chunk).await
        }

        async fn list(&self, after: Option<&Cursor>, limit: usize) -> cacheroach_store::Result<Page> {
            self.0.list(after, limit).await
        }

        fn whereabouts(&self, place: &Place) -> Whereabouts {
            self.0.whereabouts(place)
        }

        fn by_region(&self) -> Option<&ByRegion> {
            self.0.by_region()
        }
    }

    #[tokio::test]
    async fn a_group_is_hashed_and_written_beside_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(Location::Sqlite(dir.path().to_owned()), Tier::Memory);
        let mut store = cacheroach_store::open(&settings, Arc::new(Still)).await.unwrap();
        store.chunks = Arc::new(Both(Arc::clone(&store.chunks), Barrier::new(2)));
        let new = Tenant { id: TenantId::new([1; 16]), label: "a tenant".into(), ..Tenant::default() };
        let tenant = store.metadata.ensure_tenant(&new).await.unwrap().id;
        let target = Target {
            tenant,
            path: Path::parse_file("/f").unwrap(),
            content_type: String::new(),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        };
        let (id, timeout) = (UploadId::new([2; 16]), Duration::from_secs(3600));
        let mut writer =
            Writer::new(store, target, id, timeout, Arc::new(Semaphore::new(1)), Buffers::default());

        // The first chunk goes at once, the others gather behind it: two groups.
        let chunks = (0..=GROUP).flat_map(|number| vec![u8::try_from(number).unwrap(); CHUNK_SIZE]);
        let content: Bytes = chunks.collect();
        let writing = async {
            writer.write(content.clone()).await.unwrap();
            writer.finish().await.unwrap()
        };
        let written = tokio::time::timeout(Duration::from_secs(60), writing).await.expect("both at once");
        assert_eq!(written.hash, hash(&content));
        assert_eq!(written.size, content.len() as u64);
    }
}
