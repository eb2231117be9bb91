//! Load generator and comparison runs: `cargo xtask bench`.
//!
//! One run measures cacheroach and its peer on the same machine, the same files and the same minutes, round by
//! round in turns, since numbers of different runs cannot be compared. What costs the server is read from the
//! kernel, so the load generator may share the machine.

mod cases;
mod growth;
mod load;
mod minio;
mod report;
mod servers;

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::cases::Case;
use crate::report::Peer;

/// Whatever stops a run: there is nobody here who would act on its kind.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

const HELP: &str = "\
Measures cacheroach, and beside it nginx and MinIO doing the same work.

Usage: cargo xtask bench growth ... (see cargo xtask bench growth --help)
       cargo xtask bench [--case NAME...] [--peer nginx,minio|none] [--rounds N] [--files N] [--json FILE] [--server FILE]

  --case NAME...   only these (default: all): get-4k get-64m put-4k put-64m list-1000 start
  --peer NAMES     nginx, minio (default: both, where they are) or none; nginx for the cases that read
  --rounds N       how often each case is measured (default 5)
  --files N        size of the store behind list-1000 and start, a multiple of 1000 (default 1000000)
  --json FILE      write everything measured there, too
  --server FILE    the cacheroach to measure (default: the one built beside this program)

Stores live in TMPDIR: choose a real disk. Numbers of one run may be compared with each other, and with nothing else.
";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Options {
    cases: Vec<Case>,
    peers: Vec<Peer>,
    rounds: u64,
    files: u64,
    json: Option<PathBuf>,
    server: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cases: Case::ALL.to_vec(),
            peers: Peer::OTHERS.to_vec(),
            rounds: 5,
            files: 1_000_000,
            json: None,
            server: None,
        }
    }
}

impl Options {
    /// `None` asks for the help text.
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self::default();
        let mut chosen = Vec::new();
        let mut arguments = arguments.into_iter().peekable();
        while let Some(flag) = arguments.next() {
            if matches!(flag.as_str(), "-h" | "--help" | "help") {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value, see --help"))?;
            match flag.as_str() {
                "--case" => {
                    chosen.push(Case::named(&value)?);
                    while let Some(name) = arguments.next_if(|next| !next.starts_with('-')) {
                        chosen.push(Case::named(&name)?);
                    }
                }
                "--peer" => options.peers = peers(&value)?,
                "--rounds" => options.rounds = value.parse()?,
                "--files" => options.files = value.parse()?,
                "--json" => options.json = Some(value.into()),
                "--server" => options.server = Some(value.into()),
                _ => return Err(format!("unknown argument {flag}, see --help").into()),
            }
        }
        if !chosen.is_empty() {
            options.cases.retain(|case| chosen.contains(case));
        }
        if options.rounds == 0 {
            return Err("--rounds must be at least 1".into());
        }
        if options.files == 0 || options.files % cases::NAMES_PER_DIRECTORY != 0 {
            return Err(format!("--files must be a multiple of {}", cases::NAMES_PER_DIRECTORY).into());
        }
        Ok(Some(options))
    }
}

fn peers(names: &str) -> Result<Vec<Peer>> {
    if names == "none" {
        return Ok(Vec::new());
    }
    let named = |name: &str| Peer::OTHERS.into_iter().find(|peer| peer.name() == name);
    let peers = names
        .split(',')
        .map(|name| named(name).ok_or_else(|| format!("unknown peer {name}: nginx, minio or none").into()));
    peers.collect()
}

/// Until someone wants the run to end: then the servers are still stopped, by being dropped.
async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err("interrupted".into())
}

async fn run(options: Options) -> Result<()> {
    let json = options.json.clone();
    let report = cases::run(options).await?;
    print!("\n{}", report.table());
    if let Some(file) = json {
        std::fs::write(&file, report.json()?).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// What the command line asks for, done; or the help text.
async fn obey(mut arguments: std::iter::Peekable<impl Iterator<Item = String>>) -> Result<()> {
    if arguments.next_if(|word| word == "growth").is_some() {
        return match growth::Options::parse(arguments)? {
            Some(options) => growth::run(options).await,
            None => help(growth::HELP),
        };
    }
    match Options::parse(arguments)? {
        Some(options) => run(options).await,
        None => help(HELP),
    }
}

fn help(text: &str) -> Result<()> {
    print!("{text}");
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = Box::pin(obey(std::env::args().skip(1).peekable())) => outcome,
        outcome = interrupted() => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        let options = parse("").unwrap().unwrap();
        assert_eq!(options.cases, Case::ALL);
        assert_eq!(options.files, 1_000_000);
        assert_eq!(options.peers, Peer::OTHERS);
    }

    #[test]
    fn cases_may_be_listed_and_repeated() {
        let options = parse("--case start get-4k --rounds 2 --case put-4k --peer none").unwrap().unwrap();
        assert_eq!(options.cases, [Case::Get4k, Case::Put4k, Case::Start]);
        assert_eq!(options.rounds, 2);
        assert!(options.peers.is_empty());
        assert_eq!(parse("--peer minio").unwrap().unwrap().peers, [Peer::Minio]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in
            ["--case", "--case get-5k", "--rounds 0", "--files 1500", "--files 0", "--peer iis", "--what 1"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_is_not_a_run() {
        assert_eq!(parse("--rounds 3 --help").unwrap(), None);
    }
}
