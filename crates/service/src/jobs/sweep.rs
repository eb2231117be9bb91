//! The sweep: bytes in the chunk tier that no row names. It is a walk through all that is there, a step in each round of
//! the purge of whichever server comes first.

use std::time::{Duration, Instant};

use cacheroach_store::Error;
use cacheroach_store::chunks::{Cursor, FoundChunk};
use cacheroach_store::purge::list_left;

use super::purge::Round;

/// How many places of the chunk tier a step of the sweep looks at.
const SWEPT: usize = 10_000;
/// The next step comes after so many times what this one took: a tier may have to look at all it has for each.
const SWEEP_PAUSES: u32 = 100;
/// And when the sweep was at the end, after the time of so many rounds at the least.
const SWEEP_RESTS: u32 = 60;
/// After so long, whoever was at a step of the sweep is taken to have died.
const SWEEP_DEAD_AFTER: Duration = Duration::from_secs(600);

impl Round<'_> {
    /// The next step of the sweep that all servers share, if it is due.
    pub(super) async fn sweep_on(&mut self) -> Result<(), Error> {
        let metadata = &self.store.metadata;
        let Some(after) = metadata.begin_sweep_step(SWEEP_DEAD_AFTER).await? else { return Ok(()) };
        let begun = Instant::now();
        let swept = self.sweep(after.as_ref()).await;
        let next = match &swept {
            Ok(next) => next.as_ref(),
            // What went wrong may be the place to go on from: it is of another tier, perhaps.
            Err(Error::Failed(_)) => None,
            Err(_) => after.as_ref(),
        };
        let rests = match next {
            Some(_) => Duration::ZERO,
            None => self.settings.interval.saturating_mul(SWEEP_RESTS),
        };
        let pause = (begun.elapsed() * SWEEP_PAUSES).max(rests);
        self.store.metadata.end_sweep_step(next, pause).await?;
        swept.map(drop)
    }

    /// Erases what is left in a page of the tier; answers where the next one begins.
    pub(super) async fn sweep(&mut self, after: Option<&Cursor>) -> Result<Option<Cursor>, Error> {
        let (now, made_at) = (self.store.metadata.now().await?, self.store.metadata.made_at().await?);
        let page = list_left(self.store, after, SWEPT).await?;
        let mut old = page.chunks;
        old.retain(|found| found.is_as_old_as(self.settings.left_after, now));
        // Whoever pointed an empty store at the tier of another did not mean that.
        let strange = |found: &FoundChunk| found.written_at.is_some_and(|written_at| written_at < made_at);
        let (strange, left): (Vec<_>, Vec<_>) = old.into_iter().partition(strange);
        if !strange.is_empty() {
            let chunks = strange.len();
            tracing::warn!(
                chunks,
                "the tier has bytes that are older than the store: is it another store's? nothing is swept"
            );
            return Ok(page.next);
        }
        let length = |found: FoundChunk| (found.chunk.clone(), u64::from(found.chunk.length));
        let (lengths, _) = self.erase_all(left.into_iter().map(length).collect()).await;
        self.report.left += lengths.len() as u64;
        self.report.left_bytes += lengths.iter().sum::<u64>();
        Ok(page.next)
    }
}
