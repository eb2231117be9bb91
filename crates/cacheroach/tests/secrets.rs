//! A85: after a working session with everybody at their most talkative, no secret is in any log or on any command line.

#![cfg(test)]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use program::{CONFIG, Home, Server, answer, block_on, get, http, table};

/// All that is said, by whom, and what must not be in it.
#[derive(Default)]
struct Ears {
    heard: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Ears {
    /// Runs a command at its most talkative. What it prints because it was asked to is the answer.
    fn run(&mut self, home: &Home, arguments: &[&str]) -> String {
        self.run_with(home, arguments, "")
    }

    fn run_with(&mut self, home: &Home, arguments: &[&str], input: &str) -> String {
        let ran = home.call(&[&["-vv"], arguments].concat()).input(input).run();
        let told = format!("{arguments:?}");
        self.heard.push((format!("stderr of {told}"), ran.stderr));
        if arguments[..2] != ["file", "sign"] {
            self.heard.push((format!("stdout of {told}"), ran.stdout.clone()));
        }
        ran.stdout
    }

    fn secret(&mut self, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 16, "too short to be looked for: {secret}");
        self.secrets.push(secret);
    }

    /// A key, however it may be written.
    fn key(&mut self, text: &str) {
        let bytes = STANDARD.decode(text.trim()).unwrap();
        self.secret(text.trim());
        self.secret(STANDARD_NO_PAD.encode(&bytes));
        self.secret(URL_SAFE_NO_PAD.encode(&bytes));
        self.secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.secret(format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
    }

    /// A token, or its signature alone, which is what makes it one.
    fn token(&mut self, token: &str) {
        self.secret(token);
        self.secret(token.rsplit('.').next().unwrap());
    }

    fn check(&self) {
        for (who, said) in &self.heard {
            for secret in &self.secrets {
                assert!(
                    !said.contains(secret.as_str()),
                    "{who} shows a secret ({}...): {said}",
                    &secret[..8]
                );
            }
            // Tokens that the test knows nothing of, such as the one that `bootstrap` makes for itself.
            assert!(!said.contains("eyJ"), "{who} shows a token: {said}");
            assert!(!said.contains("access_token="), "{who} shows the query of a signed URL: {said}");
        }
    }
}

/// Requests as browsers, programs and strangers make them, good and bad.
fn browse(server: &Server, token: &str, signed: &str) {
    let bearer = format!("Bearer {token}");
    let broken = format!("Bearer {}x", &token[..token.len() - 1]);
    let cookie = format!("authorization={token}");
    for (headers, status) in [
        ([("authorization", bearer.as_str())], 200),
        ([("authorization", broken.as_str())], 401),
        ([("cookie", cookie.as_str())], 200),
    ] {
        assert_eq!(get(&format!("{}/docs/a.txt", server.url), &headers).status, status);
    }
    assert_eq!(get(&format!("{}/docs/a.txt?access_token={token}", server.url), &[]).status, 200);
    assert_eq!(get(&format!("{}/_/v0/config", server.url), &[("authorization", &bearer)]).status, 200);
    assert_eq!(get(signed, &[]).status, 200);
    assert_eq!(get(&format!("{signed}x"), &[]).status, 401);
    assert_eq!(get(&signed.replace("/retrieve/", "/nothing/"), &[]).status, 404);
    let put = |path: &str, credential: &str| {
        let request = http().put(format!("{}{path}", server.url)).header("authorization", credential);
        block_on(answer(request.body("x"))).status
    };
    assert_eq!(put("/docs/b.txt", &bearer), 202);
    assert_eq!(put("/docs/b.txt", &broken), 401);
    assert_eq!(put("/docs/%00", &bearer), 400);
}

#[test]
fn a85_a91_no_secret_is_in_what_anybody_says_or_on_a_command_line() {
    let (home, mut ears) = (Home::new(), Ears::default());
    let key = STANDARD.encode([0xA5; 32]);
    home.write("key", format!("{key}\n"));
    ears.key(&key);
    let other_key = STANDARD.encode([0x5A; 32]);
    home.write("other-key", &other_key);
    ears.key(&other_key);
    let cache_key = STANDARD.encode([0x5A, 0xA5].repeat(16));
    home.write("cache-key", &cache_key);
    ears.key(&cache_key);
    let [at_key, at_other_key, at_cache_key] =
        ["key", "other-key", "cache-key"].map(|name| format!("@{}", home.at(name).display()));
    let cache = home.at("cache").display().to_string();
    let keys = ["--signingKey", &at_key, "--cacheDir", &cache, "--cacheKey", &at_cache_key];
    let flags = [&["--bindAddr", "127.0.0.1:0", "-vv"][..], &keys].concat();
    let mut server = Server::with(&home.at("data"), &flags);
    ears.heard.push(("the server's command line".into(), command_line(&server)));
    home.write("docs/a.txt", "a");
    home.write("docs/large.bin", vec![7; 3 << 20]);
    let url = server.url.clone();

    ears.run(&home, &["bootstrap", &url, "--hmacKey", "@other-key"]);
    assert!(!home.at(CONFIG).exists(), "that was the wrong key");
    ears.run(&home, &["bootstrap", &url, "--hmacKey", "@key"]);
    let token = home.token(CONFIG);
    ears.token(&token);
    ears.run(&home, &["bootstrap", &url, "--hmacKeyFile", "key", "-c", "second.cfg"]);
    ears.token(&home.token("second.cfg"));

    let tenant = ears.run(&home, &["tenant", "create", "acme"]).trim().to_owned();
    ears.run(&home, &["principal", "create", "alice"]);
    ears.token(&home.token("alice.cfg"));
    accounts(&home, &mut ears, &server);
    let delegate = ["session", "delegate", "--on", "tenant", "--id", &tenant, "--capabilities", "read,write"];
    let delegated = ears.run(&home, &[&delegate[..], &["--out", "partner.cfg"]].concat());
    let partner = home.token("partner.cfg");
    ears.token(&partner);

    ears.run(&home, &["file", "put", "-r", "/docs/", "docs"]);
    ears.run(&home, &["file", "ls", "-w"]);
    ears.run(&home, &["file", "get", "-r", "-o", "back", "/docs/"]);
    ears.run(&home, &["file", "get", "/docs/none"]);
    ears.run(&home, &["-c", "partner.cfg", "file", "ls"]);
    ears.run(&home, &["-c", "partner.cfg", "tenant", "create", "mine"]);
    let signed = ears.run(&home, &["file", "sign", "/docs/a.txt"]);
    let signed = table(&signed, &["Path", "URL"])[0][1].clone();
    ears.token(signed.split_once("access_token=").unwrap().1);
    browse(&server, &token, &signed);

    ears.run_with(&home, &["auth", "set", &url, "--token-file", "-", "-c", "third.cfg"], &partner);
    assert_eq!(home.token("third.cfg"), partner);
    home.write("url", format!("http://{partner}@{}/", server.host()));
    ears.run(&home, &["auth", "set", "@url", "-c", "fourth.cfg"]);
    home.write("wrong-url", format!("http://{partner}x@{}/", server.host()));
    ears.run(&home, &["auth", "set", "@wrong-url", "-c", "fifth.cfg"]);
    home.write("wrong-scheme", format!("htp://{partner}@{}/", server.host()));
    ears.run(&home, &["auth", "set", "@wrong-scheme", "-c", "fifth.cfg"]);
    home.write("two-urls", format!("http://{partner}@{}/ http://{partner}@x y/", server.host()));
    ears.run(&home, &["auth", "set", "@two-urls", "-c", "fifth.cfg"]);
    home.write("broken.cfg", home.read(CONFIG).replacen("\"Insecure\": true", "\"Insecure\": 7", 1));
    ears.run(&home, &["auth", "whoami", "-c", "broken.cfg"]);
    home.write("torn.cfg", &home.read(CONFIG)[..200]);
    ears.run(&home, &["auth", "whoami", "-c", "torn.cfg"]);

    ears.run(&home, &["session", "rm", delegated.split_whitespace().last().unwrap()]);
    ears.run(&home, &["-c", "partner.cfg", "file", "ls"]);
    ears.run(&home, &["file", "rm", "/docs/a.txt"]);
    ears.run(&home, &["auth", "whoami"]);
    ears.run(&home, &["auth", "logout", "-c", "second.cfg"]);
    ears.run(&home, &["auth", "whoami", "-c", "second.cfg"]);
    // A server that is gone, and one whose key has changed.
    server.stop();
    ears.run(&home, &["auth", "whoami"]);
    ears.heard.push(("the server".into(), server.stdout() + &server.stderr()));
    let port = server.host().to_owned();
    let flags = ["--bindAddr", &port, "-vv", "--signingKey", &at_other_key];
    let mut server = Server::with(&home.at("data"), &flags);
    ears.run(&home, &["auth", "whoami"]);
    server.stop();
    ears.heard.push(("the server with another key".into(), server.stdout() + &server.stderr()));

    let shown: Vec<_> =
        home.shown().into_iter().map(|shown| (format!("the command line {shown}"), shown)).collect();
    // Some commands are over before anybody could look, but hardly all of them.
    let seen = |shown: &str| shown.split(' ').next().is_some_and(|program| program.ends_with("/cacheroach"));
    assert!(shown.iter().any(|(_, shown)| seen(shown)), "command lines are seen: {shown:?}");
    ears.heard.extend(shown);
    assert!(ears.heard.iter().any(|(who, said)| who.contains("stderr") && !said.is_empty()));
    ears.check();
    only_for_their_owner(&home);
}

/// Passwords, right and wrong, over gRPC and HTTP.
fn accounts(home: &Home, ears: &mut Ears, server: &Server) {
    let [password, other] = ["correct horse battery", "staple of batteries"];
    for secret in [password, other, "correct+horse+battery", "wrong horse battery"] {
        ears.secret(secret);
    }
    ears.run_with(home, &["principal", "create", "bob", "--password-stdin"], password);
    ears.token(&home.token("bob.cfg"));
    let hash = bobs_hash(home);
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    ears.secret(hash);
    let own = ["-c", "bob.cfg", "principal", "password", "--self", "--password-stdin"];
    ears.run_with(home, &own, &format!("wrong horse battery\n{other}\n"));
    ears.run_with(home, &own, &format!("{password}\n{other}\n"));
    ears.run_with(home, &own, &format!("{other}\n{password}\n"));
    let login = ["auth", "login", "--user", "bob", "--password-stdin", "-c", "login.cfg", &server.url];
    ears.run_with(home, &login, "wrong horse battery");
    ears.run_with(home, &login, password);
    ears.token(&home.token("login.cfg"));
    for (form, status) in
        [("user=bob&password=correct+horse+battery", 303), ("user=bob&password=wrong+horse+battery", 401)]
    {
        let request = http().post(format!("{}/_/v0/login", server.url));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        assert_eq!(block_on(answer(request)).status, status);
    }
}

/// What is kept instead of the password.
fn bobs_hash(home: &Home) -> String {
    let kept = fs::read(home.at("data/metadata.sqlite-wal")).unwrap();
    let at = kept.windows(10).rposition(|part| part == b"$argon2id$").expect("a hash");
    let is_hash = |byte: &&u8| byte.is_ascii_alphanumeric() || b"$=,+/".contains(byte);
    String::from_utf8(kept[at..].iter().take_while(is_hash).take(97).copied().collect()).unwrap()
}

fn command_line(server: &Server) -> String {
    let bytes = fs::read(format!("/proc/{}/cmdline", server.process.0.id())).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What holds a key or a token is its owner's to read.
fn only_for_their_owner(home: &Home) {
    for name in [CONFIG, "second.cfg", "third.cfg", "fourth.cfg", "alice.cfg", "partner.cfg", "data"] {
        let mode = fs::metadata(home.at(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[test]
fn a91_the_key_that_a_server_makes_is_its_owners_and_is_not_told() {
    let (server, home) = program::site();
    let key = home.read("data/signing.key");
    let mut ears = Ears::default();
    ears.key(&key);
    ears.heard.push(("the server".into(), server.stdout() + &server.stderr()));
    ears.heard.push(("its command line".into(), command_line(&server)));
    ears.check();
    let mode = fs::metadata(home.at("data/signing.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}
