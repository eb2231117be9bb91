//! Uploads in SQLite.

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, Region, TenantId, Timestamp, Upload, UploadId, Version};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::chunks::{ensure_chunk, find_from};
use super::files::find_rope;
use super::healing::{is_whole, replace_pieces};
use super::purge::{end_upload, loosen, take_apart};
use super::row::{blob, change, count, get, one, path, signed, time};
use super::stamps::Touches;
use super::tenants::must_exist;
use super::versions::add_version;
use crate::files::{Kept, NewFile};
use crate::uploads::{Lease, NearChunk, NewPiece, NewUpload, Progress, Step, Stepped, Uploads, rope_of};
use crate::{Error, Result};

/// How many leases and pieces go with an abandoned upload at once; of a longer one, the purge removes the rest.
const ABANDONED: usize = 1_000;

fn progress(row: &Row<'_>) -> Result<Progress> {
    Ok(Progress {
        upload: Upload {
            id: blob(row, "upload")?,
            tenant: blob(row, "tenant")?,
            path: path(row)?,
            deadline: time(row, "deadline")?,
            offset: count(row, "at")?,
            transfers: count(row, "transfers")?,
            outcome: get::<Option<i64>>(row, "outcome")?.map(Version),
        },
        tail: get::<Vec<u8>>(row, "tail")?.into(),
        hash_state: get(row, "hash_state")?,
        last_from: count(row, "last_from")?,
        last_digest: get(row, "last_digest")?,
    })
}

const COLUMNS: &str =
    "upload, tenant, path, deadline, at, transfers, tail, hash_state, last_from, last_digest, outcome";

/// One that can still go on, or is finished.
fn find(connection: &Connection, id: UploadId, now: Timestamp) -> Result<Option<Progress>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM uploads u WHERE upload = ? AND (deadline > ? OR outcome IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM gone_tenants g WHERE g.tenant = u.tenant)"
    );
    one(connection, &sql, params![id.as_bytes(), now.micros()], progress)
}

/// One that can still go on.
fn open(connection: &Connection, id: UploadId, now: Timestamp) -> Result<Progress> {
    find(connection, id, now)?.filter(|found| found.upload.outcome.is_none()).ok_or(Error::LeaseLost)
}

fn lease(
    connection: &Connection,
    id: UploadId,
    chunks: &[(Hash, u32)],
    now: Timestamp,
) -> Result<Vec<Lease>> {
    let tenant = open(connection, id, now)?.upload.tenant;
    let sql = "INSERT INTO leases (upload, chunk, tenant, generation) VALUES (?, ?, ?, ?)
               ON CONFLICT (upload, chunk) DO UPDATE SET generation = excluded.generation";
    let lease_one = |(chunk, length): &(Hash, u32)| {
        let lease = ensure_chunk(connection, tenant, chunk, *length)?;
        change(
            connection,
            sql,
            params![id.as_bytes(), chunk.as_bytes(), tenant.as_bytes(), lease.generation],
        )?;
        Ok(lease)
    };
    chunks.iter().map(lease_one).collect()
}

/// Makes a pending chunk live; tells whether these bytes are the ones that count now.
fn settle(connection: &Connection, tenant: TenantId, piece: &NewPiece) -> Result<bool> {
    let Some((generation, kept)) = &piece.wrote else { return Ok(true) };
    let (place, data) = match kept {
        Kept::At(place) => (Some(&place.0[..]), None),
        Kept::Here(data) => (None, Some(&data[..])),
    };
    let sql = "UPDATE chunks SET state = 1, place = ?, data = ?
               WHERE tenant = ? AND chunk = ? AND generation = ? AND state = 0";
    let values = params![place, data, tenant.as_bytes(), piece.chunk.as_bytes(), generation];
    Ok(change(connection, sql, values)? > 0)
}

fn advance(connection: &Connection, id: UploadId, from: u64, step: &Step, now: Timestamp) -> Result<Stepped> {
    let Progress { upload, tail, .. } = open(connection, id, now)?;
    if upload.offset != from || tail.len() != step.from_tail {
        return Ok(Stepped::Behind);
    }
    let tenant = upload.tenant;
    let mut at = from - tail.len() as u64;
    let mut beaten = Vec::new();
    for (index, piece) in step.pieces.iter().enumerate() {
        if !settle(connection, tenant, piece)? {
            beaten.push(index);
        }
        let sql = "INSERT INTO pieces (tenant, rope, at, chunk, length) VALUES (?, ?, ?, ?, ?)";
        let (rope, chunk) = (rope_of(id), piece.chunk.as_bytes());
        change(
            connection,
            sql,
            params![tenant.as_bytes(), rope.as_bytes(), signed(at), chunk, piece.length],
        )?;
        at += u64::from(piece.length);
    }
    let deadline = step.extend.map_or(upload.deadline, |length| now.after(length).max(upload.deadline));
    let sql = "UPDATE uploads SET at = ?, transfers = transfers + 1, tail = ?, hash_state = ?, last_from = ?,
                   last_digest = ?, deadline = ?
               WHERE upload = ?";
    let values = params![
        signed(at + step.tail.len() as u64),
        &step.tail[..],
        step.hash_state,
        signed(from),
        step.digest,
        deadline.micros(),
        id.as_bytes(),
    ];
    change(connection, sql, values)?;
    Ok(Stepped::Done(beaten))
}

fn commit(
    connection: &Connection,
    id: UploadId,
    size: u64,
    file: &NewFile,
    now: Timestamp,
) -> Result<Version> {
    let found = find(connection, id, now)?.ok_or(Error::LeaseLost)?.upload;
    if let Some(version) = found.outcome {
        return Ok(version);
    }
    must_exist(connection, file.tenant)?;
    if found.offset != size || found.tenant != file.tenant {
        return Err(Error::LeaseLost);
    }
    let (tenant, upload, rope) = (file.tenant.as_bytes(), id.as_bytes(), rope_of(id));
    // A piece whose lease is gone, or whose chunk is not live in the generation that was leased.
    let sql = "SELECT 1 FROM pieces p
               LEFT JOIN leases l ON l.upload = ?1 AND l.chunk = p.chunk
               LEFT JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
               WHERE p.tenant = ?2 AND p.rope = ?3
                   AND (c.generation IS NULL OR l.generation IS NOT c.generation)
               LIMIT 1";
    if one(connection, sql, params![upload, tenant, rope.as_bytes()], |_| Ok(()))?.is_some() {
        return Err(Error::LeaseLost);
    }
    let rope = match (size, find_rope(connection, file.tenant, &file.hash)?) {
        (0, _) => None,
        (_, Some(known)) if !is_whole(connection, file.tenant, known, size)? => {
            replace_pieces(connection, file.tenant, known, rope)?;
            Some(known)
        }
        (_, Some(known)) => {
            // Maybe cut at other places: its own pieces go, in batches, and with them chunks that only they need.
            loosen(connection, file.tenant, rope)?;
            Some(known)
        }
        (_, None) => {
            let sql = "INSERT INTO ropes (tenant, rope, hash, size) VALUES (?, ?, ?, ?)";
            change(connection, sql, params![tenant, rope.as_bytes(), file.hash.as_bytes(), signed(size)])?;
            Some(rope)
        }
    };
    let version = add_version(connection, file, rope, size, now)?;
    let sql = "UPDATE uploads SET outcome = ?, tail = x'', hash_state = x'' WHERE upload = ?";
    change(connection, sql, params![version.0, upload])?;
    change(connection, "DELETE FROM leases WHERE upload = ?", [upload])?;
    Ok(version)
}

fn begin(connection: &Connection, new: &NewUpload, region: &Region, now: Timestamp) -> Result<Upload> {
    must_exist(connection, new.tenant)?;
    // Whole seconds: a state that travels through JSON or another clock must not lose a fraction of it.
    let deadline = Timestamp::from_seconds(now.after(new.timeout).seconds());
    let sql = "INSERT INTO uploads (upload, tenant, path, started_at, deadline, region)
               VALUES (?, ?, ?, ?, ?, ?)";
    let path: &Path = &new.path;
    let (id, tenant, region) = (new.id.as_bytes(), new.tenant.as_bytes(), region.as_str());
    let values = params![id, tenant, path.as_str(), now.micros(), deadline.micros(), region];
    change(connection, sql, values)?;
    Ok(Upload {
        id: new.id,
        tenant: new.tenant,
        path: new.path.clone(),
        deadline,
        offset: 0,
        transfers: 0,
        outcome: None,
    })
}

#[async_trait]
impl Uploads for Sqlite {
    async fn begin_upload(&self, new: &NewUpload) -> Result<Upload> {
        let (new, region) = (new.clone(), self.region.clone());
        self.writer
            .write_touching(Touches::Nothing, move |connection, now| begin(connection, &new, &region, now))
            .await
    }

    async fn find_upload(&self, id: UploadId) -> Result<Option<Progress>> {
        let now = self.now();
        self.readers.read(move |connection| find(connection, id, now)).await
    }

    async fn find_chunk_from(&self, tenant: TenantId, from: Hash) -> Result<Option<NearChunk>> {
        self.readers.read(move |connection| find_from(connection, tenant, &from)).await
    }

    async fn lease_chunks(&self, id: UploadId, chunks: &[(Hash, u32)]) -> Result<Vec<Lease>> {
        let chunks = chunks.to_vec();
        self.writer
            .write_touching(Touches::Nothing, move |connection, now| lease(connection, id, &chunks, now))
            .await
    }

    async fn advance_upload(&self, id: UploadId, from: u64, step: &Step) -> Result<Stepped> {
        let step = step.clone();
        self.writer
            .write_touching(Touches::Nothing, move |connection, now| {
                advance(connection, id, from, &step, now)
            })
            .await
    }

    async fn commit_upload(&self, id: UploadId, size: u64, file: &NewFile) -> Result<Version> {
        let file = file.clone();
        let touches = Touches::File(file.tenant, file.path.clone());
        self.writer
            .write_touching(touches, move |connection, now| commit(connection, id, size, &file, now))
            .await
    }

    async fn abandon_upload(&self, id: UploadId) -> Result<()> {
        let abandon = move |connection: &Connection, _| {
            // Whatever the clock says from now on, it is over.
            let sql = "UPDATE uploads SET deadline = 0 WHERE upload = ? AND outcome IS NULL RETURNING tenant";
            match one(connection, sql, [id.as_bytes()], |row| blob(row, "tenant"))? {
                Some(tenant) => {
                    end_upload(connection, tenant, id, ABANDONED)?;
                    take_apart(connection, tenant, rope_of(id), ABANDONED).map(drop)
                }
                None => Ok(()),
            }
        };
        self.writer.write_touching(Touches::Nothing, abandon).await
    }
}
