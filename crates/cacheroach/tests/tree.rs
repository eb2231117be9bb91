//! Real input: large trees and a file larger than the server's memory, in and out again, byte for byte.
//!
//! By default a tree of 12,000 files and a file of 256 MiB; with `CACHEROACH_TEST_FULL=1` the documentation that is
//! installed with Rust (or, if there is too little of it, half a gigabyte of our own making) and a file of 3 GiB.

#![cfg(test)]

mod program;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use program::seeded::{self, Bytes, Hashing, Shape};
use program::{Home, Server, http, is_full, site};

/// What the server may need at most, however much goes through it.
const MOST_MEMORY_KIB: u64 = 200 << 10;
const PATIENCE: Duration = Duration::from_secs(900);
const LEAST_FILES: usize = 10_000;
const LEAST_BYTES: u64 = 500 << 20;

type Inventory = BTreeMap<String, (u64, String)>;

/// Rust's documentation, if it is here and is a tree worth the name.
fn documentation() -> Option<(PathBuf, Inventory)> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let root = Path::new(String::from_utf8(output.stdout).ok()?.trim()).join("share/doc");
    let inventory = root.is_dir().then(|| seeded::inventory(&root))?;
    let bytes: u64 = inventory.values().map(|(size, _)| size).sum();
    (inventory.len() >= LEAST_FILES && bytes >= LEAST_BYTES).then_some((root, inventory))
}

fn planted(root: &Path, shape: &Shape) -> Inventory {
    seeded::plant(root, seeded::seed("tree"), shape);
    seeded::inventory(root)
}

/// In, listed, out, and the same.
fn goes_in_and_out(server: &Server, home: &Home, root: &Path, expected: &Inventory) {
    let begun = Instant::now();
    let bytes: u64 = expected.values().map(|(size, _)| size).sum();
    let put = home.call(&["file", "put", "-r", "/tree/", root.to_str().unwrap()]).patience(PATIENCE).ok();
    assert_eq!(put.lines().count(), expected.len() + 1, "a row each, and the header");
    assert!(put.lines().skip(1).all(|row| row.ends_with("  OK")), "all are OK");
    println!("{} files, {bytes} bytes: put in {:?}", expected.len(), begun.elapsed());

    let listed = home.call(&["file", "ls", "/tree/"]).patience(PATIENCE).ok();
    let listed: Vec<&str> = listed.lines().collect();
    let mut names: Vec<String> = expected.keys().map(|name| format!("/tree/{name}")).collect();
    names.sort_unstable();
    assert!(listed == names, "the names are listed in the order of their bytes, and nothing else");
    let json = home.call(&["--output", "json", "file", "ls", "/tree/"]).patience(PATIENCE).ok();
    let json: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(json.len(), expected.len());
    for entry in &json {
        let name = entry["path"].as_str().unwrap().strip_prefix("/tree/").unwrap();
        assert_eq!(entry["size"], expected[name].0, "{name}");
        assert_eq!(entry["version"], 1, "{name}");
    }

    let begun = Instant::now();
    let got = home.call(&["file", "get", "-r", "-o", "back", "/tree/"]).patience(PATIENCE).ok();
    assert_eq!(got.lines().count(), expected.len() + 1);
    println!("got in {:?}", begun.elapsed());
    let back = seeded::inventory(&home.at("back"));
    assert_eq!(back.len(), expected.len());
    for (name, content) in expected {
        assert_eq!(back.get(name), Some(content), "{name}");
    }
    let memory = server.process.memory("VmHWM");
    println!("the server's memory: {memory} KiB at most");
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}

#[test]
fn a_tree_goes_in_and_out_byte_for_byte() {
    let (server, home) = site();
    if is_full()
        && let Some((root, expected)) = documentation()
    {
        return goes_in_and_out(&server, &home, &root, &expected);
    }
    let shape = match is_full() {
        true => Shape { files: 12_000, small_kib: 60, large: 12, large_mib: 80 },
        false => Shape { files: 12_000, small_kib: 6, large: 4, large_mib: 6 },
    };
    let root = home.at("source");
    let expected = planted(&root, &shape);
    assert!(expected.len() >= LEAST_FILES);
    goes_in_and_out(&server, &home, &root, &expected);
}

#[test]
fn odd_names_and_full_sized_files_survive() {
    let (server, home) = site();
    let root = home.at("source");
    let large_mib = if is_full() { 80 } else { 8 };
    let expected = planted(&root, &Shape { files: 200, small_kib: 60, large: 2, large_mib });
    goes_in_and_out(&server, &home, &root, &expected);
    // And by HTTP, under their percent-encoded names.
    let token = format!("Bearer {}", home.token(program::CONFIG));
    program::block_on(async {
        let client = http();
        for (name, (size, hash)) in &expected {
            let mut url = reqwest::Url::parse(&server.url).unwrap();
            url.path_segments_mut().unwrap().push("tree").extend(name.split('/'));
            let response = client.get(url).header("authorization", &token).send().await.unwrap();
            assert_eq!(response.status(), 200, "{name}");
            assert_eq!(response.headers()["etag"], format!("\"{hash}\""), "{name}");
            let body = response.bytes().await.unwrap();
            assert_eq!((body.len() as u64, &seeded::sha256(&body)), (*size, hash), "{name}");
        }
    });
}

#[test]
fn p11_a_file_larger_than_the_servers_memory_passes_through_it() {
    let (server, home) = site();
    let length = if is_full() { 3 << 30 } else { 256 << 20 };
    let seed = seeded::seed("large");
    let begun = Instant::now();
    let path = home.at("large.bin");
    let mut hashing = Hashing::default();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).unwrap());
    let mut bytes = Bytes::new(seed, length);
    let mut buffer = vec![0; 1 << 20];
    while let read @ 1.. = io::Read::read(&mut bytes, &mut buffer).unwrap() {
        file.write_all(&buffer[..read]).unwrap();
        hashing.write_all(&buffer[..read]).unwrap();
    }
    file.into_inner().unwrap();
    assert_eq!(hashing.length, length);
    let expected = hashing.hex();
    println!("made in {:?}", begun.elapsed());

    let begun = Instant::now();
    let rows = home.call(&["file", "put", "/", "large.bin"]).patience(PATIENCE).ok();
    let rows = program::table(&rows, &["Local", "Remote", "Status"]);
    assert_eq!(rows, [["large.bin", "/large.bin", "OK"]]);
    println!("put in {:?}", begun.elapsed());
    fs::remove_file(&path).unwrap();

    let begun = Instant::now();
    let errors = home.at("errors");
    let (mut get, mut stdout) = home.call(&["file", "get", "-o", "-", "/large.bin"]).spawn(&errors);
    let mut hashing = Hashing::default();
    io::copy(&mut stdout, &mut hashing).unwrap();
    assert!(get.wait(PATIENCE).success(), "{}", home.read("errors"));
    assert_eq!(hashing.length, length);
    assert_eq!(hashing.hex(), expected);
    println!("got in {:?}", begun.elapsed());

    let memory = server.process.memory("VmHWM");
    println!("the server's memory: {memory} KiB at most");
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}
