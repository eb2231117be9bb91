//! Contents on their way in, as a stream of bytes.

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

use super::gathering::{GROUP, Gathering};
use super::{discard, keep};
use crate::{Error, Result};

/// Takes a content piece by piece. Nothing is visible before [`Writer::finish`] has answered; what is dropped before
/// leaves nothing but rows that the purge clears away.
pub struct Writer {
    /// How many may hold more than a small content; one that does has a permit.
    room: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    store: Store,
    target: Target,
    timeout: Duration,
    id: UploadId,
    /// Whether the store knows of the upload: small contents never need that.
    begun: bool,
    gathering: Gathering,
    /// The group before, on its way.
    working: Option<JoinHandle<Result<Stored>>>,
    stored: Stored,
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

/// How far a content is safe.
#[derive(Default)]
struct Stored {
    offset: u64,
    hash: Whole,
}

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
            working: None,
            stored: Stored::default(),
        }
    }

    /// Takes more bytes. Answers when there is room for more.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many large contents are on their way already; the store's. The content is lost then.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        if self.permit.is_none() && self.gathering.small() + bytes.len() > INLINE_SIZE {
            let permit = Arc::clone(&self.room).try_acquire_owned();
            self.permit = Some(permit.map_err(|_| Error::Busy)?);
            self.gathering.expect_much();
        }
        while !bytes.is_empty() {
            self.gathering.take(&mut bytes);
            // A slow sender's chunks go one by one as they come; a fast one's gather while others are on their way.
            let is_free = self.working.as_ref().is_none_or(JoinHandle::is_finished);
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
        self.wait().await?;
        let stored = mem::take(&mut self.stored);
        let hash = stored.hash.finish();
        let file = self.file(hash);
        hit(Failpoint::UploadAfterHash);
        let version = self.store.metadata.commit_upload(self.id, stored.offset, &file).await?;
        hit(Failpoint::UploadAfterCommit);
        Ok(Written { version, hash, size: stored.offset })
    }

    /// Lets go of what was written so far.
    pub async fn abandon(self) {
        if let Some(working) = &self.working {
            working.abort();
        }
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

    /// Sends the full chunks on their way, and what is the last one, once those before are safe.
    async fn send_on(&mut self, last: Option<Bytes>) -> Result<()> {
        self.wait().await?;
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
        };
        self.working = Some(tokio::spawn(group.store(mem::take(&mut self.stored))));
        Ok(())
    }

    async fn wait(&mut self) -> Result<()> {
        if let Some(working) = self.working.take() {
            self.stored = working.await.map_err(Error::internal)??;
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
}

impl Group {
    async fn store(self, stored: Stored) -> Result<Stored> {
        let length: u64 = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let (hashed, named) = hash_all(stored.hash, self.chunks).await?;
        let pieces = keep(&self.store, self.tenant, self.upload, named).await?;
        let step = Step { pieces, extend: Some(self.timeout), ..Step::default() };
        match self.store.metadata.advance_upload(self.upload, stored.offset, &step).await? {
            Stepped::Done(beaten) => {
                hit(Failpoint::UploadAfterRow);
                discard(&self.store, self.tenant, &step.pieces, &beaten).await;
            }
            // Nobody else knows of this upload.
            Stepped::Behind => return Err(Error::internal("an upload moved by itself")),
        }
        Ok(Stored { offset: stored.offset + length, hash: hashed })
    }
}

/// Hashes chunks, each by itself and all together, off the threads that serve others.
async fn hash_all(mut whole: Whole, chunks: Vec<Bytes>) -> Result<(Whole, Vec<(Hash, Bytes)>)> {
    let hashing = tokio::task::spawn_blocking(move || {
        let named = chunks.into_iter().map(|chunk| (whole.update_chunk(&chunk), chunk)).collect();
        (whole, named)
    });
    hashing.await.map_err(Error::internal)
}
