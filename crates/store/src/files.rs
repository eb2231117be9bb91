//! Files as they are kept: heads, versions, and the pieces of their contents.

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Entry, File, Hash, Metadata, Path, RopeId, TenantId, Timestamp, Version};

use crate::Result;
use crate::chunks::Place;

/// The largest chunk whose bytes are kept beside its row, in bytes.
pub const INLINE_SIZE: usize = 64 * 1024;

/// How many pieces are read at a time.
pub const PIECES_PAGE: usize = 64;

/// A content and where it goes.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub path: Path,
    /// Of the content.
    pub hash: Hash,
    /// As given by the writer; may be empty.
    pub content_type: String,
    /// Of the writer.
    pub metadata: Metadata,
}

/// A chunk in its rope.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where in the rope it begins.
    pub at: u64,
    /// Which.
    pub chunk: Hash,
    /// In bytes.
    pub length: u32,
    /// Where its bytes are.
    pub kept: Kept,
}

/// Where the bytes of a live chunk are.
#[derive(Clone, Debug)]
pub enum Kept {
    /// Beside its row; not verified yet.
    Here(Bytes),
    /// In the chunk tier.
    At(Place),
}

/// Which files a listing is about.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Whose.
    pub tenant: TenantId,
    /// This file, if it exists.
    pub exactly: Option<Path>,
    /// And all below this path.
    pub below: Option<Path>,
    /// Only those after this one.
    pub after: Option<Path>,
    /// As they were then, in the order of the store's clock; none: as they are.
    pub as_of: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// In byte order of their paths.
    pub files: Vec<File>,
    /// Where the next page goes on, if there may be one: a page can have files left out that were not there then.
    pub next: Option<Path>,
}

/// Keeps files.
#[async_trait]
pub trait Files {
    /// Makes a small content the next version of its file, in one transaction. At most [`INLINE_SIZE`] bytes.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist.
    async fn put_file(&self, file: &NewFile, content: Bytes) -> Result<Version>;

    /// A file in one version, or in its current one.
    ///
    /// # Errors
    /// The store's.
    async fn find_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<File>>;

    /// The same, together with its first pieces.
    ///
    /// # Errors
    /// The store's.
    async fn open_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<(File, Vec<Piece>)>>;

    /// Pieces of a rope in order, from the one on that holds the byte `at`; at most [`PIECES_PAGE`].
    ///
    /// # Errors
    /// The store's.
    async fn list_pieces(&self, tenant: TenantId, rope: RopeId, at: u64) -> Result<Vec<Piece>>;

    /// Files in the byte order of their paths. Costs what it returns.
    ///
    /// # Errors
    /// The store's.
    async fn list_files(&self, listing: &Listing) -> Result<Listed>;

    /// What a directory shows, in byte order of the names (those of directories with a last slash), after one of them.
    /// Costs what it returns, whatever lies deeper.
    ///
    /// # Errors
    /// The store's.
    async fn browse(
        &self,
        tenant: TenantId,
        dir: &Path,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>>;

    /// Deletes all versions of a file. Tells whether there was one.
    ///
    /// # Errors
    /// The store's.
    async fn delete_file(&self, tenant: TenantId, path: &Path) -> Result<bool>;

    /// The time by the clock of the store.
    ///
    /// # Errors
    /// The store's.
    async fn now(&self) -> Result<Timestamp>;
}
