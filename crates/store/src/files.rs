//! Files as they are kept: heads, versions, and the pieces of their contents.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{
    Entry, Expected, File, Hash, Metadata, PastFile, Path, RopeId, TenantId, Timestamp, Version,
};

use crate::Result;
use crate::chunks::Place;
use crate::stamps::Stamp;

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
    /// What must be there for it to become the next version.
    pub expected: Expected,
}

/// A new version made of one that is there: a copy, a move, a restored version, or the same content described anew.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Whose.
    pub tenant: TenantId,
    /// From where.
    pub from: Path,
    /// Which version; none: the current one. One that is named may be deleted.
    pub version: Option<Version>,
    /// Where to; maybe the same path.
    pub to: Path,
    /// What must be there for it to become the next version.
    pub expected: Expected,
    /// How it is described from now on; none: as before.
    pub described: Option<(String, Metadata)>,
    /// A move: the file it is made of is deleted, and is as old as it was.
    pub moved: bool,
    /// Whether the current version stays if it is the same already, so that a repeated call makes no second one. Whoever
    /// may not read it would learn by that what it is.
    pub unless_same: bool,
}

/// Copies of all files below a path, a page of them.
#[derive(Clone, Debug)]
pub struct CopyBelow {
    /// Whose.
    pub tenant: TenantId,
    /// The directory. It must not be above or below the other.
    pub from: Path,
    /// Where to.
    pub to: Path,
    /// Only files after this one.
    pub after: Option<Path>,
    /// At most so many.
    pub limit: usize,
    /// A move: the files they are made of are deleted.
    pub moved: bool,
    /// As of a single file.
    pub unless_same: bool,
}

/// What a page of copies came to.
#[derive(Clone, Debug)]
pub struct Copied {
    /// How many files there were.
    pub files: usize,
    /// Where the next page goes on, if there may be one.
    pub next: Option<Path>,
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
    /// Of which time.
    pub at: Moment,
    /// At most so many.
    pub limit: usize,
}

/// The time that a listing shows, by the clock of the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// As the files are.
    Now,
    /// Of the files that are there still, those that were there then, as they were: pages that fit together. Costs what
    /// it returns.
    Steady(Timestamp),
    /// As the files were then, with those that are deleted by now. Costs all versions that it passes.
    Past(Timestamp),
}

/// Which part of a directory to show.
#[derive(Clone, Debug)]
pub struct Browsing {
    /// Whose.
    pub tenant: TenantId,
    /// The directory.
    pub dir: Path,
    /// Only names after this one; the name of a directory has a last slash.
    pub after: Option<String>,
    /// As it was then; none: as it is.
    pub past: Option<Timestamp>,
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
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist;
    /// [`Error::Skew`](crate::Error::Skew) when something else is there than was expected.
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

    /// What makes a memory of [`Files::open_file`] exact, for current versions. None: there can be no such memory, since
    /// others change the same store, or none now, since something is changing.
    fn stamp(&self, _tenant: TenantId, _path: &Path) -> Option<Stamp> {
        None
    }

    /// Pieces of a rope in order: those that hold bytes of a range, at most [`PIECES_PAGE`].
    ///
    /// # Errors
    /// The store's.
    async fn list_pieces(&self, tenant: TenantId, rope: RopeId, range: Range<u64>) -> Result<Vec<Piece>>;

    /// Files in the byte order of their paths. Costs what it returns.
    ///
    /// # Errors
    /// The store's.
    async fn list_files(&self, listing: &Listing) -> Result<Listed>;

    /// What a directory shows, in byte order of the names (those of directories with a last slash). Costs what it
    /// returns, whatever lies deeper; of a past time, all versions that it passes.
    ///
    /// # Errors
    /// The store's.
    async fn browse(&self, browsing: &Browsing) -> Result<Vec<Entry>>;

    /// The versions of a path, the newest first, before one of them; deleted ones too.
    ///
    /// # Errors
    /// The store's.
    async fn list_versions(
        &self,
        tenant: TenantId,
        path: &Path,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PastFile>>;

    /// Makes a version the next one of a path, without touching its bytes. If the current version there is the same
    /// already, that one stays. None: there is nothing to copy.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when something else is there than was expected.
    async fn copy_file(&self, copy: &Copy) -> Result<Option<File>>;

    /// The same for what is below a path, as [`Files::copy_file`] for each file; one page is one transaction, and may hold
    /// fewer files than asked for.
    ///
    /// # Errors
    /// [`Error::TooLong`](crate::Error::TooLong) when a path would become too long; nothing of the page is copied then.
    async fn copy_files(&self, copy: &CopyBelow) -> Result<Copied>;

    /// Makes the content that a file has the next version of it, without its bytes. None: it has another one, or one that
    /// can't be read as a whole.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when something else is there than was expected.
    async fn repeat_file(&self, file: &NewFile) -> Result<Option<Version>>;

    /// Deletes all versions of a file. Tells whether there was one.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when something else is there than was expected.
    async fn delete_file(&self, tenant: TenantId, path: &Path, expected: Expected) -> Result<bool>;

    /// Deletes files below a path, at most so many, and tells how many that were; none: there are none left.
    ///
    /// # Errors
    /// The store's.
    async fn delete_files(&self, tenant: TenantId, dir: &Path, limit: usize) -> Result<usize>;

    /// The time by the clock of the store.
    ///
    /// # Errors
    /// The store's.
    async fn now(&self) -> Result<Timestamp>;
}
