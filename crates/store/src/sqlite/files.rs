//! Files in SQLite.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Entry, Expected, File, Hash, PastFile, Path, RopeId, TenantId, Timestamp, Version};
use rusqlite::{Connection, Row, params};

use super::chunks::next_generation;
use super::healing::{add_inline_piece, heal_inline, is_whole};
use super::row::{all, blob, change, count, get, length, limit, one, signed};
use super::stamps::Touches;
use super::tenants::must_exist;
use super::versions::{MOST_VERSIONS, add_version, delete, find};
use super::{Sqlite, copies, listings};
use crate::chunks::Place;
use crate::files::{
    Browsing, Copied, Copy, CopyBelow, Files, INLINE_SIZE, Kept, Listed, Listing, NewFile, PIECES_PAGE, Piece,
};
use crate::stamps::Stamp;
use crate::{Error, Result};

/// The rope of the tenant that has this content.
pub(super) fn find_rope(connection: &Connection, tenant: TenantId, hash: &Hash) -> Result<Option<RopeId>> {
    let sql = "SELECT rope FROM ropes WHERE tenant = ? AND hash = ?";
    one(connection, sql, params![tenant.as_bytes(), hash.as_bytes()], |row| blob(row, "rope"))
}

fn put(connection: &Connection, new: &NewFile, content: &Bytes, now: Timestamp) -> Result<Version> {
    must_exist(connection, new.tenant)?;
    if content.is_empty() {
        return add_version(connection, new, None, 0, now);
    }
    let (tenant, size) = (new.tenant, content.len() as u64);
    let rope = match find_rope(connection, tenant, &new.hash)? {
        Some(rope) => {
            if !is_whole(connection, tenant, rope, size)? {
                heal_inline(connection, tenant, rope, &new.hash, content)?;
            }
            rope
        }
        None => add_inline_rope(connection, new, content)?,
    };
    add_version(connection, new, Some(rope), size, now)
}

/// A rope of one chunk, whose bytes stand beside its row: rope and chunk have the same hash.
fn add_inline_rope(connection: &Connection, new: &NewFile, content: &Bytes) -> Result<RopeId> {
    // Ropes of uploads are named by the upload, at random; a number that is never used twice serves as well.
    let mut id = [0; 16];
    id[8..].copy_from_slice(&next_generation(connection)?.to_be_bytes());
    let (tenant, rope) = (new.tenant.as_bytes(), RopeId::new(id));
    add_inline_piece(connection, new.tenant, rope, &new.hash, content)?;
    let sql = "INSERT INTO ropes (tenant, rope, hash, size) VALUES (?, ?, ?, ?)";
    change(
        connection,
        sql,
        params![tenant, rope.as_bytes(), new.hash.as_bytes(), signed(content.len() as u64)],
    )?;
    Ok(rope)
}

pub(super) fn kept(row: &Row<'_>) -> Result<Kept> {
    match (get::<Option<Vec<u8>>>(row, "data")?, get::<Option<Vec<u8>>>(row, "place")?) {
        (Some(data), _) => Ok(Kept::Here(data.into())),
        (None, Some(place)) => Ok(Kept::At(Place(place))),
        (None, None) => Err(Error::Damaged("a chunk without bytes".into())),
    }
}

fn piece(row: &Row<'_>) -> Result<Piece> {
    Ok(Piece {
        at: count(row, "at")?,
        chunk: blob(row, "chunk")?,
        length: length(row, "length")?,
        kept: kept(row)?,
    })
}

fn pieces(connection: &Connection, tenant: TenantId, rope: RopeId, range: &Range<u64>) -> Result<Vec<Piece>> {
    // From the piece that holds the byte: the last one that begins at or before it.
    let sql = "SELECT p.at, p.chunk, p.length, c.place, c.data
               FROM pieces p JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
               WHERE p.tenant = ?1 AND p.rope = ?2 AND p.at >= COALESCE(
                   (SELECT MAX(at) FROM pieces WHERE tenant = ?1 AND rope = ?2 AND at <= ?3), 0) AND p.at < ?4
               ORDER BY p.at LIMIT ?5";
    let (start, end) = (signed(range.start), signed(range.end));
    all(connection, sql, params![tenant.as_bytes(), rope.as_bytes(), start, end, limit(PIECES_PAGE)], piece)
}

#[async_trait]
impl Files for Sqlite {
    async fn put_file(&self, new: &NewFile, content: Bytes) -> Result<Version> {
        debug_assert!(content.len() <= INLINE_SIZE, "larger contents go through an upload");
        let new = new.clone();
        let touches = Touches::File(new.tenant, new.path.clone());
        self.writer.write_touching(touches, move |connection, now| put(connection, &new, &content, now)).await
    }

    async fn find_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<File>> {
        let path = path.clone();
        self.readers.look_up(move |connection| find(connection, tenant, &path, version)).await
    }

    async fn open_file(
        &self,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
    ) -> Result<Option<(File, Vec<Piece>)>> {
        let path = path.clone();
        let open = move |connection: &Connection| {
            let Some(file) = find(connection, tenant, &path, version)? else { return Ok(None) };
            let pieces = match file.rope {
                Some(rope) => pieces(connection, tenant, rope, &(0..file.size))?,
                None => Vec::new(),
            };
            Ok(Some((file, pieces)))
        };
        self.readers.look_up(open).await
    }

    fn stamp(&self, tenant: TenantId, path: &Path) -> Option<Stamp> {
        self.stamps.as_ref()?.of(tenant, path)
    }

    async fn list_pieces(&self, tenant: TenantId, rope: RopeId, range: Range<u64>) -> Result<Vec<Piece>> {
        self.readers.look_up(move |connection| pieces(connection, tenant, rope, &range)).await
    }

    async fn list_files(&self, listing: &Listing) -> Result<Listed> {
        let listing = listing.clone();
        self.readers.read(move |connection| listings::list(connection, &listing)).await
    }

    async fn browse(&self, browsing: &Browsing) -> Result<Vec<Entry>> {
        let browsing = browsing.clone();
        self.readers.read(move |connection| listings::browse(connection, &browsing)).await
    }

    async fn list_versions(
        &self,
        tenant: TenantId,
        path: &Path,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PastFile>> {
        let path = path.clone();
        self.readers
            .read(move |connection| listings::versions(connection, tenant, &path, before, limit))
            .await
    }

    async fn copy_file(&self, copy: &Copy) -> Result<Option<File>> {
        let copy = copy.clone();
        // A move ends another file, too.
        let made = Touches::File(copy.tenant, copy.to.clone());
        let touches = if copy.moved { Touches::Everything } else { made };
        self.writer.write_touching(touches, move |connection, now| copies::copy(connection, &copy, now)).await
    }

    async fn copy_files(&self, copy: &CopyBelow) -> Result<Copied> {
        let copy = copy.clone();
        self.writer.write(move |connection, now| copies::copy_below(connection, &copy, now)).await
    }

    async fn repeat_file(&self, file: &NewFile) -> Result<Option<Version>> {
        let file = file.clone();
        let touches = Touches::File(file.tenant, file.path.clone());
        self.writer
            .write_touching(touches, move |connection, now| copies::repeat(connection, &file, now))
            .await
    }

    async fn delete_file(&self, tenant: TenantId, path: &Path, expected: Expected) -> Result<bool> {
        let path = path.clone();
        let touches = Touches::File(tenant, path.clone());
        let delete = move |connection: &Connection, now| delete(connection, tenant, &path, expected, now);
        Ok(self.writer.write_touching(touches, delete).await? > 0)
    }

    async fn delete_files(&self, tenant: TenantId, dir: &Path, most: usize) -> Result<usize> {
        let dir = dir.clone();
        let delete_page = move |connection: &Connection, now: Timestamp| {
            let (mut files, mut versions) = (0, 0);
            for path in listings::paths_below(connection, tenant, &dir, None, most)? {
                versions += delete(connection, tenant, &path, Expected::Anything, now)?;
                files += 1;
                if versions >= MOST_VERSIONS {
                    break;
                }
            }
            Ok(files)
        };
        self.writer.write(delete_page).await
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(Sqlite::now(self))
    }
}
