//! A store seen as tables: for those who look after it. Serving needs none of this.

mod table;

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, RopeId, TenantId, Version};

pub use table::{
    CHUNKS, CONDEMNED, Column, FILES, Key, Kind, LAST_VERSIONS, LINKS, LOOSE_ROPES, PASSWORDS, PIECES,
    PRINCIPALS, ROPES, Row, SESSIONS, TABLES, TENANTS, Table, VERSIONS, VHOSTS, Value,
};

use crate::Result;

/// Who a store is, and whose copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Drawn at random when the store was made.
    pub store: [u8; 16],
    /// The store that copying into this one began from.
    pub copy_of: Option<[u8; 16]>,
}

/// What a tenant has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Live files.
    pub files: u64,
    /// The bytes of their current versions.
    pub file_bytes: u64,
    /// Versions, overwritten and deleted ones too.
    pub versions: u64,
    /// Their bytes.
    pub version_bytes: u64,
    /// Ropes.
    pub ropes: u64,
    /// Their bytes: equal contents counted once.
    pub rope_bytes: u64,
    /// Live chunks beside their rows.
    pub rows: u64,
    /// Their bytes.
    pub row_bytes: u64,
    /// Live chunks in the chunk tier.
    pub chunks: u64,
    /// Their bytes.
    pub chunk_bytes: u64,
}

/// A version of a file that something was found out about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Touched {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub path: Path,
    /// Which.
    pub version: Version,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// Rows of a store in the order of their keys.
#[async_trait]
pub trait Walk: Send + Sync {
    /// Rows after a key, at most so many; fewer than that only at the end. One statement, which reads no more rows than it
    /// answers.
    ///
    /// # Errors
    /// The store's.
    async fn list_rows(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>>;
}

/// Looks into a store, and puts things right there.
#[async_trait]
pub trait Inspect: Walk {
    /// The store as it is now, for as long as this is held. What is written meanwhile is not seen. It costs the store
    /// something to keep what is gone elsewhere, so hold it for a dump, not while terabytes are read.
    ///
    /// # Errors
    /// The store's.
    async fn snapshot(&self) -> Result<Box<dyn Walk>>;

    /// One row.
    ///
    /// # Errors
    /// The store's.
    async fn find_row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>>;

    /// Makes rows what they are said to be, whether they are there or not, in one transaction. They may be of several
    /// tables. What the engine draws itself from then on (generations, ids of ropes) meets none of these: chunks carry
    /// generations, ropes of which the first 8 bytes are zero a generation in the last 8.
    ///
    /// # Errors
    /// [`Error::Taken`](crate::Error::Taken) when something unique stands in another row; nothing is changed then.
    async fn restore_rows(&self, rows: Vec<Row>) -> Result<()>;

    /// Removes rows of a table by their keys, in one transaction. Those that are gone are fine.
    ///
    /// # Errors
    /// The store's.
    async fn remove_rows(&self, table: &'static Table, keys: Vec<Key>) -> Result<()>;

    /// Numbers that no chunk has had as its generation.
    ///
    /// # Errors
    /// The store's.
    async fn draw_generations(&self, count: usize) -> Result<Vec<i64>>;

    /// The bytes of a live chunk are gone or damaged: it becomes pending in a generation of its own, so that the next
    /// lease asks for its bytes. What refers to it stays, and can't be read until then. The bytes, if there are any in the
    /// tier, are nobody's from now on. Tells whether the chunk was live in this generation.
    ///
    /// # Errors
    /// The store's.
    async fn mark_damaged(&self, tenant: TenantId, chunk: Hash, generation: i64) -> Result<bool>;

    /// Versions of which a chunk is a part, in the order of their paths, after one; at most so many.
    ///
    /// # Errors
    /// The store's.
    async fn list_versions_of_chunk(
        &self,
        tenant: TenantId,
        chunk: Hash,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>>;

    /// Versions that have a rope, in the order of their paths, after one; at most so many.
    ///
    /// # Errors
    /// The store's.
    async fn list_versions_of_rope(
        &self,
        tenant: TenantId,
        rope: RopeId,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>>;

    /// What a tenant has. Costs all its rows.
    ///
    /// # Errors
    /// The store's.
    async fn usage(&self, tenant: TenantId) -> Result<Usage>;

    /// Who the store is.
    ///
    /// # Errors
    /// The store's.
    async fn identity(&self) -> Result<Identity>;

    /// Notes whose copy this store is.
    ///
    /// # Errors
    /// The store's.
    async fn note_copy_of(&self, store: [u8; 16]) -> Result<()>;
}
