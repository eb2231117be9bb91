//! Chunks as rows of the metadata database, in a table of their own. Whatever the engine is, it keeps them by
//! [`ChunkRows`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Hash, TenantId, Timestamp};

use super::by_region::ByRegion;
use super::{Chunks, Cursor, FoundChunk, KeptChunk, NewChunk, Page, Place, Whereabouts, elsewhere};
use crate::{Error, Result};

/// The key of a row, never used twice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RowKey {
    /// Whose.
    pub tenant: TenantId,
    /// Of the bytes.
    pub hash: Hash,
    /// Which life of the chunk.
    pub generation: i64,
    /// Random: two that write one life at once get rows of their own, so that the one who comes second erases its own.
    pub attempt: i64,
}

/// A row as it is walked past.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FoundRow {
    /// Which.
    pub key: RowKey,
    /// Of the bytes.
    pub length: u32,
    /// By the database's clock.
    pub written_at: Timestamp,
}

/// What an engine does for a tier of rows.
#[async_trait]
pub trait ChunkRows: Send + Sync {
    /// Adds rows, all of them or none. Once this has answered they survive the loss of power. Again with the same keys:
    /// nothing changes, so that the engine may repeat it.
    ///
    /// # Errors
    /// The engine's.
    async fn write_chunks(&self, rows: Vec<(RowKey, Bytes)>) -> Result<()>;

    /// The bytes of a row, as they are there.
    ///
    /// # Errors
    /// The engine's.
    async fn read_chunk(&self, row: &RowKey) -> Result<Option<Bytes>>;

    /// Removes a row. What is gone already is fine.
    ///
    /// # Errors
    /// The engine's.
    async fn erase_chunk(&self, row: &RowKey) -> Result<()>;

    /// Rows after one in the order of their keys (tenant, hash, generation, attempt), without reading their bytes.
    ///
    /// # Errors
    /// The engine's.
    async fn list_chunk_rows(&self, after: Option<&RowKey>, limit: usize) -> Result<Vec<FoundRow>>;
}

/// A tier of rows. A place is a 3, the generation and the attempt, big-endian; at first it was without the 3.
///
/// What it reads has the length that was written; whether it is the same bytes is for
/// [`Verified`](super::verified::Verified) to say.
pub struct Db(Arc<dyn ChunkRows>);

impl Db {
    /// In the tables of this engine.
    #[must_use]
    pub fn new(rows: Arc<dyn ChunkRows>) -> Self {
        Db(rows)
    }
}

/// What places begin with, by which they are told from those of regions and of other tiers.
const VERSION: u8 = 3;

fn place(row: &RowKey) -> Place {
    Place([&[VERSION][..], &row.generation.to_be_bytes(), &row.attempt.to_be_bytes()].concat())
}

fn row_of(chunk: &KeptChunk) -> Result<RowKey> {
    let key = match &chunk.place.0[..] {
        [VERSION, key @ ..] if key.len() == 16 => key,
        key => key,
    };
    let parts =
        key.split_first_chunk().and_then(|(generation, rest)| Some((*generation, rest.try_into().ok()?)));
    let Some((generation, attempt)) = parts else { return Err(elsewhere(chunk, "a row of the database")) };
    Ok(RowKey {
        tenant: chunk.tenant,
        hash: chunk.hash,
        generation: i64::from_be_bytes(generation),
        attempt: i64::from_be_bytes(attempt),
    })
}

fn damaged(chunk: &KeptChunk, what: &str) -> Error {
    Error::Damaged(format!(
        "a row of the database, chunk {}, place {:02x?}: {what}",
        chunk.hash, chunk.place.0
    ))
}

#[async_trait]
impl Chunks for Db {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        let mut rows = Vec::with_capacity(chunks.len());
        let mut places = Vec::with_capacity(chunks.len());
        for NewChunk { tenant, hash, generation, bytes, .. } in chunks {
            if bytes.len() > CHUNK_SIZE {
                return Err(Error::Failed(format!("a chunk of {} bytes", bytes.len()).into()));
            }
            let attempt = getrandom::u64().map_err(|error| Error::Failed(error.to_string().into()))?;
            let row = RowKey { tenant, hash, generation, attempt: attempt.cast_signed() };
            places.push(place(&row));
            rows.push((row, bytes));
        }
        self.0.write_chunks(rows).await?;
        Ok(places)
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        match self.0.read_chunk(&row_of(chunk)?).await? {
            None => Err(damaged(chunk, "it is not there")),
            Some(bytes) if bytes.len() != chunk.length as usize => Err(damaged(chunk, "the lengths differ")),
            Some(bytes) => Ok(bytes),
        }
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        self.0.erase_chunk(&row_of(chunk)?).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let after = after.map(parse).transpose()?;
        let rows = self.0.list_chunk_rows(after.as_ref(), limit.max(1)).await?;
        let next = rows.last().filter(|_| rows.len() >= limit).map(|row| cursor(&row.key));
        let found = |row: &FoundRow| FoundChunk {
            chunk: KeptChunk {
                tenant: row.key.tenant,
                hash: row.key.hash,
                length: row.length,
                place: place(&row.key),
            },
            generation: row.key.generation,
            written_at: Some(row.written_at),
        };
        Ok(Page { chunks: rows.iter().map(found).collect(), next })
    }

    fn whereabouts(&self, _: &Place) -> Whereabouts {
        Whereabouts { region: None, tier: "db".to_owned() }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        None
    }
}

fn cursor(row: &RowKey) -> Cursor {
    Cursor([row.tenant.as_bytes(), &row.hash.as_bytes()[..], &place(row).0].concat())
}

fn parse(cursor: &Cursor) -> Result<RowKey> {
    let wrong = || Error::Failed("a cursor of another tier".into());
    let (tenant, rest) = cursor.0.split_first_chunk::<16>().ok_or_else(wrong)?;
    let (hash, place) = rest.split_first_chunk::<32>().ok_or_else(wrong)?;
    let (tenant, hash) = (TenantId::new(*tenant), Hash::new(*hash));
    row_of(&KeptChunk { tenant, hash, length: 0, place: Place(place.to_vec()) }).map_err(|_| wrong())
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::by_region::region_of;

    #[test]
    fn a_place_is_found_in_either_form_and_names_no_region() {
        // As a database draws them: any 63 bits, those of a region's place among them.
        let generation = i64::from_be_bytes([b'R', 1, b'a', 9, 9, 9, 9, 9]);
        let row = RowKey { tenant: TenantId::SCRATCHPAD, hash: Hash::new([1; 32]), generation, attempt: 5 };
        let place = place(&row);
        let bare = Place(place.0[1..].to_vec());
        for place in [place, bare] {
            assert_eq!(region_of(&place), None, "{place:?}");
            let chunk = KeptChunk { tenant: row.tenant, hash: row.hash, length: 1, place };
            assert_eq!(row_of(&chunk).unwrap(), row);
        }
    }

    #[test]
    fn a_place_of_another_tier_is_no_damage() {
        let (tenant, hash) = (TenantId::SCRATCHPAD, Hash::new([1; 32]));
        let chunk = KeptChunk { tenant, hash, length: 1, place: Place(vec![2; 21]) };
        assert!(matches!(row_of(&chunk), Err(Error::Failed(_))));
    }
}
