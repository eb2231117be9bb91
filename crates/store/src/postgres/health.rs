//! Whether the database answers. Whatever it said to anybody of this server counts, so that nobody is taken for dead who is
//! only busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Postgres;
use super::run::{Failure, Outcome};
use super::statement::sql;
use crate::Result;
use crate::health::Health;

/// For so long what was heard says that the database is there.
const FRESH: Duration = Duration::from_secs(2);

/// After so long without a word, although somebody asks every few seconds, it is not to be counted on.
const LOST: Duration = Duration::from_secs(8);

/// When something was heard last.
pub(super) struct Heard {
    began: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Heard {
    /// Just now.
    pub(super) fn new() -> Self {
        Heard { began: Instant::now(), last: AtomicU64::new(0) }
    }

    /// Notes an answer, also if it is that something went wrong: but for being turned away.
    pub(super) fn note<T>(&self, outcome: &Outcome<T>) {
        let is_answer = match outcome {
            Ok(_) => true,
            Err(failure) => failure.is_answer(),
        };
        if is_answer {
            self.last.store(self.now(), Ordering::Relaxed);
        }
    }

    fn is_fresh(&self) -> bool {
        self.silent_for() < FRESH
    }

    pub(super) fn is_lost(&self) -> bool {
        self.silent_for() >= LOST
    }

    fn silent_for(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl Health for Postgres {
    async fn check_health(&self) -> Result<()> {
        let sql = sql!("SELECT 1");
        if self.heard.is_fresh() {
            return Ok(());
        }
        // One try: whoever asks does so again.
        let client = self.client().await?;
        let looked = client.query_one(&sql, &[]).await.map(drop).map_err(Failure::from);
        self.heard.note(&looked);
        Ok(looked?)
    }
}
