//! What `file put` sends of what the server has already, counted on the way between the two.

#![cfg(test)]

mod program;

use std::fs;

use cacheroach_testing::noise;
use program::way::Way;
use program::{Home, site};
use serde_json::{Value, json};

const CHUNK: usize = 512 * 1024;
/// What calls without contents may come to.
const TALK: u64 = 64 * 1024;

fn put(home: &Home, arguments: &[&str]) -> Value {
    let shown = home.ok(&[&["--output", "json", "file", "put"], arguments].concat());
    serde_json::from_str(&shown).unwrap()
}

fn stat(home: &Home, path: &str) -> Value {
    let json: Value = serde_json::from_str(&home.ok(&["--output", "json", "file", "stat", path])).unwrap();
    json[0].clone()
}

/// Gets a file and compares it.
#[track_caller]
fn holds(home: &Home, path: &str, content: &[u8]) {
    home.ok(&["file", "get", "-o", "got", path]);
    assert!(fs::read(home.at("got")).unwrap() == content, "{path}");
}

#[test]
fn an_upload_of_unchanged_data_moves_no_bytes_and_makes_a_version() {
    let (server, home) = site();
    let way = Way::lay(&server, &home);
    for (name, length) in [("large", 9 * CHUNK + 70_000), ("middle", 100_000)] {
        let (content, path) = (noise(length, 1), format!("/d/{name}"));
        home.write(name, &content);
        let mut shown = Value::Null;
        let first = way.count(|| shown = put(&home, &["/d/", name]));
        assert!(first >= length as u64 && first < length as u64 + TALK, "{first}");
        let second = way.count(|| assert_eq!(put(&home, &["/d/", name]), shown));
        assert!(second < TALK / 4, "{second}");
        assert_eq!(stat(&home, &path)["version"], 2);
        // It is described anew all the same.
        let third = way.count(|| drop(put(&home, &["--type", "text/y", "/d/", name])));
        assert!(third < TALK / 4, "{third}");
        let found = stat(&home, &path);
        assert_eq!((&found["version"], &found["type"]), (&json!(3), &json!("text/y")));
        holds(&home, &path, &content);
    }
}

#[test]
fn only_chunks_that_changed_are_sent() {
    let (server, home) = site();
    let way = Way::lay(&server, &home);
    let mut content = noise(40 * CHUNK + 1_000, 1);
    home.write("x", &content);
    put(&home, &["/d/", "x"]);
    let elsewhere = way.count(|| drop(put(&home, &["/e/", "x"])));
    assert!(elsewhere < TALK, "the content is another file's: {elsewhere}");
    holds(&home, "/e/x", &content);
    content[17 * CHUNK + 5] ^= 1;
    home.write("x", &content);
    let sent = way.count(|| drop(put(&home, &["/d/", "x"])));
    assert!(sent >= CHUNK as u64 && sent < CHUNK as u64 + TALK, "{sent}");
    holds(&home, "/d/x", &content);
    content.extend(noise(CHUNK, 2));
    home.write("up/x", &content);
    let sent = way.count(|| drop(home.ok(&["file", "sync", "up", "cr:/d/"])));
    assert!(sent >= CHUNK as u64 && sent < 3 * CHUNK as u64 + TALK, "{sent}");
    holds(&home, "/d/x", &content);
}

/// P7.
#[test]
fn a33_what_another_tenant_has_is_sent() {
    let (server, home) = site();
    let way = Way::lay(&server, &home);
    let content = noise(8 * CHUNK, 1);
    home.write("x", &content);
    let first = way.count(|| drop(put(&home, &["/d/", "x"])));
    let other = home.ok(&["tenant", "create", "other"]);
    let second = way.count(|| drop(put(&home, &["-t", other.trim(), "/d/", "x"])));
    assert!(second >= content.len() as u64, "{second}");
    assert!(first.abs_diff(second) < 4 * 1024, "{first} and {second}");
}
