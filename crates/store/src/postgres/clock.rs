//! The database's time, so that no server's wall clock ever counts: measured now and then, and carried on between by a
//! clock that nobody sets.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

use cacheroach_model::{Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use tokio_postgres::Client;

use super::run::Outcome;
use super::statement::sql;

/// Tells the database's time.
pub(super) struct DatabaseClock {
    /// Microseconds since this machine was started, sleep included.
    since_boot: Box<dyn Fn() -> i64 + Send + Sync>,
    /// How far the database is ahead of that.
    ahead: AtomicI64,
    /// The latest that was told: time never goes backwards.
    last: AtomicI64,
    best: Mutex<Option<Measured>>,
}

/// One look at the database's clock.
#[derive(Clone, Copy)]
struct Measured {
    at: i64,
    round_trip: i64,
}

impl DatabaseClock {
    pub(super) fn new() -> Self {
        DatabaseClock::with(Box::new(since_boot))
    }

    fn with(since_boot: Box<dyn Fn() -> i64 + Send + Sync>) -> Self {
        DatabaseClock {
            since_boot,
            ahead: AtomicI64::new(0),
            last: AtomicI64::new(i64::MIN),
            best: Mutex::new(None),
        }
    }

    /// Asks the database.
    pub(super) async fn measure(&self, client: &Client) -> Outcome<()> {
        let sql = sql!("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::INT8");
        let before = (self.since_boot)();
        let row = client.query_one(&sql, &[]).await?;
        let after = (self.since_boot)();
        self.learn(before, after, row.try_get(0)?);
        Ok(())
    }

    /// The quickest answer is the truest; but as clocks drift, and databases are replaced by others, an old one counts
    /// less and less: by a millisecond a second.
    fn learn(&self, before: i64, after: i64, told: i64) {
        let round_trip = after - before;
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        let is_better = best.is_none_or(|best| round_trip <= best.round_trip + (after - best.at) / 1000);
        if is_better {
            *best = Some(Measured { at: after, round_trip });
            self.ahead.store(told.saturating_sub(before + round_trip / 2), Ordering::SeqCst);
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let now = (self.since_boot)().saturating_add(self.ahead.load(Ordering::SeqCst));
        Timestamp::from_micros(now.max(self.last.fetch_max(now, Ordering::SeqCst)))
    }
}

fn since_boot() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn f23_time_is_the_databases_and_never_goes_backwards() {
        let boot = Arc::new(AtomicI64::new(1_000_000));
        let clock = {
            let boot = Arc::clone(&boot);
            DatabaseClock::with(Box::new(move || boot.load(Ordering::SeqCst)))
        };
        clock.learn(1_000_000, 1_000_200, 5_000_000_100);
        boot.store(2_000_000, Ordering::SeqCst);
        assert_eq!(clock.now().micros(), 5_001_000_000);
        // A slow answer right after a quick one tells nothing.
        clock.learn(2_000_000, 2_900_000, 9_000_000_000);
        assert_eq!(clock.now().micros(), 5_001_000_000);
        // Another database, an hour behind: what was told stands until that one has come there.
        boot.store(60_000_000, Ordering::SeqCst);
        let told = clock.now();
        clock.learn(60_000_000, 60_000_400, 1_459_000_200);
        assert_eq!(clock.now(), told);
        boot.store(5_000_000_000, Ordering::SeqCst);
        assert_eq!(clock.now().micros(), 5_000_000_000 - 60_000_000 + 1_459_000_000);
    }
}
