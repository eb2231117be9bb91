//! A store copied to another engine and tier. Each run makes the target what the source is, and costs a walk over both
//! besides what differs: so it can be broken off and begun again at any time. While the source is written to, a run is
//! behind when it ends; the last one is made while the source takes no writes.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::rows::{Belonging, Rows};
use super::{LiveChunk, dump};
use crate::chunks::NewChunk;
use crate::inspect::{CHUNKS, Inspect, Key, Row, TABLES, TENANTS, Table, Value};
use crate::{Error, Result, Store};

/// Chunks that are on their way together: up to 8 MiB of them are in memory.
const CHUNKS_AT_ONCE: usize = 16;
/// Rows that are removed or restored together.
const BATCH: usize = 500;

/// What a run came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// Chunks that were copied.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks that were there already.
    pub chunks_there: u64,
    /// Chunks that the source no longer has, and the target had.
    pub chunks_removed: u64,
    /// Rows that were added or changed, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows that the source no longer has, or has otherwise, and the target had.
    pub rows_removed: u64,
    /// Chunks of the source that are damaged: they are not copied, and what is made of them can't be read.
    pub damaged: u64,
    /// Rows that could not be brought together while the source changed: another run does it.
    pub unsettled: u64,
}

impl Copied {
    /// Whether the target was already what the source is.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        let changes = self.chunks + self.chunks_removed + self.rows_removed + self.unsettled;
        changes == 0 && self.rows.values().all(|rows| *rows == 0)
    }
}

/// Makes a store what another one is. Nobody may serve the target meanwhile. `tell` hears of each damaged chunk.
///
/// # Errors
/// The target holds something else; the stores'.
pub async fn copy(from: &Store, to: &Store, tell: impl FnMut(String) + Send) -> Result<Copied> {
    claim(from, to).await?;
    let mut copy = Copy { from, to, tell, done: Copied::default() };
    // A tier may ask where a tenant is at home.
    copy.table(&TENANTS).await?;
    copy.chunks().await?;
    for table in TABLES {
        if *table != CHUNKS {
            copy.table(table).await?;
        }
    }
    copy.remove_chunks().await?;
    Ok(copy.done)
}

/// Sees to it that the target is this source's copy, or nobody's yet.
async fn claim(from: &Store, to: &Store) -> Result<()> {
    let (source, target) = (from.metadata.identity().await?, to.metadata.identity().await?);
    let refuse = |text: &str| Err(Error::Failed(text.to_owned().into()));
    if source.store == target.store {
        return refuse("a store can't be copied onto itself");
    }
    match target.copy_of {
        Some(store) if store == source.store => Ok(()),
        Some(_) => refuse("the target is a copy of another store"),
        None if dump::is_empty(&*to.metadata).await? => to.metadata.note_copy_of(source.store).await,
        None => refuse("the target holds data that did not come from this source"),
    }
}

struct Copy<'a, F> {
    from: &'a Store,
    to: &'a Store,
    tell: F,
    done: Copied,
}

/// What became of a chunk of the source.
enum Fetched {
    Got(LiveChunk, Bytes),
    /// It was purged since its row was read.
    Gone,
    Damaged(String),
}

impl<F: FnMut(String) + Send> Copy<'_, F> {
    /// Brings the bytes of all chunks that the target has not.
    async fn chunks(&mut self) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let mut source = Belonging::of(&*from.metadata, &CHUNKS);
        let mut target = Rows::of(&*to.metadata, &CHUNKS);
        let mut batch = Vec::new();
        while let Some(row) = source.next().await? {
            let there = target.reach(&row.key()).await?;
            if there.is_some_and(|there| there.number("state") == 1) {
                self.done.chunks_there += 1;
                continue;
            }
            batch.extend(LiveChunk::parse(&row)?);
            if batch.len() == CHUNKS_AT_ONCE {
                self.bring(std::mem::take(&mut batch)).await?;
            }
        }
        self.bring(batch).await
    }

    async fn bring(&mut self, chunks: Vec<LiveChunk>) -> Result<()> {
        let from = self.from;
        let fetches = stream::iter(chunks).map(|chunk| fetch(from, chunk));
        let fetched: Vec<_> = fetches.buffered(CHUNKS_AT_ONCE).collect().await;
        let mut got = Vec::new();
        for fetched in fetched {
            match fetched? {
                Fetched::Got(chunk, bytes) => got.push((chunk, bytes)),
                Fetched::Gone => {}
                Fetched::Damaged(problem) => {
                    self.done.damaged += 1;
                    (self.tell)(problem);
                }
            }
        }
        self.keep(got).await
    }

    /// Bytes first, then the rows that name them.
    async fn keep(&mut self, got: Vec<(LiveChunk, Bytes)>) -> Result<()> {
        let generations = self.to.metadata.draw_generations(got.len()).await?;
        let mut new = Vec::new();
        for ((chunk, bytes), generation) in got.iter().zip(&generations) {
            if chunk.data.is_none() {
                let (tenant, hash, generation) = (chunk.tenant, chunk.hash, *generation);
                new.push(NewChunk { tenant, hash, generation, bytes: bytes.clone(), checksum: None });
            }
        }
        let mut places =
            if new.is_empty() { Vec::new() } else { self.to.chunks.write(new).await? }.into_iter();
        let mut rows = Vec::new();
        for ((chunk, bytes), generation) in got.into_iter().zip(generations) {
            self.done.chunks += 1;
            self.done.bytes += bytes.len() as u64;
            let (data, place) = match chunk.data {
                Some(data) => (Value::Bytes(data.to_vec()), Value::None),
                None => {
                    let place = places.next().ok_or_else(|| Error::Failed("a tier lost count".into()))?;
                    (Value::None, Value::Bytes(place.0))
                }
            };
            let (tenant, hash) = (chunk.tenant.as_bytes().to_vec(), chunk.hash.as_bytes().to_vec());
            rows.push(Row::new(
                &CHUNKS,
                vec![
                    Value::Bytes(tenant),
                    Value::Bytes(hash),
                    Value::Number(generation),
                    Value::Number(1),
                    Value::Number(chunk.length.into()),
                    place,
                    data,
                ],
            )?);
        }
        self.to.metadata.restore_rows(rows).await
    }

    async fn table(&mut self, table: &'static Table) -> Result<()> {
        self.remove_others(table).await?;
        self.add_missing(table).await
    }

    /// Takes away what the source has not or has otherwise, before anything is added: what must be unique in a table may
    /// have moved from one row to another.
    async fn remove_others(&mut self, table: &'static Table) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let mut source = Source::of(from, table);
        let mut target = Rows::of(&*to.metadata, table);
        let mut batch: Vec<Key> = Vec::new();
        while let Some(row) = target.next().await? {
            if source.reach(&row.key()).await? != Some(&row) {
                batch.push(row.key());
            }
            if batch.len() == BATCH {
                self.remove(table, std::mem::take(&mut batch)).await?;
            }
        }
        self.remove(table, batch).await
    }

    async fn remove(&mut self, table: &'static Table, keys: Vec<Key>) -> Result<()> {
        self.done.rows_removed += keys.len() as u64;
        if keys.is_empty() { Ok(()) } else { self.to.metadata.remove_rows(table, keys).await }
    }

    async fn add_missing(&mut self, table: &'static Table) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let mut source = Belonging::of(&*from.metadata, table);
        let mut target = Rows::of(&*to.metadata, table);
        let mut batch = Vec::new();
        while let Some(row) = source.next().await? {
            if target.reach(&row.key()).await? != Some(&row) {
                batch.push(row);
            }
            if batch.len() == BATCH {
                self.add(table, std::mem::take(&mut batch)).await?;
            }
        }
        self.add(table, batch).await
    }

    async fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut added = rows.len() as u64;
        match self.to.metadata.restore_rows(rows.clone()).await {
            // The source changed between two of its pages: each row that still fits goes in.
            Err(Error::Taken(_)) => {
                for row in rows {
                    match self.to.metadata.restore_rows(vec![row]).await {
                        Err(Error::Taken(_)) => {
                            self.done.unsettled += 1;
                            added -= 1;
                        }
                        done => done?,
                    }
                }
            }
            done => done?,
        }
        *self.done.rows.entry(table.name).or_default() += added;
        Ok(())
    }

    /// Lets go of chunks that the source no longer has: the row first, so that nothing refers to erased bytes.
    async fn remove_chunks(&mut self) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let mut source = Source::of(from, &CHUNKS);
        let mut target = Rows::of(&*to.metadata, &CHUNKS);
        while let Some(row) = target.next().await? {
            if source.reach(&row.key()).await?.is_some() {
                continue;
            }
            // It may be new since the walk passed it, or its bytes be damaged there and whole here.
            if is_known(from.metadata.as_ref(), &row.key()).await? {
                continue;
            }
            to.metadata.remove_rows(&CHUNKS, vec![row.key()]).await?;
            if let Some(kept) = LiveChunk::parse(&row)?.and_then(|chunk| chunk.kept()) {
                to.chunks.erase(&kept).await?;
            }
            self.done.chunks_removed += 1;
        }
        Ok(())
    }
}

async fn is_known(store: &(impl Inspect + ?Sized), key: &Key) -> Result<bool> {
    Ok(store.find_row(&CHUNKS, key).await?.is_some())
}

/// Reads a chunk of the source. If that fails, its row is asked again: the purge may have been faster.
async fn fetch(from: &Store, mut chunk: LiveChunk) -> Result<Fetched> {
    let key =
        [&chunk.tenant.as_bytes()[..], chunk.hash.as_bytes()].map(|id| Value::Bytes(id.to_vec())).to_vec();
    loop {
        let problem = match chunk.read(from).await {
            Ok(bytes) => return Ok(Fetched::Got(chunk, bytes)),
            Err(Error::Damaged(problem)) => problem,
            Err(error) => return Err(error),
        };
        let row = from.metadata.find_row(&CHUNKS, &key).await?;
        match row.as_ref().map(LiveChunk::parse).transpose()?.flatten() {
            None => return Ok(Fetched::Gone),
            Some(now) if now.generation == chunk.generation => return Ok(Fetched::Damaged(problem)),
            Some(now) => chunk = now,
        }
    }
}

/// The rows of the source that belong to it, to be compared with.
struct Source<'a> {
    rows: Belonging<'a>,
    at: Option<Row>,
    over: bool,
}

impl<'a> Source<'a> {
    fn of(from: &'a Store, table: &'static Table) -> Self {
        Source { rows: Belonging::of(&*from.metadata, table), at: None, over: false }
    }

    async fn reach(&mut self, key: &Key) -> Result<Option<&Row>> {
        while !self.over && self.at.as_ref().is_none_or(|row| row.key() < *key) {
            self.at = self.rows.next().await?;
            self.over = self.at.is_none();
        }
        Ok(self.at.as_ref().filter(|row| row.key() == *key))
    }
}
