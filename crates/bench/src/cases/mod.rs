//! What is measured: each case is a fixed amount of work, done once a round for each peer.

mod authority;
mod full;
mod inserts;
mod memory;
mod others;
mod reads;
mod traffic;
mod trips;
mod writes;

use crate::flame::Flame;
use crate::load::Outcome;
use crate::options::Options;
use crate::report::{Peer, Report, Round, Unit};
use crate::servers::{Cacheroach, Engine, Server};
use crate::{Error, Result};

use authority::Grantee;
pub(crate) use full::{Full, directory};
use inserts::Inserts;
use others::Others;
use reads::{Cold, Readers};
use traffic::{Files, Traffic};

pub(crate) const NAMES_PER_DIRECTORY: u64 = 1000;

macro_rules! cases {
    ($($case:ident $name:literal),* $(,)?) => {
        /// Something to measure, by its name on the command line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Case {
            $($case),*
        }

        impl Case {
            pub(crate) const ALL: &[Self] = &[$(Self::$case),*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name),*
                }
            }
        }
    };
}

cases! {
    Get4k "get-4k",
    Get256k "get-256k",
    Get64m "get-64m",
    Range "range",
    Get4kH2 "get-4k-h2",
    Get64mH2 "get-64m-h2",
    Get64mCold "get-64m-cold",
    GetSigned "get-signed",
    Check "check",
    Delegate "delegate",
    Put4k "put-4k",
    Put4k1 "put-4k-1",
    Put64m "put-64m",
    Put64m1 "put-64m-1",
    PutSame "put-same",
    Delete "delete",
    InsertChunk "insert-chunk",
    RoundTrips "round-trips",
    List1000 "list-1000",
    ListDelimiter "list-delimiter",
    Start "start",
    MemoryIdle "memory-idle",
    MemorySlow "memory-slow",
}

impl Case {
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|case| case.name() == name);
        found.copied().ok_or_else(|| format!("unknown case {name}, see --help").into())
    }

    /// Of files that are the same on all peers.
    fn reads(self) -> Option<Traffic> {
        match self {
            Self::Get4k => Some(traffic::GET_4K),
            Self::Get256k => Some(traffic::GET_256K),
            Self::Get64m => Some(traffic::GET_64M),
            Self::Range => Some(traffic::RANGE),
            Self::Get4kH2 => Some(traffic::GET_4K_H2),
            Self::Get64mH2 => Some(traffic::GET_64M_H2),
            _ => None,
        }
    }

    fn writes(self) -> Option<Traffic> {
        match self {
            Self::Put4k => Some(traffic::PUT_4K),
            Self::Put4k1 => Some(traffic::PUT_4K_1),
            Self::Put64m => Some(traffic::PUT_64M),
            Self::Put64m1 => Some(traffic::PUT_64M_1),
            Self::PutSame => Some(traffic::PUT_SAME),
            Self::Delete => Some(traffic::DELETE),
            _ => None,
        }
    }

    /// Whether it asks somebody's rights, on the servers of the reading cases.
    fn asks_rights(self) -> bool {
        matches!(self, Self::GetSigned | Self::Check | Self::Delegate)
    }

    fn wants_full(self) -> bool {
        matches!(self, Self::List1000 | Self::ListDelimiter | Self::Start)
    }
}

/// What the cases share.
struct Bench {
    cacheroach: Cacheroach,
    others: Others,
    flame: Option<Flame>,
    report: Report,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let cacheroach = Cacheroach::find(options.server.as_deref(), options.engine)?;
        let mut report = Report::new(&cacheroach.program, cacheroach.engine.name())?;
        let others = Others::find(options, &mut report)?;
        let flame = match &options.flame {
            Some(dir) => Flame::open(dir, &mut report)?,
            None => None,
        };
        Ok(Self { cacheroach, others, flame, report })
    }

    /// Does some work between two looks at what the server has used, and keeps the result.
    async fn measure(
        &mut self,
        case: &'static str,
        unit: Unit,
        server: &Server,
        work: impl Future<Output = Result<Outcome>>,
    ) -> Result<()> {
        let ours = server.peer == Peer::Cacheroach;
        let recording =
            self.flame.as_mut().filter(|_| ours).map(|flame| flame.record(case, server.process()));
        let round = cost(server, work)
            .await
            .map_err(|error| -> Error { format!("{case}, {}: {error}", server.peer.name()).into() })?;
        if let Some(recording) = recording.transpose()?.flatten() {
            recording.finish()?;
        }
        self.report.add(case, server.peer, unit, round);
        Ok(())
    }
}

/// What some work costs a server.
async fn cost(server: &Server, work: impl Future<Output = Result<Outcome>>) -> Result<Round> {
    server.forget_peak();
    let (before, database_before) = (server.usage()?, server.database_usage()?);
    let outcome = work.await?;
    let usage = server.usage()?.since(before);
    let database = server.database_usage()?.zip(database_before).map(|(after, before)| after.since(before));
    Ok(Round::new(&outcome, usage, database, server.peak_bytes()?))
}

/// Who goes first changes, so that a machine growing slower or faster favours none.
fn in_turns<T>(all: &[T], round: u64) -> Vec<&T> {
    let mut turns: Vec<&T> = all.iter().collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// Stores that are filled once for all rounds.
struct Stores {
    readers: Option<(Readers, Grantee)>,
    cold: Option<Cold>,
    full: Option<Full>,
    inserts: Option<Inserts>,
}

impl Stores {
    async fn fill(bench: &mut Bench, options: &Options) -> Result<Self> {
        let mut files: Vec<Files> = Vec::new();
        for case in &options.cases {
            let asked = case.asks_rights().then_some(traffic::FILES_4K);
            let wanted = case.reads().map(|traffic| traffic.files).or(asked);
            files.extend(wanted.filter(|wanted| !files.contains(wanted)));
        }
        let readers = if files.is_empty() {
            None
        } else {
            let readers = Readers::start(bench, &files).await?;
            let grantee = Grantee::make(&readers).await?;
            Some((readers, grantee))
        };
        let cold =
            if options.cases.contains(&Case::Get64mCold) { Some(Cold::fill(bench).await?) } else { None };
        let mut full = None;
        if options.cases.iter().any(|case| case.wants_full()) {
            let (filled, cost) = Full::fill(&bench.cacheroach, options.files).await?;
            bench.report.add("fill", Peer::Cacheroach, Unit::Requests, cost);
            full = Some(filled);
        }
        if options.cases.contains(&Case::RoundTrips) && options.engine == Engine::Sqlite {
            bench.report.note("round-trips is left out: it needs --engine postgres");
        }
        let inserts = match (options.cases.contains(&Case::InsertChunk), options.engine) {
            (true, Engine::Postgres) => Some(Inserts::open().await?),
            (true, Engine::Sqlite) => {
                bench.report.note("insert-chunk is left out: it needs --engine postgres");
                None
            }
            (false, _) => None,
        };
        Ok(Self { readers, cold, full, inserts })
    }

    /// One case, once.
    async fn measure(&self, bench: &mut Bench, case: Case, round: u64) -> Result<()> {
        if let Some(traffic) = case.writes() {
            return writes::measure(bench, traffic, round + 1).await;
        }
        if let Some((readers, grantee)) = &self.readers {
            match case {
                Case::GetSigned => return authority::signed(bench, readers).await,
                Case::Check => return grantee.check(bench, readers, round).await,
                Case::Delegate => return authority::delegate(bench, readers).await,
                _ => {}
            }
            if let Some(traffic) = case.reads() {
                return readers.measure(bench, traffic, round).await;
            }
        }
        if case == Case::RoundTrips && bench.cacheroach.engine == Engine::Postgres {
            return trips::measure(bench, round).await;
        }
        if let (Case::InsertChunk, Some(inserts)) = (case, &self.inserts) {
            return inserts.measure(bench, round).await;
        }
        match (case, &self.cold, &self.full) {
            (Case::Get64mCold, Some(cold), _) => cold.measure(bench, round).await,
            (Case::List1000, _, Some(full)) => full.list(bench).await,
            (Case::ListDelimiter, _, Some(full)) => full.list_delimiter(bench).await,
            (Case::Start, _, Some(full)) => {
                let empty = bench.cacheroach.empty_store().await?;
                full::start(bench, &empty, "start-empty").await?;
                full::start(bench, &full.store, "start-full").await
            }
            (Case::MemoryIdle, ..) => memory::idle(bench).await,
            (Case::MemorySlow, ..) => memory::slow(bench).await,
            _ => Ok(()),
        }
    }
}

/// Measures what was asked for.
pub(crate) async fn run(options: Options) -> Result<Report> {
    let mut bench = Bench::new(&options)?;
    let stores = Stores::fill(&mut bench, &options).await?;
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for case in &options.cases {
            stores.measure(&mut bench, *case, round).await?;
        }
        if let Some(full) = stores.full.as_ref().filter(|_| options.engine == Engine::Sqlite) {
            full.rows(&mut bench)?;
        }
    }
    Ok(bench.report)
}
