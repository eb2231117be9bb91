//! Chunks into PostgreSQL: by the store's tier of rows, and the same rows by the driver alone. Both in this process, so its
//! CPU is counted together with the database's.

use std::sync::Arc;

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Hash, TenantId};
use cacheroach_store::chunks::{Chunks, NewChunk};
use cacheroach_store::{CacheSettings, Location, Settings, Tier};
use futures::future::try_join_all;
use tokio_postgres::Statement;

use super::{Bench, in_turns};
use crate::Result;
use crate::clock::SystemClock;
use crate::load::{self, Amount, Client, Content, mix};
use crate::report::{Peer, Round, Unit};
use crate::servers::{Postgres, Usage, cpu_of};

const WRITERS: usize = 4;
/// As an upload keeps them: eight chunks in a transaction.
const BATCH: u64 = 8;
const BATCHES: u64 = 64;
/// Enough that nobody has one in the cache of the processor.
const CONTENTS: u64 = 64;

/// A database with tables for both.
pub(super) struct Inserts {
    chunks: Arc<dyn Chunks>,
    database: Postgres,
    contents: Arc<[Bytes]>,
}

/// A row of a run.
struct Row {
    hash: Hash,
    bytes: Bytes,
}

fn row(contents: &[Bytes], number: u64) -> Row {
    let mut hash = [0; 32];
    for (part, bytes) in (0..).zip(hash.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&mix(number * 4 + part).to_be_bytes());
    }
    let bytes = &contents[usize::try_from(number % CONTENTS).unwrap_or_default()];
    Row { hash: Hash::new(hash), bytes: bytes.clone() }
}

/// The store's.
struct Tiered {
    chunks: Arc<dyn Chunks>,
    contents: Arc<[Bytes]>,
}

impl Client for Tiered {
    async fn perform(&mut self, index: u64) -> Result<u64> {
        let new = |number| {
            let Row { hash, bytes } = row(&self.contents, number);
            NewChunk { tenant: TenantId::SCRATCHPAD, hash, generation: 1, bytes, checksum: None }
        };
        self.chunks.write((index * BATCH..(index + 1) * BATCH).map(new).collect()).await?;
        Ok(BATCH * CHUNK_SIZE as u64)
    }
}

/// The driver's: what is in a transaction is sent without waiting for answers.
struct Bare {
    client: tokio_postgres::Client,
    insert: Statement,
    contents: Arc<[Bytes]>,
}

impl Bare {
    async fn open(database: &Postgres, contents: &Arc<[Bytes]>) -> Result<Self> {
        let client = database.connect().await;
        let insert = "INSERT INTO bare (tenant, chunk, generation, attempt, written_at, data)
                      VALUES ($1, $2, $3, $4, $5, $6)";
        let insert = client.prepare(insert).await?;
        Ok(Self { client, insert, contents: Arc::clone(contents) })
    }
}

impl Client for Bare {
    async fn perform(&mut self, index: u64) -> Result<u64> {
        let transaction = self.client.transaction().await?;
        let (rows, insert) = (&transaction, &self.insert);
        let add = |number| {
            let Row { hash, bytes } = row(&self.contents, number);
            async move {
                let tenant = &TenantId::SCRATCHPAD.as_bytes()[..];
                let (hash, attempt) = (&hash.as_bytes()[..], mix(number).cast_signed());
                rows.execute(insert, &[&tenant, &hash, &1_i64, &attempt, &1_i64, &&bytes[..]]).await
            }
        };
        try_join_all((index * BATCH..(index + 1) * BATCH).map(add)).await?;
        transaction.commit().await?;
        Ok(BATCH * CHUNK_SIZE as u64)
    }
}

impl Inserts {
    pub(super) async fn open() -> Result<Self> {
        let database = Postgres::empty().await?;
        let tier = Settings {
            cache: CacheSettings::NONE,
            ..Settings::new(Location::parse(&database.url())?, Tier::Db)
        };
        let store = cacheroach_store::open(&tier, Arc::new(SystemClock)).await?;
        let bare = "CREATE TABLE bare (LIKE chunk_data INCLUDING ALL)";
        database.connect().await.batch_execute(bare).await?;
        let contents = (0..CONTENTS).map(|seed| Content::new(seed, CHUNK_SIZE).bytes().into()).collect();
        Ok(Self { chunks: store.chunks, database, contents })
    }

    pub(super) async fn measure(&self, bench: &mut Bench, round: u64) -> Result<()> {
        for peer in in_turns(&[Peer::Cacheroach, Peer::Postgres], round) {
            let (case, round) = match peer {
                Peer::Postgres => {
                    let open = (0..WRITERS).map(|_| Bare::open(&self.database, &self.contents));
                    ("insert-bare", self.cost(try_join_all(open).await?).await?)
                }
                _ => {
                    let (chunks, contents) = (&self.chunks, &self.contents);
                    let tiered = || Tiered { chunks: Arc::clone(chunks), contents: Arc::clone(contents) };
                    ("insert-chunk", self.cost((0..WRITERS).map(|_| tiered()).collect()).await?)
                }
            };
            bench.report.add(case, *peer, Unit::Bytes, round);
        }
        Ok(())
    }

    /// Of an empty table and a log without anything to catch up with, by connections that know their statements.
    async fn cost<C: Client>(&self, mut clients: Vec<C>) -> Result<Round> {
        let clear = "TRUNCATE chunk_data, bare; CHECKPOINT";
        self.database.connect().await.batch_execute(clear).await?;
        let first = clients.iter_mut().zip(BATCHES..).map(|(client, index)| client.perform(index));
        try_join_all(first).await?;
        let (own, database) = (cpu_of(std::process::id())?, self.database.usage()?);
        let outcome = load::drive(clients, Amount::Operations(BATCHES)).await?;
        let outcome = outcome.of_bytes(BATCHES * BATCH * CHUNK_SIZE as u64)?;
        let own = Usage { cpu: cpu_of(std::process::id())?.saturating_sub(own), written: 0 };
        Ok(Round::new(&outcome, own, Some(self.database.usage()?.since(database)), 0))
    }
}
