//! Whether a purge with much to do is noticed by those who read and write meanwhile (fault F34).

use std::time::Duration;

use crate::Result;
use crate::cases::{Full, directory};
use crate::load::{self, Amount, Ask, Asking, Content, Plan, Target};
use crate::options::check_files;
use crate::report::{Comparison, Spread, aligned, percentile};
use crate::servers::{Cacheroach, Engine, Store};

pub(crate) const HELP: &str = "\
Whether a purge with much to do is noticed by those who read and write meanwhile.

Usage: cargo xtask bench backlog [--files N] [--rounds N] [--seconds N] [--engine sqlite|postgres]

  --files N      small files to store and delete before, each with a chunk, a multiple of 1000 (default 1000000)
  --rounds N     how often it is measured with the purge and without, in turns (default 5)
  --seconds N    how long each of these turns lasts (default 8); versions go first, then ropes, then chunks, so that only
                 long turns see the last of them go
  --engine NAME  sqlite (default) or postgres
";

const KIB: usize = 1024;
/// Connections that read, and as many that write.
const CONNECTIONS: usize = 2;
const READ: u64 = 64;
/// Who deletes the directories.
const DELETERS: usize = 4;
const WARM_UP: Duration = Duration::from_secs(1);

/// A server that never purges, and one that does nothing else when it is let: all that is deleted is past its time.
const WITHOUT: &[&str] = &["--purgeLimit", "0"];
const WITH: &[&str] = &["--purgeDuration", "1ms", "--purgeInterval", "100ms"];

/// How much, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    files: u64,
    rounds: u64,
    turn: Duration,
    engine: Engine,
}

impl Options {
    /// `None` asks for the help text.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>> {
        let turn = Duration::from_secs(8);
        let mut options = Self { files: 1_000_000, rounds: 5, turn, engine: Engine::default() };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            if matches!(flag.as_str(), "-h" | "--help" | "help") {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value, see --help"))?;
            match flag.as_str() {
                "--files" => options.files = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                "--seconds" => options.turn = Duration::from_secs(value.parse()?),
                "--engine" => options.engine = Engine::named(&value)?,
                _ => return Err(format!("unknown argument {flag}, see --help").into()),
            }
        }
        check_files(options.files)?;
        if options.rounds == 0 || options.turn.is_zero() {
            return Err("--rounds and --seconds must be at least 1".into());
        }
        Ok(Some(options))
    }
}

/// What there is to purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Backlog {
    /// Of deleted files.
    versions: u64,
    /// That no file needs. Each file here has a content, and so a chunk, of its own.
    chunks: u64,
}

impl Backlog {
    fn of(store: &Store) -> Result<Self> {
        let stat = store.stat()?;
        let number = |name: &str| stat[name].as_u64().ok_or_else(|| format!("store stat has no {name}"));
        let files = number("files")?;
        Ok(Self {
            versions: number("versions")?.saturating_sub(files),
            chunks: number("chunks")?.saturating_sub(files),
        })
    }

    fn less(self, after: Self) -> Self {
        Self {
            versions: self.versions.saturating_sub(after.versions),
            chunks: self.chunks.saturating_sub(after.chunks),
        }
    }
}

/// How long those in the foreground waited, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Waits {
    p50: f64,
    p99: f64,
    rate: f64,
}

impl Waits {
    fn of(outcome: &load::Outcome) -> Self {
        let wait = |percent| percentile(&outcome.latencies, percent) * 1000.0;
        let rate = outcome.latencies.len() as f64 / outcome.wall.as_secs_f64();
        Self { p50: wait(50), p99: wait(99), rate }
    }

    fn cells(self) -> [String; 3] {
        [format!("{:.2}", self.p50), format!("{:.2}", self.p99), format!("{:.0}", self.rate)]
    }
}

fn read_path(index: u64) -> String {
    format!("/front/read/{:03}", index % READ)
}

/// A store with nothing but deleted files, and a few that are read.
async fn prepare(cacheroach: &Cacheroach, files: u64) -> Result<Store> {
    let (full, _) = Full::fill(cacheroach, files).await?;
    let server = full.store.start_with(WITHOUT).await?;
    let superuser = full.store.superuser(&server)?;
    let ask = |index| Ask::delete(format!("{}?recursive", directory(index)));
    let plan = Plan { connections: DELETERS, requests: full.directories, ask };
    let deleted = load::run(&superuser, plan).await?;
    eprintln!("deleted {files} files in {:.0} s", deleted.wall.as_secs_f64());
    let ask = |index| Ask::put(read_path(index), Content::new(1 << 62 | index, 4 * KIB));
    load::run(&superuser, Plan { connections: CONNECTIONS, requests: READ, ask }).await?;
    drop(server);
    Ok(full.store)
}

/// What readers and writers see of a server that is started like this.
async fn foreground(store: &Store, flags: &[&str], turn: u64, time: Duration) -> Result<(Waits, Waits)> {
    let server = store.start_with(flags).await?;
    let superuser = store.superuser(&server)?;
    let anonymous = Target::anonymous(server.address);
    let mut seen = None;
    for (part, time) in [WARM_UP, time].into_iter().enumerate() {
        let readers = Asking::clients(&anonymous, CONNECTIONS, |index| Ask::get(read_path(index))).await?;
        let write = move |index| {
            let path = format!("/front/write/{turn}-{part}/{index}");
            Ask::put(path, Content::new(1 << 61 | turn << 40 | (part as u64) << 32 | index, 4 * KIB))
        };
        let writers = Asking::clients(&superuser, CONNECTIONS, write).await?;
        let amount = Amount::Time(time);
        let (read, written) = futures::try_join!(load::drive(readers, amount), load::drive(writers, amount))?;
        seen = Some((Waits::of(&read), Waits::of(&written)));
    }
    seen.ok_or_else(|| "nothing was measured".into())
}

/// All turns, and what they said.
#[derive(Default)]
struct Turns {
    rows: Vec<Vec<String>>,
    /// p99 of reads and of writes, without a purge and with one.
    without: Vec<(f64, f64)>,
    with: Vec<(f64, f64)>,
}

impl Turns {
    fn add(
        &mut self,
        round: u64,
        purges: bool,
        (read, written): (Waits, Waits),
        gone: Backlog,
        left: Backlog,
    ) {
        let (kind, side) = if purges { ("at work", &mut self.with) } else { ("off", &mut self.without) };
        side.push((read.p99, written.p99));
        let mut row = vec![round.to_string(), kind.to_owned()];
        row.extend(read.cells().into_iter().chain(written.cells()));
        row.extend([gone.versions, gone.chunks, left.versions, left.chunks].map(|count| count.to_string()));
        self.rows.push(row);
    }

    fn table(&self) -> String {
        const COLUMNS: [&str; 12] = [
            "round",
            "purge",
            "GET p50 ms",
            "p99 ms",
            "req/s",
            "PUT p50 ms",
            "p99 ms",
            "req/s",
            "versions purged",
            "chunks purged",
            "versions left",
            "chunks left",
        ];
        let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().cloned());
        aligned(&rows)
    }

    /// Of reads or of writes.
    fn verdict(&self, name: &str, of: impl Fn(&(f64, f64)) -> f64) -> String {
        let spread = |side: &[(f64, f64)]| Spread::of(side.iter().map(&of));
        let (with, without) = (spread(&self.with), spread(&self.without));
        let ratio = Comparison::ratio(with, without, self.with.len() > 1 && self.without.len() > 1);
        let (with, without, ratio) = (with.shown(), without.shown(), ratio.shown());
        format!(
            "{name} p99: {with} ms with the purge at work, {without} ms without: {ratio} times; budget 2.00\n"
        )
    }
}

/// Fills, deletes, measures and prints.
pub(crate) async fn run(options: Options) -> Result<()> {
    let cacheroach = Cacheroach::find(None, options.engine)?;
    let store = prepare(&cacheroach, options.files).await?;
    let mut turns = Turns::default();
    let mut before = Backlog::of(&store)?;
    'rounds: for round in 0..options.rounds {
        // Who goes first changes, so that a machine growing slower or faster favours none.
        for purges in [round % 2 == 1, round % 2 == 0] {
            let flags = if purges { WITH } else { WITHOUT };
            let turn = 2 * round + u64::from(purges);
            let waits = foreground(&store, flags, turn, options.turn).await?;
            let left = Backlog::of(&store)?;
            let state = if purges { "at work" } else { "off" };
            eprintln!("round {} of {}, purge {state}: {left:?}", round + 1, options.rounds);
            // A purge that has nothing to do for a part of its turn measures nothing.
            if left.chunks == 0 {
                eprintln!("everything was purged: this round is left out, and what would come after it");
                break 'rounds;
            }
            let gone = before.less(left);
            // While ropes go, neither of the two becomes less.
            if purges && left.versions > 0 && gone.versions == 0 {
                return Err(format!("round {round}: the purge did nothing").into());
            }
            turns.add(round, purges, waits, gone, left);
            before = left;
        }
    }
    if turns.with.is_empty() {
        return Err(
            "the purge was done before its first turn was over: more --files, or fewer --seconds".into()
        );
    }
    println!("{} files deleted, engine {}\n", options.files, options.engine.name());
    print!("{}\n{}{}", turns.table(), turns.verdict("GET", |p99| p99.0), turns.verdict("PUT", |p99| p99.1));
    println!("\nMedian over the rounds (min–max). ~: spread wider than the difference.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_million_files_unless_told_otherwise() {
        let options = parse("").unwrap().unwrap();
        assert_eq!((options.files, options.rounds, options.engine), (1_000_000, 5, Engine::Sqlite));
        assert_eq!(parse("--files 2000 --rounds 1 --engine postgres").unwrap().unwrap().files, 2_000);
        assert_eq!(parse("--rounds 1 --help").unwrap(), None);
        for line in ["--files 5", "--files", "--rounds 0", "--seconds 0", "--engine x", "--what 1"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn f34_the_verdict_is_a_ratio_of_p99s_or_none() {
        let mut turns = Turns {
            without: vec![(1.0, 5.0), (1.2, 6.0)],
            with: vec![(2.0, 5.5), (2.2, 7.0)],
            ..Turns::default()
        };
        assert!(turns.verdict("GET", |p99| p99.0).contains(": 1.91 (1.67–2.20) times"));
        assert!(turns.verdict("PUT", |p99| p99.1).contains(": ~ ("));
        let (waits, some) = (Waits { p50: 1.0, p99: 2.0, rate: 3.0 }, Backlog { versions: 1, chunks: 2 });
        turns.add(0, true, (waits, waits), some, some);
        assert_eq!(turns.rows[0].len(), 12);
        assert_eq!(turns.with.len(), 3);
    }
}
