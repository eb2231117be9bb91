//! What goes in the end: what is past its time, and then what nothing refers to any more.
//!
//! # The lists
//! Nothing here scans. Whoever takes away a reference notes, in the same transaction, what may have lost its last one:
//!
//! | who | notes |
//! |---|---|
//! | a new version over a current one | the path in `overwritten`, due now (an earlier due time stays) |
//! | [`Purge::remove`] of a version | its rope in `loose_ropes`; of the last version of a path, its number in `last_versions` |
//! | a commit of content that the tenant has a rope of already | the upload's own rope in `loose_ropes`; the pieces stay |
//! | `abandon_upload` | as the removal of an overdue one; of a long upload a first batch, its deadline set to the past |
//! | removal of an overdue upload | the chunks of its leases in `candidates`, its rope in `loose_ropes` |
//! | removal of a piece | its chunk in `candidates` |
//! | `delete_tenant` | the tenant in `gone_tenants` |
//!
//! # Rules that bind every engine
//! - **Versions of a path only grow**, also after all of them were removed: the number of the next is one more than the
//!   highest in `versions` and `last_versions`. Versions that a rule removes go oldest first.
//! - **A rope is referred to** by what inserts a version of it: a put that finds the rope by its hash, a commit likewise,
//!   a copy, a move, a restored version. That transaction reads the row of `ropes` `FOR SHARE`; without the row the rope
//!   is gone (put and commit make a new one, a copy finds nothing). The remover takes the row `FOR UPDATE` and
//!   looks for versions in a second statement; it deletes the row with or before the first of its pieces.
//! - **A chunk is referred to** by a piece (of a rope, or of an upload) or a lease. What inserts one of these reads the
//!   row of `chunks` `FOR SHARE` in the same transaction, and relies on a live one only. The collector takes the row
//!   `FOR UPDATE` and then looks for pieces and unexpired leases in a second statement. One `UPDATE … WHERE NOT EXISTS`
//!   was seen to condemn what a concurrent upload had just referred to.
//! - **A lease is unexpired** as long as its upload is there, is not finished, and its deadline is ahead by the clock of
//!   the store. Lease, advance and commit take the upload's row and check the deadline; so does its remover.
//! - **A condemned life** is moved out of `chunks` into `condemned`, in one transaction. So the next upload finds no row
//!   and begins a life of a generation that was never used, and nobody forgets where bytes are that are still to be
//!   erased. Row and bytes of a generation that was condemned never come back.
//! - **A tenant that is gone** has nothing that can be read from the moment it is in `gone_tenants`, and can't be created
//!   before it has left it.
//! - Deadlines are by the clock of the store. No statement reads more than its batch.
//!
//! # The sweep
//! Bytes come to have no row when their writer died before it made them live, or when it came second and died before it
//! erased its own. [`list_left`] walks the tier for them. A row says that they will be needed before there are bytes (a
//! lease's pending one), and no generation comes twice: what no row names is nobody's for ever, so rows decide, and no
//! clock has to be right. That the bytes must be of some age besides is for what is outside these rules: a copy into a store
//! that is served against the advice, a backup that was put back.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, Retention, TenantId, Timestamp};

use crate::chunks::by_region::form_of;
use crate::chunks::{Cursor, FoundChunk, Page, Place};
use crate::{Result, Store};

/// How long rows of what is over are kept: a clock that is set back must revive nothing, and who asks is told why.
pub const REST: Duration = Duration::from_secs(24 * 3600);

/// How long a finished upload is remembered after its deadline, for calls that are repeated.
pub const FINISHED_REST: Duration = Duration::from_secs(3600);

/// What is past its time. In this order, one kind leaves work for the next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Sessions that ended a [`REST`] ago.
    Sessions,
    /// Links that expired or were used up a [`REST`] ago. What was taken back and never expires stays.
    Links,
    /// Uploads past their deadline with their leases, and finished ones a [`FINISHED_REST`] later. Counts leases, too.
    Uploads,
    /// All that a deleted tenant left.
    Tenants,
    /// Versions of files that were deleted long enough ago.
    Deleted,
    /// Versions that a rule of retention keeps no longer.
    Overwritten,
    /// Ropes that no version has, and pieces of ropes and uploads that are no more. Counts pieces.
    Ropes,
}

impl Kind {
    /// In the order in which they are best removed.
    pub const ALL: [Kind; 7] = [
        Kind::Sessions,
        Kind::Links,
        Kind::Uploads,
        Kind::Tenants,
        Kind::Deleted,
        Kind::Overwritten,
        Kind::Ropes,
    ];
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Deleted files; none: for ever.
    pub deleted_for: Option<Duration>,
    /// Old versions, where a tenant has no rule of its own.
    pub retention: Retention,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    /// How many rows went.
    pub rows: usize,
    /// Whether there may be more: the batch was full.
    pub more: bool,
}

/// A life of a chunk that is over, whose bytes are in the chunk tier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condemned {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub chunk: Hash,
    /// Which life.
    pub generation: i64,
    /// In bytes.
    pub length: u32,
    /// Where its bytes are.
    pub place: Place,
}

/// What a batch of candidates came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Condemning {
    /// To be erased, then [dropped](Purge::drop_chunks).
    pub chunks: Vec<Condemned>,
    /// How many chunks went with their rows: their bytes were beside them, or never came.
    pub dropped: usize,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Whether there may be more: a batch was full.
    pub more: bool,
}

/// How old bytes that no row names must be by default to be taken for left behind: older than an upload usually takes.
pub const LEFT_AFTER: Duration = Duration::from_secs(2 * 3600);

/// How many places are looked up at a time.
const LOOKED_UP: usize = 1_000;

/// What rows say of bytes that were found.
pub(crate) struct Names {
    /// The chunk's row: its generation, whether it is pending, and its place.
    pub(crate) chunk: Option<(i64, bool, Option<Place>)>,
    /// The place of that generation, if it was condemned.
    pub(crate) condemned: Option<Place>,
    /// Whether a mover has a lease of that generation.
    pub(crate) is_moving: bool,
}

impl Names {
    /// Whether a row names the bytes, or may in a moment, or somebody is about to erase them. A place of the same generation
    /// in another region or another form may be the very same bytes: places were written otherwise at first, and regions
    /// are called by other names when `--chunks` is changed, or is wrong.
    pub(crate) fn name(&self, found: &FoundChunk) -> bool {
        let place = &found.chunk.place;
        let may_be = |other: &Place| other == place || is_otherwise(other, place);
        let chunk = self.chunk.as_ref().is_some_and(|(generation, is_pending, live)| {
            let live = live.as_ref();
            live == Some(place)
                || (*generation == found.generation && (*is_pending || live.is_some_and(may_be)))
        });
        chunk || self.is_moving || self.condemned.as_ref().is_some_and(may_be)
    }
}

/// Whether places can't be told apart by their bytes, being of different forms, or in regions of different names.
fn is_otherwise(one: &Place, other: &Place) -> bool {
    one.0.len() != other.0.len() || form_of(one) != form_of(other)
}

/// A page of what is in the tier, without what a row names.
///
/// # Errors
/// The store's; a cursor of something else.
pub async fn list_left(store: &Store, after: Option<&Cursor>, limit: usize) -> Result<Page> {
    let Page { chunks, next } = store.chunks.list(after, limit).await?;
    let mut left = Vec::new();
    for batch in chunks.chunks(LOOKED_UP) {
        left.extend(store.metadata.list_unnamed(batch).await?);
    }
    Ok(Page { chunks: left, next })
}

/// Removes what is over. Any number of servers may do so at once, and die between any two calls.
#[async_trait]
pub trait Purge {
    /// Removes what is past its time, of one kind, in one transaction that touches some multiple of `batch` rows.
    ///
    /// # Errors
    /// The store's; nothing is removed then.
    async fn remove(&self, kind: Kind, limits: &Limits, batch: usize) -> Result<Removed>;

    /// Looks at some candidates, from the chunk `from` on and then from the first: callers begin at random, so that they
    /// don't meet. Those that nothing refers to are condemned: no rope and no upload will find them. Also
    /// hands out again what was condemned, and handed out, longer ago than `dead_after`: whoever had it has died, or is
    /// slow. To erase the same life twice is harmless.
    ///
    /// # Errors
    /// The store's; nothing is condemned then.
    async fn condemn(&self, from: Hash, dead_after: Duration, batch: usize) -> Result<Condemning>;

    /// Forgets lives whose bytes are erased. Those that somebody else forgot before are fine.
    ///
    /// # Errors
    /// The store's; they are handed out again.
    async fn drop_chunks(&self, chunks: &[Condemned]) -> Result<()>;

    /// The slow walk: of so many rows of chunks after one, makes candidates of those that nothing refers to. Answers
    /// where it goes on, if it does.
    ///
    /// # Errors
    /// The store's.
    async fn walk_chunks(
        &self,
        after: Option<(TenantId, Hash)>,
        limit: usize,
    ) -> Result<Option<(TenantId, Hash)>>;

    /// The slow walk over files: notes those with old versions as due, where a rule limits them: a rule may have changed.
    ///
    /// # Errors
    /// The store's.
    async fn walk_files(
        &self,
        retention: Retention,
        after: Option<(TenantId, Path)>,
        limit: usize,
    ) -> Result<Option<(TenantId, Path)>>;

    /// Of bytes that were found in the tier, those that no row names, nor may name in a moment, and that nobody is about to
    /// erase anyway.
    ///
    /// # Errors
    /// The store's.
    async fn list_unnamed(&self, found: &[FoundChunk]) -> Result<Vec<FoundChunk>>;

    /// Takes on the next step of the sweep, if it is due: all who purge share one walk through the tier. Answers from where,
    /// none in it being the beginning. Whoever does not [end](Purge::end_sweep_step) it within `patience` is taken to
    /// have died.
    ///
    /// # Errors
    /// The store's.
    async fn begin_sweep_step(&self, patience: Duration) -> Result<Option<Option<Cursor>>>;

    /// Notes from where the sweep goes on, and that it does so after a pause.
    ///
    /// # Errors
    /// The store's.
    async fn end_sweep_step(&self, next: Option<&Cursor>, pause: Duration) -> Result<()>;

    /// When the store was made. What is older in its tier was there before it.
    ///
    /// # Errors
    /// The store's.
    async fn made_at(&self) -> Result<Timestamp>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::KeptChunk;

    fn found(place: &[u8]) -> FoundChunk {
        let (tenant, hash) = (TenantId::SCRATCHPAD, Hash::new([1; 32]));
        let chunk = KeptChunk { tenant, hash, length: 1, place: Place(place.to_vec()) };
        FoundChunk { chunk, generation: 7, written_at: None }
    }

    fn named(generation: i64, place: &[u8], found_at: &[u8]) -> bool {
        let chunk = Some((generation, false, Some(Place(place.to_vec()))));
        Names { chunk, condemned: None, is_moving: false }.name(&found(found_at))
    }

    #[test]
    fn p1_bytes_that_a_row_calls_otherwise_are_spared_and_a_second_attempt_is_not() {
        let place = |first: &[u8], attempt: u8| [first, &[attempt; 16]].concat();
        let (bare, now) = (place(b"", 1), place(&[3], 1));
        assert!(named(7, &now, &now) && named(7, &bare, &now), "as it was at first");
        for (then, today) in
            [(&b""[..], &b"R\x02eu"[..]), (b"R\x02eu", b"R\x06europe"), (b"R\x02eu", b"R\x02us")]
        {
            let (then, today) = (place(&[then, &[2]].concat(), 1), place(&[today, &[2]].concat(), 1));
            assert!(named(7, &then, &today) && named(7, &today, &then), "{then:?} {today:?}");
            assert!(!named(8, &then, &today), "another life");
        }
        assert!(!named(7, &now, &place(&[3], 2)), "of two that wrote one life, the second");
    }
}
