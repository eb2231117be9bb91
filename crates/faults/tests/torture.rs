//! The kill loop: `cargo xtask torture`. Writers, readers, deleters and movers at work while servers are killed at random;
//! afterwards nothing that was acknowledged is lost or torn, and nothing else is visible.
//!
//! By itself, as one of all tests, it runs for a few seconds. `CACHEROACH_TORTURE` holds the options.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cacheroach_api::upload::TransferState;
use cacheroach_faults::history::{Act, Operation};
use cacheroach_faults::journal::{Entry, Visible};
use cacheroach_faults::proxy::{Act as Fault, Rule};
use cacheroach_faults::wire::{Answer, sha256};
use cacheroach_faults::{History, Journal, Launch, Place, Proxy, Random, Site, Wire, upload};
use cacheroach_store::failpoint::Step;
use cacheroach_testing::process::{self, Process};
use rustix::process::Signal;
use tonic::transport::Channel;
use tonic::{Code, Status};

const PROGRAM: &str = env!("CARGO_BIN_EXE_faulty");
const CHUNK: usize = 512 * 1024;
const WRITERS: u64 = 6;
const UPLOADERS: u64 = 2;
const READERS: u64 = 3;
const CHANGERS: u64 = 2;

/// How long, on what, with what chance.
#[derive(Clone, Debug)]
struct Options {
    length: Duration,
    on: On,
    /// `--chunks`, if not packs.
    chunks: Option<String>,
    servers: usize,
    seed: u64,
}

/// Where metadata are.
#[derive(Clone, Debug, Eq, PartialEq)]
enum On {
    Sqlite,
    /// A PostgreSQL of this test's own.
    Postgres,
    Url(String),
}

impl Options {
    fn parse(text: &str) -> Self {
        let mut options = Options {
            length: Duration::from_secs(6),
            on: On::Sqlite,
            chunks: None,
            servers: 1,
            seed: Random::seed(),
        };
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word {
                "--minutes" => options.length = Duration::from_secs_f64(60.0 * value.parse::<f64>().unwrap()),
                "--servers" => options.servers = value.parse().unwrap(),
                "--seed" => options.seed = value.parse().unwrap(),
                "--chunks" => options.chunks = Some(value.into()),
                "--store" if value == "sqlite" => options.on = On::Sqlite,
                "--store" if value == "postgres" => options.on = On::Postgres,
                "--store" => options.on = On::Url(value.into()),
                other => panic!("no such option: {other}"),
            }
        }
        assert!(options.on != On::Sqlite || options.servers == 1, "an embedded store has one server");
        options
    }
}

/// Where the store is, and what stands between it and the servers.
struct Ground {
    place: Place,
    proxies: Vec<Proxy>,
    _database: Option<Process>,
}

impl Ground {
    fn new(options: &Options) -> Self {
        let (url, database) = match &options.on {
            On::Sqlite => (None, None),
            On::Postgres => {
                // As it runs in earnest: what is answered is on the disk.
                let started = process::Options { durable: true, ..process::Options::default() };
                let process = Process::start(&started).unwrap();
                (Some(process.url("postgres")), Some(process))
            }
            On::Url(url) => (Some(url.clone()), None),
        };
        let through = |url: &String| (0..options.servers).map(|_| Proxy::before(url)).unzip();
        let (proxies, ways) = url.as_ref().map(through).unwrap_or_default();
        let place = Place { connect: url, chunks: options.chunks.clone(), ways };
        Ground { place, proxies, _database: database }
    }
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    uploaded: AtomicU64,
    read: AtomicU64,
    changed: AtomicU64,
    unanswered: AtomicU64,
    killed: AtomicU64,
    stopped: AtomicU64,
    /// Times that the way to the database was broken.
    cut: AtomicU64,
}

/// What all that work shares.
struct Work {
    urls: Vec<String>,
    channels: Vec<Channel>,
    token: String,
    wire: Wire,
    history: History,
    journal: Journal,
    /// All contents that anybody ever sent, by hash.
    contents: Mutex<HashMap<String, u64>>,
    counts: Counts,
    end: Instant,
}

/// A content, and the number that stands for it.
struct Content {
    bytes: Vec<u8>,
    hash: String,
}

impl Work {
    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn channel(&self, random: &mut Random) -> Channel {
        self.channels[usize::try_from(random.below(self.channels.len() as u64)).unwrap()].clone()
    }

    fn url(&self, random: &mut Random, path: &str) -> String {
        let at = usize::try_from(random.below(self.urls.len() as u64)).unwrap();
        format!("{}{path}", self.urls[at])
    }

    /// Contents share chunks, and no two of them are the same.
    fn content(&self, random: &mut Random) -> Content {
        let unique = random.bytes(24);
        let shared = |random: &mut Random| Random::new(random.below(4)).bytes(CHUNK);
        let bytes = match random.below(10) {
            // Two that others have, too, and an end of its own.
            0..3 => [shared(random), shared(random), unique].concat(),
            3..5 => [unique, random.bytes(70_000)].concat(),
            _ => unique,
        };
        self.known(bytes)
    }

    /// Contents of which there are few: they come, go and come again on many paths.
    fn common(&self, random: &mut Random) -> Content {
        let size = random.one_of(&[1000, 70_000, CHUNK + 1]);
        self.known(Random::new(random.below(3)).bytes(size))
    }

    fn known(&self, bytes: Vec<u8>) -> Content {
        let hash = sha256(&bytes);
        let mut contents = self.contents.lock().unwrap();
        let number = contents.len() as u64;
        contents.entry(hash.clone()).or_insert(number);
        Content { bytes, hash }
    }

    fn number(&self, hash: &str) -> Option<u64> {
        self.contents.lock().unwrap().get(hash).copied()
    }

    /// Notes what was done, and counts what was not answered. A refusal for now may have had its effect, too.
    fn done(&self, path: &str, who: &str, act: Act, begun: Duration, answered: bool) {
        let ended = answered.then(|| self.history.now());
        if !answered {
            self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        self.history.note(path, Operation { who: who.into(), act, begun, ended });
    }
}

/// Whether an answer is one, and not the end of a server or a refusal for now. Nothing else may ever come.
#[track_caller]
fn settled(answer: Result<Answer, reqwest::Error>, good: &[u16]) -> Option<Answer> {
    match answer {
        Err(_) => None,
        Ok(answer) if good.contains(&answer.status) => Some(answer),
        // Busy for now, or an upload that outlived its lease.
        Ok(answer) if matches!(answer.status, 409 | 503) => None,
        Ok(answer) => panic!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
    }
}

/// Paths of which each content is written once, so that it is known which write was read.
fn ordered(random: &mut Random) -> String {
    format!("/ordered/{}", random.below(12))
}

fn common(random: &mut Random) -> String {
    format!("/common/{}", random.below(12))
}

async fn pause(random: &mut Random) {
    tokio::time::sleep(Duration::from_millis(random.below(20))).await;
}

async fn write(work: Arc<Work>, who: u64, mut random: Random) {
    while !work.is_over() {
        let in_order = random.below(3) > 0;
        let (path, content) = match in_order {
            true => (ordered(&mut random), work.content(&mut random)),
            false => (common(&mut random), work.common(&mut random)),
        };
        let Content { bytes, hash } = content;
        let begun = work.history.now();
        work.journal.note(&Entry::Writing { path: path.clone(), content: hash.clone() });
        let answer = settled(work.wire.put(&work.url(&mut random, &path), bytes).await, &[202]);
        let version = answer.as_ref().map(|answer| answer.version.expect("a version"));
        if in_order {
            let act = Act::Write(work.number(&hash), version);
            work.done(&path, &format!("writer {who}"), act, begun, answer.is_some());
        }
        if let (Some(answer), Some(version)) = (answer, version) {
            assert_eq!(answer.tag.as_ref(), Some(&hash), "{path}");
            work.counts.written.fetch_add(1, Ordering::Relaxed);
            work.journal.note(&Entry::Written { path, version, content: hash });
        }
        pause(&mut random).await;
    }
}

/// What may be asked again: of a server that died, or of one that can't just now.
fn may_pass(status: &Status) -> bool {
    // What has a cause was said by the client's own library, of a connection that is over.
    let is_ours = std::error::Error::source(status).is_some();
    is_ours || matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Aborted)
}

/// Uploads over gRPC, in which each call may be sent more than once, and to another server than the one before. Tells
/// whether it was acknowledged.
async fn upload_once(work: &Work, random: &mut Random, path: &str, bytes: &[u8]) -> bool {
    let (mut state, mut tries) = (None, 0);
    loop {
        let (channel, token) = (work.channel(random), &work.token);
        let answer = match &state {
            None => upload::begin(channel, token, path).await.map(Some),
            Some(TransferState { offset, .. }) if usize::try_from(*offset).unwrap() < bytes.len() => {
                let rest = &bytes[usize::try_from(*offset).unwrap()..];
                let part = &rest[..rest.len().min(CHUNK + CHUNK / 2)];
                upload::transfer(channel, token, state.clone().unwrap(), part).await.map(Some)
            }
            Some(all) => upload::commit(channel, token, all.clone()).await.map(|()| None),
        };
        match answer {
            Ok(None) => return true,
            Ok(next) => state = next,
            Err(status) if may_pass(&status) && tries < 40 => tries += 1,
            // It outlived its lease, or was finished and forgotten.
            Err(status) if may_pass(&status) || is_gone(&status) => return false,
            Err(status) => panic!("{status:?}"),
        }
        pause(random).await;
    }
}

fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::FailedPrecondition | Code::NotFound)
}

async fn upload(work: Arc<Work>, who: u64, mut random: Random) {
    while !work.is_over() {
        let (path, content) = (ordered(&mut random), work.content(&mut random));
        let Content { bytes, hash } = content;
        let begun = work.history.now();
        work.journal.note(&Entry::Writing { path: path.clone(), content: hash.clone() });
        let is_done = upload_once(&work, &mut random, &path, &bytes).await;
        let act = Act::Write(work.number(&hash), None);
        work.done(&path, &format!("uploader {who}"), act, begun, is_done);
        if is_done {
            work.counts.uploaded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn read(work: Arc<Work>, who: u64, mut random: Random) {
    while !work.is_over() {
        let in_order = random.below(3) > 0;
        let path = if in_order { ordered(&mut random) } else { common(&mut random) };
        let begun = work.history.now();
        let Some(answer) = settled(work.wire.ask("GET", &work.url(&mut random, &path)).await, &[200, 404])
        else {
            pause(&mut random).await;
            continue;
        };
        let mut act = Act::Read(None, None);
        if answer.status == 200 {
            let hash = sha256(&answer.body);
            assert_eq!(answer.tag.as_ref(), Some(&hash), "{path}: not the bytes it says");
            let number = work.number(&hash).unwrap_or_else(|| panic!("{path}: nobody wrote {hash}"));
            act = Act::Read(Some(number), answer.version);
        }
        if in_order {
            work.done(&path, &format!("reader {who}"), act, begun, true);
        }
        work.counts.read.fetch_add(1, Ordering::Relaxed);
        pause(&mut random).await;
    }
}

/// Deletes, and copies and moves among the common ones.
async fn change(work: Arc<Work>, who: u64, mut random: Random) {
    while !work.is_over() {
        tokio::time::sleep(Duration::from_millis(random.below(200))).await;
        if random.below(2) == 0 {
            let in_order = random.below(2) == 0;
            let path = if in_order { ordered(&mut random) } else { common(&mut random) };
            let begun = work.history.now();
            work.journal.note(&Entry::Deleting { path: path.clone() });
            let answer = settled(work.wire.ask("DELETE", &work.url(&mut random, &path)).await, &[200]);
            if in_order {
                work.done(&path, &format!("changer {who}"), Act::Write(None, None), begun, answer.is_some());
            }
        } else {
            let (from, to) = (common(&mut random), common(&mut random));
            if from == to {
                continue;
            }
            let method = random.one_of(&["COPY", "MOVE"]);
            if method == "MOVE" {
                work.journal.note(&Entry::Deleting { path: from.clone() });
            }
            work.journal.note(&Entry::Writing { path: to.clone(), content: String::new() });
            let request = work.wire.request(method, &work.url(&mut random, &from)).header("destination", &to);
            settled(Wire::send(request).await, &[200, 404, 409]);
        }
        work.counts.changed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Breaks the way to the database, for some server or another.
async fn break_ways(work: Arc<Work>, proxies: Arc<Vec<Proxy>>, mut random: Random) {
    while !work.is_over() {
        tokio::time::sleep(Duration::from_millis(random.below(1000))).await;
        let proxy = &proxies[usize::try_from(random.below(proxies.len() as u64)).unwrap()];
        let some = |act| Rule { times: 5, percent: 50, ..Rule::once("", act) };
        match random.below(8) {
            0 => proxy.cut_all(),
            1 => proxy.add(Rule { times: 3, ..Rule::once("COMMIT", Fault::CutAfter) }),
            2 => proxy.add(Rule { times: 3, ..Rule::once("COMMIT", Fault::DoAndFail("40003")) }),
            3 => proxy.add(some(Fault::CutAfter)),
            4 => proxy.add(some(Fault::CutIn)),
            5 => proxy.add(Rule { times: 50, percent: 20, ..Rule::once("", Fault::Fail("40001")) }),
            6 => proxy.swallow_notifications(random.below(2) == 0),
            _ => {
                proxy.black_hole(true);
                tokio::time::sleep(Duration::from_millis(random.below(2000))).await;
                proxy.black_hole(false);
            }
        }
        work.counts.cut.fetch_add(1, Ordering::Relaxed);
        // What was noted is nobody's to read, and would only grow.
        if random.below(10) == 0 {
            proxy.clear();
        }
    }
    proxies.iter().for_each(Proxy::clear);
}

/// Kills servers, and starts them again.
fn break_things(work: &Work, site: &mut Site, mut random: Random, flags: &[String]) {
    let deadly: Vec<Step> = Step::ALL
        .iter()
        .copied()
        .filter(|step| !matches!(step, Step::RequestPanic) && !step.name().starts_with("start"))
        .collect();
    let launch = |failpoints: Launch| Launch { flags: flags.to_vec(), ..failpoints };
    while !work.is_over() {
        std::thread::sleep(Duration::from_millis(200 + random.below(2000)));
        let at = usize::try_from(random.below(site.servers() as u64)).unwrap();
        match random.below(10) {
            0 => {
                site.signal(at, Signal::STOP);
                std::thread::sleep(Duration::from_millis(random.below(1500)));
                site.signal(at, Signal::CONT);
                work.counts.stopped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            1 => {
                site.signal(at, Signal::TERM);
                let status = site.ended(at);
                // It may have been about to die by itself.
                assert!(status.success() || status.signal() == Some(9), "{status}: {}", site.stderr(at));
            }
            2 => (0..site.servers()).for_each(|one| site.kill(one)),
            _ => site.kill(at),
        }
        work.counts.killed.fetch_add(1, Ordering::Relaxed);
        for at in 0..site.servers() {
            if site.pid(at).is_some() && site.has_ended(at).is_none() {
                continue;
            }
            // Now and then it dies by itself, at a step of its work.
            let mut next = launch(Launch::default());
            if random.below(3) == 0 {
                next = launch(Launch::killed_at(random.one_of(&deadly), 1 + random.below(20)));
            }
            if site.try_start(at, &next).is_err() {
                site.start(at, &launch(Launch::default()));
            }
        }
    }
}

/// Flags that make purge work all the time, where the program has them.
fn purge_flags(site: &Site) -> Vec<String> {
    let help = site.command(&["start", "--help"], false).unwrap();
    let wanted = [
        ("--purgeInterval", "1s"),
        ("--purgeDuration", "1s"),
        ("--keepVersionsFor", "1s"),
        ("--uploadTimeout", "3s"),
    ];
    let known = wanted.iter().filter(|(flag, _)| help.contains(flag));
    if !help.contains("--purgeInterval") {
        return Vec::new();
    }
    known.flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()]).collect()
}

/// A channel belongs to the runtime that it was made in.
fn channel(runtime: &tokio::runtime::Runtime, url: &str) -> Channel {
    let _within = runtime.enter();
    upload::channel(url)
}

/// All files, each read whole.
async fn visible(work: &Work) -> BTreeMap<String, Visible> {
    let mut found = BTreeMap::new();
    for dir in ["ordered", "common"] {
        for number in 0..12 {
            let path = format!("/{dir}/{number}");
            let begun = work.history.now();
            let answer = work.wire.ask("GET", &format!("{}{path}", work.urls[0])).await.unwrap();
            let mut act = Act::Read(None, None);
            if answer.status == 200 {
                let content = sha256(&answer.body);
                assert_eq!(answer.tag.as_ref(), Some(&content), "{path}");
                act = Act::Read(work.number(&content), answer.version);
                found.insert(path.clone(), Visible { version: answer.version.expect("a version"), content });
            } else {
                assert_eq!(answer.status, 404, "{path}");
            }
            if dir == "ordered" {
                work.done(&path, "at last", act, begun, true);
            }
        }
    }
    found
}

/// Commands that look after a store, where the program has them.
fn look_after(site: &Site) {
    let help = site.command(&["store", "--help"], false).unwrap();
    for words in [&["store", "purge", "--now", "--purgeDuration", "1s"][..], &["store", "verify"]] {
        if help.lines().any(|line| line.trim_start().starts_with(words[1])) {
            let said = site.command(words, true).unwrap_or_else(|said| panic!("{words:?}: {said}"));
            println!("{}: {}", words.join(" "), said.trim());
        }
    }
}

#[test]
fn p1_p2_p4_p6_what_was_acknowledged_survives_all_kills() {
    let options = Options::parse(&std::env::var("CACHEROACH_TORTURE").unwrap_or_default());
    let ground = Ground::new(&options);
    let proxies = Arc::new(ground.proxies);
    let mut site = Site::new(PROGRAM, &ground.place, options.servers);
    let flags = purge_flags(&site);
    println!("purge: {flags:?}");
    for at in 0..options.servers {
        site.start(at, &Launch { flags: flags.clone(), ..Launch::default() });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let token = site.token();
    let work = Arc::new(Work {
        urls: (0..options.servers).map(|at| site.url(at)).collect(),
        channels: (0..options.servers).map(|at| channel(&runtime, &site.url(at))).collect(),
        wire: Wire::new(&token),
        token,
        history: History::default(),
        journal: Journal::create(&site.dir().join("journal")),
        contents: Mutex::default(),
        counts: Counts::default(),
        end: Instant::now() + options.length,
    });
    let mut random = Random::new(options.seed);
    let mut at_work = Vec::new();
    let mut seed = || Random::new(random.number());
    for who in 0..WRITERS {
        at_work.push(runtime.spawn(write(Arc::clone(&work), who, seed())));
    }
    for who in 0..READERS {
        at_work.push(runtime.spawn(read(Arc::clone(&work), who, seed())));
    }
    for who in 0..CHANGERS {
        at_work.push(runtime.spawn(change(Arc::clone(&work), who, seed())));
    }
    for who in 0..UPLOADERS {
        at_work.push(runtime.spawn(upload(Arc::clone(&work), who, seed())));
    }
    if !proxies.is_empty() {
        at_work.push(runtime.spawn(break_ways(Arc::clone(&work), Arc::clone(&proxies), seed())));
    }
    break_things(&work, &mut site, seed(), &flags);
    for one in at_work {
        runtime.block_on(one).unwrap();
    }
    // A quiet end, without failpoints.
    for at in 0..options.servers {
        site.kill(at);
    }
    for at in 0..options.servers {
        site.start(at, &Launch { flags: flags.clone(), ..Launch::default() });
    }
    let visible = runtime.block_on(visible(&work));
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Counts { written, uploaded, read, changed, unanswered, killed, stopped, cut } = &work.counts;
    println!(
        "{} written, {} uploaded, {} read, {} changed, {} not answered; {} kills, {} pauses, {} times the way to the database \
         was broken; {} operations in order; {:.0} s; seed {}",
        count(written),
        count(uploaded),
        count(read),
        count(changed),
        count(unanswered),
        count(killed),
        count(stopped),
        count(cut),
        work.history.len(),
        options.length.as_secs_f64(),
        options.seed
    );
    assert!(count(written) > 0 && count(read) > 0, "nothing was done");
    work.journal.check(&visible).unwrap_or_else(|problem| panic!("{problem}"));
    work.history.check().unwrap_or_else(|problem| panic!("{problem}"));
    for at in 0..options.servers {
        site.stop(at);
    }
    look_after(&site);
}

#[test]
fn options_are_understood() {
    let options = Options::parse("--minutes 0.5 --store postgres://x --chunks db --servers 2 --seed 7");
    assert_eq!((options.length, options.servers, options.seed), (Duration::from_secs(30), 2, 7));
    assert_eq!((options.on, options.chunks.as_deref()), (On::Url("postgres://x".into()), Some("db")));
    assert_eq!(Options::parse("--store postgres").on, On::Postgres);
}
