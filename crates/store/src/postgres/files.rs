//! Files in PostgreSQL.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Entry, Expected, File, Hash, PastFile, Path, RopeId, TenantId, Timestamp, Version};
use deadpool_postgres::GenericClient;
use futures::FutureExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::chunks::new_generation;
use super::healing::{THERE, heal_inline};
use super::row::{blob, get, metadata_text, one, signed};
use super::run::Outcome;
use super::statement::sql;
use super::versions::{collision, delete, find, next_version, number, until_free};
use super::{Postgres, copies, listings, pieces};
use crate::files::{Browsing, Copied, Copy, CopyBelow, Files, INLINE_SIZE, Listed, Listing, NewFile, Piece};
use crate::{Error, Result};

/// How often a put begins anew that met with others.
const TRIES: usize = 32;

/// A put, with all that must stay the same when it is repeated.
struct Put {
    new: NewFile,
    content: Bytes,
    /// Random, to know the version again that it made.
    call: [u8; 16],
    /// Of the rope, if there is none of that content yet.
    rope: Option<RopeId>,
    generation: i64,
    /// Whether this was tried before, and nobody knows what became of it.
    tried: AtomicBool,
    /// Whether it may have found a rope of that content which can't be read.
    damaged: AtomicBool,
}

/// What there is of a path, seen at one moment.
struct Seen {
    /// The version that the call made.
    made: Option<i64>,
    current: Option<i64>,
    stands: bool,
}

impl Put {
    fn new(new: &NewFile, content: Bytes) -> Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Error::Failed(error.to_string().into()))?;
        let (call, rope) = random.split_at(16);
        let rope = RopeId::try_from(rope).expect("half of 32 bytes");
        Ok(Put {
            new: new.clone(),
            rope: (!content.is_empty()).then_some(rope),
            content,
            call: call.try_into().expect("half of 32 bytes"),
            generation: new_generation()?,
            tried: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
        })
    }

    /// One put makes one version, whatever is cut off. The first time it just does it. If nobody knows whether that was
    /// done, it looks for the version that the call made, and if there is none, does it from what it saw at that same
    /// moment: should the first statement come to be done meanwhile, the head is another, and it looks again.
    async fn run(&self, client: &impl GenericClient, now: Timestamp) -> Outcome<Version> {
        let mut from = self.new.expected;
        let is_repeated = self.tried.swap(true, Ordering::SeqCst);
        for attempt in 0..TRIES {
            if attempt > 0 || is_repeated {
                let seen = self.look(client).await?;
                if let Some(made) = seen.made {
                    self.damaged.store(true, Ordering::SeqCst);
                    return Ok(Version(made));
                }
                if !seen.stands {
                    return Err(Error::Missing("tenant").into());
                }
                let current = seen.current.map(Version);
                if !self.new.expected.is_met_by(current) {
                    return Err(Error::Skew.into());
                }
                if is_repeated {
                    from = current.map_or(Expected::Nothing, Expected::Version);
                }
            }
            match self.write(client, from, now).await {
                Ok(Some(version)) => return Ok(version),
                // What was expected is not there, or was not seen yet.
                Ok(None) => {}
                // The same content, or the same number of a deleted path, by somebody else at the same time.
                Err(failure) if failure.conflict().is_some() => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(collision())
    }

    async fn look(&self, client: &impl GenericClient) -> Outcome<Seen> {
        let sql = sql!(
            "SELECT (SELECT version FROM (SELECT version, call FROM versions WHERE tenant = $1 AND path = $2
                                          ORDER BY version DESC LIMIT 1000) AS recent
                     WHERE call = $3 LIMIT 1) AS made,
                    (SELECT version FROM files WHERE tenant = $1 AND path = $2) AS current,
                    EXISTS (SELECT 1 FROM tenants WHERE tenant = $1) AS stands"
        );
        let tenant = &self.new.tenant.as_bytes()[..];
        let values: [&(dyn ToSql + Sync); 3] = [&tenant, &self.new.path.as_str(), &&self.call[..]];
        let seen = one(client, &sql, &values, |row| {
            Ok(Seen { made: get(row, "made")?, current: get(row, "current")?, stands: get(row, "stands")? })
        });
        Ok(seen.await?.ok_or_else(|| Error::Damaged("a query without an answer".into()))?)
    }

    /// All in one statement. None: nothing was written.
    ///
    /// - `owner` and `known` are locked against whoever deletes the tenant or takes the rope apart: if those were first,
    ///   they are waited for, and the row is found to be gone.
    /// - Nothing is written unless there is a new head. If somebody else made a rope of that content meanwhile, the key of
    ///   `ropes` undoes the statement, and the next one finds that rope.
    /// - A chunk that is there is locked by the update, which makes a pending one live; whoever is writing its bytes to the
    ///   chunk tier is told that they are nobody's. One that a collector took meanwhile begins a new life.
    async fn write(
        &self,
        client: &impl GenericClient,
        expected: Expected,
        now: Timestamp,
    ) -> Outcome<Option<Version>> {
        let parts = next_version("COALESCE((SELECT rope FROM known), $11::BYTEA)", ", owner");
        let sql = sql!(
            "WITH owner AS (SELECT tenant FROM tenants WHERE tenant = $1 FOR SHARE),
             known AS (SELECT rope FROM ropes WHERE tenant = $1 AND hash = $3 FOR SHARE),
             {parts},
             chunk AS (
                 INSERT INTO chunks (tenant, chunk, generation, state, length, data)
                 SELECT $1, $3, $12::INT8, 1, $4, $13::BYTEA FROM head WHERE rope = $11::BYTEA
                 ON CONFLICT (tenant, chunk) DO UPDATE SET state = 1,
                     place = CASE WHEN chunks.state = 1 THEN chunks.place END,
                     data = CASE WHEN chunks.state = 1 THEN chunks.data ELSE excluded.data END
                 RETURNING chunk),
             piece AS (
                 INSERT INTO pieces (tenant, rope, at, chunk, length)
                 SELECT $1, $11::BYTEA, 0, chunk, $4 FROM chunk
                 RETURNING at),
             whole AS (
                 INSERT INTO ropes (tenant, rope, hash, size) SELECT $1, $11::BYTEA, $3, $4
                 FROM head WHERE rope = $11::BYTEA
                 RETURNING rope)
             SELECT version, known.rope IS NOT NULL AND ({THERE} known.rope) < $4 AS damaged FROM head LEFT JOIN known ON true"
        );
        let new = &self.new;
        let values: [&(dyn ToSql + Sync); 13] = [
            &&new.tenant.as_bytes()[..],
            &new.path.as_str(),
            &&new.hash.as_bytes()[..],
            &signed(self.content.len() as u64),
            &new.content_type,
            &metadata_text(&new.metadata),
            &now.micros(),
            &now.micros(),
            &number(expected),
            &&self.call[..],
            &self.rope.as_ref().map(|rope| &rope.as_bytes()[..]),
            &self.generation,
            &&self.content[..],
        ];
        let made = |row: &Row| {
            let damaged = get::<Option<bool>>(row, "damaged")?.unwrap_or_default();
            Ok((Version(get(row, "version")?), damaged))
        };
        let made = one(client, &sql, &values, made).await?;
        self.damaged.fetch_or(made.is_some_and(|(_, damaged)| damaged), Ordering::SeqCst);
        Ok(made.map(|(version, _)| version))
    }
}

#[async_trait]
impl Files for Postgres {
    async fn put_file(&self, new: &NewFile, content: Bytes) -> Result<Version> {
        debug_assert!(content.len() <= INLINE_SIZE, "larger contents go through an upload");
        let put = Arc::new(Put::new(new, content)?);
        let version = self
            .run(|client, now| {
                let put = Arc::clone(&put);
                async move { put.run(client, now).await }.boxed()
            })
            .await?;
        if put.damaged.load(Ordering::SeqCst) {
            self.transact(|transaction, _| {
                let put = Arc::clone(&put);
                async move { heal_inline(transaction, put.new.tenant, &put.new.hash, &put.content).await }
                    .boxed()
            })
            .await?;
        }
        Ok(version)
    }

    async fn find_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<File>> {
        let path = path.clone();
        self.run(move |client, _| {
            let path = path.clone();
            async move { find(client, tenant, &path, version).await }.boxed()
        })
        .await
    }

    async fn open_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<(File, Vec<Piece>)>> {
        pieces::open(self, tenant, path, version).await
    }

    async fn list_pieces(&self, tenant: TenantId, rope: RopeId, range: Range<u64>) -> Result<Vec<Piece>> {
        self.run(move |client, _| pieces::list(client, tenant, rope, range.clone()).boxed()).await
    }

    async fn list_files(&self, listing: &Listing) -> Result<Listed> {
        let listing = Arc::new(listing.clone());
        self.run(move |client, _| {
            let listing = Arc::clone(&listing);
            async move { listings::list(client, &listing).await }.boxed()
        })
        .await
    }

    async fn browse(&self, browsing: &Browsing) -> Result<Vec<Entry>> {
        let browsing = Arc::new(browsing.clone());
        self.run(move |client, _| {
            let browsing = Arc::clone(&browsing);
            async move { listings::browse(client, &browsing).await }.boxed()
        })
        .await
    }

    async fn list_versions(
        &self,
        tenant: TenantId,
        path: &Path,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PastFile>> {
        let path = path.clone();
        self.run(move |client, _| {
            let path = path.clone();
            async move { listings::versions(client, tenant, &path, before, limit).await }.boxed()
        })
        .await
    }

    async fn copy_file(&self, copy: &Copy) -> Result<Option<File>> {
        let copy = Arc::new(copy.clone());
        until_free(|| {
            let copy = Arc::clone(&copy);
            self.transact_once(move |transaction, now| {
                let copy = Arc::clone(&copy);
                async move { copies::copy(transaction, &copy, now).await }.boxed()
            })
        })
        .await
    }

    async fn copy_files(&self, below: &CopyBelow) -> Result<Copied> {
        let below = Arc::new(below.clone());
        until_free(|| {
            let below = Arc::clone(&below);
            self.transact_once(move |transaction, now| {
                let below = Arc::clone(&below);
                async move { copies::copy_below(transaction, &below, now).await }.boxed()
            })
        })
        .await
    }

    async fn repeat_file(&self, file: &NewFile) -> Result<Option<Version>> {
        let file = Arc::new(file.clone());
        until_free(|| {
            let file = Arc::clone(&file);
            self.transact_once(move |transaction, now| {
                let file = Arc::clone(&file);
                async move { copies::repeat(transaction, &file, now).await }.boxed()
            })
        })
        .await
    }

    async fn delete_file(&self, tenant: TenantId, path: &Path, expected: Expected) -> Result<bool> {
        until_free(|| {
            let path = path.clone();
            self.transact_once(move |transaction, now| {
                let path = path.clone();
                async move { delete(transaction, tenant, &path, expected, now).await }.boxed()
            })
        })
        .await
    }

    async fn delete_files(&self, tenant: TenantId, dir: &Path, most: usize) -> Result<usize> {
        let dir = dir.clone();
        self.transact_once(move |transaction, now| {
            let dir = dir.clone();
            async move { copies::delete_below(transaction, tenant, &dir, most, now).await }.boxed()
        })
        .await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.run(|_, now| async move { Ok(now) }.boxed()).await
    }
}

/// The rope of the tenant that has this content, held until the end of the transaction.
pub(super) async fn find_rope(
    transaction: &deadpool_postgres::Transaction<'_>,
    tenant: TenantId,
    hash: &Hash,
) -> Outcome<Option<RopeId>> {
    let sql = sql!("SELECT rope FROM ropes WHERE tenant = $1 AND hash = $2 FOR SHARE");
    let values: [&(dyn ToSql + Sync); 2] = [&&tenant.as_bytes()[..], &&hash.as_bytes()[..]];
    one(transaction, &sql, &values, |row| blob(row, "rope")).await
}
