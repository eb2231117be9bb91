//! A case of a peer over the rounds, as a row of the table.

use std::collections::BTreeMap;

use serde_json::json;

use super::budget::{Beside, beside, budget};
use super::round::{Round, Unit};
use super::spread::{Comparison, Spread, number};
use super::{Peer, Ratios};

const MIB: f64 = 1024.0 * 1024.0;

pub(super) const COLUMNS: [&str; 17] = [
    "case",
    "peer",
    "ops",
    "wall s",
    "rate",
    "CPU s",
    "database CPU s",
    "round trips/op",
    "written KiB/op",
    "written/byte",
    "p50 ms",
    "p99 ms",
    "peak MiB",
    "CPU, to nginx",
    "CPU, to minio",
    "CPU, to our own",
    "budget",
];

/// Rounds of one case and peer.
pub(super) struct Series {
    pub(super) case: &'static str,
    pub(super) peer: Peer,
    pub(super) unit: Unit,
    pub(super) rounds: Vec<Round>,
}

impl Series {
    fn spread(&self, value: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(value))
    }

    fn cost(&self) -> Spread {
        self.spread(|round| round.cost(self.unit))
    }

    fn database_cost(&self) -> Option<Spread> {
        let costs: Vec<_> = self.rounds.iter().filter_map(|round| round.database_cost(self.unit)).collect();
        (!costs.is_empty()).then(|| Spread::of(costs.into_iter()))
    }

    fn round_trips(&self) -> Option<Spread> {
        let trips: Vec<_> = self.rounds.iter().filter_map(|round| round.round_trips).collect();
        (!trips.is_empty()).then(|| Spread::of(trips.into_iter()))
    }

    /// With the database's.
    fn whole_cost(&self) -> Spread {
        self.spread(|round| round.cost(self.unit) + round.database_cost(self.unit).unwrap_or_default())
    }

    fn throughput(&self) -> Spread {
        self.spread(|round| round.throughput(self.unit))
    }

    fn written_per_operation(&self) -> Spread {
        self.spread(|round| round.written_bytes as f64 / round.operations as f64)
    }

    /// Of cases that write bodies, which are those that say so in their name.
    fn written_per_byte(&self) -> Option<Spread> {
        let writes = self.case.starts_with("put-");
        writes.then(|| self.spread(|round| round.written_bytes as f64 / round.body_bytes as f64))
    }

    /// In milliseconds; of a single operation it would only repeat the wall time.
    fn latency(&self, value: impl Fn(&Round) -> f64) -> String {
        if self.unit == Unit::Start { none() } else { self.spread(value).scaled(1000.0).shown() }
    }

    pub(super) fn ratio(&self, theirs: &Self) -> Comparison {
        Comparison::ratio(self.cost(), theirs.cost(), self.is_judged(theirs))
    }

    fn is_judged(&self, other: &Self) -> bool {
        self.rounds.len() > 1 && other.rounds.len() > 1
    }

    /// To another case of ours, if that was measured too.
    fn own<'a>(&self, find: impl Fn(&str) -> Option<&'a Self>) -> Option<String> {
        match beside(self.case).filter(|_| self.peer == Peer::Cacheroach)? {
            Beside::Times(case) => Some(format!("{} of {case}", self.ratio(find(case)?).shown())),
            Beside::TimesBoth(case) => {
                let theirs = find(case)?;
                let judged = self.is_judged(theirs);
                let ratio = Comparison::ratio(self.whole_cost(), theirs.whole_cost(), judged);
                Some(format!("{} of {case}, with the database", ratio.shown()))
            }
            Beside::More(case) => {
                let theirs = find(case)?;
                // Seconds per 10,000 are hundreds of microseconds each.
                let (ours, judged) = (self.cost().scaled(100.0), self.is_judged(theirs));
                let more = Comparison::difference(ours, theirs.cost().scaled(100.0), judged);
                Some(format!("{} us more than {case}", more.shown()))
            }
        }
    }

    /// `find` answers other cases of ours.
    pub(super) fn row<'a>(&self, ratios: &Ratios, find: impl Fn(&str) -> Option<&'a Self>) -> Vec<String> {
        let (cost, rate) = match self.unit {
            Unit::Requests => ("per 10k", Some("req/s")),
            Unit::Bytes => ("per GiB", Some("MB/s")),
            Unit::Start => ("per start", None),
        };
        let operations = self.rounds.first().map_or(0, |round| round.operations);
        let written = self.written_per_operation().scaled(1.0 / 1024.0);
        let budget = if self.peer == Peer::Cacheroach { budget(self.case) } else { "" };
        vec![
            self.case.to_owned(),
            self.peer.name().to_owned(),
            operations.to_string(),
            self.spread(|round| round.wall_seconds).shown(),
            rate.map_or_else(none, |unit| format!("{} {unit}", self.throughput().shown())),
            format!("{} {cost}", self.cost().shown()),
            self.database_cost().map_or_else(none, |spread| format!("{} {cost}", spread.shown())),
            self.round_trips().map_or_else(none, Spread::shown),
            if written.max == 0.0 { none() } else { written.shown() },
            self.written_per_byte().map_or_else(none, Spread::shown),
            self.latency(|round| round.p50_seconds),
            self.latency(|round| round.p99_seconds),
            number(self.spread(|round| round.peak_bytes as f64 / MIB).max),
        ]
        .into_iter()
        .chain(ratios.iter().map(|(_, ratio)| ratio.map_or_else(none, Comparison::shown)))
        .chain([self.own(find).unwrap_or_else(none), budget.to_owned()])
        .collect()
    }

    pub(super) fn json<'a>(
        &self,
        ratios: &Ratios,
        find: impl Fn(&str) -> Option<&'a Self>,
    ) -> serde_json::Value {
        json!({
            "case": self.case,
            "peer": self.peer,
            "unit": self.unit,
            "wall_seconds": self.spread(|round| round.wall_seconds),
            // Requests a second, or MB/s where the unit is bytes.
            "rate": self.throughput(),
            // Seconds per 10,000 requests, per GiB, or per start.
            "cpu": self.cost(),
            "database_cpu": self.database_cost(),
            "round_trips_per_operation": self.round_trips(),
            "written_per_operation": self.written_per_operation(),
            "written_per_byte": self.written_per_byte(),
            "cpu_ratios": ratios.iter().map(|(peer, ratio)| (peer.name(), ratio)).collect::<BTreeMap<_, _>>(),
            "cpu_to_our_own": self.own(find),
            "budget": budget(self.case),
            "rounds": self.rounds,
        })
    }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(case: &'static str, peer: Peer, costs: &[f64]) -> Series {
        let round = |cost: &f64| Round {
            operations: 10_000,
            body_bytes: 10_000,
            wall_seconds: 1.0,
            cpu_seconds: *cost,
            written_bytes: 20_000,
            ..Round::default()
        };
        Series { case, peer, unit: Unit::Requests, rounds: costs.iter().map(round).collect() }
    }

    #[test]
    fn a_case_is_held_against_another_of_ours() {
        let hot = series("get-4k", Peer::Cacheroach, &[0.10, 0.12]);
        let find = |case: &str| (case == "get-4k").then_some(&hot);
        let signed = series("get-signed", Peer::Cacheroach, &[0.22, 0.22]);
        assert_eq!(signed.own(find).unwrap(), "2.00 (1.83–2.20) of get-4k");
        let check = series("check-plain", Peer::Cacheroach, &[0.14, 0.14]);
        assert_eq!(check.own(find).unwrap(), "3.00 (2.00–4.00) us more than get-4k");
        assert_eq!(series("get-signed", Peer::Minio, &[1.0]).own(find), None);
        let with = |mut series: Series, seconds| {
            series.rounds.iter_mut().for_each(|round| round.database_cpu_seconds = Some(seconds));
            series
        };
        let bare = with(series("insert-bare", Peer::Postgres, &[0.5, 0.5]), 1.5);
        let find = |case: &str| (case == "insert-bare").then_some(&bare);
        let chunk = with(series("insert-chunk", Peer::Cacheroach, &[1.0, 1.0]), 2.0);
        assert_eq!(chunk.own(find).unwrap(), "1.50 (1.50–1.50) of insert-bare, with the database");
        assert_eq!(series("put-same", Peer::Cacheroach, &[1.0]).own(find), None);
    }

    #[test]
    fn bytes_written_are_counted_where_bodies_are_written() {
        let written = |case| series(case, Peer::Cacheroach, &[1.0]).written_per_byte();
        assert_eq!(written("put-4k").map(|spread| spread.median), Some(2.0));
        assert_eq!(written("get-4k"), None);
        let row = series("put-4k", Peer::Cacheroach, &[1.0]).row(&[], |_| None);
        assert_eq!(row.len() + Peer::OTHERS.len(), COLUMNS.len());
    }
}
