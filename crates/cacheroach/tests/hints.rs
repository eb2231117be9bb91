//! What the command line says beside an error: what to do about it, each time another sentence.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use program::{CONFIG, Home, SCRATCHPAD, free_port, get, site, table};
use serde_json::Value;

#[track_caller]
fn hint(stderr: &str) -> &str {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("hint: "));
    let all: Vec<_> = lines.collect();
    assert_eq!(all.len(), 1, "{stderr}");
    all[0]
}

fn change(home: &Home, change: impl Fn(&mut Value)) {
    let mut config = home.config(CONFIG);
    change(&mut config);
    home.write(CONFIG, config.to_string());
}

fn tenant(home: &Home) -> String {
    home.ok(&["tenant", "create", "acme"]).trim().to_owned()
}

fn delegate(home: &Home, tenant: &str, path: &str, capabilities: &str, duration: &str) {
    home.ok(&[
        "session",
        "delegate",
        "--on",
        "tenant",
        "--id",
        tenant,
        "--path",
        path,
        "--capabilities",
        capabilities,
        "--duration",
        duration,
        "--out",
        "other.cfg",
    ]);
}

#[test]
fn each_reason_has_its_own_sentence_and_the_http_problem_says_the_same() {
    let (server, home) = site();
    let acme = tenant(&home);
    home.ok(&["vhost", "create", &acme, "acme.example"]);
    let as_problem = |token: &str, target: &str| {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("host", "acme.example"), ("accept", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        let answer = get(&format!("{}{target}", server.url), &headers);
        serde_json::from_str::<Value>(&answer.text()).unwrap()["detail"].as_str().unwrap().to_owned()
    };
    let ls = |path: &str| home.fails(&["-c", "other.cfg", "file", "-t", &acme, "ls", path]);
    let mut sentences = Vec::new();

    delegate(&home, &acme, "/docs/*", "write", "1h");
    let lacks = ls("/docs/x");
    assert!(
        lacks.contains("rpc error: code = PermissionDenied desc = inappropriate fields in request"),
        "{lacks}"
    );
    let said = hint(&lacks);
    assert!(said.contains("`read` on `/docs/x`") && said.contains(&acme), "{said}");
    assert_eq!(said, as_problem(&home.token("other.cfg"), "/docs/x"));
    sentences.push(said.to_owned());

    let beyond = ls("/else/x");
    assert!(!hint(&beyond).contains("/else"), "{beyond}");
    sentences.push(hint(&beyond).to_owned());

    let id = home.config("other.cfg")["Session"]["ID"]["d"].clone();
    assert!(id.is_string());
    home.ok(&["-c", "other.cfg", "auth", "logout"]);
    delegate(&home, &acme, "/docs/*", "read", "1h");
    let revoked = home.token("other.cfg");
    let shown = home.ok(&["session", "ls"]);
    let columns = ["ID", "Principal", "Name", "Caps", "Type", "Target ID", "Path"];
    let of_acme = table(&shown, &columns).into_iter().find(|row| row[5] == acme && row[3] == "read").unwrap();
    home.ok(&["session", "rm", &of_acme[0]]);
    let over = ls("/docs/x");
    assert_eq!(hint(&over), as_problem(&revoked, "/docs/x"));
    sentences.push(hint(&over).to_owned());

    delegate(&home, &acme, "/docs/*", "read", "1s");
    let expired = home.token("other.cfg");
    let ended = program::until("the end of a session", std::time::Duration::from_secs(20), || {
        let ran = home.call(&["-c", "other.cfg", "file", "-t", &acme, "ls", "/docs/"]).run();
        (ran.code == Some(1)).then_some(ran.stderr)
    });
    assert!(hint(&ended).contains("expired"), "{ended}");
    assert_eq!(hint(&ended), as_problem(&expired, "/docs/x"));
    sentences.push(hint(&ended).to_owned());

    change(&home, |config| config["Token"] = "".into());
    let nobody = home.fails(&["file", "-t", &acme, "ls", "/docs/"]);
    assert_eq!(hint(&nobody), as_problem("", "/docs/x"));
    sentences.push(hint(&nobody).to_owned());

    change(&home, |config| config["Token"] = "a.b.c".into());
    let nonsense = home.fails(&["tenant", "ls"]);
    assert_eq!(hint(&nonsense), as_problem("a.b.c", "/docs/x"));
    sentences.push(hint(&nonsense).to_owned());

    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), 6, "{sentences:#?}");
}

#[test]
fn what_is_for_superusers_says_so() {
    let (_server, home) = site();
    let acme = tenant(&home);
    delegate(&home, &acme, "/*", "read", "1h");
    let refused = home.fails(&["-c", "other.cfg", "tenant", "create", "more"]);
    assert!(refused.contains("insufficient scope"), "{refused}");
    assert!(hint(&refused).contains("superusers"), "{refused}");
}

#[test]
fn a_batch_tells_what_its_last_failure_lacked() {
    let (_server, home) = site();
    let acme = tenant(&home);
    delegate(&home, &acme, "/*", "read", "1h");
    home.write("a", "x");
    for files in [&["a"][..], &["a", "a"]] {
        let put = ["-c", "other.cfg", "file", "-t", &acme, "put", "/d/"];
        let refused = home.fails(&[&put[..], files].concat());
        assert!(hint(&refused).starts_with("this needs `write` on `/d/a` of the tenant"), "{refused}");
    }
}

#[test]
fn a_wrong_host_is_told_apart_from_one_that_is_no_cacheroach() {
    let (mut server, home) = site();
    let config = home.read(CONFIG);
    let nobody = format!("127.0.0.1:{}", free_port());
    change(&home, |config| config["Host"] = nobody.clone().into());
    let gone = home.fails(&["tenant", "ls"]);
    assert!(gone.contains(&format!("cannot connect to http://{nobody}")), "{gone}");
    assert!(hint(&gone).starts_with("no server answers there"), "{gone}");

    // A web server of another kind.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // To close on what still comes would cut off the answer.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    change(&home, |config| config["Host"] = other.clone().into());
    let stranger = home.fails(&["tenant", "ls"]);
    assert!(hint(&stranger).starts_with("what answers there does not speak as a cacheroach"), "{stranger}");

    home.write(CONFIG, &config);
    home.ok(&["tenant", "ls"]);
    server.stop();
    let stopped = home.fails(&["tenant", "ls"]);
    assert!(hint(&stopped).starts_with("no server answers there"), "{stopped}");
}

#[test]
fn settings_of_a_host_are_set_shown_and_reset() {
    let (server, home) = site();
    home.write("app.html", "<h1>app</h1>");
    home.write("lost.html", "lost");
    home.ok(&["file", "put", "/", "app.html", "lost.html"]);
    home.ok(&[
        "vhost",
        "create",
        SCRATCHPAD,
        "app.example",
        "--spa",
        "--index",
        "app.html",
        "--error-page",
        "/lost.html",
        "--cors",
        "https://a.example,https://b.example",
        "--login",
    ]);
    let columns = ["Tenant ID", "Hostname", "Login", "CORS", "SPA", "Index", "Error Page"];
    let wide = table(&home.ok(&["vhost", "ls", "--wide"]), &columns);
    assert!(
        wide.iter().any(|row| row[1..]
            == [
                "app.example",
                "yes",
                "https://a.example,https://b.example",
                "yes",
                "app.html",
                "/lost.html"
            ]),
        "{wide:?}"
    );
    let json: Value = serde_json::from_str(&home.ok(&["vhost", "ls", "-w", "--output", "json"])).unwrap();
    let app = json.as_array().unwrap().iter().find(|one| one["hostname"] == "app.example").unwrap();
    assert_eq!(app["cors"], serde_json::json!(["https://a.example", "https://b.example"]));
    assert_eq!((&app["login"], &app["spa"]), (&true.into(), &true.into()));
    let narrow = home.ok(&["vhost", "ls"]);
    assert!(narrow.lines().next().unwrap().ends_with("Hostname"), "{narrow}");

    let seen = |target: &str| {
        let got = get(&format!("{}{target}", server.url), &[("host", "app.example")]);
        (got.status, got.text())
    };
    assert_eq!(seen("/users/7"), (200, "<h1>app</h1>".into()), "at once");
    assert_eq!(seen("/none.js"), (404, "lost".into()));
    let refused = home.fails(&["vhost", "create", SCRATCHPAD, "app.example", "--cors", "null"]);
    assert!(refused.contains("vhost.cors"), "{refused}");
    home.ok(&["vhost", "create", SCRATCHPAD, "app.example"]);
    assert_eq!(seen("/users/7").0, 404);
}
