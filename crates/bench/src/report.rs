//! What was measured, as a table for people and as JSON for everything else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::Result;
use crate::load::Outcome;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// Whose numbers these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    Cacheroach,
    Nginx,
    Minio,
}

impl Peer {
    pub(crate) const OTHERS: [Self; 2] = [Self::Nginx, Self::Minio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cacheroach => "cacheroach",
            Self::Nginx => "nginx",
            Self::Minio => "minio",
        }
    }
}

/// What a case's cost is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Requests; CPU per 10,000 of them.
    Requests,
    /// Bytes of bodies; CPU per GiB.
    Bytes,
    /// One start of a server.
    Start,
}

/// One case, once, for one peer.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(crate) body_bytes: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
    written_bytes: u64,
    peak_bytes: u64,
    p50_seconds: f64,
    p99_seconds: f64,
}

impl Round {
    pub(crate) fn new(outcome: &Outcome, cpu: Duration, written_bytes: u64, peak_bytes: u64) -> Self {
        Self {
            operations: outcome.latencies.len() as u64,
            body_bytes: outcome.body_bytes,
            wall_seconds: outcome.wall.as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
            written_bytes,
            peak_bytes,
            p50_seconds: percentile(&outcome.latencies, 50),
            p99_seconds: percentile(&outcome.latencies, 99),
        }
    }

    /// One more part of the same work; latencies are those of the slowest part.
    pub(crate) fn append(&mut self, part: &Self) {
        self.operations += part.operations;
        self.body_bytes += part.body_bytes;
        self.wall_seconds += part.wall_seconds;
        self.cpu_seconds += part.cpu_seconds;
        self.written_bytes += part.written_bytes;
        self.peak_bytes = self.peak_bytes.max(part.peak_bytes);
        self.p50_seconds = self.p50_seconds.max(part.p50_seconds);
        self.p99_seconds = self.p99_seconds.max(part.p99_seconds);
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.wall_seconds
    }

    fn throughput(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Requests | Unit::Start => self.rate(),
            Unit::Bytes => self.body_bytes as f64 / 1e6 / self.wall_seconds,
        }
    }

    /// CPU seconds per unit of work.
    fn cost(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Requests => self.cpu_seconds / (self.operations as f64 / 10_000.0),
            Unit::Bytes => self.cpu_seconds / (self.body_bytes as f64 / GIB),
            Unit::Start => self.cpu_seconds,
        }
    }
}

/// Of values in ascending order.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).map_or(0.0, Duration::as_secs_f64)
}

/// A value over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        let median =
            values.get(low).zip(values.get(high)).map_or(0.0, |(low, high)| f64::midpoint(*low, *high));
        Self { median, min, max }
    }

    fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    fn scaled(self, by: f64) -> Self {
        Self { median: self.median * by, min: self.min * by, max: self.max * by }
    }

    fn shown(self) -> String {
        let (min, max) = (number(self.min), number(self.max));
        if min == max { number(self.median) } else { format!("{} ({min}–{max})", number(self.median)) }
    }
}

/// About three digits that mean something.
fn number(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// CPU of cacheroach over that of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Ratio {
    /// `None`: the spread is wider than the difference, and which is cheaper was not found out.
    ratio: Option<f64>,
    min: f64,
    max: f64,
}

impl Ratio {
    fn of(ours: &Series, theirs: &Series) -> Self {
        // A single round has no spread to judge by.
        let judged = ours.rounds.len() > 1 && theirs.rounds.len() > 1;
        let (ours, theirs) = (ours.cost(), theirs.cost());
        let ratio = (judged && !ours.overlaps(theirs)).then(|| ours.median / theirs.median);
        Self { ratio, min: ours.min / theirs.max, max: ours.max / theirs.min }
    }

    fn shown(self) -> String {
        let median = self.ratio.map_or("~".to_owned(), number);
        format!("{median} ({}–{})", number(self.min), number(self.max))
    }
}

struct Series {
    case: &'static str,
    peer: Peer,
    unit: Unit,
    rounds: Vec<Round>,
}

impl Series {
    fn spread(&self, value: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(value))
    }

    fn cost(&self) -> Spread {
        self.spread(|round| round.cost(self.unit))
    }

    fn throughput(&self) -> Spread {
        self.spread(|round| round.throughput(self.unit))
    }

    fn written_per_operation(&self) -> Spread {
        self.spread(|round| round.written_bytes as f64 / round.operations as f64)
    }

    /// In milliseconds; of a single operation it would only repeat the wall time.
    fn latency(&self, value: impl Fn(&Round) -> f64) -> String {
        if self.unit == Unit::Start { "-".to_owned() } else { self.spread(value).scaled(1000.0).shown() }
    }

    /// What we promised ourselves; the absolute ones are for two shared cores.
    fn budget(&self) -> &'static str {
        match (self.peer, self.case) {
            (Peer::Cacheroach, "get-4k") => "at most 1.00 of nginx, 0.10 of MinIO",
            (Peer::Cacheroach, "get-64m") => "at most 1.25 of nginx, 0.40 of MinIO",
            (Peer::Cacheroach, "put-4k") => "at least 10000 req/s, at most 0.05 of MinIO",
            (Peer::Cacheroach, "put-64m") => "at most 0.60 of MinIO",
            (Peer::Cacheroach, "list-1000") => "milliseconds a page",
            (Peer::Cacheroach, "start-empty") => "below 0.3 s",
            (Peer::Cacheroach, "start-full") => "below 1 s at 1000000 files",
            _ => "",
        }
    }

    fn row(&self, ratios: &Ratios) -> Vec<String> {
        let (cost, rate) = match self.unit {
            Unit::Requests => ("per 10k", Some("req/s")),
            Unit::Bytes => ("per GiB", Some("MB/s")),
            Unit::Start => ("per start", None),
        };
        let operations = self.rounds.first().map_or(0, |round| round.operations);
        let written = self.written_per_operation().scaled(1.0 / 1024.0);
        vec![
            self.case.to_owned(),
            self.peer.name().to_owned(),
            operations.to_string(),
            self.spread(|round| round.wall_seconds).shown(),
            rate.map_or("-".to_owned(), |unit| format!("{} {unit}", self.throughput().shown())),
            format!("{} {cost}", self.cost().shown()),
            if written.max == 0.0 { "-".to_owned() } else { written.shown() },
            self.latency(|round| round.p50_seconds),
            self.latency(|round| round.p99_seconds),
            number(self.spread(|round| round.peak_bytes as f64 / MIB).max),
        ]
        .into_iter()
        .chain(ratios.iter().map(|(_, ratio)| ratio.map_or("-".to_owned(), Ratio::shown)))
        .chain([self.budget().to_owned()])
        .collect()
    }

    fn json(&self, ratios: &Ratios) -> serde_json::Value {
        json!({
            "case": self.case,
            "peer": self.peer,
            "unit": self.unit,
            "wall_seconds": self.spread(|round| round.wall_seconds),
            // Requests a second, or MB/s where the unit is bytes.
            "rate": self.throughput(),
            // Seconds per 10,000 requests, per GiB, or per start.
            "cpu": self.cost(),
            "written_per_operation": self.written_per_operation(),
            "cpu_ratios": ratios.iter().map(|(peer, ratio)| (peer.name(), ratio)).collect::<BTreeMap<_, _>>(),
            "rounds": self.rounds,
        })
    }
}

/// To each of the others.
type Ratios = [(Peer, Option<Ratio>); 2];

const COLUMNS: [&str; 13] = [
    "case",
    "peer",
    "ops",
    "wall s",
    "rate",
    "CPU s",
    "written KiB/op",
    "p50 ms",
    "p99 ms",
    "peak MiB",
    "CPU, to nginx",
    "CPU, to minio",
    "budget",
];

/// Everything one run found out.
pub(crate) struct Report {
    machine: serde_json::Value,
    versions: serde_json::Map<String, serde_json::Value>,
    notes: Vec<String>,
    series: Vec<Series>,
}

impl Report {
    pub(crate) fn new(server: &Path) -> Result<Self> {
        let mut versions = serde_json::Map::new();
        versions.insert("cacheroach".to_owned(), version(server).into());
        Ok(Self { machine: machine()?, versions, notes: Vec::new(), series: Vec::new() })
    }

    pub(crate) fn peer_version(&mut self, peer: Peer, version: String) {
        self.versions.insert(peer.name().to_owned(), version.into());
    }

    /// Something the reader of the table must know.
    pub(crate) fn note(&mut self, note: &str) {
        eprintln!("{note}");
        self.notes.push(note.to_owned());
    }

    pub(crate) fn add(&mut self, case: &'static str, peer: Peer, unit: Unit, round: Round) {
        let known = self.series.iter_mut().find(|series| series.case == case && series.peer == peer);
        if let Some(series) = known {
            series.rounds.push(round);
        } else {
            self.series.push(Series { case, peer, unit, rounds: vec![round] });
        }
    }

    fn ratios(&self, series: &Series) -> Ratios {
        Peer::OTHERS.map(|peer| {
            let theirs = self.series.iter().find(|other| other.case == series.case && other.peer == peer);
            let ours = theirs.filter(|_| series.peer == Peer::Cacheroach);
            (peer, ours.map(|theirs| Ratio::of(series, theirs)))
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
        rows.extend(self.series.iter().map(|series| series.row(&self.ratios(series))));
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
        let results: Vec<_> = self.series.iter().map(|series| series.json(&self.ratios(series))).collect();
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

/// Columns at least two spaces apart, no blanks at the end of a line.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn machine() -> Result<serde_json::Value> {
    let first_line = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Ok(json!({
        "cores": std::thread::available_parallelism()?.get(),
        "cpu": model.map_or("unknown", |(_, name)| name.trim()),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "load before": first_line("/proc/loadavg"),
        "stores on": file_system(&std::env::temp_dir().canonicalize()?, &fs::read_to_string("/proc/self/mountinfo")?),
    }))
}

/// The type of the file system a folder is on: memory would make every write look cheap.
fn file_system(folder: &Path, mounts: &str) -> String {
    let mut found = (0, "unknown");
    for mount in mounts.lines() {
        let Some((before, after)) = mount.split_once(" - ") else { continue };
        let point = before.split(' ').nth(4).unwrap_or_default();
        // Of two mounts on one point the later one is seen.
        if folder.starts_with(point) && point.len() >= found.0 {
            found = (point.len(), after.split(' ').next().unwrap_or_default());
        }
    }
    found.1.to_owned()
}

/// The version of the source and, where git knows it, the commit.
fn version(server: &Path) -> String {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let commit = git.output().ok().filter(|output| output.status.success());
    let commit = commit.map_or_else(String::new, |output| {
        format!(", source at {}", String::from_utf8_lossy(&output.stdout).trim())
    });
    let bytes = fs::metadata(server).map_or(0, |file| file.len());
    format!("{} ({bytes} bytes{commit})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Spread {
        Spread::of(values.iter().copied())
    }

    /// Rounds with these CPU seconds for 10,000 requests.
    fn series(seconds: &[f64]) -> Series {
        let round = |cpu: &f64| Round { operations: 10_000, cpu_seconds: *cpu, ..Round::default() };
        let rounds = seconds.iter().map(round).collect();
        Series { case: "get-4k", peer: Peer::Cacheroach, unit: Unit::Requests, rounds }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0]).median, 2.5);
        assert_eq!(spread(&[]).median, 0.0);
    }

    #[test]
    fn no_ratio_is_claimed_when_the_spread_is_wider_than_the_difference() {
        let theirs = series(&[2.0, 2.2, 2.4]);
        assert_eq!(Ratio::of(&series(&[1.0, 1.1, 1.2]), &theirs).ratio, Some(0.5));
        assert_eq!(Ratio::of(&series(&[1.0]), &theirs).ratio, None);
        let unclear = Ratio::of(&series(&[1.0, 1.1, 2.1]), &theirs);
        assert_eq!(unclear.ratio, None);
        assert!(unclear.shown().starts_with("~ ("), "{}", unclear.shown());
    }

    #[test]
    fn cost_is_per_unit() {
        let round = Round { operations: 20_000, body_bytes: 1 << 31, cpu_seconds: 3.0, ..Round::default() };
        assert_eq!(round.cost(Unit::Requests), 1.5);
        assert_eq!(round.cost(Unit::Bytes), 1.5);
        assert_eq!(round.cost(Unit::Start), 3.0);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let shown: Vec<_> = [0.0, 0.1234, 1.234, 12.34, 123.4, 12345.6].map(number).into();
        assert_eq!(shown, ["0", "0.123", "1.23", "12.3", "123", "12346"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "b"], ["long", "–"], ["x", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "a     b\nlong  –\nx\n");
    }

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:1 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(Path::new("/tmp/x"), mounts), "tmpfs");
        assert_eq!(file_system(Path::new("/tmpx"), mounts), "ext4");
    }
}
