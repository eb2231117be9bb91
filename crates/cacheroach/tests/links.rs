//! Links as people make, see and end them: `file sign`, `file links`, `file unlink` and `file drop`, with the real program.

#![cfg(test)]

mod program;

use program::{Home, Server, answer, block_on, get, http, site, table};
use serde_json::Value;

const LINKS: [&str; 8] = ["ID", "Path", "Kind", "Created", "Expires", "Uses", "Network", "Name"];

/// A server and a home with a file `/docs/a.txt`.
fn with_file() -> (Server, Home) {
    let (server, home) = site();
    home.write("a.txt", "hello");
    home.ok(&["file", "put", "/docs/", "a.txt"]);
    (server, home)
}

/// The only URL in what a command printed.
fn url(printed: &str) -> String {
    let [row] = &table(printed, &["Path", "URL"])[..] else { panic!("{printed}") };
    row[1].clone()
}

fn sign(home: &Home, more: &[&str]) -> String {
    url(&home.ok(&[&["file", "sign", "/docs/a.txt"], more].concat()))
}

fn links(home: &Home) -> Vec<Vec<String>> {
    table(&home.ok(&["file", "links"]), &LINKS)
}

fn put(url: &str, body: &str) -> u16 {
    block_on(answer(http().put(url).body(body.to_owned()))).status
}

#[test]
fn a_link_is_bounded_listed_and_taken_back() {
    let (_server, home) = with_file();
    let plain = sign(&home, &["--unlisted"]);
    assert!(links(&home).is_empty(), "nothing asked for a row");

    let bounded = sign(
        &home,
        &["--download-name", "report (1).txt", "--max-uses", "2", "--network", "127.0.0.0/8,::1"],
    );
    let first = get(&bounded, &[]);
    assert_eq!((first.status, first.text().as_str()), (200, "hello"));
    assert_eq!(first.header("content-disposition"), Some("attachment; filename=\"report (1).txt\""));
    let [row] = &links(&home)[..] else { panic!() };
    assert_eq!([&row[1], &row[2], &row[5]], ["/docs/a.txt", "read", "1/2"]);
    assert_eq!([&row[6], &row[7]], ["127.0.0.0/8,::1/128", "report (1).txt"]);
    assert!(!row[3].is_empty() && !row[4].is_empty(), "{row:?}");
    assert_eq!(get(&bounded, &[]).status, 200);
    let over = get(&bounded, &[]);
    assert_eq!(over.status, 403);
    assert!(over.text().contains("as often as it may be"));
    assert_eq!(get(&sign(&home, &["--network", "192.0.2.0/24"]), &[]).status, 403);

    let id = links(&home)[0][0].clone();
    let done = home.ok(&["file", "unlink", &id]);
    assert_eq!(table(&done, &["Link", "Status"]), [[id.as_str(), "OK"]]);
    assert_eq!(links(&home).len(), 1);
    assert_eq!(get(&plain, &[]).status, 200);
    assert!(home.fails(&["file", "unlink", "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"]).contains("NotFound"));
}

#[test]
fn a91_a_url_is_taken_back_without_being_on_a_command_line() {
    let (_server, home) = with_file();
    let (one, two, three) = (sign(&home, &["--unlisted"]), sign(&home, &[]), sign(&home, &[]));
    let done = home.call(&["file", "unlink", "-"]).input(&format!("{one}\n\n  {two}\n")).ok();
    assert!(!done.contains("access_token") && !done.contains("eyJ"), "{done}");
    assert_eq!(table(&done, &["Link", "Status"]).iter().filter(|row| row[1] == "OK").count(), 2);
    assert_eq!([&one, &two, &three].map(|url| get(url, &[]).status), [401, 401, 200]);
    assert!(home.shown().iter().all(|line| !line.contains("access_token")));
    let wrong =
        home.call(&["file", "unlink", "-"]).input("https://files.example/?access_token=secretsecret").fails();
    assert!(wrong.contains("NotFound") && !wrong.contains("secretsecret"), "{wrong}");
}

#[test]
fn a_drop_link_takes_what_it_may() {
    let (_server, home) = with_file();
    let arguments =
        ["file", "drop", "/inbox", "--max-size", "1K", "--max-files", "2", "--types", "text/plain,image/*"];
    let link = url(&home.ok(&[&arguments[..], &["--label", "For the report"]].concat()));
    let page = get(&link, &[]);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("For the report") && page.text().contains("1 KiB"), "{}", page.text());
    let at = |name: &str| link.replace("/drop/?", &format!("/drop/{name}?"));
    assert_eq!(put(&at("a.txt"), "from outside"), 201);
    assert_eq!(put(&at("a.txt"), "again"), 409);
    assert_eq!(put(&at("b.html"), "no"), 415);
    assert_eq!(put(&at("c.txt"), &"x".repeat(1025)), 413);
    assert_eq!(put(&at("d.txt"), "second"), 201);
    assert_eq!(put(&at("e.txt"), "third"), 403);
    assert_eq!(home.ok(&["file", "ls", "/inbox/"]), "/inbox/a.txt\n/inbox/d.txt\n");
    home.ok(&["file", "get", "-o", "back.txt", "/inbox/a.txt"]);
    assert_eq!(home.read("back.txt"), "from outside");

    let listed: Value =
        serde_json::from_str(&home.ok(&["--output", "json", "file", "links", "/inbox/"])).unwrap();
    let row = if listed.is_array() { listed[0].clone() } else { listed };
    assert_eq!((row["path"].as_str(), row["kind"].as_str()), (Some("/inbox/"), Some("drop")), "{row}");
    assert_eq!((row["uses"]["used"].as_i64(), row["uses"]["most"].as_i64()), (Some(2), Some(2)), "{row}");
    home.ok(&["file", "unlink", row["id"].as_str().unwrap()]);
    assert_eq!(get(&link, &[]).status, 401);
}

#[test]
fn a42_an_operator_bounds_the_life_of_links() {
    let home = Home::new();
    let flags = ["--bindAddr", "127.0.0.1:0", "--linkMaxValidity", "1h"];
    let _server = Server::with(&home.at("data"), &flags);
    home.ok(&["bootstrap", "--dataDir", "data"]);
    home.write("a.txt", "hello");
    home.ok(&["file", "put", "/docs/", "a.txt"]);
    sign(&home, &["--validity", "0s"]);
    let listed: Value = serde_json::from_str(&home.ok(&["--output", "json", "file", "links"])).unwrap();
    let row = if listed.is_array() { listed[0].clone() } else { listed };
    let [created, expires] =
        ["created", "expires"].map(|name| row[name].as_str().unwrap().parse::<jiff::Timestamp>());
    let life = expires.unwrap().as_second() - created.unwrap().as_second();
    assert_eq!(life, 3600, "{row}");
}

#[test]
fn wrong_bounds_are_told_before_anything_is_asked() {
    let home = Home::new();
    for arguments in [
        &["file", "sign", "--max-uses", "0", "/x"][..],
        &["file", "sign", "--max-uses", "1", "--unlisted", "/x"],
        &["file", "drop"],
        &["file", "drop", "--max-size", "1T", "/x"],
        &["file", "drop", "--max-files", "0", "/x"],
        &["file", "unlink"],
    ] {
        let told = home.fails(arguments);
        assert!(
            told.contains("Usage") || told.contains("invalid value") || told.contains("cannot be used"),
            "{told}"
        );
    }
}
