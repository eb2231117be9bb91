//! What is deleted goes: its versions, and its bytes from the pack files.

#![cfg(test)]

mod program;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cacheroach_testing::noise;
use program::{Home, Server, site, until};
use serde_json::Value;

/// What a folder takes up on the disk.
fn taken(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let size =
        |path: &Path| if path.is_dir() { taken(path) } else { fs::metadata(path).unwrap().blocks() * 512 };
    entries.map(|entry| size(&entry.path())).sum()
}

fn purge(home: &Home, flags: &[&str]) -> Value {
    let mut line = vec!["store", "purge", "--now", "--dataDir", "data", "--output", "json"];
    line.extend(flags);
    serde_json::from_str(&home.ok(&line)).unwrap()
}

const SIZE: usize = 4 << 20;

#[test]
fn p6_a_purge_asks_the_server_that_has_the_store_open_and_works_without_one() {
    let (mut server, home) = site();
    home.write("a", noise(SIZE, 1));
    home.ok(&["file", "put", "/", "a"]);
    home.ok(&["file", "rm", "/a"]);
    let chunks = home.at("data/chunks");
    let before = taken(&chunks);
    // By the server's own rule, which keeps what was deleted for a week.
    assert_eq!(purge(&home, &["--purgeDuration", "1ms"])["chunks"], 0);
    home.ok(&["file", "restore", "/a"]);
    home.ok(&["file", "rm", "/a"]);
    server.stop();
    assert_eq!(purge(&home, &[])["chunks"], 0, "a week is not over");
    let gone = purge(&home, &["--purgeDuration", "1ms"]);
    assert_eq!(gone["chunks"], 8, "{gone}");
    assert_eq!(gone["deleted"], 2, "{gone}");
    assert!(taken(&chunks) + SIZE as u64 / 2 < before, "the bytes are given back");
    assert!(home.fails(&["store", "purge", "--dataDir", "data"]).contains("--now"));
}

#[test]
fn a_server_purges_by_itself() {
    let home = Home::new();
    let data = home.at("data");
    let flags = [
        "--bindAddr",
        "127.0.0.1:0",
        "--purgeDuration",
        "1ms",
        "--purgeInterval",
        "100ms",
        "--keepVersions",
        "1",
    ];
    let mut server = Server::with(&data, &flags);
    home.ok(&["bootstrap", "--dataDir", "data"]);
    home.write("a", noise(SIZE, 1));
    home.ok(&["file", "put", "/", "a"]);
    home.write("a", "small");
    home.ok(&["file", "put", "/", "a"]);
    let chunks = home.at("data/chunks");
    until("an empty folder of chunks", Duration::from_secs(30), || {
        (taken(&chunks) < SIZE as u64 / 2).then_some(())
    });
    assert_eq!(home.ok(&["file", "get", "-o", "-", "/a"]), "small");
    server.stop();
}

/// The files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// The same bytes under the name that another writer of the same life would have given them.
fn double(object: &Path, attempt: u64) -> PathBuf {
    let name = object.file_name().unwrap().to_str().unwrap();
    let (life, _) = name.rsplit_once('-').unwrap();
    let other = object.with_file_name(format!("{life}-{attempt:016x}"));
    fs::copy(object, &other).unwrap();
    other
}

#[test]
fn p6_bytes_that_no_row_names_are_swept_when_they_are_old_and_the_tier_is_the_stores_own() {
    let home = Home::new();
    let chunks = format!("file://{}", home.at("objects").display());
    let flags = ["--bindAddr", "127.0.0.1:0", "--chunks", &chunks, "--purgeInterval", "100ms"];
    let data = home.at("data");
    let start = |more: &[&str]| Server::with(&data, &[&flags[..], more].concat());
    let mut server = start(&[]);
    home.ok(&["bootstrap", "--dataDir", "data"]);
    home.write("a", noise(SIZE, 1));
    home.ok(&["file", "put", "/", "a"]);
    server.stop();
    let live = files(&home.at("objects"));
    assert_eq!(live.len(), 8);
    let left = double(&live[0], 1);
    let older_than_the_store = || {
        let strange = double(&live[1], 2);
        let before = fs::metadata(&strange).unwrap().modified().unwrap() - Duration::from_secs(24 * 3600);
        fs::File::options().write(true).open(&strange).unwrap().set_modified(before).unwrap();
        strange
    };

    let at = ["--chunks", &chunks];
    let gone = purge(&home, &at);
    assert_eq!(gone["left"], 0, "a backup that knows them may be put back: {gone}");
    let strange = older_than_the_store();
    let gone = purge(&home, &[&at[..], &["--leftAfter", "0"]].concat());
    assert_eq!(gone["left"], 0, "a tier that was there before the store is another's: {gone}");
    assert!(left.exists() && strange.exists());
    fs::remove_file(&strange).unwrap();
    let gone = purge(&home, &[&at[..], &["--leftAfter", "0"]].concat());
    assert_eq!(gone["left"], 1, "{gone}");
    assert_eq!(gone["left_bytes"], 512 << 10, "{gone}");
    assert!(!left.exists());
    assert!(live.iter().all(|object| object.exists()));

    // A server does so by itself.
    let left = double(&live[2], 3);
    let mut server = start(&["--leftAfter", "1ms"]);
    until("the sweep of a server", Duration::from_secs(30), || (!left.exists()).then_some(()));
    home.ok(&["bootstrap", "--dataDir", "data"]);
    home.ok(&["file", "get", "-o", "again", "/a"]);
    assert!(fs::read(home.at("again")).unwrap() == noise(SIZE, 1));
    server.stop();
    assert!(live.iter().all(|object| object.exists()));
    let strange = older_than_the_store();
    let mut verify = vec!["store", "verify", "--dataDir", "data", "--leftAfter", "0", "--repair"];
    verify.extend(at);
    assert!(home.call(&verify).run().stdout.contains("left bytes"));
    assert!(!strange.exists(), "by hand it goes");
}
