//! One case, once, for one peer.

use std::time::Duration;

use serde::Serialize;

use crate::load::Outcome;
use crate::servers::Usage;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a case's cost is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Requests; CPU per 10,000 of them.
    Requests,
    /// Bytes of bodies; CPU per GiB.
    Bytes,
    /// One start of a server, and what comes after it.
    Start,
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(super) body_bytes: u64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    /// Of the database's processes, where it is a program of its own; not among the server's.
    pub(super) database_cpu_seconds: Option<f64>,
    /// By the server and its database.
    pub(super) written_bytes: u64,
    pub(super) peak_bytes: u64,
    pub(super) p50_seconds: f64,
    pub(super) p99_seconds: f64,
    /// To the database and back, for each operation; where they are counted.
    pub(crate) round_trips: Option<f64>,
}

impl Round {
    pub(crate) fn new(outcome: &Outcome, usage: Usage, database: Option<Usage>, peak_bytes: u64) -> Self {
        Self {
            operations: outcome.latencies.len() as u64,
            body_bytes: outcome.body_bytes,
            wall_seconds: outcome.wall.as_secs_f64(),
            cpu_seconds: usage.cpu.as_secs_f64(),
            database_cpu_seconds: database.map(|usage| usage.cpu.as_secs_f64()),
            written_bytes: usage.written + database.map_or(0, |usage| usage.written),
            peak_bytes,
            p50_seconds: percentile(&outcome.latencies, 50),
            p99_seconds: percentile(&outcome.latencies, 99),
            round_trips: None,
        }
    }

    /// One more part of the same work; latencies are those of the slowest part.
    pub(crate) fn append(&mut self, part: &Self) {
        self.operations += part.operations;
        self.body_bytes += part.body_bytes;
        self.wall_seconds += part.wall_seconds;
        self.cpu_seconds += part.cpu_seconds;
        if let Some(seconds) = part.database_cpu_seconds {
            *self.database_cpu_seconds.get_or_insert(0.0) += seconds;
        }
        self.written_bytes += part.written_bytes;
        self.peak_bytes = self.peak_bytes.max(part.peak_bytes);
        self.p50_seconds = self.p50_seconds.max(part.p50_seconds);
        self.p99_seconds = self.p99_seconds.max(part.p99_seconds);
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.wall_seconds
    }

    pub(super) fn throughput(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Requests | Unit::Start => self.rate(),
            Unit::Bytes => self.body_bytes as f64 / 1e6 / self.wall_seconds,
        }
    }

    /// CPU seconds of the server per unit of work.
    pub(super) fn cost(&self, unit: Unit) -> f64 {
        self.cpu_seconds / self.units(unit)
    }

    pub(super) fn database_cost(&self, unit: Unit) -> Option<f64> {
        self.database_cpu_seconds.map(|seconds| seconds / self.units(unit))
    }

    fn units(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Requests => self.operations as f64 / 10_000.0,
            Unit::Bytes => self.body_bytes as f64 / GIB,
            Unit::Start => 1.0,
        }
    }
}

/// Of values in ascending order.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_per_unit() {
        let round = Round { operations: 20_000, body_bytes: 1 << 31, cpu_seconds: 3.0, ..Round::default() };
        assert_eq!(round.cost(Unit::Requests), 1.5);
        assert_eq!(round.cost(Unit::Bytes), 1.5);
        assert_eq!(round.cost(Unit::Start), 3.0);
        assert_eq!(round.database_cost(Unit::Start), None);
    }

    #[test]
    fn what_a_database_costs_is_kept_apart_and_what_it_writes_is_not() {
        let usage = |seconds, written| Usage { cpu: Duration::from_secs(seconds), written };
        let outcome = Outcome { latencies: vec![Duration::ZERO; 10_000], ..Outcome::default() };
        let mut round = Round::new(&outcome, usage(1, 10), Some(usage(2, 5)), 0);
        assert_eq!((round.cost(Unit::Requests), round.database_cost(Unit::Requests)), (1.0, Some(2.0)));
        assert_eq!(round.written_bytes, 15);
        round.append(&round.clone());
        assert_eq!((round.cost(Unit::Requests), round.database_cost(Unit::Requests)), (1.0, Some(2.0)));
    }

    #[test]
    fn percentiles_are_of_what_is_there() {
        let seconds: Vec<_> = (1..=100).map(Duration::from_secs).collect();
        assert_eq!((percentile(&seconds, 50), percentile(&seconds, 99)), (50.0, 99.0));
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
