//! `file fetch` by the real binary, from a server of the test's own.

#![cfg(test)]

mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use program::{Home, SCRATCHPAD, Server, table};

/// Serves `/NAME` with its own name as content, and `/missing` not at all; keeps the heads of all requests.
fn remote() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let status = match path.as_str() {
                "/missing" => "404 Not Found",
                _ if head.to_lowercase().contains("if-modified-since") => "304 Not Modified",
                _ => "200 OK",
            };
            let body = if status == "304 Not Modified" { "" } else { &path };
            keep.lock().unwrap().push(head);
            let length = format!("content-length: {}\r\n", path.len());
            let length = if body.is_empty() { "" } else { &length };
            let _ = write!(stream, "HTTP/1.1 {status}\r\n{length}connection: close\r\n\r\n{body}");
        }
    });
    (url, seen)
}

/// A server that fetches from the loopback, and a home that is its superuser's.
fn site(flags: &[&str]) -> (Server, Home) {
    let home = Home::new();
    let server = Server::with(&home.at("data"), &[&["--bindAddr", "127.0.0.1:0"], flags].concat());
    home.ok(&["bootstrap", "--dataDir", "data"]);
    (server, home)
}

const COLUMNS: [&str; 4] = ["Path", "URL", "Code", "Message"];
const LOOPBACK: [&str; 2] = ["--fetchAllow", "127.0.0.1/32"];

#[test]
fn files_are_fetched_into_a_directory() {
    let (server, home) = site(&LOOPBACK);
    let (url, seen) = remote();
    let [one, two] = ["/dir/one.txt", "/two?query=1"].map(|path| format!("{url}{path}"));
    home.write("headers", "X-Mine=1,\"X-List=a, b\"");
    let fetched =
        home.ok(&["file", "fetch", "/new/", &one, &two, "--headers", "@headers", "--method", "POST"]);
    assert_eq!(table(&fetched, &COLUMNS), [["/new/one.txt", &one, "200", ""], ["/new/two", &two, "200", ""]]);
    assert_eq!(home.ok(&["file", "ls", "/new/"]), "/new/one.txt\n/new/two\n");
    assert_eq!(program::get(&format!("{}/new/one.txt", server.url), &[]).text(), "/dir/one.txt");
    for head in seen.lock().unwrap().iter() {
        assert!(head.starts_with("POST /"), "{head}");
        let head = head.to_lowercase();
        assert!(head.contains("\r\nx-mine: 1\r\n") && head.contains("\r\nx-list: a, b\r\n"), "{head}");
        assert!(!head.contains("bearer") && !head.contains(SCRATCHPAD), "{head}");
    }
    let again = home.ok(&["file", "fetch", "/new/", &one]);
    assert_eq!(table(&again, &COLUMNS), [["/new/one.txt", &one, "304", "304 Not Modified"]]);
    let json = home.ok(&["--output", "json", "file", "fetch", "/json/", &one]);
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = serde_json::json!({ "path": "/json/one.txt", "url": one, "code": 200, "message": "" });
    assert_eq!(rows, serde_json::json!([row]));
}

#[test]
fn a89_a_file_that_is_not_fetched_fails_the_command_and_is_named() {
    let (_server, home) = site(&LOOPBACK);
    let (url, _) = remote();
    let [good, missing] = ["/good", "/missing"].map(|path| format!("{url}{path}"));
    let call = home.call(&["file", "fetch", "/new/", &missing, "ftp://127.0.0.1/x", &good]).run();
    assert_eq!(call.code, Some(1), "{call:?}");
    let rows = table(&call.stdout, &COLUMNS);
    assert_eq!(rows[0], ["/new/missing", &missing, "404", "404 Not Found"]);
    assert_eq!(rows[1][..3], ["/new/x", "ftp://127.0.0.1/x", "0"]);
    assert!(rows[1][3].starts_with("rpc error: code = InvalidArgument desc = remote_url: "), "{rows:?}");
    assert_eq!(rows[2], ["/new/good", &good, "200", ""]);
    assert!(call.stderr.contains("2 of 3 files failed") && call.stderr.contains("/new/x"), "{call:?}");
    assert_eq!(home.ok(&["file", "ls", "/new/"]), "/new/good\n");
}

#[test]
fn a51_the_loopback_is_not_fetched_from_unless_the_operator_allows_it() {
    let (_server, home) = site(&[]);
    let (url, seen) = remote();
    let call = home.call(&["file", "fetch", "/new/", &format!("{url}/x")]).run();
    assert_eq!(call.code, Some(1));
    assert!(call.stdout.contains("it leads to an address that this server does not fetch from"), "{call:?}");
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(home.ok(&["file", "ls", "/new/"]), "");
}

#[test]
fn the_target_is_a_directory_and_there_is_something_to_fetch() {
    let home = Home::new();
    let told = home.fails(&["file", "fetch", "new/", "http://h/x"]);
    assert!(told.contains("the remote path must start with /"), "{told}");
    let told = home.fails(&["file", "fetch", "/new", "http://h/x"]);
    assert!(told.contains("the target for an upload must end in a / to avoid ambiguous behavior"), "{told}");
    home.fails(&["file", "fetch", "/new/"]);
    let told = home.fails(&["file", "fetch", "/new/", "http://h/x", "--headers", "Authorization: hidden"]);
    assert!(told.contains("--headers: ") && told.contains("name=value"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
}

#[test]
fn a85_what_is_sent_to_others_is_in_no_log() {
    let (server, home) = site(&[&LOOPBACK[..], &["-vv"]].concat());
    let (url, seen) = remote();
    home.write("headers", "Authorization=Bearer h1dden");
    let secret = |path: &str| format!("{url}{path}?token=s3cret");
    home.ok(&["file", "fetch", "/new/", &secret("/x"), "--headers", "@headers"]);
    // Nobody is there, and somebody who is not to be reached.
    for nobody in ["http://127.0.0.1:1/?token=s3cret", "http://10.0.0.1/?token=s3cret"] {
        home.fails(&["file", "fetch", "/new/", nobody, "--headers", "@headers"]);
    }
    assert!(seen.lock().unwrap()[0].contains("Bearer h1dden"));
    let logged = server.stdout() + &server.stderr();
    assert!(logged.contains("cacheroach"), "{logged}");
    assert!(!logged.contains("h1dden") && !logged.contains("s3cret"), "{logged}");
}
