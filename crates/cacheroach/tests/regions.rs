//! A tenant moves, and its bytes go along.

#![cfg(test)]

mod program;

use std::fs;
use std::path::Path;
use std::time::Duration;

use program::{Home, SCRATCHPAD, Server, until};
use serde_json::Value;

/// How many files are below a folder.
fn files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// How many bytes are in each region's tier of objects, and what was said of those still to be moved.
fn places(home: &Home) -> (Vec<(String, u64)>, String) {
    let ran = home.call(&["tenant", "where", SCRATCHPAD, "--output", "json"]).run();
    let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let in_objects = rows.iter().filter(|row| row["tier"] == "objects");
    let shown =
        in_objects.map(|row| (row["region"].as_str().unwrap().to_owned(), row["bytes"].as_u64().unwrap()));
    (shown.collect(), ran.stderr)
}

#[test]
fn bytes_are_brought_home_to_where_their_tenant_moved() {
    let home = Home::new();
    let at = |name: &str| format!("file://{}", home.at(name).display());
    let chunks = format!("eu={},us={}", at("eu"), at("us"));
    let data = home.at("data");
    let flags = |chunks: &str| ["--region", "eu", "--chunks", chunks].map(str::to_owned);
    let start = |chunks: &str| {
        let flags = flags(chunks);
        let mut all = vec!["--bindAddr", "127.0.0.1:0", "--purgeInterval", "100ms"];
        all.extend(flags.iter().map(String::as_str));
        let server = Server::with(&data, &all);
        home.ok(&["bootstrap", "--dataDir", "data"]);
        server
    };
    let store = |command: &[&str]| {
        let flags = flags(&chunks);
        let place = ["--dataDir", "data"].into_iter().chain(flags.iter().map(String::as_str));
        home.call(&[&["store"], command, &place.collect::<Vec<_>>()].concat()).ok()
    };
    const SIZE: u64 = 4 << 20;
    let content: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at / 70_000 % 251).unwrap()).collect();

    let mut server = start(&chunks);
    home.write("a", &content);
    home.ok(&["file", "put", "/", "a"]);
    assert_eq!(places(&home), (vec![("eu".into(), SIZE)], String::new()));
    let moved = home.call(&["tenant", "move", SCRATCHPAD, "1", "us"]).run();
    assert!(moved.stderr.contains("still to be moved home, to us"), "{moved:?}");
    until("all bytes in the new region", Duration::from_secs(60), || {
        (places(&home) == (vec![("us".into(), SIZE)], String::new())).then_some(())
    });
    home.ok(&["file", "get", "-o", "again", "/a"]);
    assert!(fs::read(home.at("again")).unwrap() == content);
    server.stop();

    store(&["purge", "--now"]);
    store(&["verify", "--leftAfter", "0"]);
    assert_eq!((files(&home.at("eu")), files(&home.at("us"))), (0, 8));
    // Nothing is there any more, so nobody needs to know that region.
    let mut server = start(&format!("us={}", at("us")));
    home.ok(&["file", "get", "-o", "once more", "/a"]);
    assert!(fs::read(home.at("once more")).unwrap() == content);
    server.stop();
}
