//! What is measured: each case is a fixed number of requests, run once a round for each peer.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use http::StatusCode;

use crate::load::{self, Ask, Content, Plan, Target};
use crate::report::{Peer, Report, Round, Unit};
use crate::servers::{Nginx, Server, Store, find_nginx};
use crate::{Options, Result};

pub(crate) const NAMES_PER_DIRECTORY: u64 = 1000;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How often `fill` says how far it is.
const FILL_STEPS: u64 = 10;

/// Something to measure, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Get4k,
    Get64m,
    Put4k,
    Put64m,
    List1000,
    Start,
}

impl Case {
    pub(crate) const ALL: [Self; 6] =
        [Self::Get4k, Self::Get64m, Self::Put4k, Self::Put64m, Self::List1000, Self::Start];

    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|case| case.name() == name);
        found.ok_or_else(|| format!("unknown case {name}, see --help").into())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Get4k => "get-4k",
            Self::Get64m => "get-64m",
            Self::Put4k => "put-4k",
            Self::Put64m => "put-64m",
            Self::List1000 => "list-1000",
            Self::Start => "start",
        }
    }
}

/// Files of one size, read or written over and over. The counts make a round about a second of CPU: the kernel
/// counts it in hundredths.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    name: &'static str,
    length: usize,
    connections: usize,
    requests: u64,
    /// How many files reads go round, or how many writes come before the measured ones.
    files: u64,
    unit: Unit,
}

const GET_4K: Traffic = Traffic {
    name: "get-4k",
    length: 4 * KIB,
    connections: 8,
    requests: 50_000,
    files: 64,
    unit: Unit::Requests,
};
const GET_64M: Traffic =
    Traffic { name: "get-64m", length: 64 * MIB, connections: 4, requests: 64, files: 2, unit: Unit::Bytes };
const PUT_4K: Traffic = Traffic {
    name: "put-4k",
    length: 4 * KIB,
    connections: 64,
    requests: 20_000,
    files: 200,
    unit: Unit::Requests,
};
const PUT_64M: Traffic =
    Traffic { name: "put-64m", length: 64 * MIB, connections: 4, requests: 16, files: 1, unit: Unit::Bytes };
const LIST_CONNECTIONS: usize = 4;
const LIST_REQUESTS: u64 = 400;

impl Traffic {
    fn path(&self, index: u64) -> String {
        format!("/{}/{:04}/{:03}", self.name, index / NAMES_PER_DIRECTORY, index % NAMES_PER_DIRECTORY)
    }

    /// Never the same for two files of a run, whatever the case and the round.
    fn content(&self, round: u64, index: u64) -> Content {
        Content::new(((self.length / KIB) as u64) << 40 | round << 32 | index, self.length)
    }

    fn reads(self, requests: u64) -> Plan<impl Fn(u64) -> Ask + Send + Sync + 'static> {
        let ask = move |index| Ask::get(self.path(index % self.files));
        Plan { connections: self.connections, requests, ask }
    }

    /// Request number n writes file number `first + n`.
    fn writes(
        self,
        round: u64,
        first: u64,
        requests: u64,
    ) -> Plan<impl Fn(u64) -> Ask + Send + Sync + 'static> {
        let ask = move |index| Ask::put(self.path(first + index), self.content(round, first + index));
        Plan { connections: self.connections, requests, ask }
    }
}

/// Runs a plan between two looks at what the server has used.
async fn measure<F>(server: &Server, target: &Target, plan: Plan<F>) -> Result<Round>
where
    F: Fn(u64) -> Ask + Send + Sync + 'static,
{
    server.forget_peak();
    let before = server.usage()?;
    let outcome = load::run(target, plan).await?;
    let after = server.usage()?;
    Ok(Round::new(&outcome, after.cpu - before.cpu, after.written - before.written, server.peak_bytes()?))
}

/// Both peers with the same files in them, for the reading cases.
struct Readers {
    cacheroach: Server,
    nginx: Option<Server>,
    /// Removed after the servers are stopped: fields drop in this order.
    _folders: (Store, Option<Nginx>),
}

impl Readers {
    async fn start(program: &Path, nginx: Option<Nginx>, traffics: &[Traffic]) -> Result<Self> {
        let store = Store::empty(program)?;
        let cacheroach = store.start().await?;
        let superuser = store.superuser(&cacheroach)?;
        for traffic in traffics {
            load::run(&superuser, traffic.writes(0, 0, traffic.files)).await?;
            if let Some(nginx) = &nginx {
                for index in 0..traffic.files {
                    nginx.add_file(&traffic.path(index), &traffic.content(0, index).bytes())?;
                }
            }
        }
        let running = if let Some(nginx) = &nginx { Some(nginx.start().await?) } else { None };
        let readers = Self { cacheroach, nginx: running, _folders: (store, nginx) };
        for (_, server) in readers.peers(0) {
            for traffic in traffics {
                for index in 0..traffic.files {
                    check(server, &traffic.path(index), &traffic.content(0, index)).await?;
                }
            }
        }
        Ok(readers)
    }

    /// Who goes first changes, so that a machine growing slower or faster favours none.
    fn peers(&self, round: u64) -> Vec<(Peer, &Server)> {
        let mut peers = vec![(Peer::Cacheroach, &self.cacheroach)];
        peers.extend(self.nginx.as_ref().map(|server| (Peer::Nginx, server)));
        if round % 2 == 1 {
            peers.reverse();
        }
        peers
    }

    async fn measure(&self, traffic: Traffic, round: u64, report: &mut Report) -> Result<()> {
        for (peer, server) in self.peers(round) {
            let target = Target::anonymous(server.address);
            load::run(&target, traffic.reads(traffic.files * 2)).await?;
            let round = measure(server, &target, traffic.reads(traffic.requests)).await?;
            if round.body_bytes != traffic.requests * traffic.length as u64 {
                return Err(
                    format!("{} sent {} bytes in {}", peer.name(), round.body_bytes, traffic.name).into()
                );
            }
            report.add(traffic.name, peer, traffic.unit, round);
        }
        Ok(())
    }
}

/// A fast server of wrong bytes would win every comparison.
async fn check(server: &Server, path: &str, content: &Content) -> Result<()> {
    let (status, body) = load::once(&Target::anonymous(server.address), Ask::get(path)).await?;
    if status == StatusCode::OK && body == content.bytes() {
        return Ok(());
    }
    Err(format!("{path}: {status} with {} bytes, not what was stored", body.len()).into())
}

/// Writes into a store of its own each time, so that every round finds the same: nothing.
async fn put(program: &Path, traffic: Traffic, round: u64, report: &mut Report) -> Result<()> {
    let store = Store::empty(program)?;
    let server = store.start().await?;
    let superuser = store.superuser(&server)?;
    load::run(&superuser, traffic.writes(round, 0, traffic.files)).await?;
    let plan = traffic.writes(round, traffic.files, traffic.requests);
    let measured = measure(&server, &superuser, plan).await?;
    let last = traffic.files + traffic.requests - 1;
    check(&server, &traffic.path(last), &traffic.content(round, last)).await?;
    report.add(traffic.name, Peer::Cacheroach, traffic.unit, measured);
    Ok(())
}

/// A store of many small files, for the cases that must not notice how many.
struct Full {
    store: Store,
    directories: u64,
}

fn fill_directory(index: u64) -> String {
    format!("/fill/{index:06}/")
}

impl Full {
    async fn fill(program: &Path, files: u64, report: &mut Report) -> Result<Self> {
        let store = Store::empty(program)?;
        let server = store.start().await?;
        let superuser = store.superuser(&server)?;
        let step = files.div_ceil(FILL_STEPS);
        let mut whole = Round::default();
        for first in (0..files).step_by(usize::try_from(step)?) {
            let ask = move |index| {
                let index = first + index;
                let (directory, name) = (index / NAMES_PER_DIRECTORY, index % NAMES_PER_DIRECTORY);
                let path = format!("{}file-{name:03}", fill_directory(directory));
                Ask::put(path, Content::new(index, 64))
            };
            let plan = Plan { connections: PUT_4K.connections, requests: step.min(files - first), ask };
            let part = measure(&server, &superuser, plan).await?;
            whole.append(&part);
            eprintln!("fill: {} of {files} files, {:.0} a second", first + part.operations, part.rate());
        }
        report.add("fill", Peer::Cacheroach, Unit::Requests, whole);
        Ok(Self { store, directories: files / NAMES_PER_DIRECTORY })
    }

    async fn list(&self, report: &mut Report) -> Result<()> {
        let server = self.store.start().await?;
        let target = Target::anonymous(server.address);
        let directories = self.directories;
        let page =
            move |index| Ask::list(format!("{}?limit=1000", fill_directory((index * 7 + 3) % directories)));
        let (status, body) = load::once(&target, page(0)).await?;
        let body = String::from_utf8_lossy(&body);
        // Whatever the shape of the listing, it holds every name.
        let names: HashSet<_> = body.split("file-").skip(1).filter_map(|rest| rest.get(..3)).collect();
        if status != StatusCode::OK || names.len() as u64 != NAMES_PER_DIRECTORY {
            return Err(format!("a listing answers {status} with {} names", names.len()).into());
        }
        let warm = Plan { connections: LIST_CONNECTIONS, requests: LIST_REQUESTS / 20, ask: page };
        load::run(&target, warm).await?;
        let plan = Plan { connections: LIST_CONNECTIONS, requests: LIST_REQUESTS, ask: page };
        let round = measure(&server, &target, plan).await?;
        report.add(Case::List1000.name(), Peer::Cacheroach, Unit::Requests, round);
        Ok(())
    }
}

async fn start(store: &Store, name: &'static str, report: &mut Report) -> Result<()> {
    let server = store.start().await?;
    let usage = server.usage()?;
    let outcome =
        load::Outcome { wall: server.started_in, body_bytes: 0, latencies: vec![server.started_in] };
    let round = Round::new(&outcome, usage.cpu, usage.written, server.peak_bytes()?);
    report.add(name, Peer::Cacheroach, Unit::Start, round);
    Ok(())
}

/// The program built beside this one.
fn built_server() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("cacheroach");
    if program.is_file() { Ok(program) } else { Err(format!("{} is not built", program.display()).into()) }
}

/// nginx, where it is wanted, needed and there.
fn nginx(options: &Options, report: &mut Report) -> Result<Option<Nginx>> {
    if !options.nginx {
        return Ok(None);
    }
    let Some(program) = find_nginx() else {
        report.note("nginx is not installed (Debian: nginx-light), so it is left out");
        return Ok(None);
    };
    let nginx = Nginx::new(program)?;
    report.peer_version(Peer::Nginx, nginx.version()?);
    Ok(Some(nginx))
}

/// Measures what was asked for.
pub(crate) async fn run(options: Options) -> Result<Report> {
    let program = options.server.clone().map_or_else(built_server, Ok)?;
    let mut report = Report::new(&program)?;
    let wanted = |case| options.cases.contains(&case);

    let mut reads = Vec::new();
    reads.extend(wanted(Case::Get4k).then_some(GET_4K));
    reads.extend(wanted(Case::Get64m).then_some(GET_64M));
    let readers = if reads.is_empty() {
        None
    } else {
        let nginx = nginx(&options, &mut report)?;
        Some(Readers::start(&program, nginx, &reads).await?)
    };
    let full = if wanted(Case::List1000) || wanted(Case::Start) {
        Some(Full::fill(&program, options.files, &mut report).await?)
    } else {
        None
    };

    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        if let Some(readers) = &readers {
            for traffic in &reads {
                readers.measure(*traffic, round, &mut report).await?;
            }
        }
        for (case, traffic) in [(Case::Put4k, PUT_4K), (Case::Put64m, PUT_64M)] {
            if wanted(case) {
                put(&program, traffic, round + 1, &mut report).await?;
            }
        }
        if let Some(full) = &full {
            if wanted(Case::List1000) {
                full.list(&mut report).await?;
            }
            if wanted(Case::Start) {
                start(&Store::empty(&program)?, "start-empty", &mut report).await?;
                start(&full.store, "start-full", &mut report).await?;
            }
        }
    }
    Ok(report)
}
