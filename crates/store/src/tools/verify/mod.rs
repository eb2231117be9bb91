//! Whether all that is kept is there, is what was written, and is referred to: in both directions.
//!
//! A store may be in use meanwhile: what looks wrong is looked at once more, by its row as it is then, before it is told.

mod bytes;
mod files;
mod ropes;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use cacheroach_model::{Hash, Path, RopeId, TenantId, Timestamp, Version};

use crate::chunks::Whereabouts;
use crate::inspect::Touched;
use crate::purge::LEFT_AFTER;
use crate::{Error, Result, Store};

/// How a store is verified.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether what is wrong is put right as far as that is possible.
    pub repair: bool,
    /// How many chunks are read at once.
    pub concurrency: usize,
    /// Bytes that no row names count as left behind when they are as old as this: older than any upload takes.
    pub left_after: Duration,
    /// Whether chunks count as lost although nothing of the store is left in their tier.
    pub lost: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { repair: false, concurrency: 8, left_after: LEFT_AFTER, lost: false }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Problem {
    /// The bytes of a chunk are gone, or are not what was written.
    DamagedBytes,
    /// The bytes of a chunk could not be read just now.
    UnreadableBytes,
    /// A content needs a chunk that is not there; bringing the content again heals it.
    MissingChunk,
    /// The pieces of a content don't make it up.
    WrongPieces,
    /// A version has a content that is not there.
    MissingRope,
    /// The current version of a file is not the newest of its versions.
    WrongHead,
    /// Bytes that no row names.
    LeftBytes,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::DamagedBytes => "damaged bytes",
            Problem::UnreadableBytes => "unreadable bytes",
            Problem::MissingChunk => "missing chunk",
            Problem::WrongPieces => "wrong pieces",
            Problem::MissingRope => "missing rope",
            Problem::WrongHead => "wrong head",
            Problem::LeftBytes => "left bytes",
        })
    }
}

/// Something that is wrong, once for each version of a file that it touches, or once if it touches none.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub problem: Problem,
    /// Whose.
    pub tenant: TenantId,
    /// The version it touches.
    pub path: Option<(Path, Version)>,
    /// For people.
    pub detail: String,
    /// Whether it was put right, or was made to be put right by bringing the content again.
    pub repaired: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Live chunks that were read.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Contents that were looked at.
    pub ropes: u64,
    /// Versions that were looked at.
    pub versions: u64,
    /// What is wrong, each thing once.
    pub problems: u64,
    /// Of these, what was put right, or waits for its content to be brought again.
    pub repaired: u64,
    /// Bytes without a row that may be an upload's: they are too young to say.
    pub young: u64,
}

/// How many are listed at a time.
const PAGE: usize = 256;

/// So many damaged chunks are remembered, so that the contents they are in are not told twice.
const MOST_REMEMBERED: usize = 100_000;

/// A run of it.
struct Verify<'a, F> {
    store: &'a Store,
    settings: Settings,
    now: Timestamp,
    tell: F,
    done: Verified,
    told: BTreeSet<(TenantId, Hash)>,
    /// Where something of this store was found.
    homes: BTreeSet<Whereabouts>,
}

/// Verifies a store, and tells what is wrong while it goes on.
///
/// # Errors
/// The store's: it could not be verified to the end.
pub async fn verify(store: &Store, settings: Settings, tell: impl FnMut(Finding) + Send) -> Result<Verified> {
    let now = store.metadata.now().await?;
    let (done, told, homes) = (Verified::default(), BTreeSet::new(), BTreeSet::new());
    let mut verify = Verify { store, settings, now, tell, done, told, homes };
    verify.chunks().await?;
    verify.ropes().await?;
    verify.versions().await?;
    verify.heads().await?;
    verify.left_bytes().await?;
    Ok(verify.done)
}

impl<F: FnMut(Finding) + Send> Verify<'_, F> {
    /// One thing that is wrong, and the versions it touches.
    async fn found(&mut self, found: Wrong) -> Result<()> {
        self.done.problems += 1;
        self.done.repaired += u64::from(found.repaired);
        let Wrong { problem, tenant, detail, repaired, touches } = found;
        let finding = |path| Finding { problem, tenant, path, detail: detail.clone(), repaired };
        let metadata = &self.store.metadata;
        let mut after: Option<(Path, Version)> = None;
        let mut any = false;
        loop {
            let page: Vec<Touched> = match &touches {
                Touches::Nothing => Vec::new(),
                Touches::Version(path, version) => {
                    (self.tell)(finding(Some((path.clone(), *version))));
                    return Ok(());
                }
                Touches::Chunk(hash) => {
                    metadata.list_versions_of_chunk(tenant, *hash, after.take(), PAGE).await?
                }
                Touches::Rope(rope) => {
                    metadata.list_versions_of_rope(tenant, *rope, after.take(), PAGE).await?
                }
            };
            let more = page.len() == PAGE;
            for touched in page {
                let at = (touched.path, touched.version);
                (self.tell)(finding(Some(at.clone())));
                (after, any) = (Some(at), true);
            }
            if !more {
                break;
            }
        }
        if !any {
            (self.tell)(finding(None));
        }
        Ok(())
    }
}

/// Something wrong, before it is known which files it touches.
struct Wrong {
    problem: Problem,
    tenant: TenantId,
    detail: String,
    repaired: bool,
    touches: Touches,
}

enum Touches {
    Nothing,
    Chunk(Hash),
    Rope(RopeId),
    Version(Path, Version),
}

/// Whether an error says that the bytes are wrong, and not only that they can't be had just now.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Damaged(_))
}

/// An error with what caused it.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
