//! Uploads in PostgreSQL.
//!
//! The row of an upload is locked by each of its steps, and by whoever removes it when it is over: what is found in it
//! holds until the step is done.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use cacheroach_model::{Hash, TenantId, Timestamp, Upload, UploadId, Version};
use deadpool_postgres::{GenericClient, Transaction};
use futures::FutureExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::chunks::{STATEMENT_ROWS, STATEMENT_SIZE, ensure_chunks, find_from};
use super::files::find_rope;
use super::healing::{is_whole, replace_pieces};
use super::purge::{AGAIN, take_apart};
use super::row::{all, blob, change, count, get, one, path, signed, time};
use super::run::Outcome;
use super::statement::sql;
use super::versions::{add_version, again, hold_tenant, until_free};
use crate::files::{Kept, NewFile};
use crate::uploads::{Lease, NearChunk, NewPiece, NewUpload, Progress, Step, Stepped, Uploads, rope_of};
use crate::{Error, Result};

/// How many leases and pieces go with an abandoned upload at once; of a longer one, the purge removes the rest.
const ABANDONED: i64 = 1_000;
const PIECES: usize = 1_000;

/// One that can still go on (`$2` is now), or is finished.
const FOUND: &str = "FROM uploads WHERE upload = $1 AND (deadline > $2 OR outcome IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM gone_tenants g WHERE g.tenant = uploads.tenant)";

/// What the steps need to know of an upload.
const UPLOAD: &str = "upload, tenant, path, deadline, at, transfers, outcome";

fn upload(row: &Row) -> Result<Upload> {
    Ok(Upload {
        id: blob(row, "upload")?,
        tenant: blob(row, "tenant")?,
        path: path(row)?,
        deadline: time(row, "deadline")?,
        offset: count(row, "at")?,
        transfers: count(row, "transfers")?,
        outcome: get::<Option<i64>>(row, "outcome")?.map(Version),
    })
}

fn progress(row: &Row) -> Result<Progress> {
    Ok(Progress {
        upload: upload(row)?,
        tail: get::<Vec<u8>>(row, "tail")?.into(),
        hash_state: get(row, "hash_state")?,
        last_from: count(row, "last_from")?,
        last_digest: get(row, "last_digest")?,
    })
}

/// Repeated, it finds what it made.
async fn begin(
    client: &impl GenericClient,
    region: &str,
    new: &NewUpload,
    now: Timestamp,
) -> Outcome<Upload> {
    // Whole seconds: a state that travels through JSON or another clock must not lose a fraction of it.
    let deadline = Timestamp::from_seconds(now.after(new.timeout).seconds());
    let (id, tenant) = (&new.id.as_bytes()[..], &new.tenant.as_bytes()[..]);
    let sql = sql!(
        "WITH owner AS (SELECT tenant FROM tenants WHERE tenant = $3 FOR SHARE)
         INSERT INTO uploads (region, upload, tenant, path, started_at, deadline)
         SELECT $1, $2, tenant, $4, $5, $6 FROM owner
         ON CONFLICT (upload) DO NOTHING"
    );
    let values: [&(dyn ToSql + Sync); 6] =
        [&region, &id, &tenant, &new.path.as_str(), &now.micros(), &deadline.micros()];
    change(client, &sql, &values).await?;
    let sql = sql!("SELECT {UPLOAD} {FOUND} AND tenant = $3");
    let found = one(client, &sql, &[&id, &now.micros(), &tenant], upload).await?;
    Ok(found.ok_or(Error::Missing("tenant"))?)
}

async fn lease(
    transaction: &Transaction<'_>,
    id: UploadId,
    chunks: &[(Hash, u32)],
    now: Timestamp,
) -> Outcome<Vec<Lease>> {
    // Leases for one upload may be taken at once: only its steps forward and its end wait for them.
    let sql = sql!("SELECT tenant {FOUND} AND outcome IS NULL FOR SHARE");
    let (id, now) = (&id.as_bytes()[..], now.micros());
    let tenant: Option<TenantId> = one(transaction, &sql, &[&id, &now], |row| blob(row, "tenant")).await?;
    let tenant = tenant.ok_or(Error::LeaseLost)?;
    let leases = ensure_chunks(transaction, tenant, chunks).await?;
    let (hashes, generations): (Vec<&[u8]>, Vec<i64>) =
        leases.iter().map(|(hash, lease)| (&hash.as_bytes()[..], lease.generation)).unzip();
    // In order: two groups of one content may take the same leases at once.
    let sql = sql!(
        "INSERT INTO leases (upload, chunk, tenant, generation)
         SELECT $1, n.chunk, $2, n.generation FROM unnest($3::BYTEA[], $4::INT8[]) AS n (chunk, generation)
         ORDER BY n.chunk
         ON CONFLICT (upload, chunk) DO UPDATE SET generation = excluded.generation"
    );
    let values: [&(dyn ToSql + Sync); 4] = [&id, &&tenant.as_bytes()[..], &hashes, &generations];
    change(transaction, &sql, &values).await?;
    let lease_of = |(hash, _): &(Hash, u32)| leases.get(hash).copied();
    let leases: Option<Vec<Lease>> = chunks.iter().map(lease_of).collect();
    Ok(leases.ok_or_else(|| Error::Damaged("a chunk without a row".into()))?)
}

/// As a column takes them.
type Bytes = Option<Vec<u8>>;

/// A chunk whose bytes came.
struct Written<'a> {
    chunk: &'a Hash,
    generation: i64,
    kept: &'a Kept,
}

impl Written<'_> {
    fn size(&self) -> usize {
        match self.kept {
            Kept::Here(data) => data.len(),
            Kept::At(place) => place.0.len(),
        }
    }
}

/// Makes pending chunks live, and tells the indexes of the pieces whose bytes are not the ones that count now.
async fn settle(transaction: &Transaction<'_>, tenant: TenantId, pieces: &[NewPiece]) -> Outcome<Vec<usize>> {
    let mut first = HashSet::new();
    let mut written = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Some((generation, kept)) = &piece.wrote else { continue };
        // Of one that comes twice, the first counts.
        let counts = first.insert(piece.chunk);
        written.push((index, counts, Written { chunk: &piece.chunk, generation: *generation, kept }));
    }
    let mut counting: Vec<&Written<'_>> =
        written.iter().filter(|(_, counts, _)| *counts).map(|(_, _, one)| one).collect();
    // As everybody locks chunks.
    counting.sort_unstable_by_key(|one| *one.chunk.as_bytes());
    let mut live = HashSet::new();
    let mut rest = &counting[..];
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest.iter().take(STATEMENT_ROWS).take_while(|one| {
            size += one.size();
            size <= STATEMENT_SIZE
        });
        let (batch, behind) = rest.split_at(fits.count().max(1));
        live.extend(make_live(transaction, tenant, batch).await?);
        rest = behind;
    }
    let beaten = |(index, counts, one): &(usize, bool, Written<'_>)| {
        (!counts || !live.contains(one.chunk)).then_some(*index)
    };
    Ok(written.iter().filter_map(beaten).collect())
}

async fn make_live(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    batch: &[&Written<'_>],
) -> Outcome<Vec<Hash>> {
    let chunks: Vec<&[u8]> = batch.iter().map(|one| &one.chunk.as_bytes()[..]).collect();
    let generations: Vec<i64> = batch.iter().map(|one| one.generation).collect();
    let kept = |one: &&Written<'_>| match one.kept {
        Kept::At(place) => (Some(place.0.clone()), None),
        Kept::Here(data) => (None, Some(data.to_vec())),
    };
    let (places, data): (Vec<Bytes>, Vec<Bytes>) = batch.iter().map(kept).unzip();
    let sql = sql!(
        "UPDATE chunks SET state = 1, place = n.place, data = n.data
         FROM unnest($2::BYTEA[], $3::INT8[], $4::BYTEA[], $5::BYTEA[]) AS n (chunk, generation, place, data)
         WHERE chunks.tenant = $1 AND chunks.chunk = n.chunk AND chunks.generation = n.generation
             AND chunks.state = 0
         RETURNING chunks.chunk AS chunk"
    );
    let values: [&(dyn ToSql + Sync); 5] = [&&tenant.as_bytes()[..], &chunks, &generations, &places, &data];
    all(transaction, &sql, &values, |row| blob(row, "chunk")).await
}

async fn advance(
    transaction: &Transaction<'_>,
    id: UploadId,
    from: u64,
    step: &Step,
    now: Timestamp,
) -> Outcome<Stepped> {
    let sql = sql!("SELECT {UPLOAD}, length(tail)::INT8 AS length {FOUND} AND outcome IS NULL FOR UPDATE");
    let values: [&(dyn ToSql + Sync); 2] = [&&id.as_bytes()[..], &now.micros()];
    let found = one(transaction, &sql, &values, |row| Ok((upload(row)?, count(row, "length")?))).await?;
    let (upload, tail) = found.ok_or(Error::LeaseLost)?;
    if upload.offset != from || tail != step.from_tail as u64 {
        return Ok(Stepped::Behind);
    }
    let beaten = settle(transaction, upload.tenant, &step.pieces).await?;
    let at = append(transaction, &upload, from - tail, &step.pieces).await?;
    let deadline = step.extend.map_or(upload.deadline, |length| now.after(length).max(upload.deadline));
    let sql = sql!(
        "UPDATE uploads SET at = $2, transfers = transfers + 1, tail = $3, hash_state = $4, last_from = $5,
             last_digest = $6, deadline = $7
         WHERE upload = $1"
    );
    let values: [&(dyn ToSql + Sync); 7] = [
        &&id.as_bytes()[..],
        &signed(at + step.tail.len() as u64),
        &&step.tail[..],
        &step.hash_state,
        &signed(from),
        &step.digest,
        &deadline.micros(),
    ];
    change(transaction, &sql, &values).await?;
    Ok(Stepped::Done(beaten))
}

/// Adds pieces, and tells where they end. Whether their chunks are there is for the commit to say, under locks.
async fn append(
    transaction: &Transaction<'_>,
    upload: &Upload,
    mut at: u64,
    pieces: &[NewPiece],
) -> Outcome<u64> {
    let rope = rope_of(upload.id);
    for batch in pieces.chunks(STATEMENT_ROWS) {
        let (mut begins, mut chunks, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for piece in batch {
            begins.push(signed(at));
            chunks.push(&piece.chunk.as_bytes()[..]);
            lengths.push(i64::from(piece.length));
            at += u64::from(piece.length);
        }
        let sql = sql!(
            "INSERT INTO pieces (tenant, rope, at, chunk, length)
             SELECT $1, $2, n.at, n.chunk, n.length
             FROM unnest($3::INT8[], $4::BYTEA[], $5::INT8[]) AS n (at, chunk, length)"
        );
        let values: [&(dyn ToSql + Sync); 5] =
            [&&upload.tenant.as_bytes()[..], &&rope.as_bytes()[..], &begins, &chunks, &lengths];
        change(transaction, &sql, &values).await?;
    }
    Ok(at)
}

async fn commit(
    transaction: &Transaction<'_>,
    id: UploadId,
    size: u64,
    file: &NewFile,
    now: Timestamp,
) -> Outcome<Version> {
    let sql = sql!("SELECT {UPLOAD} {FOUND} FOR UPDATE");
    let values: [&(dyn ToSql + Sync); 2] = [&&id.as_bytes()[..], &now.micros()];
    let found = one(transaction, &sql, &values, upload).await?.ok_or(Error::LeaseLost)?;
    if let Some(version) = found.outcome {
        return Ok(version);
    }
    if !hold_tenant(transaction, file.tenant).await? {
        return Err(Error::Missing("tenant").into());
    }
    if found.offset != size || found.tenant != file.tenant || !is_leased(transaction, &found).await? {
        return Err(Error::LeaseLost.into());
    }
    let rope = if size == 0 { None } else { Some(whole(transaction, id, size, file).await?) };
    let version = add_version(transaction, file, rope, size, now, now).await?.version;
    let id = &id.as_bytes()[..];
    let sql = sql!("UPDATE uploads SET outcome = $2, tail = '', hash_state = '' WHERE upload = $1");
    change(transaction, &sql, &[&id, &version.0]).await?;
    let sql = sql!("DELETE FROM leases WHERE upload = $1");
    change(transaction, &sql, &[&id]).await?;
    Ok(version)
}

/// Whether each piece is [sound](is_sound). Of a mover that is waited for, the first look sees the chunk as it left it and the
/// lease as it was before; when the chunks are held, nothing moves any more.
async fn is_leased(transaction: &Transaction<'_>, upload: &Upload) -> Outcome<bool> {
    Ok(is_sound(transaction, upload).await? || is_sound(transaction, upload).await?)
}

/// Whether each piece has its lease, and its chunk is live in the generation that was leased, until the end of the
/// transaction: a collector that is about to take one is waited for, and one that comes later finds the piece.
async fn is_sound(transaction: &Transaction<'_>, upload: &Upload) -> Outcome<bool> {
    let sql = sql!(
        "WITH held AS (
             SELECT chunk, generation FROM chunks
             WHERE tenant = $2 AND state = 1
                 AND chunk IN (SELECT chunk FROM pieces WHERE tenant = $2 AND rope = $3)
             ORDER BY chunk FOR SHARE OF chunks)
         SELECT count(*) AS unsound FROM pieces p
             LEFT JOIN leases l ON l.upload = $1 AND l.chunk = p.chunk
             LEFT JOIN held h ON h.chunk = p.chunk
         WHERE p.tenant = $2 AND p.rope = $3
             AND (h.generation IS NULL OR l.generation IS DISTINCT FROM h.generation)"
    );
    let (id, rope) = (&upload.id.as_bytes()[..], rope_of(upload.id));
    let values: [&(dyn ToSql + Sync); 3] = [&id, &&upload.tenant.as_bytes()[..], &&rope.as_bytes()[..]];
    let unsound = one(transaction, &sql, &values, |row| get::<i64>(row, "unsound")).await?;
    Ok(unsound == Some(0))
}

/// The rope of the content: the one that the tenant has, or else what this upload brought.
async fn whole(
    transaction: &Transaction<'_>,
    id: UploadId,
    size: u64,
    file: &NewFile,
) -> Outcome<cacheroach_model::RopeId> {
    let (tenant, rope) = (&file.tenant.as_bytes()[..], rope_of(id));
    if let Some(known) = find_rope(transaction, file.tenant, &file.hash).await? {
        if !is_whole(transaction, file.tenant, known, size).await? {
            replace_pieces(transaction, file.tenant, known, rope).await?;
            return Ok(known);
        }
        // Maybe cut at other places: its own pieces go, in batches, and with them chunks that only they need.
        loosen(transaction, tenant, id).await?;
        return Ok(known);
    }
    let sql = sql!("INSERT INTO ropes (tenant, rope, hash, size) VALUES ($1, $2, $3, $4)");
    let values: [&(dyn ToSql + Sync); 4] =
        [&tenant, &&rope.as_bytes()[..], &&file.hash.as_bytes()[..], &signed(size)];
    // Somebody who makes one of the same content at the same time is waited for; then the next try finds it.
    change(transaction, &sql, &values).await.map_err(again)?;
    Ok(rope)
}

/// Notes that the pieces of an upload are nobody's. Noted before or not, the row is locked: see [`AGAIN`].
async fn loosen(transaction: &Transaction<'_>, tenant: &[u8], id: UploadId) -> Outcome<()> {
    let sql = sql!(
        "INSERT INTO loose_ropes (tenant, rope) VALUES ($1, $2)
         ON CONFLICT (tenant, rope) DO UPDATE SET rope = excluded.rope"
    );
    change(transaction, &sql, &[&tenant, &&rope_of(id).as_bytes()[..]]).await.map(drop)
}

/// Whatever the clock says from now on, it is over.
async fn abandon(transaction: &Transaction<'_>, id: UploadId) -> Outcome<()> {
    let sql = sql!("UPDATE uploads SET deadline = 0 WHERE upload = $1 AND outcome IS NULL RETURNING tenant");
    let tenant =
        one(transaction, &sql, &[&&id.as_bytes()[..]], |row| blob::<TenantId>(row, "tenant")).await?;
    match tenant {
        Some(tenant) => {
            end_upload(transaction, tenant, id, ABANDONED).await?;
            let (tenant, rope) = (&tenant.as_bytes()[..], rope_of(id));
            take_apart(transaction, tenant, &rope.as_bytes()[..], PIECES).await.map(drop)
        }
        None => Ok(()),
    }
}

/// Removes some leases of an upload that is over and whose row is locked, and after the last one the upload itself: how
/// many rows.
pub(super) async fn end_upload(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    upload: UploadId,
    most: i64,
) -> Outcome<i64> {
    let (tenant, id) = (&tenant.as_bytes()[..], &upload.as_bytes()[..]);
    let sql = sql!(
        "WITH gone AS (
             DELETE FROM leases WHERE upload = $1
                 AND chunk IN (SELECT chunk FROM leases WHERE upload = $1 ORDER BY chunk LIMIT $3)
             RETURNING chunk),
         suspects AS (
             INSERT INTO candidates (chunk, tenant) SELECT chunk, $2 FROM gone ORDER BY chunk
             {AGAIN}
             RETURNING chunk)
         SELECT count(*) AS gone FROM gone"
    );
    let gone = one(transaction, &sql, &[&id, &tenant, &most], |row| get::<i64>(row, "gone")).await?;
    let gone = gone.unwrap_or(0);
    if gone >= most {
        return Ok(gone);
    }
    loosen(transaction, tenant, upload).await?;
    let sql = sql!("DELETE FROM uploads WHERE upload = $1");
    change(transaction, &sql, &[&id]).await?;
    Ok(gone + 1)
}

#[async_trait]
impl Uploads for Postgres {
    async fn begin_upload(&self, new: &NewUpload) -> Result<Upload> {
        let (new, region) = (Arc::new(new.clone()), self.region.clone());
        self.run(move |client, now| {
            let (new, region) = (Arc::clone(&new), region.clone());
            async move { begin(client, region.as_str(), &new, now).await }.boxed()
        })
        .await
    }

    async fn find_upload(&self, id: UploadId) -> Result<Option<Progress>> {
        self.run(move |client, now| {
            async move {
                let sql = sql!("SELECT {UPLOAD}, tail, hash_state, last_from, last_digest {FOUND}");
                one(client, &sql, &[&&id.as_bytes()[..], &now.micros()], progress).await
            }
            .boxed()
        })
        .await
    }

    async fn find_chunk_from(&self, tenant: TenantId, from: Hash) -> Result<Option<NearChunk>> {
        self.run(move |client, _| find_from(client, tenant, from).boxed()).await
    }

    async fn lease_chunks(&self, id: UploadId, chunks: &[(Hash, u32)]) -> Result<Vec<Lease>> {
        let chunks: Arc<[(Hash, u32)]> = chunks.into();
        until_free(|| {
            let chunks = Arc::clone(&chunks);
            // Repeated, it finds its leases.
            self.transact(move |transaction, now| {
                let chunks = Arc::clone(&chunks);
                async move { lease(transaction, id, &chunks, now).await }.boxed()
            })
        })
        .await
    }

    async fn advance_upload(&self, id: UploadId, from: u64, step: &Step) -> Result<Stepped> {
        let step = Arc::new(step.clone());
        self.transact_once(move |transaction, now| {
            let step = Arc::clone(&step);
            async move { advance(transaction, id, from, &step, now).await }.boxed()
        })
        .await
    }

    async fn commit_upload(&self, id: UploadId, size: u64, file: &NewFile) -> Result<Version> {
        let file = Arc::new(file.clone());
        until_free(|| {
            let file = Arc::clone(&file);
            // Repeated, it finds its outcome.
            self.transact(move |transaction, now| {
                let file = Arc::clone(&file);
                async move { commit(transaction, id, size, &file, now).await }.boxed()
            })
        })
        .await
    }

    async fn abandon_upload(&self, id: UploadId) -> Result<()> {
        self.transact(move |transaction, _| abandon(transaction, id).boxed()).await
    }
}
