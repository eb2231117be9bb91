//! Uploads as they are kept, and the steps by which their chunks come to stay. Each step is one transaction:
//! [lease](Uploads::lease_chunks), then the bytes go to the chunk tier, then [advance](Uploads::advance_upload), at last
//! [commit](Uploads::commit_upload). A collector keeps off what is leased, and commit checks that it did.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Hash, Path, RopeId, TenantId, Upload, UploadId, Version};

use crate::Result;
use crate::files::{Kept, NewFile};

/// A rope that an upload builds is named by it.
#[must_use]
pub fn rope_of(upload: UploadId) -> RopeId {
    RopeId::new(*upload.as_bytes())
}

/// A chunk whose bytes are there.
#[derive(Clone, Debug)]
pub struct NearChunk {
    /// Which.
    pub chunk: Hash,
    /// Which life.
    pub generation: i64,
    /// In bytes.
    pub length: u32,
    /// Where its bytes are.
    pub kept: Kept,
}

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Random.
    pub id: UploadId,
    /// Where to.
    pub tenant: TenantId,
    /// Where to.
    pub path: Path,
    /// How long it may take.
    pub timeout: Duration,
}

/// How far an upload has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The upload itself.
    pub upload: Upload,
    /// The last bytes, fewer than a chunk.
    pub tail: Bytes,
    /// The hash of all bytes so far, half done.
    pub hash_state: Vec<u8>,
    /// Where the last call began.
    pub last_from: u64,
    /// What it brought.
    pub last_digest: Vec<u8>,
}

/// What an upload may rely on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// The chunk's life.
    pub generation: i64,
    /// Its bytes are not there yet.
    pub needs_bytes: bool,
}

/// A chunk at the end of what an upload has so far.
#[derive(Clone, Debug)]
pub struct NewPiece {
    /// Which.
    pub chunk: Hash,
    /// In bytes.
    pub length: u32,
    /// Where its bytes went, if the lease said that they were needed.
    pub wrote: Option<(i64, Kept)>,
}

/// A step forward.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// How many bytes were behind the last chunk before this step: they are part of it.
    pub from_tail: usize,
    /// Chunks to append.
    pub pieces: Vec<NewPiece>,
    /// The bytes behind them.
    pub tail: Bytes,
    /// The hash of all bytes, half done.
    pub hash_state: Vec<u8>,
    /// What this call brought, to know it again.
    pub digest: Vec<u8>,
    /// From now on so long until the deadline; none: the deadline stays.
    pub extend: Option<Duration>,
}

/// What became of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stepped {
    /// Done. The indexes of the pieces that somebody else wrote first: the bytes written for them are nobody's now.
    Done(Vec<usize>),
    /// Somebody else went on from there before.
    Behind,
}

/// Keeps uploads.
#[async_trait]
pub trait Uploads {
    /// Begins an upload. Its deadline is by the clock of the store, in whole seconds.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist.
    async fn begin_upload(&self, new: &NewUpload) -> Result<Upload>;

    /// An upload, finished or not, unless its deadline passed before it was.
    ///
    /// # Errors
    /// The store's.
    async fn find_upload(&self, upload: UploadId) -> Result<Option<Progress>>;

    /// The first live chunk of a tenant from a hash on, in the order of hashes: that one, or another one that may be read
    /// in its place, so that it can't be told from outside which it was.
    ///
    /// # Errors
    /// The store's.
    async fn find_chunk_from(&self, tenant: TenantId, from: Hash) -> Result<Option<NearChunk>>;

    /// Makes sure that these chunks (hash, length) have rows and that no collector takes them from this upload. Answers
    /// in the same order.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) when the upload is over.
    async fn lease_chunks(&self, upload: UploadId, chunks: &[(Hash, u32)]) -> Result<Vec<Lease>>;

    /// Marks chunks as live and appends them, if the upload still stands at `from`, with a tail as long as the step says.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) when the upload is over.
    async fn advance_upload(&self, upload: UploadId, from: u64, step: &Step) -> Result<Stepped>;

    /// Makes what the upload brought, `size` bytes, the next version of its file. Again: the version made before.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) when the upload is over, does not stand at `size`, or a chunk of it
    /// is not live.
    async fn commit_upload(&self, upload: UploadId, size: u64, file: &NewFile) -> Result<Version>;

    /// Forgets an upload that was not committed, with its leases.
    ///
    /// # Errors
    /// The store's.
    async fn abandon_upload(&self, upload: UploadId) -> Result<()>;
}
