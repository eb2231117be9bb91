//! Versions over HTTP: reading any, COPY, MOVE, PATCH, conditional writes, metadata as headers, directories as they were.

use cacheroach_model::{Capabilities, TenantId};
use serde_json::{Value, json};

use crate::support::{Answer, HOUR, Server, on_tenant};

const EXPECTED: &str = "x-cacheroach-expected-version";
const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

struct Site {
    server: Server,
    tenant: TenantId,
    host: String,
    token: String,
}

impl Site {
    async fn new() -> Self {
        let server = Server::start().await;
        let tenant = server.tenant().await;
        let host = format!("{tenant}.example");
        server.vhost(&host, tenant).await;
        let site = Site { server, tenant, host, token: String::new() };
        let token = site.token(Capabilities::READ | Capabilities::WRITE, "/*").await;
        Site { token, ..site }
    }

    async fn token(&self, capabilities: Capabilities, scope: &str) -> String {
        let principal = self.server.principal().await;
        self.server.issue(&on_tenant(principal, capabilities, self.tenant, scope)).await
    }

    async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("host", self.host.as_str()), ("authorization", authorization.as_str())];
        all.extend(headers);
        self.server.http(method, path, &all, body.to_owned()).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.ask_as(&self.token, method, path, headers, body).await
    }

    async fn status(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        self.ask(method, path, headers, body).await.status.as_u16()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(self.ask("GET", path, &[("accept", "application/json")], "").await.text())
            .unwrap()
    }
}

#[tokio::test]
async fn every_version_is_read_by_its_number() {
    let site = Site::new().await;
    for content in ["one", "three"] {
        assert_eq!(site.status("PUT", "/a", &[], content).await, 202);
    }
    let old = site.ask("GET", "/a?version=1", &[], "").await;
    assert_eq!((old.text(), old.header("x-cacheroach-version")), ("one", "1"));
    assert_eq!(site.ask("GET", "/a", &[], "").await.header("x-cacheroach-version"), "2");
    assert_eq!(site.ask("HEAD", "/a?version=1", &[], "").await.header("content-length"), "3");
    for (version, status) in [("3", 404), ("x", 400), ("-1", 400), ("99999999999999999999", 400), ("0", 200)]
    {
        assert_eq!(site.status("GET", &format!("/a?version={version}"), &[], "").await, status, "{version}");
    }
    site.ask("PUT", "/d/index.html", &[], "old").await;
    site.ask("PUT", "/d/index.html", &[], "new").await;
    assert_eq!(site.ask("GET", "/d/index.html?version=1", &[], "").await.text(), "old");
    let versions = site.json("/a?versions").await;
    assert_eq!(versions["versions"][0]["version"], 2);
    assert_eq!(versions["versions"][1]["size"], 3);
    assert_eq!(site.json("/a?versions&limit=1").await["before"], 2);
    assert_eq!(site.json("/a?versions&limit=1&before=2").await["versions"][0]["version"], 1);
    assert_eq!(site.status("GET", "/none?versions", &[], "").await, 404);
}

#[tokio::test]
async fn a_write_happens_only_if_its_conditions_hold() {
    let site = Site::new().await;
    let absent = [("if-none-match", "*")];
    let etag = site.ask("PUT", "/a", &absent, "one").await.header("etag").to_owned();
    assert_eq!(site.status("PUT", "/a", &absent, "x").await, 412);
    assert_eq!(site.status("PUT", "/a", &[("if-match", "\"other\"")], "x").await, 412);
    assert_eq!(site.status("PUT", "/none", &[("if-match", "*")], "x").await, 412);
    assert_eq!(site.status("PUT", "/a", &[("if-none-match", &etag)], "x").await, 412);
    assert_eq!(site.status("PUT", "/a", &[("if-match", &etag)], "two").await, 202);
    assert_eq!(site.status("DELETE", "/a", &[("if-match", &etag)], "").await, 412);
    let expected = "x-cacheroach-expected-version";
    for (version, status) in [("1", 412), ("-1", 412), ("x", 400), ("-2", 400), ("2", 202), ("0", 202)] {
        assert_eq!(site.status("PUT", "/a", &[(expected, version)], "x").await, status, "{version}");
    }
    let before = [("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(site.status("PUT", "/a", &before, "x").await, 412);
    assert_eq!(site.status("PATCH", "/a", &[("if-match", "\"x\"")], "{}").await, 412);
    assert_eq!(site.status("DELETE", "/a", &[(expected, "3")], "").await, 412);
    assert_eq!(site.status("DELETE", "/a", &[("if-match", "*")], "").await, 200);
    assert_eq!(site.status("DELETE", "/a", &[("if-match", "*")], "").await, 412);
    assert_eq!(site.status("PUT", "/a", &absent, "again").await, 202, "a deleted file is none");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_still_sends() {
    let site = Site::new().await;
    site.ask("PUT", "/a", &[], "one").await;
    let large = "x".repeat(16 << 20);
    for _ in 0..5 {
        assert_eq!(site.status("PUT", "/a", &[("if-none-match", "*")], &large).await, 412);
    }
}

#[tokio::test]
async fn a26_a_condition_on_the_content_is_for_those_who_may_read_it() {
    let site = Site::new().await;
    let etag = site.ask("PUT", "/a", &[], "one").await.header("etag").to_owned();
    let writer = site.token(Capabilities::WRITE, "/*").await;
    for (method, body) in [("PUT", "x"), ("DELETE", ""), ("PATCH", "{}")] {
        for tag in [etag.as_str(), "\"guess\""] {
            let answer = site.ask_as(&writer, method, "/a", &[("if-match", tag)], body).await;
            assert_eq!(answer.status, 403, "{method} {tag}");
        }
    }
    let answer = site.ask_as(&writer, "PUT", "/a", &[("if-none-match", "*")], "x").await;
    assert_eq!(answer.status, 412, "whether there is a file is known to whoever writes it");
    let reader = site.token(Capabilities::READ, "/*").await;
    for tag in [etag.as_str(), "\"guess\""] {
        let answer = site.ask_as(&reader, "PUT", "/a", &[("if-match", tag)], "x").await;
        assert_eq!(answer.status, 403, "{tag}");
    }
    assert_eq!(site.ask("GET", "/a", &[], "").await.text(), "one");
}

#[tokio::test]
async fn files_are_copied_moved_described_and_restored() {
    let site = Site::new().await;
    let described = [("x-cacheroach-meta-name", "caf%C3%A9"), ("content-type", "text/x")];
    site.ask("PUT", "/a%20b", &described, "one").await;
    let to = |path| [("destination", path)];
    let copied = site.ask("COPY", "/a%20b", &to("/c%20d"), "").await;
    assert_eq!((copied.status.as_u16(), copied.text()), (200, "{\"files\":1,\"version\":1}\n"));
    let copy = site.ask("GET", "/c%20d", &[], "").await;
    assert_eq!((copy.text(), copy.header("content-type")), ("one", "text/x"));
    assert_eq!(copy.header("x-cacheroach-meta-name"), "caf%C3%A9");
    let keep = [("destination", "/c%20d"), ("overwrite", "F")];
    assert_eq!(site.status("COPY", "/a%20b", &keep, "").await, 412);
    let url = format!("http://{}/e/f", site.host);
    assert_eq!(site.status("MOVE", "/c%20d", &to(&url), "").await, 200);
    assert_eq!(site.status("GET", "/c%20d", &[], "").await, 404);
    assert_eq!(site.status("MOVE", "/e/", &to("/g/"), "").await, 200);
    let patch = json!({ "metadata": { "name": null, "k": "v" }, "content_type": "text/y" }).to_string();
    assert_eq!(site.status("PATCH", "/g/f", &[], &patch).await, 200);
    let patched = site.ask("GET", "/g/f", &[], "").await;
    assert_eq!((patched.header("x-cacheroach-meta-k"), patched.header("content-type")), ("v", "text/y"));
    assert!(!patched.headers.contains_key("x-cacheroach-meta-name"));
    site.ask("PUT", "/g/f", &[], "new").await;
    assert_eq!(site.ask("PATCH", "/g/f", &[], "{\"restore\": 1}").await.text(), "{\"version\":4}\n");
    assert_eq!(site.ask("GET", "/g/f", &[], "").await.text(), "one");
    assert_eq!(site.status("DELETE", "/g/?recursive", &[], "").await, 200);
    assert_eq!(site.status("PATCH", "/g/f", &[], "{\"restore\": 0}").await, 200);
    assert_eq!(site.ask("COPY", "/g/f?version=2", &to("/h"), "").await.status, 404, "a deleted version");
    assert_eq!(site.status("COPY", "/g/f?version=5", &to("/h"), "").await, 200);
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused_by_name() {
    let site = Site::new().await;
    site.ask("PUT", "/a", &[], "one").await;
    for (method, path, headers, body, field) in [
        ("COPY", "/a", vec![], "", "Destination"),
        ("COPY", "/a", vec![("destination", "b")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "http://evil.example/b")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "/%00")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "//evil.example/b")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "/b?version=1")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "/_")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "/b"), ("if-match", "\"x\"")], "", "if-match"),
        ("COPY", "/a", vec![("destination", "/b"), ("if-none-match", "*")], "", "if-none-match"),
        ("MOVE", "/a", vec![("destination", "/b"), ("if-match", "\"x\"")], "", "if-match"),
        ("MOVE", "/a", vec![("destination", "/b"), ("if-unmodified-since", OLD)], "", "if-unmodified-since"),
        ("COPY", "/a", vec![("destination", "/_/v0/x")], "", "Destination"),
        ("COPY", "/a", vec![("destination", "/b"), ("destination", "/c")], "", "Destination"),
        ("MOVE", "/a", vec![("destination", "/a")], "", "to"),
        ("COPY", "/a", vec![("destination", "/b"), ("overwrite", "maybe")], "", "Overwrite"),
        ("PATCH", "/a", vec![], "no json", "body"),
        ("PATCH", "/a", vec![], "{\"size\": 1}", "body"),
        ("PATCH", "/a", vec![], "{\"restore\": 1, \"content_type\": \"a/b\"}", "restore"),
        ("PATCH", "/a", vec![], "{\"content_type\": \"a\\nb\"}", "content_type"),
        ("PUT", "/a", vec![("x-cacheroach-meta-k", "50%")], "x", "x-cacheroach-meta-k"),
        ("DELETE", "/a?recursive", vec![], "", "recursive"),
        ("DELETE", "/a?version=1", vec![], "", "version"),
        ("DELETE", "/?recursive", vec![(EXPECTED, "1")], "", "expected_version"),
        ("PUT", "/a?version=1", vec![], "x", "version"),
        ("PATCH", "/a?version=1", vec![], "{}", "version"),
        ("MOVE", "/a?version=1", vec![("destination", "/b")], "", "version"),
        ("PUT", "/a", vec![(EXPECTED, "1"), (EXPECTED, "9")], "x", EXPECTED),
        ("DELETE", "/a/?recursive=maybe", vec![], "", "recursive"),
        ("GET", "/?as_of=yesterday", vec![], "", "as_of"),
    ] {
        let answer = site.ask(method, path, &headers, body).await;
        assert_eq!(answer.status, 400, "{method} {path} {headers:?} {body}");
        assert!(answer.text().starts_with(&format!("{field}: ")), "{}", answer.text());
    }
    assert_eq!(site.status("PATCH", "/a", &[], &" ".repeat(65 * 1024)).await, 413);
    assert_eq!(site.status("PATCH", "/none", &[], "{}").await, 404);
    let many: Vec<_> = (0..65).map(|at| format!("x-cacheroach-meta-{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "v")).collect();
    assert_eq!(site.status("PUT", "/b", &many, "x").await, 413);
    let large = "v".repeat(8 * 1024);
    assert_eq!(site.status("PUT", "/b", &[("x-cacheroach-meta-k", &large)], "x").await, 413);
    assert_eq!(site.status("PUT", "/b", &[("x-cacheroach-meta-k", &large[1..])], "x").await, 202);
    assert_eq!(site.ask("GET", "/b", &[], "").await.header("x-cacheroach-meta-k"), &large[1..]);
}

#[tokio::test]
async fn a_directory_is_shown_as_it_was() {
    let site = Site::new().await;
    for path in ["/d/a", "/d/b/c", "/d/index.html"] {
        site.ask("PUT", path, &[], "x").await;
    }
    site.server.advance(HOUR);
    site.ask("DELETE", "/d/?recursive", &[], "").await;
    site.ask("PUT", "/d/new", &[], "x").await;
    let names = async |path: &str| {
        let page = site.json(path).await;
        let entries = page["entries"].as_array().unwrap().clone();
        let names: Vec<_> = entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
        (names, page["next"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(names("/d/").await.0, ["new"]);
    let (first, next) = names("/d/?as_of=2026-07-01T00:30:00Z&limit=2").await;
    assert_eq!(first, ["a", "b"]);
    assert_eq!(names(&format!("/d/{next}")).await.0, ["index.html"]);
    assert_eq!(site.status("GET", "/d/?as_of=2020-01-01T00:00:00Z", &[], "").await, 404);
    let reader = site.token(Capabilities::READ, "/*").await;
    let past = "/d/?as_of=2026-07-01T00:30:00Z";
    assert_eq!(
        site.ask_as(&reader, "GET", past, &[], "").await.status,
        403,
        "what is deleted is for who may write"
    );
}
