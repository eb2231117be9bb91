//! What files are made of, found with them and by itself.

use std::ops::Range;

use bytes::Bytes;
use cacheroach_model::{File, Path, RopeId, TenantId, Version};
use deadpool_postgres::GenericClient;
use futures::FutureExt as _;
use tokio_postgres::Row;

use super::Postgres;
use super::row::{FILE, all, blob, count, file, get, length, limit, signed};
use super::run::Outcome;
use super::statement::sql;
use super::versions::STANDS;
use crate::chunks::Place;
use crate::chunks::db::RowKey;
use crate::files::{INLINE_SIZE, Kept, PIECES_PAGE, Piece};
use crate::{Error, Result};

/// A file with its first pieces, and the row of the first one's chunk if that came along.
type Found = (File, Vec<Piece>, Option<(RowKey, Bytes)>);

/// A file and its first pieces.
pub(super) async fn open(
    store: &Postgres,
    tenant: TenantId,
    path: &Path,
    version: Option<Version>,
) -> Result<Option<(File, Vec<Piece>)>> {
    let ahead = store.ahead.as_ref().and_then(|ahead| Some((ahead, ahead.asks(tenant, path, version)?)));
    let (path, brings) = (path.clone(), ahead.is_some());
    let found = store
        .run(move |client, _| {
            let path = path.clone();
            async move { find(client, tenant, &path, version, brings).await }.boxed()
        })
        .await;
    let (found, row) = match found {
        Ok(Some((file, pieces, row))) => (Ok(Some((file, pieces))), row),
        Ok(None) => (Ok(None), None),
        Err(error) => (Err(error), None),
    };
    if let Some((ahead, mark)) = ahead {
        ahead.came(mark, row);
    }
    found
}

pub(super) fn kept(row: &Row) -> Result<Kept> {
    match (get::<Option<&[u8]>>(row, "data")?, get::<Option<&[u8]>>(row, "place")?) {
        (Some(data), _) => Ok(Kept::Here(Bytes::copy_from_slice(data))),
        (None, Some(place)) => Ok(Kept::At(Place(place.to_vec()))),
        (None, None) => Err(Error::Damaged("a chunk without bytes".into())),
    }
}

fn piece(row: &Row) -> Result<Piece> {
    Ok(Piece {
        at: count(row, "at")?,
        chunk: blob(row, "chunk")?,
        length: length(row, "length")?,
        kept: kept(row)?,
    })
}

/// The file's columns come with each piece; of a file without any, once.
fn opened(row: &Row) -> Result<(File, Option<Piece>)> {
    let has_piece = get::<Option<i64>>(row, "at")?.is_some();
    Ok((file(row)?, has_piece.then(|| piece(row)).transpose()?))
}

/// The row of the chunk that the piece has.
fn brought(row: &Row, tenant: TenantId) -> Result<Option<(RowKey, Bytes)>> {
    let Some(bytes) = get::<Option<Vec<u8>>>(row, "ahead_data")? else { return Ok(None) };
    let hash = blob(row, "chunk")?;
    let key = RowKey { tenant, hash, generation: get(row, "generation")?, attempt: get(row, "attempt")? };
    Ok(Some((key, bytes.into())))
}

/// What brings the first chunk along: a table behind `found`, its columns, and its place among the pieces.
fn first_chunk() -> (String, &'static str, &'static str) {
    let table = format!(
        ", ahead AS (
             SELECT d.generation, d.attempt, d.data AS ahead_data FROM found
             JOIN pieces p ON p.tenant = $1 AND p.rope = found.rope AND p.at = 0
             JOIN chunks c ON c.tenant = $1 AND c.chunk = p.chunk AND c.state = 1 AND c.data IS NULL
             JOIN chunk_data d ON d.tenant = $1 AND d.chunk = p.chunk
                 AND d.generation IN (c.generation, -c.generation)
             WHERE found.size > {INLINE_SIZE} ORDER BY d.attempt LIMIT 1)"
    );
    (table, ", generation, attempt, ahead_data", "LEFT JOIN ahead ON at = 0")
}

/// A file and its first pieces, seen at one moment, in one round trip. With `brings`, so is the row of the first piece's
/// chunk: of those of one life the one that was tried first, nearly always the only one. A compressed chunk's generation is
/// below zero there. Small files have no such chunk, and nobody looks for it.
///
/// Two statements: stores whose chunks are elsewhere have no use for the longer one.
async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    path: &Path,
    version: Option<Version>,
    brings: bool,
) -> Outcome<Option<Found>> {
    let (ahead, columns, joined) = if brings { first_chunk() } else { Default::default() };
    let pieces = format!(
        "FROM found LEFT JOIN LATERAL (
             SELECT p.at, p.chunk, p.length, c.place, c.data
             FROM pieces p JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
             WHERE p.tenant = $1 AND p.rope = found.rope ORDER BY p.at LIMIT $3) AS first ON true
         {joined} ORDER BY at"
    );
    let (owner, path, most) = (&tenant.as_bytes()[..], path.as_str(), limit(PIECES_PAGE));
    let read = |row: &Row| {
        let (file, piece) = opened(row)?;
        Ok((file, piece, if brings { brought(row, tenant)? } else { None }))
    };
    let rows = match version {
        None => {
            let sql = sql!(
                "WITH found AS (SELECT {FILE} FROM files WHERE tenant = $1 AND path = $2 AND {STANDS}){ahead}
                 SELECT {FILE}, at, chunk, length, place, data{columns} {pieces}"
            );
            all(client, &sql, &[&owner, &path, &most], read).await?
        }
        Some(Version(version)) => {
            let sql = sql!(
                "WITH found AS (
                     SELECT {FILE} FROM versions
                     WHERE tenant = $1 AND path = $2 AND version = $4 AND deleted_at IS NULL AND {STANDS}){ahead}
                 SELECT {FILE}, at, chunk, length, place, data{columns} {pieces}"
            );
            all(client, &sql, &[&owner, &path, &most, &version], read).await?
        }
    };
    let mut found: Option<Found> = None;
    for (file, piece, row) in rows {
        let (_, pieces, first) = found.get_or_insert((file, Vec::new(), None));
        pieces.extend(piece);
        *first = first.take().or(row);
    }
    Ok(found)
}

/// Pieces of a rope that hold bytes of a range.
pub(super) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    rope: RopeId,
    range: Range<u64>,
) -> Outcome<Vec<Piece>> {
    // From the piece that holds the byte: the last one that begins at or before it.
    let sql = sql!(
        "SELECT p.at, p.chunk, p.length, c.place, c.data
         FROM pieces p JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
         WHERE p.tenant = $1 AND p.rope = $2 AND p.at >= COALESCE(
             (SELECT at FROM pieces WHERE tenant = $1 AND rope = $2 AND at <= $3 ORDER BY at DESC LIMIT 1), 0)
             AND p.at < $4
         ORDER BY p.at LIMIT $5"
    );
    let (owner, rope) = (&tenant.as_bytes()[..], &rope.as_bytes()[..]);
    let (start, end, most) = (signed(range.start), signed(range.end), limit(PIECES_PAGE));
    all(client, &sql, &[&owner, &rope, &start, &end, &most], piece).await
}
