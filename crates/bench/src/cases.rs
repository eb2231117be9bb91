//! What is measured: each case is a fixed number of requests, run once a round for each peer.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{Method, StatusCode};

use crate::load::{self, Ask, Content, Plan, Target};
use crate::minio::{self, Minio};
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

    fn reads(self, requests: u64, paths: &Paths) -> Plan<impl Fn(u64) -> Ask + Send + Sync + 'static> {
        let paths = paths.clone();
        let ask = move |index| Ask::get(paths.of(self, index % self.files));
        Plan { connections: self.connections, requests, ask }
    }

    /// Request number n writes file number `first + n`.
    fn writes(
        self,
        round: u64,
        first: u64,
        requests: u64,
        paths: &Paths,
    ) -> Plan<impl Fn(u64) -> Ask + Send + Sync + 'static> {
        let paths = paths.clone();
        let ask = move |index| Ask::put(paths.of(self, first + index), self.content(round, first + index));
        Plan { connections: self.connections, requests, ask }
    }
}

/// How a server is asked for the files of a traffic.
#[derive(Debug, Clone)]
enum Paths {
    Plain,
    /// With a signature each, in the order of the files.
    Signed(Arc<[String]>),
}

impl Paths {
    async fn signed(
        minio: &Minio,
        server: &Server,
        method: Method,
        traffic: Traffic,
        files: u64,
    ) -> Result<Self> {
        let paths = (0..files).map(|index| traffic.path(index));
        Ok(Self::Signed(minio.sign(server.address, &method, paths).await?))
    }

    fn of(&self, traffic: Traffic, index: u64) -> String {
        match self {
            Self::Plain => traffic.path(index),
            Self::Signed(paths) => paths[usize::try_from(index).expect("an index of a list")].clone(),
        }
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

/// A server with files in it.
struct Reader {
    peer: Peer,
    server: Server,
    /// By the names of the traffics.
    paths: Vec<(&'static str, Paths)>,
}

impl Reader {
    fn paths(&self, traffic: Traffic) -> &Paths {
        let found = self.paths.iter().find(|(name, _)| *name == traffic.name);
        found.map_or(&Paths::Plain, |(_, paths)| paths)
    }
}

/// All peers with the same files in them, for the reading cases.
struct Readers {
    readers: Vec<Reader>,
    /// Removed after the servers are stopped: fields drop in this order.
    _folders: (Store, Option<Nginx>, Option<Minio>),
}

impl Readers {
    async fn start(program: &Path, others: &Others, traffics: &[Traffic]) -> Result<Self> {
        let store = Store::empty(program)?;
        let server = store.start().await?;
        let superuser = store.superuser(&server)?;
        for traffic in traffics {
            load::run(&superuser, traffic.writes(0, 0, traffic.files, &Paths::Plain)).await?;
        }
        let mut readers = vec![Reader { peer: Peer::Cacheroach, server, paths: Vec::new() }];
        let nginx = others.nginx.as_ref().map(|program| Nginx::new(program.clone())).transpose()?;
        if let Some(nginx) = &nginx {
            for traffic in traffics {
                for index in 0..traffic.files {
                    nginx.add_file(&traffic.path(index), &traffic.content(0, index).bytes())?;
                }
            }
            readers.push(Reader { peer: Peer::Nginx, server: nginx.start().await?, paths: Vec::new() });
        }
        let minio = others.minio.as_ref().map(|program| Minio::new(program)).transpose()?;
        if let Some(minio) = &minio {
            let server = minio.start().await?;
            let (target, mut paths) = (Target::anonymous(server.address), Vec::new());
            for traffic in traffics {
                let put = Paths::signed(minio, &server, Method::PUT, *traffic, traffic.files).await?;
                load::run(&target, traffic.writes(0, 0, traffic.files, &put)).await?;
                let get = Paths::signed(minio, &server, Method::GET, *traffic, traffic.files).await?;
                paths.push((traffic.name, get));
            }
            readers.push(Reader { peer: Peer::Minio, server, paths });
        }
        for reader in &readers {
            for traffic in traffics {
                for index in 0..traffic.files {
                    let path = reader.paths(*traffic).of(*traffic, index);
                    check(&reader.server, &path, &traffic.content(0, index)).await?;
                }
            }
        }
        Ok(Self { readers, _folders: (store, nginx, minio) })
    }

    async fn measure(&self, traffic: Traffic, round: u64, report: &mut Report) -> Result<()> {
        for reader in in_turns(&self.readers, round) {
            let Reader { peer, server, .. } = reader;
            let (target, paths) = (Target::anonymous(server.address), reader.paths(traffic));
            load::run(&target, traffic.reads(traffic.files * 2, paths)).await?;
            let round = measure(server, &target, traffic.reads(traffic.requests, paths)).await?;
            if round.body_bytes != traffic.requests * traffic.length as u64 {
                return Err(
                    format!("{} sent {} bytes in {}", peer.name(), round.body_bytes, traffic.name).into()
                );
            }
            report.add(traffic.name, *peer, traffic.unit, round);
        }
        Ok(())
    }
}

/// Who goes first changes, so that a machine growing slower or faster favours none.
fn in_turns<T>(all: &[T], round: u64) -> Vec<&T> {
    let mut turns: Vec<&T> = all.iter().collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// A fast server of wrong bytes would win every comparison.
async fn check(server: &Server, path: &str, content: &Content) -> Result<()> {
    let (status, body) = load::once(&Target::anonymous(server.address), Ask::get(path)).await?;
    if status == StatusCode::OK && body == content.bytes() {
        return Ok(());
    }
    let path = path.split('?').next().unwrap_or_default();
    Err(format!("{path}: {status} with {} bytes, not what was stored", body.len()).into())
}

/// Writes into a store of its own each time, so that every round finds the same: nothing.
async fn put(
    program: &Path,
    others: &Others,
    traffic: Traffic,
    round: u64,
    report: &mut Report,
) -> Result<()> {
    let peers = [Peer::Cacheroach, Peer::Minio];
    for peer in in_turns(&peers, round) {
        let measured = match (peer, &others.minio) {
            (Peer::Minio, Some(program)) => put_minio(program, traffic, round).await?,
            (Peer::Cacheroach, _) => put_cacheroach(program, traffic, round).await?,
            _ => continue,
        };
        report.add(traffic.name, *peer, traffic.unit, measured);
    }
    Ok(())
}

async fn put_cacheroach(program: &Path, traffic: Traffic, round: u64) -> Result<Round> {
    let store = Store::empty(program)?;
    let server = store.start().await?;
    let superuser = store.superuser(&server)?;
    let measured = put_into(&server, &superuser, traffic, round, &Paths::Plain).await?;
    let last = traffic.files + traffic.requests - 1;
    check(&server, &traffic.path(last), &traffic.content(round, last)).await?;
    Ok(measured)
}

async fn put_minio(program: &Path, traffic: Traffic, round: u64) -> Result<Round> {
    let minio = Minio::new(program)?;
    let server = minio.start().await?;
    let files = traffic.files + traffic.requests;
    let paths = Paths::signed(&minio, &server, Method::PUT, traffic, files).await?;
    let target = Target::anonymous(server.address);
    let measured = put_into(&server, &target, traffic, round, &paths).await?;
    let last = minio.sign(server.address, &Method::GET, std::iter::once(traffic.path(files - 1))).await?;
    check(&server, &last[0], &traffic.content(round, files - 1)).await?;
    Ok(measured)
}

async fn put_into(
    server: &Server,
    target: &Target,
    traffic: Traffic,
    round: u64,
    paths: &Paths,
) -> Result<Round> {
    load::run(target, traffic.writes(round, 0, traffic.files, paths)).await?;
    measure(server, target, traffic.writes(round, traffic.files, traffic.requests, paths)).await
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

/// The programs of the other peers, where they are wanted and there.
#[derive(Debug, Default)]
struct Others {
    nginx: Option<PathBuf>,
    minio: Option<PathBuf>,
}

impl Others {
    fn find(options: &Options, report: &mut Report) -> Result<Self> {
        let mut others = Self::default();
        let reads = options.cases.iter().any(|case| matches!(case, Case::Get4k | Case::Get64m));
        if options.peers.contains(&Peer::Nginx) && reads {
            others.nginx = find_nginx();
            match &others.nginx {
                Some(program) => report.peer_version(Peer::Nginx, Nginx::new(program.clone())?.version()?),
                None => report.note("nginx is not installed (Debian: nginx-light), so it is left out"),
            }
        }
        let compared = reads || options.cases.iter().any(|case| matches!(case, Case::Put4k | Case::Put64m));
        if options.peers.contains(&Peer::Minio) && compared {
            others.minio = std::env::var_os(minio::PROGRAM).map(PathBuf::from);
            match &others.minio {
                Some(program) => report.peer_version(Peer::Minio, Minio::version(program)?),
                None => report.note("MinIO is not there (Go builds it), so it is left out"),
            }
        }
        Ok(others)
    }
}

/// Measures what was asked for.
pub(crate) async fn run(options: Options) -> Result<Report> {
    let program = options.server.clone().map_or_else(built_server, Ok)?;
    let mut report = Report::new(&program)?;
    let wanted = |case| options.cases.contains(&case);

    let mut reads = Vec::new();
    reads.extend(wanted(Case::Get4k).then_some(GET_4K));
    reads.extend(wanted(Case::Get64m).then_some(GET_64M));
    let others = Others::find(&options, &mut report)?;
    let readers =
        if reads.is_empty() { None } else { Some(Readers::start(&program, &others, &reads).await?) };
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
                put(&program, &others, traffic, round + 1, &mut report).await?;
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
