//! Looking after a store, by the real binary.

#![cfg(test)]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use program::seeded::{self, Random};
use program::{CONFIG, Home, Server, answer, block_on, http, site, until};

fn content(seed: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut seeded::Bytes::new(seed, length), &mut bytes).unwrap();
    bytes
}

fn put(url: &str, token: &str, path: &str, body: Vec<u8>) -> u16 {
    let request =
        http().put(format!("{url}{path}")).header("authorization", format!("Bearer {token}")).body(body);
    block_on(answer(request)).status
}

fn get(url: &str, token: &str, path: &str) -> (u16, Vec<u8>) {
    let request = http().get(format!("{url}{path}")).header("authorization", format!("Bearer {token}"));
    let got = block_on(answer(request));
    (got.status, got.body)
}

/// Turns a bit over where these bytes are in a pack.
fn flip(packs: &Path, bytes: &[u8]) {
    for entry in fs::read_dir(packs).unwrap() {
        let path = entry.unwrap().path();
        let mut pack = fs::read(&path).unwrap();
        if let Some(at) = pack.windows(64).position(|window| window == &bytes[..64]) {
            pack[at + 7] ^= 1;
            fs::write(&path, pack).unwrap();
            return;
        }
    }
    panic!("the bytes are in no pack");
}

#[test]
fn f06_a_flipped_bit_is_named_and_healed_by_putting_the_file_again() {
    let (mut server, home) = site();
    let token = home.token(CONFIG);
    let (big, other) = (content(1, 700_000), content(2, 300_000));
    assert_eq!(put(&server.url, &token, "/big", big.clone()), 202);
    assert_eq!(put(&server.url, &token, "/dir/other", other.clone()), 202);
    let verify = ["store", "verify", "--dataDir", "data"];
    // Beside the server, that has the store open.
    assert_eq!(home.ok(&verify).lines().count(), 1, "nothing but the names of the columns");
    let stat = home.ok(&["--output", "json", "store", "stat", "--dataDir", "data"]);
    let stat: Vec<serde_json::Value> = serde_json::from_str(&stat).unwrap();
    let total = stat.iter().find(|row| row["tenant"] == "total").unwrap();
    assert!(total["stored_bytes"].as_u64().unwrap() >= 1_000_000, "{total}");
    let repair = home.fails(&["store", "verify", "--repair", "--dataDir", "data"]);
    assert!(repair.contains("open in another process"), "{repair}");

    server.stop();
    flip(&home.at("data/chunks"), &big);
    for arguments in [&verify[..], &["store", "verify", "--repair", "--dataDir", "data"]] {
        let ran = home.call(arguments).run();
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let rows: Vec<_> = ran.stdout.lines().skip(1).collect();
        assert!(rows.len() == 1 && rows[0].contains("/big") && rows[0].contains("damaged"), "{}", ran.stdout);
    }
    let server = Server::start(&home.at("data"));
    assert_eq!(get(&server.url, &token, "/big").0, 500, "damage is an error, never data");
    assert_eq!(get(&server.url, &token, "/dir/other"), (200, other));
    assert_eq!(put(&server.url, &token, "/elsewhere", big.clone()), 202);
    assert_eq!(get(&server.url, &token, "/big"), (200, big));
    assert_eq!(home.ok(&verify).lines().count(), 1);
}

#[test]
fn a_store_is_copied_while_it_serves_and_finished_while_it_is_read_only() {
    let (mut server, home) = site();
    let (token, url) = (home.token(CONFIG), server.url.clone());
    let random = Random::new(seeded::seed("copy"));
    let mut files = BTreeMap::new();
    let writer = thread::spawn({
        let (token, mut random) = (token.clone(), random);
        move || {
            for number in 0..60 {
                let path = format!("/f/{}", number % 40);
                let body = content(random.next(), random.within(1, 200_000));
                assert_eq!(put(&url, &token, &path, body.clone()), 202);
                files.insert(path, body);
            }
            files
        }
    });
    let arguments =
        ["store", "copy", "--from", "sqlite:data", "--to", "sqlite:copy", "--toChunks", "disk:elsewhere"];
    // Killed in the middle, again and again: the next one goes on.
    for round in 0..4_u64 {
        let (mut process, stdout) = home.call(&arguments).spawn(&home.at("errors"));
        thread::sleep(Duration::from_millis(20 + 60 * round));
        process.kill();
        drop(stdout);
    }
    // While the source changes a pass may be told to come again.
    let ran = home.call(&arguments).run();
    assert!(ran.code == Some(0) || ran.stderr.contains("copy once more"), "{}", ran.stderr);
    let files = writer.join().unwrap();
    home.ok(&["file", "rm", "/f/3"]);
    server.stop();

    let mut server = Server::with(&home.at("data"), &["--bindAddr", "127.0.0.1:0", "--readOnly"]);
    assert_eq!(put(&server.url, &token, "/f/new", vec![1]), 503);
    assert_eq!(get(&server.url, &token, "/f/5"), (200, files["/f/5"].clone()));
    home.ok(&arguments);
    let again = home.ok(&arguments);
    assert!(again.lines().any(|line| line.starts_with("Changed") && line.ends_with("no")), "{again}");
    server.stop();

    fs::copy(home.at("data/signing.key"), home.at("copy/signing.key")).unwrap();
    let chunks = format!("disk:{}", home.at("elsewhere").display());
    let copy = Server::with(&home.at("copy"), &["--bindAddr", "127.0.0.1:0", "--chunks", &chunks]);
    for (path, body) in &files {
        let expected = if path == "/f/3" { 404 } else { 200 };
        let (status, got) = get(&copy.url, &token, path);
        assert_eq!(status, expected, "{path}");
        assert!(expected != 200 || got == *body, "{path}");
    }
    home.ok(&["store", "verify", "--dataDir", "copy", "--chunks", &chunks]);
}

#[test]
fn a_dump_is_for_its_owner_and_is_loaded_into_an_empty_store() {
    let (mut server, home) = site();
    let token = home.token(CONFIG);
    let big = content(3, 100_000);
    assert_eq!(put(&server.url, &token, "/big", big.clone()), 202);
    assert_eq!(put(&server.url, &token, "/small", b"small".to_vec()), 202);
    // Beside the server.
    home.ok(&["store", "dump", "--dataDir", "data", "store.dump"]);
    let mode = fs::metadata(home.at("store.dump")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let there = home.fails(&["store", "dump", "--dataDir", "data", "store.dump"]);
    assert!(there.contains("cannot write"), "{there}");
    server.stop();
    assert!(home.fails(&["store", "load", "--dataDir", "data", "store.dump"]).contains("not empty"));
    let text = home.read("store.dump");
    home.write("half.dump", &text[..text.len() / 2]);
    let cut = home.fails(&["store", "load", "--dataDir", "new", "half.dump"]);
    assert!(cut.contains("cut off"), "{cut}");
    assert!(!home.at("new").exists(), "nothing is made of half a dump");

    // The tier of the dump's store goes with it.
    let load = ["store", "load", "--dataDir", "new", "--chunks", "disk:data/chunks", "store.dump"];
    home.ok(&load);
    home.ok(&["store", "dump", "--dataDir", "new", "--chunks", "disk:data/chunks", "again.dump"]);
    assert!(home.read("again.dump") == text);
    fs::copy(home.at("data/signing.key"), home.at("new/signing.key")).unwrap();
    let chunks = format!("disk:{}", home.at("data/chunks").display());
    let server = Server::with(&home.at("new"), &["--bindAddr", "127.0.0.1:0", "--chunks", &chunks]);
    assert_eq!(get(&server.url, &token, "/big"), (200, big));
    assert_eq!(get(&server.url, &token, "/small"), (200, b"small".to_vec()));
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let home = Home::new();
    for command in ["stat", "verify"] {
        let error = home.fails(&["store", command, "--dataDir", "nowhere"]);
        assert!(error.contains("there is no store"), "{error}");
    }
    assert!(!home.at("nowhere").exists());
}

/// What is in the folder of a disk cache and finished.
fn cached(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let shelves = fs::read_dir(home.at("cache")).into_iter().flatten().map(|shelf| shelf.unwrap().path());
    let files = shelves.flat_map(|shelf| fs::read_dir(shelf).unwrap().map(|file| file.unwrap().path()));
    let whole = files.filter(|file| file.extension().is_none_or(|extension| extension != "new"));
    whole.map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
}

#[test]
fn p3_p7_a_disk_cache_with_a_key_tells_nothing_and_outlives_the_server_only_with_that_key() {
    let (mut server, home) = site();
    let token = home.token(CONFIG);
    let big = content(1, 700_000);
    assert_eq!(put(&server.url, &token, "/big", big.clone()), 202);
    // Base64, by 32 bytes.
    home.write("key", "A".repeat(43) + "=\n");
    home.write("other-key", "B".repeat(42) + "A=\n");
    let key = format!("@{}", home.at("key").display());
    let other_key = format!("@{}", home.at("other-key").display());
    let cache = home.at("cache").display().to_string();
    let mut restart = |key: &[&str]| {
        server.stop();
        let flags =
            [&["--bindAddr", "127.0.0.1:0", "--cacheMemory", "0", "--cacheDir", &cache], key].concat();
        server = Server::with(&home.at("data"), &flags);
        let before = cached(&home);
        assert!(get(&server.url, &token, "/big") == (200, big.clone()));
        let both = || Some(cached(&home)).filter(|files| files.len() == 2);
        (before, until("both chunks are cached", Duration::from_secs(10), both))
    };
    let shows = |files: &BTreeMap<String, Vec<u8>>| {
        files.values().any(|file| file.windows(32).any(|window| window == &big[..32]))
    };
    let (_, plain) = restart(&[]);
    assert!(shows(&plain));
    let (before, sealed) = restart(&["--cacheKey", &key]);
    assert!(before.is_empty() && !shows(&sealed), "the plain files are gone");
    let (before, again) = restart(&["--cacheKey", &key]);
    assert!(before == sealed && again == sealed, "the same key opens them");
    let (before, other) = restart(&["--cacheKey", &other_key]);
    assert!(before.is_empty() && !shows(&other));
    for _ in 0..2 {
        let (before, random) = restart(&["--cacheKey", "random"]);
        assert!(before.is_empty() && !shows(&random));
    }
}
