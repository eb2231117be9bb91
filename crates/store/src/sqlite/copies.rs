//! New versions made of those that are there, in SQLite: no bytes are touched.

use cacheroach_model::{Expected, File, Path, Timestamp, Version};
use rusqlite::Connection;

use super::healing::is_whole;
use super::listings::{paths_below, version};
use super::versions::{MOST_VERSIONS, add_version, add_version_of, delete, find};
use crate::files::{Copied, Copy, CopyBelow, NewFile};
use crate::{Error, Result};

pub(super) fn copy(connection: &Connection, copy: &Copy, now: Timestamp) -> Result<Option<File>> {
    Ok(copy_and_count(connection, copy, now)?.map(|(file, _)| file))
}

/// Also tells how many versions were deleted, of what was moved.
fn copy_and_count(connection: &Connection, copy: &Copy, now: Timestamp) -> Result<Option<(File, usize)>> {
    let source = match copy.version {
        None => find(connection, copy.tenant, &copy.from, None)?,
        Some(number) => version(connection, copy.tenant, &copy.from, number)?,
    };
    let Some(source) = source else { return Ok(None) };
    let described = copy.described.clone();
    let (content_type, metadata) =
        described.unwrap_or_else(|| (source.content_type.clone(), source.metadata.clone()));
    let new = NewFile {
        tenant: copy.tenant,
        path: copy.to.clone(),
        hash: source.hash,
        content_type,
        metadata,
        expected: copy.expected,
    };
    let current = find(connection, copy.tenant, &copy.to, None)?;
    if !copy.expected.is_met_by(current.as_ref().map(|file| file.version)) {
        return Err(Error::Skew);
    }
    let made = match current {
        // A call that is repeated because its answer was lost makes no second version.
        Some(current) if copy.unless_same && is_same(&current, &new) => current,
        _ => {
            let restored = copy.from == copy.to;
            let since = if copy.moved || restored { source.created_at } else { now };
            add_version_of(connection, &new, source.rope, source.size, since, now)?;
            find(connection, copy.tenant, &copy.to, None)?
                .ok_or_else(|| Error::Damaged("a version without a head".into()))?
        }
    };
    let deleted = match copy.moved && copy.from != copy.to {
        true => delete(connection, copy.tenant, &copy.from, Expected::Anything, now)?,
        false => 0,
    };
    Ok(Some((made, deleted)))
}

/// The current content once more.
pub(super) fn repeat(connection: &Connection, new: &NewFile, now: Timestamp) -> Result<Option<Version>> {
    let current = find(connection, new.tenant, &new.path, None)?;
    let Some(current) = current.filter(|current| current.hash == new.hash) else { return Ok(None) };
    let is_there = match current.rope {
        Some(rope) => is_whole(connection, new.tenant, rope, current.size)?,
        None => current.size == 0,
    };
    is_there.then(|| add_version(connection, new, current.rope, current.size, now)).transpose()
}

fn is_same(current: &File, new: &NewFile) -> bool {
    current.hash == new.hash && current.content_type == new.content_type && current.metadata == new.metadata
}

pub(super) fn copy_below(connection: &Connection, below: &CopyBelow, now: Timestamp) -> Result<Copied> {
    let paths = paths_below(connection, below.tenant, &below.from, below.after.as_ref(), below.limit)?;
    let (from, to) = (below.from.prefix(), below.to.prefix());
    let (mut files, mut deleted, mut last) = (0, 0, None);
    for path in &paths {
        let rest = path.as_str().strip_prefix(&from).unwrap_or_default();
        let target = Path::parse_file(&format!("{to}{rest}")).map_err(|_| Error::TooLong)?;
        let one = Copy {
            tenant: below.tenant,
            from: path.clone(),
            version: None,
            to: target,
            expected: Expected::Anything,
            described: None,
            moved: below.moved,
            unless_same: below.unless_same,
        };
        deleted += copy_and_count(connection, &one, now)?.map_or(0, |(_, deleted)| deleted);
        files += 1;
        last = Some(path.clone());
        if deleted >= MOST_VERSIONS {
            break;
        }
    }
    let is_last = files == paths.len() && files < below.limit;
    Ok(Copied { files, next: last.filter(|_| !is_last) })
}
