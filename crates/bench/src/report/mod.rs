//! What was measured, as a table for people and as JSON for everything else.

mod budget;
mod machine;
mod round;
mod series;
mod spread;

use std::path::Path;

use serde::Serialize;
use serde_json::json;

pub(crate) use round::{Round, Unit, percentile};
use series::{COLUMNS, Series};
pub(crate) use spread::{Comparison, Spread};

use crate::Result;

/// Whose numbers these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    Cacheroach,
    Nginx,
    Minio,
    /// The bare engine below cacheroach, in this process.
    Sqlite,
    /// The same of PostgreSQL.
    Postgres,
}

impl Peer {
    pub(crate) const OTHERS: [Self; 2] = [Self::Nginx, Self::Minio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cacheroach => "cacheroach",
            Self::Nginx => "nginx",
            Self::Minio => "minio",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// To others.
type Ratios = [(Peer, Option<Comparison>)];

/// Everything one run found out.
pub(crate) struct Report {
    machine: serde_json::Value,
    versions: serde_json::Map<String, serde_json::Value>,
    notes: Vec<String>,
    series: Vec<Series>,
}

impl Report {
    pub(crate) fn new(server: &Path, engine: &str) -> Result<Self> {
        let mut versions = serde_json::Map::new();
        versions.insert("cacheroach".to_owned(), machine::version(server).into());
        versions.insert("engine".to_owned(), engine.into());
        Ok(Self { machine: machine::machine()?, versions, notes: Vec::new(), series: Vec::new() })
    }

    pub(crate) fn peer_version(&mut self, peer: Peer, version: String) {
        self.versions.insert(peer.name().to_owned(), version.into());
    }

    /// Something the reader of the table must know; said once.
    pub(crate) fn note(&mut self, note: &str) {
        if self.notes.iter().all(|known| known != note) {
            eprintln!("{note}");
            self.notes.push(note.to_owned());
        }
    }

    pub(crate) fn add(&mut self, case: &'static str, peer: Peer, unit: Unit, round: Round) {
        let known = self.series.iter_mut().find(|series| series.case == case && series.peer == peer);
        if let Some(series) = known {
            series.rounds.push(round);
        } else {
            self.series.push(Series { case, peer, unit, rounds: vec![round] });
        }
    }

    fn find(&self, case: &str, peer: Peer) -> Option<&Series> {
        self.series.iter().find(|series| series.case == case && series.peer == peer)
    }

    /// A case of ours, or of what is below.
    fn find_own(&self, case: &str) -> Option<&Series> {
        let peers = [Peer::Cacheroach, Peer::Sqlite, Peer::Postgres];
        peers.into_iter().find_map(|peer| self.find(case, peer))
    }

    fn ratios(&self, series: &Series) -> [(Peer, Option<Comparison>); 2] {
        Peer::OTHERS.map(|peer| {
            let theirs = self.find(series.case, peer).filter(|_| series.peer == Peer::Cacheroach);
            (peer, theirs.map(|theirs| series.ratio(theirs)))
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
        let find = |case: &str| self.find_own(case);
        rows.extend(self.series.iter().map(|series| series.row(&self.ratios(series), find)));
        let mut text = String::new();
        for (name, value) in self.machine.as_object().into_iter().flatten().chain(&self.versions) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push('\n');
        text.push_str(&aligned(&rows));
        text.push_str("\nMedian over the rounds (min–max). Compare within this run only.\n");
        text.push_str("~: spread wider than the difference.\n");
        for note in &self.notes {
            text.push_str(&format!("Note: {note}.\n"));
        }
        text
    }

    pub(crate) fn json(&self) -> Result<String> {
        let find = |case: &str| self.find_own(case);
        let results: Vec<_> =
            self.series.iter().map(|series| series.json(&self.ratios(series), find)).collect();
        let all = json!({
            "command": std::env::args().collect::<Vec<_>>(),
            "machine": self.machine,
            "versions": self.versions,
            "notes": self.notes,
            "results": results,
        });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

/// Columns at least two spaces apart, no blanks at the end of a line. A column with nothing in it is left out.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let is_used = |column: usize| {
        let cells = rows.iter().skip(1).filter_map(|row| row.get(column));
        cells.clone().next().is_none() || cells.clone().any(|cell| cell != "-")
    };
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(|column| is_used(column).then(|| width(column))).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            if let Some(width) = *width {
                line.push_str(&format!("{cell:width$}  "));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "b"], ["long", "–"], ["x", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "a     b\nlong  –\nx\n");
    }

    #[test]
    fn columns_of_nothing_are_left_out() {
        let rows = [["a", "b", "c"], ["1", "-", "2"], ["1", "-", "-"]];
        assert_eq!(aligned(&rows.map(|row| row.map(str::to_owned).to_vec())), "a  c\n1  2\n1  -\n");
    }
}
