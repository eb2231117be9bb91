//! SIGKILL at random moments of an upload: what was acknowledged is there, nothing is there in part, and it goes on.

#![cfg(test)]

mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use program::seeded::{self, Random, Shape};
use program::{CONFIG, Home, Process, Server, answer, free_port, http};

const PATIENCE: Duration = Duration::from_secs(120);

type Inventory = BTreeMap<String, (u64, String)>;

/// Which files of a tree the command has told us to be stored: a line each, once its upload has succeeded.
fn acknowledged(said: &str, tree: &str) -> BTreeSet<String> {
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let finished = whole.lines().filter(|line| line.ends_with("/s") && !line.contains(" of "));
    let names = finished.filter_map(|line| line.rsplit_once(": ")?.0.strip_prefix(tree));
    names.map(str::to_owned).collect()
}

/// What is visible below a directory: each file whole, as its entity tag says and as its source is.
fn check_visible(server: &Server, home: &Home, dir: &str, sources: &Inventory) -> BTreeSet<String> {
    let listed = home.call(&["--output", "json", "file", "ls", dir]).patience(PATIENCE).ok();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    let token = format!("Bearer {}", home.token(CONFIG));
    let client = http();
    let check = |entry: serde_json::Value| {
        let (client, token) = (&client, &token);
        async move {
            let name = entry["path"].as_str().unwrap().strip_prefix(dir).unwrap().to_owned();
            let (size, hash) = sources.get(&name).unwrap_or_else(|| panic!("nobody put {name}"));
            assert_eq!(entry["size"], *size, "{name}");
            let mut url = reqwest::Url::parse(&server.url).unwrap();
            url.path_segments_mut().unwrap().extend(dir.trim_matches('/').split('/')).extend(name.split('/'));
            let got = answer(client.get(url).header("authorization", token)).await;
            assert_eq!(got.status, 200, "{name}: {}", got.text());
            assert_eq!(got.header("etag"), Some(format!("\"{hash}\"").as_str()), "{name}");
            assert_eq!((got.body.len() as u64, &seeded::sha256(&got.body)), (*size, hash), "{name}");
            name
        }
    };
    program::block_on(stream::iter(listed).map(check).buffer_unordered(8).collect())
}

fn server(data: &Path, port: u16) -> Server {
    Server::with(data, &["--bindAddr", &format!("127.0.0.1:{port}")])
}

/// How the client of a killed server fares.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Killed with it, as when a machine goes down.
    Dies,
    /// Waits for the server to come back.
    Waits,
}

struct Rounds {
    home: Home,
    port: u16,
    server: Server,
    random: Random,
    /// How long a put has taken, to kill the next one in the middle of it.
    usual: Duration,
}

impl Rounds {
    fn new(seed: u64) -> Self {
        let (home, port) = (Home::new(), free_port());
        let server = server(&home.at("data"), port);
        home.ok(&["bootstrap", "--dataDir", "data"]);
        Rounds { home, port, server, random: Random::new(seed), usual: Duration::from_millis(300) }
    }

    fn round(&mut self, number: usize, client: Client) {
        let (source, dir) = (format!("source-{number}"), format!("/round/{number}/"));
        let shape = Shape { files: 60, small_kib: 60, large: 2, large_mib: 6 };
        seeded::plant(&self.home.at(&source), self.random.next(), &shape);
        let sources = seeded::inventory(&self.home.at(&source));
        let most = u64::try_from(self.usual.as_micros()).unwrap() * 5 / 4;
        let moment = Duration::from_micros(self.random.within(0, most));

        let put = ["file", "put", "-r", &dir, &source];
        let errors = self.home.at("errors");
        let (mut process, stdout) = self.home.call(&put).spawn(&errors);
        let stdout = program::drain(stdout);
        // The moment is the test.
        thread::sleep(moment);
        self.server.process.kill();
        if let Client::Dies = client {
            process.kill();
        }
        let acknowledged = acknowledged(&fs::read_to_string(&errors).unwrap(), &format!("{source}/"));
        self.server = server(&self.home.at("data"), self.port);

        let visible = check_visible(&self.server, &self.home, &dir, &sources);
        let lost: Vec<_> = acknowledged.difference(&visible).collect();
        assert!(lost.is_empty(), "acknowledged, but not there: {lost:?}");
        println!(
            "round {number}: killed after {moment:?}, the client {client:?}; of {} files {} were acknowledged, {} there",
            sources.len(),
            acknowledged.len(),
            visible.len()
        );
        if let Client::Waits = client {
            self.goes_on(&mut process, &stdout.join().unwrap());
        }
        self.again(&put, &dir, &sources);
        fs::remove_dir_all(self.home.at(&source)).unwrap();
    }

    fn goes_on(&self, process: &mut Process, stdout: &str) {
        let status = process.wait(PATIENCE);
        let errors = self.home.read("errors");
        // Killed before the client had reached it even once, the server was simply not there.
        let never_met = errors.contains("cannot connect");
        assert!(status.success() || never_met, "the client goes on: {stdout}{errors}");
    }

    /// The same command once more ends well, with all of it there.
    fn again(&mut self, put: &[&str], dir: &str, sources: &Inventory) {
        let begun = Instant::now();
        self.home.call(put).patience(PATIENCE).ok();
        self.usual = begun.elapsed();
        let visible = check_visible(&self.server, &self.home, dir, sources);
        assert!(visible.iter().eq(sources.keys()), "all is there");
    }
}

#[test]
fn f01_p1_p2_what_was_acknowledged_survives_and_nothing_is_there_in_part() {
    let mut rounds = Rounds::new(seeded::seed("kill"));
    for number in 0..50 {
        let client = if number % 2 == 0 { Client::Dies } else { Client::Waits };
        rounds.round(number, client);
    }
    // All rounds together are still there: no restart has swept away what another needed.
    let all = rounds.home.call(&["file", "get", "-r", "-o", "back", "/round/"]).patience(PATIENCE).ok();
    assert!(all.lines().skip(1).all(|row| row.ends_with("  OK")));
    // What uploads had begun and not ended leaves no records once they ended.
    let records = rounds.home.at(".cacheroach/uploads");
    let left = fs::read_dir(&records).map_or(0, Iterator::count);
    println!("{left} records of uploads are left");
    rounds.server.stop();
}

/// A large file alone: each kill falls into its upload, and the next put takes it further instead of beginning anew.
#[test]
fn f22_an_upload_that_broke_off_is_taken_further_by_the_next_put() {
    let mut rounds = Rounds::new(seeded::seed("resume"));
    let length = 64 << 20;
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut seeded::Bytes::new(rounds.random.next(), length), &mut content).unwrap();
    rounds.home.write("large.bin", &content);
    let errors = rounds.home.at("errors");
    let (mut process, stdout) = rounds.home.call(&["-v", "file", "put", "/", "large.bin"]).spawn(&errors);
    let _stdout = program::drain(stdout);
    let records = rounds.home.at(".cacheroach/uploads");
    program::until("the first pieces", PATIENCE, || {
        let record = fs::read_dir(&records).ok()?.next()?.unwrap().path();
        (fs::metadata(record).ok()?.len() > 0).then_some(())
    });
    rounds.server.process.kill();
    process.kill();
    rounds.server = server(&rounds.home.at("data"), rounds.port);

    let missing = rounds.home.ok(&["file", "ls"]);
    assert_eq!(missing, "/index.html\n", "what is not committed is not there");
    let ran = rounds.home.call(&["-v", "file", "put", "/", "large.bin"]).patience(PATIENCE).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("going on with large.bin from byte"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("beginning anew"), "{}", ran.stderr);
    rounds.home.ok(&["file", "get", "-o", "back.bin", "/large.bin"]);
    assert!(fs::read(rounds.home.at("back.bin")).unwrap() == content);
    assert_eq!(fs::read_dir(&records).unwrap().count(), 0, "the record is gone");
}

/// The client has asked for a file when its server is killed, and has all of it in the end.
#[test]
fn a_download_goes_on_when_the_server_is_back() {
    let mut rounds = Rounds::new(seeded::seed("download"));
    let length = 96 << 20;
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut seeded::Bytes::new(rounds.random.next(), length), &mut content).unwrap();
    rounds.home.write("large.bin", &content);
    rounds.home.ok(&["file", "put", "/", "large.bin"]);
    let errors = rounds.home.at("errors");
    for _ in 0..3 {
        let get = ["-v", "file", "get", "-o", "back/large.bin", "/large.bin"];
        let (mut process, stdout) = rounds.home.call(&get).spawn(&errors);
        let stdout = program::drain(stdout);
        // Some of it is there, under another name.
        program::until("the first bytes", PATIENCE, || {
            let part = fs::read_dir(rounds.home.at("back")).ok()?.next()?.unwrap();
            assert_ne!(part.file_name(), "large.bin");
            (part.metadata().ok()?.len() > 0).then_some(())
        });
        rounds.server.process.kill();
        assert!(!rounds.home.at("back/large.bin").exists(), "it has its name only once it is complete");
        rounds.server = server(&rounds.home.at("data"), rounds.port);
        rounds.goes_on(&mut process, &stdout.join().unwrap());
        assert!(fs::read(rounds.home.at("back/large.bin")).unwrap() == content);
        fs::remove_file(rounds.home.at("back/large.bin")).unwrap();
    }
}

#[test]
fn f03_a_first_start_that_was_killed_is_completed_by_the_next() {
    let home = Home::new();
    let mut random = Random::new(seeded::seed("first start"));
    for number in 0..20 {
        let data = home.at(&format!("data-{number}"));
        let mut moments = Vec::new();
        for _ in 0..2 {
            let mut command = std::process::Command::new(program::BINARY);
            command.args(["start", "--bindAddr", "127.0.0.1:0", "--dataDir"]).arg(&data);
            let mut process = Process(command.stdout(std::process::Stdio::null()).spawn().unwrap());
            program::until("the database", PATIENCE, || {
                data.join("metadata.sqlite-wal").exists().then_some(())
            });
            let moment = Duration::from_micros(random.within(0, 25_000));
            // The moment is the test.
            thread::sleep(moment);
            process.kill();
            moments.push(moment);
        }
        let mut server = Server::start(&data);
        home.ok(&["bootstrap", "--dataDir", data.to_str().unwrap()]);
        let at = format!("store {number}, killed {moments:?} after its database was there");
        assert_eq!(home.ok(&["file", "ls"]), "/index.html\n", "{at}");
        assert_eq!(home.ok(&["vhost", "ls"]).lines().count(), 2, "{at}");
        assert_eq!(program::get(&format!("{}/", server.url), &[]).status, 200, "anybody can read it: {at}");
        server.stop();
    }
}
