//! Bytes of tenants that moved are brought home, a step at a time, by whichever server comes first. The protocol is told in
//! [`cacheroach_store::regions`].

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use cacheroach_hash::hash;
use cacheroach_model::{TenantId, Timestamp};
use cacheroach_store::chunks::by_region::ByRegion;
use cacheroach_store::chunks::checksum::checksum;
use cacheroach_store::chunks::{KeptChunk, NewChunk, Place};
use cacheroach_store::failpoint::{Step, hit};
use cacheroach_store::regions::{Moved, Moving, Next, Placed};
use cacheroach_store::{Error, Store};
use futures::{FutureExt as _, StreamExt as _, stream};

use super::log_failure;
use crate::Service;

/// How many rows of chunks a step looks at.
const LOOKED_AT: usize = 1_000;
/// How many chunks it moves at most.
const MOVED: usize = 64;
/// How many of them at once; each is in memory.
const AT_ONCE: usize = 4;
/// How many tenants are noted at a time.
const NOTED: usize = 1_000;
/// Whoever took a step on and has not ended it by then has died.
const DEAD_AFTER: Duration = Duration::from_secs(300);
/// Walks are made until one begins so long after the move: no write of before is under way any more.
const SETTLED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// After a walk in which something could not be moved.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Between two walks of one tenant, at the least and at the most. Between them, as long as the move is ago.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// How far the noting of all tenants has come; it is done once.
enum Noting {
    From(Option<TenantId>),
    Done,
}

impl Service {
    /// Brings bytes home again and again, until it is dropped; it may be at any point. Ends if all places are home.
    pub async fn move_forever(&self) {
        let Some(regions) = self.store.chunks.by_region() else { return };
        let mover = Mover { store: &self.store, regions, lease: self.settings.upload_timeout };
        let mut noting = Noting::From(None);
        loop {
            tokio::time::sleep(self.shaken(self.settings.purge.interval)).await;
            let round = AssertUnwindSafe(mover.round(&mut noting)).catch_unwind().await;
            log_failure("moving bytes home", round);
        }
    }
}

struct Mover<'a> {
    store: &'a Store,
    regions: &'a ByRegion,
    /// How long bytes may be on their way: as long as those of uploads.
    lease: Duration,
}

impl Mover<'_> {
    /// All that is due.
    async fn round(&self, noting: &mut Noting) -> Result<(), Error> {
        while let Noting::From(after) = noting {
            // The tiers may be other ones than when the last server was started.
            let next = self.store.metadata.note_moving(*after, NOTED).await?;
            *noting = next.map_or(Noting::Done, |next| Noting::From(Some(next)));
        }
        while let Some(moving) = self.store.metadata.begin_moving(DEAD_AFTER).await? {
            let begun = Instant::now();
            self.step(moving).await?;
            // Half of the time is for others.
            tokio::time::sleep(begun.elapsed()).await;
        }
        Ok(())
    }

    async fn step(&self, mut moving: Moving) -> Result<(), Error> {
        let metadata = &self.store.metadata;
        if metadata.find_tenant(moving.tenant).await?.is_none() {
            return metadata.end_moving(&moving, Next::Home).await;
        }
        let page = metadata.list_places(moving.tenant, moving.after, LOOKED_AT).await?;
        let is_home = self.regions.at_home(moving.tenant).await?;
        let (mut away, mut is_last, mut beyond) = (Vec::new(), page.len() < LOOKED_AT, 0_u64);
        let mut reached = page.last().map(|placed| placed.chunk);
        for Placed { chunk, generation, length, place } in page {
            let Some(place) = place.filter(|place| !is_home(place)) else { continue };
            if !self.regions.reaches(&place) {
                beyond += 1;
                continue;
            }
            if away.len() == MOVED {
                is_last = false;
                break;
            }
            reached = Some(chunk);
            away.push((KeptChunk { tenant: moving.tenant, hash: chunk, length, place }, generation));
        }
        if beyond > 0 {
            let tenant = moving.tenant;
            tracing::warn!(%tenant, chunks = beyond, "bytes are in a region that --chunks does not name here");
        }
        let all_moved = self.bring_home(moving.tenant, away).await? && beyond == 0;
        let now = metadata.now().await?;
        let next = next(&moving, is_last, all_moved, now);
        moving.after = if is_last { None } else { reached };
        metadata.end_moving(&moving, next).await
    }

    /// Writes chunks anew at home; tells whether none of them has to be tried again.
    async fn bring_home(&self, tenant: TenantId, away: Vec<(KeptChunk, i64)>) -> Result<bool, Error> {
        if away.is_empty() {
            return Ok(true);
        }
        let metadata = &self.store.metadata;
        let leased = metadata.lease_moves(away.len(), self.lease).await?;
        hit(Step::MoveAfterLease);
        let copies = stream::iter(away.into_iter().zip(leased)).map(|((chunk, from), to)| async move {
            let place = self.copy(&chunk, to).await;
            (chunk, from, to, place)
        });
        let copies: Vec<_> = copies.buffer_unordered(AT_ONCE).collect().await;
        let (mut chunks, mut moved, mut all_moved) = (Vec::new(), Vec::new(), true);
        for (chunk, from, to, place) in copies {
            match place {
                Ok(place) => {
                    moved.push(Moved { chunk: chunk.hash, from, to, place: place.clone() });
                    chunks.push(KeptChunk { place, ..chunk });
                }
                // It was purged or moved by another, or waits for somebody to bring it again.
                Err(error @ Error::Damaged(_)) => tracing::debug!(%error, "bytes that are not moved"),
                Err(error) => {
                    all_moved = false;
                    tracing::warn!(%tenant, chunk = %chunk.hash, %error, "bytes that can't be moved now");
                }
            }
        }
        hit(Step::MoveAfterBytes);
        let done = metadata.move_chunks(tenant, &moved).await?;
        hit(Step::MoveAfterRows);
        let (mut count, mut bytes) = (0_u64, 0);
        for (chunk, is_moved) in chunks.iter().zip(done) {
            if is_moved {
                (count, bytes) = (count + 1, bytes + u64::from(chunk.length));
                continue;
            }
            // It was purged meanwhile, or the lease was over: the next walk tells.
            all_moved = false;
            if let Err(error) = self.store.chunks.erase(chunk).await {
                tracing::warn!(%error, "bytes written for nothing are left to the sweep");
            }
        }
        tracing::info!(%tenant, chunks = count, bytes, "moved home");
        Ok(all_moved)
    }

    /// Writes the bytes of a chunk for another life of it, where its tenant is at home.
    async fn copy(&self, chunk: &KeptChunk, generation: i64) -> Result<Place, Error> {
        let bytes = self.store.chunks.read(chunk).await?;
        // What comes from packs was compared with their own checksum only: it is not to be carried further unseen.
        if hash(&bytes) != chunk.hash {
            return Err(Error::Damaged(format!("chunk {}: the bytes are not what was written", chunk.hash)));
        }
        let checksum = Some(checksum(&chunk.hash, &bytes));
        let new = NewChunk { tenant: chunk.tenant, hash: chunk.hash, generation, bytes, checksum };
        let mut places = self.store.chunks.write(vec![new]).await?;
        places.pop().ok_or_else(|| Error::Failed("a tier that answers no place".into()))
    }
}

fn next(moving: &Moving, is_last: bool, all_moved: bool, now: Timestamp) -> Next {
    let (least, most) = PAUSES;
    let pause = if is_last { now.since(moving.moved_at).clamp(least, most) } else { Duration::ZERO };
    if !all_moved {
        Next::Again(if is_last { AGAIN_AFTER } else { Duration::ZERO })
    } else if is_last && moving.begun_at.since(moving.moved_at) >= SETTLED_AFTER {
        Next::Home
    } else {
        Next::After(pause)
    }
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;
