//! Accounts: passwords and `auth login`, on the real binary.

#![cfg(test)]

mod program;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ChildStdout;
use std::thread;

use program::{Answer, CONFIG, Home, Process, Server, answer, block_on, http, site};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn id_in(text: &str) -> String {
    text.split_whitespace().last().unwrap().to_owned()
}

/// A principal that can log in as `alice`.
fn alice(home: &Home) -> String {
    id_in(
        &home
            .call(&["principal", "create", "alice", "--password-stdin"])
            .input(&format!("{PASSWORD}\n"))
            .ok(),
    )
}

fn login<'a>(home: &'a Home, server: &Server, user: &str, password: &str) -> program::Call<'a> {
    home.call(&["auth", "login", "--user", user, "--password-stdin", "-c", "own.cfg", &server.url])
        .input(password)
}

#[test]
fn whoever_has_a_password_logs_in_and_out() {
    let (server, home) = site();
    let id = alice(&home);
    assert!(home.at("alice.cfg").exists(), "the configuration is written all the same");
    let said = login(&home, &server, "alice", PASSWORD).ok();
    assert_eq!(said, "Success!\n");
    let config = home.config("own.cfg");
    assert_eq!((&config["Host"], &config["Insecure"]), (&json!(server.host()), &json!(true)));
    assert_eq!(config["Session"]["note"], "created via password login");
    let shown = home.ok(&["-c", "own.cfg", "auth", "whoami"]);
    assert!(shown.contains(&id) && shown.contains("delegate:true"), "{shown}");
    // What it is granted, it has.
    let tenant = home.ok(&["tenant", "create", "acme"]).trim().to_owned();
    home.write("a.txt", "a");
    home.ok(&["file", "put", "-t", &tenant, "/", "a.txt"]);
    home.fails(&["-c", "own.cfg", "file", "ls", "-t", &tenant]);
    let grant = ["session", "delegate", "--on", "tenant", "--id", &tenant, "--capabilities", "read"];
    home.ok(&[&grant[..], &["--for", &id]].concat());
    assert_eq!(home.ok(&["-c", "own.cfg", "file", "ls", "-t", &tenant]).trim(), "/a.txt");
    home.ok(&["-c", "own.cfg", "auth", "logout"]);
    home.fails(&["-c", "own.cfg", "auth", "whoami"]);
    // A file serves as well, and another name.
    home.write("password", format!("{PASSWORD} 2\r\n"));
    let made = ["principal", "create", "bob", "--user", "bob@example.org", "--password-file", "password"];
    let bob = id_in(&home.ok(&made));
    login(&home, &server, "bob@example.org", &format!("{PASSWORD} 2")).ok();
    assert!(home.ok(&["-c", "own.cfg", "auth", "whoami"]).contains(&bob));
}

#[test]
fn a_login_that_fails_changes_nothing() {
    let (server, home) = site();
    alice(&home);
    login(&home, &server, "alice", PASSWORD).ok();
    let before = home.read("own.cfg");
    for (user, password) in [("alice", "wrong horse"), ("nobody", PASSWORD), ("alice", ""), ("alice", "  ")] {
        let said = login(&home, &server, user, password).fails();
        assert!(said.contains("wrong user name or password") && !said.contains("bootstrap"), "{said}");
        assert!(!said.contains("horse"), "{said}");
    }
    assert_eq!(home.read("own.cfg"), before);
    // However slow this machine is, nobody guesses on and on.
    let slowed =
        |said: &String| said.contains("ResourceExhausted") && said.contains("too many tries; try again in");
    let mut tries = (0..100).map(|_| login(&home, &server, "alice", "wrong horse").fails());
    assert!(tries.any(|said| slowed(&said)));
}

#[test]
fn a_principal_whose_password_is_refused_is_not_made() {
    let (_server, home) = site();
    alice(&home);
    let before = home.ok(&["principal", "ls"]);
    for (arguments, password, why) in [
        (&["principal", "create", "carol", "--password-stdin"][..], "short", "8 to 1024 bytes"),
        (&["principal", "create", "carol", "--user", "ALICE", "--password-stdin"], PASSWORD, "user is taken"),
        (&["principal", "create", "carol", "--user", "a\tb", "--password-stdin"], PASSWORD, "user: 1 to 255"),
        (
            &["principal", "create", "carol", "--password-file", "none"],
            "",
            "cannot read the password from none",
        ),
    ] {
        let said = home.call(arguments).input(password).fails();
        assert!(said.contains(why), "{said}");
        assert!(!home.at("carol.cfg").exists());
    }
    assert_eq!(home.ok(&["principal", "ls"]), before);
    // There is no way to write it where other programs see it.
    for arguments in [
        &["principal", "create", "carol", "--password", PASSWORD][..],
        &["principal", "create", "carol", "--password=x"],
    ] {
        home.fails(arguments);
    }
    assert_eq!(home.ok(&["principal", "ls"]), before);
}

#[test]
fn a_password_is_changed_by_its_owner_and_by_superusers() {
    let (server, home) = site();
    let id = alice(&home);
    let own = ["-c", "alice.cfg", "principal", "password", "--self", "--password-stdin"];
    let said = home.call(&own).input("wrong horse\nbattery staple\n").fails();
    assert!(said.contains("the old password is wrong"), "{said}");
    home.call(&own).input("no second line").fails();
    home.call(&own).input(&format!("{PASSWORD}\nbattery staple\n")).ok();
    login(&home, &server, "alice", "battery staple").ok();
    login(&home, &server, "alice", PASSWORD).fails();
    home.write("old", "battery staple\n");
    home.write("new", format!("{PASSWORD}\n"));
    let files = ["--old-password-file", "old", "--password-file", "new"];
    home.ok(&[&["-c", "alice.cfg", "principal", "password", "--self"][..], &files].concat());
    login(&home, &server, "alice", PASSWORD).ok();

    let by_other = home.call(&["-c", "own.cfg", "principal", "password", &id, "--password-stdin"]);
    assert!(by_other.input("battery staple").fails().contains("the old password is wrong"));
    let by_boss = ["principal", "password", &id, "--user", "Alice", "--password-stdin"];
    home.call(&by_boss).input("battery staple").ok();
    login(&home, &server, "Alice", "battery staple").ok();
    home.ok(&["principal", "password", &id, "--remove"]);
    login(&home, &server, "Alice", "battery staple").fails();
}

#[test]
fn without_a_terminal_the_ways_to_give_a_password_are_told() {
    let (server, home) = site();
    // A session of its own has no terminal.
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("setsid");
        command.arg("--wait").arg(program::BINARY).args(arguments).current_dir(home.path());
        let output =
            command.env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [
        &["auth", "login", "--user", "alice", &server.url][..],
        &["principal", "create", "alice", "--password"],
    ] {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(1));
        assert!(said.contains("no terminal to ask for the password on"), "{said}");
    }
    assert!(!home.at("alice.cfg").exists());
}

#[test]
fn a90_no_password_travels_in_clear_text_to_another_machine() {
    let home = Home::new();
    // Documentation addresses: nobody is asked.
    let arguments = ["auth", "login", "--user", "alice", "--password-stdin", "http://192.0.2.1:1/"];
    let said = home.call(&arguments).input(PASSWORD).fails();
    assert!(said.contains("clear text") && said.contains("--insecure"), "{said}");
    home.write(CONFIG, r#"{"Host":"192.0.2.1:1","Insecure":true,"Token":"a.b.c"}"#);
    for arguments in [
        &["principal", "create", "alice", "--password-stdin"][..],
        &["principal", "password", "--self", "--password-stdin"],
    ] {
        assert!(home.call(arguments).input(PASSWORD).fails().contains("clear text"));
    }
}

/// `auth login` while it waits for a browser.
struct Waiting {
    process: Process,
    lines: BufReader<ChildStdout>,
    /// Where it says to go.
    url: String,
    stderr: std::path::PathBuf,
}

impl Waiting {
    fn begin(home: &Home, server: &str) -> Self {
        let stderr = home.at("login.stderr");
        let (process, stdout) = home.call(&["-v", "auth", "login", server, "-c", "own.cfg"]).spawn(&stderr);
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let said = || fs::read_to_string(&stderr).unwrap();
        let url = line.trim().strip_prefix("Navigate to ").unwrap_or_else(|| panic!("{line}{}", said()));
        Waiting { process, lines, url: url.to_owned(), stderr }
    }

    fn query(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&self.url).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// As a page's form does it.
    fn post(&self, fields: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let url = format!("http://localhost:{}/", self.query("port").unwrap());
        let request = http().post(url).header("content-type", "application/x-www-form-urlencoded");
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        block_on(answer(request.body(form(fields))))
    }

    fn end(mut self) -> (Option<i32>, String) {
        let code = self.process.wait(std::time::Duration::from_secs(20)).code();
        let mut said = String::new();
        self.lines.read_to_string(&mut said).unwrap();
        (code, said + &fs::read_to_string(&self.stderr).unwrap())
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap().to_owned()
}

/// The value of a hidden field of a page.
fn field(page: &str, name: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap().replace("&quot;", "\"").replace("&amp;", "&")
}

/// What somebody at a browser does: to the page, log in there, back to the page.
fn browse(server: &Server, url: &str) -> String {
    let anonymous = block_on(answer(http().get(url)));
    assert_eq!(anonymous.status, 401);
    let page = anonymous.text();
    let fields = [
        ("user", "alice"),
        ("password", PASSWORD),
        ("port", &field(&page, "port")),
        ("secret", &field(&page, "secret")),
    ];
    let request = http().post(format!("{}/_/v0/login", server.url)).header("origin", &server.url);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(&fields));
    let logged_in = block_on(answer(request));
    assert_eq!(logged_in.status, 303);
    let cookie = logged_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let back = format!("{}{}", server.url, logged_in.header("location").unwrap());
    assert_eq!(back, url, "to where it began");
    let page = block_on(answer(http().get(back).header("cookie", cookie)));
    assert_eq!(page.status, 200);
    page.text()
}

#[test]
fn the_browser_hands_its_session_on_to_the_command_line() {
    let (server, home) = site();
    let id = alice(&home);
    let waiting = Waiting::begin(&home, &server.url);
    assert!(waiting.url.starts_with(&format!("{}/_/v0/provision?port=", server.url)), "{}", waiting.url);
    let page = browse(&server, &waiting.url);
    let (config, secret) = (field(&page, "config"), field(&page, "secret"));
    assert_eq!(Some(&secret), waiting.query("secret").as_ref());
    let done = waiting.post(&[("config", &config), ("secret", &secret)], Some("null"));
    assert_eq!(done.status, 202);
    assert!(done.text().contains("close this window"));
    let (code, said) = waiting.end();
    assert_eq!((code, said.lines().next()), (Some(0), Some("Success!")));
    assert!(home.ok(&["-c", "own.cfg", "auth", "whoami"]).contains(&id));
    let (got, config): (Value, Value) = (home.config("own.cfg"), serde_json::from_str(&config).unwrap());
    for key in ["Host", "Insecure", "Token", "DefaultTenant"] {
        assert_eq!(got[key], config[key], "{key}");
    }
}

/// S19: any page can post to a port of the loopback.
#[test]
fn s19_an_answer_without_the_secret_is_refused_and_the_wait_goes_on() {
    let (server, home) = site();
    alice(&home);
    home.write(CONFIG, home.read(CONFIG));
    let waiting = Waiting::begin(&home, &server.url);
    let (page, secret) = (browse(&server, &waiting.url), waiting.query("secret").unwrap());
    let config = field(&page, "config");
    let foreign = config.replace(server.host(), "evil.example:80");
    let large = "x".repeat(70_000);
    for fields in [
        &[("config", config.as_str())][..],
        &[("config", &config), ("secret", "guessed")],
        &[("config", &foreign), ("secret", &secret)],
        &[("config", "{}"), ("secret", &secret)],
        &[("secret", &secret)],
        &[("config", &config), ("secret", &secret), ("x", &large)],
        &[],
    ] {
        for origin in [None, Some(server.url.as_str())] {
            assert_eq!(waiting.post(fields, origin).status, 403, "{fields:?}");
        }
    }
    let port = waiting.query("port").unwrap();
    let url = format!("http://127.0.0.1:{port}/?{}", form(&[("config", &config), ("secret", &secret)]));
    assert_eq!(block_on(answer(http().get(&url))).status, 403);
    let request = http().post(&url).body(form(&[("config", &config), ("secret", &secret)]));
    assert_eq!(block_on(answer(request)).status, 403, "a form says that it is one");
    let request = http().post(&url).header("content-type", "application/x-www-form-urlencoded");
    let request =
        request.header("host", "evil.example").body(form(&[("config", &config), ("secret", &secret)]));
    assert_eq!(block_on(answer(request)).status, 403, "another name for the loopback");
    assert!(!home.at("own.cfg").exists());
    assert_eq!(waiting.post(&[("config", &config), ("secret", &secret)], None).status, 202);
    let (code, said) = waiting.end();
    assert_eq!(code, Some(0));
    assert!(!said.contains(&secret) && !said.contains("eyJ"), "{said}");
}

/// Answers everything as an original server answers whoever is not logged in.
fn original() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let body = "not logged in and no OIDC provider";
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn an_original_server_that_knows_no_secret_is_believed_when_its_page_posts() {
    let (home, url) = (Home::new(), original());
    let waiting = Waiting::begin(&home, &url);
    assert_eq!(waiting.query("secret"), None);
    let host = url.strip_prefix("http://").unwrap();
    let config = |host: &str| {
        let session = json!({ "ID": { "d": "AAAAAAAAAAAAAAAAAAAAAA==" }, "c": { "read": true } });
        json!({ "DefaultTenant": null, "Host": host, "Insecure": true, "Session": session, "Token": "a.b.c" })
            .to_string()
    };
    let (good, foreign) = (config(host), config("evil.example:80"));
    for (config, origin) in [
        (&good, None),
        (&good, Some("null")),
        (&good, Some("http://evil.example")),
        (&good, Some("http://127.0.0.1")),
        (&foreign, Some(url.as_str())),
    ] {
        assert_eq!(waiting.post(&[("config", config)], origin).status, 403, "{origin:?}");
    }
    assert_eq!(waiting.post(&[("config", &good)], Some(&url)).status, 202);
    assert_eq!(waiting.end().0, Some(0));
    assert_eq!(home.config("own.cfg")["Token"], "a.b.c");
}

#[test]
fn a_login_that_is_broken_off_leaves_everything_as_it_was() {
    let (server, home) = site();
    let waiting = Waiting::begin(&home, &server.url);
    waiting.process.terminate();
    let (code, said) = waiting.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(!home.at("own.cfg").exists());
    // Nobody to go to.
    let said = home.fails(&["auth", "login", "http://127.0.0.1:1/"]);
    assert!(said.contains("cannot ask the server"), "{said}");
    for url in ["ftp://x/", "http://token@127.0.0.1:1/", "x"] {
        home.fails(&["auth", "login", url]);
    }
    let said = home.call(&["auth", "login", "--password-stdin", &server.url]).input("x").fails();
    assert!(said.contains("--user"), "{said}");
}
