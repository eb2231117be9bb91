//! The purge: what is past its time goes, then what nothing refers to any more, then the bytes. All in small batches; in
//! the background with pauses between them, so that it takes a fifth of the time at most and others go first.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cacheroach_api::method::stores;
use cacheroach_api::store::PurgeResponse;
use cacheroach_model::{Hash, Path, Random, TenantId};
use cacheroach_store::Store;
use cacheroach_store::chunks::KeptChunk;
use cacheroach_store::failpoint::{Step, hit};
use cacheroach_store::purge::{Condemned, Kind, LEFT_AFTER, Limits};
use futures::{FutureExt as _, StreamExt as _, stream};

use super::log_failure;
use crate::door::Ask;
use crate::{Caller, Result, Service};

/// How many rows the slow walks look at in each round.
const WALKED: usize = 10_000;
/// How many chunks are erased at once.
const ERASED_AT_ONCE: usize = 8;
/// After so long, whoever was to erase a chunk is taken to have died.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// A batch is followed by a pause of so many times its length.
const PAUSES: u32 = 4;

/// How the purge is done.
#[derive(Clone, Copy, Debug)]
pub struct PurgeSettings {
    /// How long things are kept.
    pub limits: Limits,
    /// At most so many rows in one transaction; 0: nothing is ever purged. Default: 1,000.
    pub batch: usize,
    /// About how long from one round to the next. Default: a minute.
    pub interval: Duration,
    /// Bytes that no row names are left behind when they are as old as this. Default: two hours.
    pub left_after: Duration,
}

impl Default for PurgeSettings {
    fn default() -> Self {
        let limits = Limits { deleted_for: Some(Duration::from_secs(168 * 3600)), ..Limits::default() };
        PurgeSettings { limits, batch: 1_000, interval: Duration::from_secs(60), left_after: LEFT_AFTER }
    }
}

/// Where the rows of a kind are counted.
fn count(report: &mut PurgeResponse, kind: Kind) -> &mut u64 {
    match kind {
        Kind::Sessions => &mut report.sessions,
        Kind::Links => &mut report.links,
        Kind::Uploads => &mut report.uploads,
        Kind::Tenants => &mut report.tenants,
        Kind::Deleted => &mut report.deleted,
        Kind::Overwritten => &mut report.overwritten,
        Kind::Ropes => &mut report.ropes,
    }
}

fn add(sum: &mut PurgeResponse, mut other: PurgeResponse) {
    for kind in Kind::ALL {
        *count(sum, kind) += *count(&mut other, kind);
    }
    sum.chunks += other.chunks;
    sum.bytes += other.bytes;
    sum.left += other.left;
    sum.left_bytes += other.left_bytes;
    sum.failed += other.failed;
}

fn log(report: PurgeResponse) {
    if (PurgeResponse { failed: 0, ..report }) != PurgeResponse::default() {
        let PurgeResponse { sessions, links, uploads, tenants, deleted, overwritten, ropes, .. } = report;
        let PurgeResponse { chunks, bytes, left, left_bytes, .. } = report;
        tracing::info!(
            sessions,
            links,
            uploads,
            tenants,
            deleted,
            overwritten,
            ropes,
            chunks,
            bytes,
            left,
            left_bytes,
            "purged"
        );
    }
    if report.failed > 0 {
        tracing::warn!(chunks = report.failed, "bytes could not be erased; they are tried again");
    }
}

/// How far the slow walks of a server have come.
#[derive(Default)]
struct Walks {
    chunks: Option<(TenantId, Hash)>,
    files: Option<(TenantId, Path)>,
}

/// One round of a purge.
pub(super) struct Round<'a> {
    pub(super) store: &'a Store,
    random: &'a dyn Random,
    pub(super) settings: &'a PurgeSettings,
    /// Whether others are to be left room, and time to erase what they condemned.
    gently: bool,
    pub(super) report: PurgeResponse,
}

/// Purges a store to the end: all that is over, and all that nothing refers to.
///
/// # Errors
/// The store's. What went is gone.
pub async fn purge_all(
    store: &Store,
    random: &dyn Random,
    settings: &PurgeSettings,
) -> Result<PurgeResponse, cacheroach_store::Error> {
    let settings = PurgeSettings { batch: settings.batch.max(1), ..*settings };
    let mut round =
        Round { store, random, settings: &settings, gently: false, report: PurgeResponse::default() };
    let mut walks = Walks::default();
    // The walks first: what they find is worked off like the rest.
    while round.walk_files(&mut walks).await? {}
    round.remove().await?;
    while round.walk_chunks(&mut walks).await? {}
    round.collect().await?;
    let mut after = None;
    loop {
        after = round.sweep(after.as_ref()).await?;
        if after.is_none() {
            return Ok(round.report);
        }
    }
}

impl Round<'_> {
    async fn run(&mut self, walks: &mut Walks) -> Result<(), cacheroach_store::Error> {
        self.walk_files(walks).await?;
        self.remove().await?;
        self.walk_chunks(walks).await?;
        self.collect().await?;
        self.sweep_on().await
    }

    /// Tells whether there is more to walk.
    async fn walk_chunks(&mut self, walks: &mut Walks) -> Result<bool, cacheroach_store::Error> {
        let begun = Instant::now();
        walks.chunks = self.store.metadata.walk_chunks(walks.chunks.take(), WALKED).await?;
        self.pause(begun).await;
        Ok(walks.chunks.is_some())
    }

    async fn walk_files(&mut self, walks: &mut Walks) -> Result<bool, cacheroach_store::Error> {
        let begun = Instant::now();
        let rule = self.settings.limits.retention;
        walks.files = self.store.metadata.walk_files(rule, walks.files.take(), WALKED).await?;
        self.pause(begun).await;
        Ok(walks.files.is_some())
    }

    /// All that is past its time.
    async fn remove(&mut self) -> Result<(), cacheroach_store::Error> {
        let PurgeSettings { limits, batch, .. } = self.settings;
        for kind in Kind::ALL {
            loop {
                let begun = Instant::now();
                let removed = self.store.metadata.remove(kind, limits, *batch).await?;
                *count(&mut self.report, kind) += removed.rows as u64;
                self.pause(begun).await;
                if !removed.more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// All candidates, and their bytes.
    async fn collect(&mut self) -> Result<(), cacheroach_store::Error> {
        let dead_after = if self.gently { DEAD_AFTER } else { Duration::ZERO };
        // What could not be erased is not tried twice in one round.
        let mut tried = HashSet::new();
        loop {
            let begun = Instant::now();
            let mut from = [0; 32];
            self.random.fill(&mut from);
            let batch = self.settings.batch;
            let mut found = self.store.metadata.condemn(Hash::new(from), dead_after, batch).await?;
            self.report.chunks += found.dropped as u64;
            self.report.bytes += found.dropped_bytes;
            let handed_out = found.chunks.len();
            if handed_out > 0 {
                hit(Step::PurgeAfterCondemn);
            }
            found.chunks.retain(|chunk| !tried.contains(&chunk.generation));
            if handed_out > 0 && found.chunks.is_empty() {
                return Ok(());
            }
            tried.extend(self.erase(found.chunks).await?);
            self.pause(begun).await;
            if !found.more {
                return Ok(());
            }
        }
    }

    /// Erases bytes and forgets them; answers which could not be erased.
    async fn erase(&mut self, chunks: Vec<Condemned>) -> Result<Vec<i64>, cacheroach_store::Error> {
        let kept = |one: Condemned| {
            let place = one.place.clone();
            (KeptChunk { tenant: one.tenant, hash: one.chunk, length: one.length, place }, one)
        };
        let (erased, failed) = self.erase_all(chunks.into_iter().map(kept).collect()).await;
        if !erased.is_empty() {
            hit(Step::PurgeAfterErase);
            self.store.metadata.drop_chunks(&erased).await?;
            hit(Step::PurgeAfterDrop);
        }
        self.report.chunks += erased.len() as u64;
        self.report.bytes += erased.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
        Ok(failed.iter().map(|chunk| chunk.generation).collect())
    }

    /// Erases bytes; answers what stands for those that are gone, and for those that could not be erased.
    pub(super) async fn erase_all<T: Send>(&mut self, all: Vec<(KeptChunk, T)>) -> (Vec<T>, Vec<T>) {
        let tier = Arc::clone(&self.store.chunks);
        let erasing = stream::iter(all).map(move |(chunk, one)| {
            let tier = Arc::clone(&tier);
            async move { (tier.erase(&chunk).await, one) }
        });
        let outcomes: Vec<_> = erasing.buffer_unordered(ERASED_AT_ONCE).collect().await;
        let (mut erased, mut failed) = (Vec::new(), Vec::new());
        for (outcome, one) in outcomes {
            match outcome {
                Ok(()) => erased.push(one),
                Err(error) => {
                    tracing::debug!(%error, "bytes could not be erased");
                    failed.push(one);
                }
            }
        }
        self.report.failed += failed.len() as u64;
        (erased, failed)
    }

    async fn pause(&self, begun: Instant) {
        if self.gently {
            tokio::time::sleep(begun.elapsed() * PAUSES).await;
        }
    }
}

impl Service {
    /// Purges again and again, until it is dropped; it may be at any point.
    pub async fn purge_forever(&self) {
        let settings = &self.settings.purge;
        if settings.batch == 0 {
            return;
        }
        let mut walks = Walks::default();
        loop {
            tokio::time::sleep(self.shaken(settings.interval)).await;
            let mut round = Round {
                store: &self.store,
                random: &*self.random,
                settings,
                gently: true,
                report: PurgeResponse::default(),
            };
            let run = AssertUnwindSafe(round.run(&mut walks)).catch_unwind().await;
            log_failure("purge", run);
            log(round.report);
            self.count_purged(round.report);
        }
    }

    /// What this server has purged since it was started.
    #[must_use]
    pub fn purged(&self) -> PurgeResponse {
        *self.purged.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn count_purged(&self, report: PurgeResponse) {
        add(&mut self.purged.lock().unwrap_or_else(std::sync::PoisonError::into_inner), report);
    }

    /// Between half of an interval and one and a half, so that servers don't meet.
    pub(super) fn shaken(&self, interval: Duration) -> Duration {
        let mut byte = [0];
        self.random.fill(&mut byte);
        (interval / 2).saturating_add(interval.saturating_mul(byte[0].into()) / 255)
    }
}

impl Ask for stores::Purge {
    type Answer = PurgeResponse;

    async fn answer(service: &Service, _: &Caller, (): ()) -> Result<PurgeResponse> {
        let report = purge_all(&service.store, &*service.random, &service.settings.purge).await?;
        log(report);
        service.count_purged(report);
        Ok(report)
    }
}
