//! What the command line asks for.

use std::path::PathBuf;

use crate::Result;
use crate::cases::{Case, NAMES_PER_DIRECTORY};
use crate::report::Peer;
use crate::servers::Engine;

pub(crate) const HELP: &str = "\
Measures cacheroach, and beside it nginx and MinIO doing the same work. See docs/performance.md.

Usage: cargo xtask bench [--case NAME...] [--peer nginx,minio|none] [--engine sqlite|postgres] [--rounds N] [--files N]
                         [--json FILE] [--flame DIR] [--server FILE]
       cargo xtask bench growth ...  (see cargo xtask bench growth --help)
       cargo xtask bench backlog ... (see cargo xtask bench backlog --help)

  --case NAME...   only these (default: all):
                   get-4k get-256k get-64m range get-4k-h2 get-64m-h2 get-64m-cold get-signed check delegate
                   put-4k put-4k-1 put-64m put-64m-1 put-same delete
                   insert-chunk round-trips (these two only with --engine postgres)
                   list-1000 list-delimiter start memory-idle memory-slow
  --peer NAMES     nginx, minio (default: both, where they are) or none; nginx for the cases that read
  --engine NAME    what cacheroach keeps its rows in: sqlite (default) or postgres, which is started for the run
  --rounds N       how often each case is measured (default 5)
  --files N        size of the store behind list-1000, list-delimiter and start, a multiple of 1000 (default 1000000)
  --json FILE      write everything measured there, too
  --flame DIR      record cacheroach once in each case by perf: CASE.svg, and CASE.folded for other tools
  --server FILE    the cacheroach to measure (default: the one built beside this program)

Stores live in TMPDIR: choose a real disk. Numbers of one run may be compared with each other, and with nothing else.
";

/// Cases, and how to measure them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) cases: Vec<Case>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) engine: Engine,
    pub(crate) rounds: u64,
    pub(crate) files: u64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) flame: Option<PathBuf>,
    pub(crate) server: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cases: Case::ALL.to_vec(),
            peers: Peer::OTHERS.to_vec(),
            engine: Engine::default(),
            rounds: 5,
            files: 1_000_000,
            json: None,
            flame: None,
            server: None,
        }
    }
}

impl Options {
    /// `None` asks for the help text.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>> {
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
                "--engine" => options.engine = Engine::named(&value)?,
                "--rounds" => options.rounds = value.parse()?,
                "--files" => options.files = value.parse()?,
                "--json" => options.json = Some(value.into()),
                "--flame" => options.flame = Some(value.into()),
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
        check_files(options.files)?;
        Ok(Some(options))
    }
}

/// Directories are full.
pub(crate) fn check_files(files: u64) -> Result<()> {
    if files == 0 || !files.is_multiple_of(NAMES_PER_DIRECTORY) {
        return Err(format!("--files must be a multiple of {NAMES_PER_DIRECTORY}").into());
    }
    Ok(())
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
        assert_eq!(options.engine, Engine::Sqlite);
    }

    #[test]
    fn cases_may_be_listed_and_repeated() {
        let options = parse("--case start get-4k --rounds 2 --case put-4k --peer none").unwrap().unwrap();
        assert_eq!(options.cases, [Case::Get4k, Case::Put4k, Case::Start]);
        assert_eq!(options.rounds, 2);
        assert!(options.peers.is_empty());
        assert_eq!(parse("--peer minio").unwrap().unwrap().peers, [Peer::Minio]);
        assert_eq!(parse("--engine postgres").unwrap().unwrap().engine, Engine::Postgres);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--case",
            "--case get-5k",
            "--rounds 0",
            "--files 1500",
            "--files 0",
            "--peer iis",
            "--engine mysql",
            "--what 1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_is_not_a_run() {
        assert_eq!(parse("--rounds 3 --help").unwrap(), None);
    }

    #[test]
    fn the_help_names_every_case() {
        for case in Case::ALL {
            assert!(HELP.split_whitespace().any(|word| word == case.name()), "{}", case.name());
        }
    }
}
