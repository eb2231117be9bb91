//! Where the bytes of a tenant are, by the rows that name them, how they are brought home when it moves, and who keeps
//! those rows where.
//!
//! # How a chunk moves
//! Any number of movers may do this at once, and die between any two steps:
//!
//! 1. **lease** ([`lease_moves`](Regions::lease_moves)): a generation that was never used, as a row of `moves` with a deadline.
//!    From then on the sweep spares bytes of that generation.
//! 2. **read** the bytes and **write** them at home, under that generation.
//! 3. **move** ([`move_chunks`](Regions::move_chunks)), one transaction: the mover's lease is still there, and the row of the chunk is
//!    live in the generation that it had. The row goes on in the new generation and place, leases of uploads go along, and the old
//!    life is condemned, for a purge to erase. Otherwise nothing changes but that the mover's lease is gone.
//! 4. If nothing changed, **erase** what was written.
//!
//! Why that is safe. A chunk that is live stays so, with the same bytes: whoever refers to it, or is about to, finds it
//! before the move and after it. An upload that leased the old generation commits in the new one, for its lease went along;
//! one that was to write the old generation comes second, for a pending row is never moved. A collector and a mover take
//! the row `FOR UPDATE`: whoever comes second finds another life or none. The old place is named by `condemned` from the
//! moment that no row of `chunks` names it; the new one by `moves` until a row of `chunks` does. A lease that is over is
//! removed by the purge, in one transaction, and a mover that finds it gone changes nothing: so what the sweep may erase
//! no row will ever name. A reader that knows the old place and finds it erased asks for the place again: never other bytes,
//! since no place is given out twice. The model in `tests/purge_model.rs` explores all of it.
//!
//! # Which chunks
//! A tenant that is moved is noted in `moving`, in the same transaction. Its chunks are walked, in pages, by whichever server
//! comes first. A write that was under way may still go where the tenant was: so the walk is made again, at growing
//! distances, until one that began a day after the move has ended. A server that starts with tiers by region notes all
//! tenants, for one walk: the list of tiers may be another one.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Hash, Region, TenantId, Timestamp};

use crate::chunks::Place;
use crate::zones::Cluster;
use crate::{Error, Result};

/// Where a server is that was not told and has nobody to ask.
pub(crate) fn local() -> Region {
    Region::parse("local").expect("lower-case letters")
}

/// A live chunk and where its bytes are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Which.
    pub chunk: Hash,
    /// Which life.
    pub generation: i64,
    /// In bytes.
    pub length: u32,
    /// In the chunk tier; none: in its row.
    pub place: Option<Place>,
}

/// A tenant whose bytes are being brought home.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moving {
    /// Which.
    pub tenant: TenantId,
    /// When it was moved.
    pub moved_at: Timestamp,
    /// When the walk through its chunks began that is under way.
    pub begun_at: Timestamp,
    /// How far that has come.
    pub after: Option<Hash>,
}

/// A chunk whose bytes were written anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moved {
    /// Which.
    pub chunk: Hash,
    /// The life that was read.
    pub from: i64,
    /// The leased one.
    pub to: i64,
    /// Where its bytes are.
    pub place: Place,
}

/// What becomes of a tenant after a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It goes on after a pause.
    After(Duration),
    /// The same; and since something could not be moved now, the walk is made again as if the tenant had been moved now.
    Again(Duration),
    /// All of it is at home.
    Home,
}

/// Tells where bytes are, brings them home, and keeps rows in regions.
#[async_trait]
pub trait Regions {
    /// The live chunks of a tenant by hash, after one; at most so many.
    ///
    /// # Errors
    /// The store's.
    async fn list_places(&self, tenant: TenantId, after: Option<Hash>, limit: usize) -> Result<Vec<Placed>>;

    /// Takes on a step for the tenant that has waited longest, if one is due. Whoever does not [end](Regions::end_moving) it
    /// within `patience` is taken to have died.
    ///
    /// # Errors
    /// The store's.
    async fn begin_moving(&self, patience: Duration) -> Result<Option<Moving>>;

    /// Notes how far a tenant has come. If it was moved again meanwhile, that counts, and nothing is noted.
    ///
    /// # Errors
    /// The store's.
    async fn end_moving(&self, moving: &Moving, next: Next) -> Result<()>;

    /// Notes that the bytes of so many tenants after one may not be at home, and that all is due now. Answers where it goes
    /// on, if it does.
    ///
    /// # Errors
    /// The store's.
    async fn note_moving(&self, after: Option<TenantId>, limit: usize) -> Result<Option<TenantId>>;

    /// Generations for so many chunks to be moved, leased for so long.
    ///
    /// # Errors
    /// The store's.
    async fn lease_moves(&self, count: usize, length: Duration) -> Result<Vec<i64>>;

    /// Lets chunks go on in the places where they were written anew, and condemns what they were before. Tells of each
    /// whether it did: where not, the bytes that were written are nobody's. Again: the same answers.
    ///
    /// # Errors
    /// The store's; nobody knows what became of them.
    async fn move_chunks(&self, tenant: TenantId, moved: &[Moved]) -> Result<Vec<bool>>;

    /// The cluster that keeps the rows, if it is one that can keep them in regions. Default: it is none.
    ///
    /// # Errors
    /// The store's.
    async fn cluster(&self) -> Result<Option<Cluster>> {
        Ok(None)
    }

    /// Says one statement of a [plan](Cluster::plan) to the cluster.
    ///
    /// # Errors
    /// The store's; that there is no cluster.
    async fn say_to_cluster(&self, statement: &str) -> Result<()> {
        let _ = statement;
        Err(Error::Failed("this engine has no zones".into()))
    }
}
