//! Every command against a real server: what it prints, column by column, how it ends, and what it does.

#![cfg(test)]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use program::{CONFIG, Home, SCRATCHPAD, Server, answer, block_on, get, http, site, table};
use serde_json::{Value, json};

const NOBODY: &str = "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f";
const SCRATCHPAD_BASE64: &str = "CgoKCgoKCgoKCgoKCgoKCg==";

const SESSIONS: [&str; 7] = ["ID", "Principal", "Name", "Caps", "Type", "Target ID", "Path"];
const PRINCIPALS: [&str; 5] = ["ID", "Version", "Label", "Domain", "Claims"];
const TENANTS: [&str; 4] = ["ID", "Version", "Name", "Region"];
const VHOSTS: [&str; 2] = ["Tenant ID", "Hostname"];
const PUTS: [&str; 3] = ["Local", "Remote", "Status"];
const GETS: [&str; 3] = ["Remote", "Local", "Status"];

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => matches!(c, '0'..='9' | 'a'..='f'),
        })
}

/// The last line of standard error: what went wrong, without what kind of line it is.
fn reason(stderr: &str) -> &str {
    let line = stderr.lines().find(|line| line.starts_with("error: "));
    line.and_then(|line| line.strip_prefix("error: ")).unwrap_or_else(|| panic!("no error: {stderr}"))
}

/// `Principal ID  UUID`.
#[track_caller]
fn id_of(text: &str, name: &str) -> String {
    let id =
        text.strip_suffix('\n').and_then(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
    let id = id.strip_prefix("  ").unwrap();
    assert!(is_uuid(id), "{text}");
    id.to_owned()
}

fn tenant(home: &Home, label: &str) -> String {
    let printed = home.ok(&["tenant", "create", label]);
    let id = printed.strip_suffix('\n').unwrap();
    assert!(is_uuid(id), "{printed:?}");
    id.to_owned()
}

/// A session on all of a tenant, in a configuration file.
fn delegate(home: &Home, tenant: &str, capabilities: &str, more: &[&str]) -> String {
    let arguments = ["session", "delegate", "--on", "tenant", "--id", tenant, "--capabilities", capabilities];
    id_of(&home.ok(&[&arguments, more].concat()), "Session ID")
}

mod general {
    use super::*;

    const GROUPS: [&str; 6] = ["auth", "file", "principal", "session", "tenant", "vhost"];

    #[test]
    fn a_group_alone_prints_its_help() {
        let home = Home::new();
        for arguments in [vec![], vec!["--help"], vec!["-h"], vec!["help"]] {
            let help = home.ok(&arguments);
            assert!(GROUPS.iter().all(|group| help.contains(group)), "{help}");
        }
        for group in GROUPS {
            for arguments in [vec![group], vec![group, "--help"], vec![group, "-h"]] {
                assert!(home.ok(&arguments).contains("Usage"), "{arguments:?}");
            }
        }
        for command in [
            ["auth", "logout"],
            ["auth", "set"],
            ["auth", "whoami"],
            ["file", "get"],
            ["file", "ls"],
            ["file", "put"],
            ["file", "rm"],
            ["file", "sign"],
            ["principal", "create"],
            ["principal", "ls"],
            ["principal", "rm"],
            ["session", "delegate"],
            ["session", "ls"],
            ["session", "rm"],
            ["tenant", "create"],
            ["tenant", "default"],
            ["tenant", "ls"],
            ["tenant", "rm"],
            ["vhost", "create"],
            ["vhost", "ls"],
            ["vhost", "rm"],
        ] {
            assert!(home.ok(&[command[0], command[1], "--help"]).contains("Usage"), "{command:?}");
        }
        for command in ["bootstrap", "completion", "start"] {
            assert!(home.ok(&[command, "-h"]).contains("Usage"), "{command}");
        }
    }

    #[test]
    fn a_wrong_command_line_ends_with_1() {
        let home = Home::new();
        for arguments in [
            &["x"][..],
            &["file", "x"],
            &["--nothing"],
            &["file", "ls", "--nothing"],
            &["file", "put"],
            &["file", "put", "/x/"],
            &["file", "get"],
            &["file", "rm"],
            &["file", "sign"],
            &["tenant", "rm", SCRATCHPAD],
            &["tenant", "create"],
            &["vhost", "create", SCRATCHPAD],
            &["session", "rm"],
            &["session", "delegate"],
            &["principal", "rm", SCRATCHPAD, "one"],
            &["completion"],
            &["completion", "tcsh5"],
            &["auth", "set"],
            &["auth", "whoami", "more"],
            &["--output", "xml", "tenant", "ls"],
            &["file", "put", "-p", "0", "/", "x"],
            &["file", "sign", "--validity", "1d", "/x"],
            &["start", "--gracePeriod", "x"],
        ] {
            let ran = home.call(arguments).run();
            assert_eq!(ran.code, Some(1), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{arguments:?}");
        }
    }

    #[test]
    fn completion_scripts_are_made_for_four_shells() {
        let home = Home::new();
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let script = home.ok(&["completion", shell]);
            assert!(script.contains("cacheroach") && script.contains("delegate"), "{shell}");
            assert!(script.contains("output"), "{shell}");
        }
        home.write("completion.bash", home.ok(&["completion", "bash"]));
        let status = std::process::Command::new("bash").arg("-n").arg(home.at("completion.bash")).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn arguments_are_expanded_read_and_trimmed() {
        let (_server, home) = site();
        home.write("label", "  from a file\n");
        tenant(&home, "@label");
        home.call(&["tenant", "create", "$FIRST-${SECOND}"]).env("FIRST", "one").env("SECOND", "two").ok();
        home.call(&["tenant", "create", "\t$UNSET trimmed \n"]).ok();
        home.call(&["tenant", "create", "$AT"]).env("AT", "@label").ok();
        home.write("dollar", "$HOME");
        home.ok(&["tenant", "create", "@dollar"]);
        let mut names: Vec<_> =
            table(&home.ok(&["tenant", "ls"]), &TENANTS).into_iter().map(|row| row[2].clone()).collect();
        names.sort_unstable();
        let expected = ["$HOME", "Default Scratchpad", "from a file", "from a file", "one-two", "trimmed"];
        assert_eq!(names, expected);

        assert!(home.fails(&["tenant", "create", "@none"]).contains("none"));
        // Only whole arguments are files.
        let error = home.fails(&["bootstrap", "--dataDir", "data", "--hmacKey=@data/signing.key"]);
        assert!(!reason(&error).is_empty());
        home.ok(&["bootstrap", "--dataDir", "data", "--hmacKey", "@data/signing.key"]);
    }

    #[test]
    fn errors_are_one_line_and_nothing_is_said_without_need() {
        let (_server, home) = site();
        for arguments in [&["auth", "whoami"][..], &["tenant", "ls"], &["vhost", "create", SCRATCHPAD, "h"]] {
            let ran = home.call(arguments).run();
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        }
        let ran = home.call(&["vhost", "create", SCRATCHPAD, "h"]).run();
        assert_eq!(ran.stdout, "");
        let ran = home.call(&["-v", "vhost", "create", SCRATCHPAD, "h"]).run();
        assert!(
            ran.stderr.contains("Success") && ran.stderr.contains("connection is insecure"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
        let error = home.fails(&["tenant", "rm", SCRATCHPAD, "7"]);
        assert_eq!(reason(&error), "rpc error: code = Aborted desc = version skew");
        assert_eq!(error.lines().filter(|line| !line.starts_with("hint: ")).count(), 1, "{error}");
    }
}

mod auth {
    use super::*;

    #[test]
    fn bootstrap_makes_a_superuser() {
        let (server, home) = site();
        let config = home.config(CONFIG);
        let keys: Vec<_> = config.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["DefaultTenant", "Host", "Insecure", "Session", "Token"]);
        assert_eq!(config["Host"], server.host());
        assert_eq!(config["Insecure"], true);
        assert_eq!(config["Session"]["s"], json!({ "s": true }));
        let mode = fs::metadata(home.at(CONFIG)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = home.read(CONFIG);
        assert!(text.starts_with("{\n  \"DefaultTenant\"") && text.ends_with("\n}\n"), "{text}");

        // By URL and key, too, into the file asked for, before or after the command's name.
        let key = home.read("data/signing.key").trim().to_owned();
        let url = format!("http://user@{}/", server.host());
        home.ok(&["-c", "one.cfg", "bootstrap", &url, "--hmacKey", &key, "--validity", "2"]);
        home.ok(&["bootstrap", "-c", "dir/two.cfg", &url, &format!("--hmacKey={key}")]);
        assert_eq!(home.config("one.cfg")["Host"], server.host());
        for config in ["one.cfg", "dir/two.cfg"] {
            assert!(home.ok(&["auth", "whoami", "-c", config]).contains("SUPERTOKEN"));
        }
        assert_ne!(home.token("one.cfg"), home.token("dir/two.cfg"));
    }

    #[test]
    fn bootstrap_needs_the_key_and_a_server() {
        let (server, home) = site();
        let error = home.fails(&["bootstrap", &server.url]);
        assert!(reason(&error).starts_with("supertoken is required"), "{error}");
        let error = home.fails(&[
            "bootstrap",
            &server.url,
            "--hmacKey",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ]);
        assert!(reason(&error).starts_with("rpc error: code = Unauthenticated desc = "), "{error}");
        home.fails(&["bootstrap"]);
        home.fails(&["bootstrap", "ftp://x/", "--hmacKey", "AAAA"]);
        let closed = format!("http://127.0.0.1:{}/", program::free_port());
        home.fails(&["bootstrap", &closed, "--hmacKey", "AAAA"]);
    }

    #[test]
    fn whoami_tells_all_of_a_session() {
        let (_server, home) = site();
        let facts = |text: &str| -> Vec<(String, String)> {
            let lines = text.lines().map(|line| {
                let (name, value) = line.split_at(line.find(' ').unwrap());
                assert!(value.starts_with("  "), "{text}");
                (name.to_owned(), value.trim().to_owned())
            });
            lines.collect()
        };
        let me = home.ok(&["auth", "whoami"]);
        let names: Vec<_> = facts(&me).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Principal", "Session", "Name", "Expires", "Scope", "Capabilities", "Note"]);
        let values: Vec<_> = facts(&me).into_iter().map(|(_, value)| value).collect();
        assert!(is_uuid(&values[0]) && is_uuid(&values[1]), "{me}");
        assert!(values[3].ends_with(" +0000 UTC") && values[3].len() >= 29, "{me}");
        assert_eq!(values[4], "SUPERTOKEN");
        assert_eq!((values[2].as_str(), values[5].as_str(), values[6].as_str()), ("", "<nil>", ""));

        delegate(
            &home,
            SCRATCHPAD,
            "read,delegate",
            &["--path", "/a/*", "--name", "n", "--note", "t", "-o", "a.cfg"],
        );
        let values: Vec<_> =
            facts(&home.ok(&["-c", "a.cfg", "auth", "whoami"])).into_iter().map(|(_, value)| value).collect();
        let scope: Vec<_> = values[4].split_whitespace().collect();
        assert_eq!(scope, ["Tenant", SCRATCHPAD, "/a/*"]);
        let capabilities: Vec<_> = values[5].split_whitespace().collect();
        assert_eq!(capabilities, ["read:true", "delegate:true"]);
        assert_eq!((values[2].as_str(), values[6].as_str()), ("n", ""), "the note is not in a token");

        let id = id_of(&home.ok(&["principal", "create", "alice"]), "Principal ID");
        let alice = home.ok(&["-c", "alice.cfg", "auth", "whoami"]);
        let values: Vec<_> = facts(&alice).into_iter().map(|(_, value)| value).collect();
        assert_eq!((values[0].as_str(), values[2].as_str()), (id.as_str(), "<self>"));
        assert_eq!(values[4].split_whitespace().collect::<Vec<_>>(), ["Principal", &id]);
        assert_eq!(
            values[5].split_whitespace().collect::<Vec<_>>(),
            ["read:true", "write:true", "delegate:true", "pii:true", "fetch:true"]
        );

        let json: Value = serde_json::from_str(&home.ok(&["--output", "json", "auth", "whoami"])).unwrap();
        assert_eq!(json["scope"]["type"], "SUPERTOKEN");
        assert!(is_uuid(json["session"].as_str().unwrap()));
    }

    #[test]
    fn a_token_is_set_from_a_url_a_file_and_standard_input() {
        let (server, home) = site();
        let token = home.token(CONFIG);
        let session = home.config(CONFIG)["Session"]["ID"].clone();
        home.write("token", format!("{token}\n"));
        home.write("url", format!("http://{token}@{}/\n", server.host()));
        home.ok(&["-c", "a.cfg", "auth", "set", &format!("http://{token}@{}/", server.host())]);
        home.ok(&["-c", "b.cfg", "auth", "set", "@url"]);
        home.ok(&["-c", "c.cfg", "auth", "set", &server.url, "--token-file", "token"]);
        home.call(&["-c", "d.cfg", "auth", "set", &server.url, "--token-file", "-"]).input(&token).ok();
        for name in ["a.cfg", "b.cfg", "c.cfg", "d.cfg"] {
            let config = home.config(name);
            assert_eq!(config["Session"]["ID"], session, "{name}");
            assert_eq!(config["Token"], token, "{name}");
            assert_eq!(
                (&config["Host"], &config["Insecure"]),
                (&json!(server.host()), &json!(true)),
                "{name}"
            );
            assert_eq!(fs::metadata(home.at(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert_eq!(reason(&home.fails(&["auth", "set", &server.url])), "must specify a username");
        let empty = home.call(&["auth", "set", &server.url, "--token-file", "-"]).input("\n").fails();
        assert_eq!(reason(&empty), "must specify a username");
        home.fails(&["-c", "e.cfg", "auth", "set", &format!("http://{token}x@{}/", server.host())]);
        home.fails(&["-c", "e.cfg", "auth", "set", "nothing"]);
        assert!(!home.at("e.cfg").exists(), "a failure writes nothing");
    }

    #[test]
    fn a90_a_server_in_clear_text_is_not_spoken_to_as_a_secure_one() {
        let (server, home) = site();
        let before = home.read(CONFIG);
        home.fails(&["auth", "set", &format!("https://{}/", server.host()), "--token-file", CONFIG]);
        assert_eq!(home.read(CONFIG), before);
        home.write("tls.cfg", before.replace("\"Insecure\": true", "\"Insecure\": false"));
        home.fails(&["-c", "tls.cfg", "auth", "whoami"]);
    }

    #[test]
    fn logout_ends_the_session_and_forgets_its_token() {
        let (_server, home) = site();
        let before = home.config(CONFIG);
        home.ok(&["bootstrap", "--dataDir", "data", "-c", "other.cfg"]);
        assert_eq!(home.ok(&["auth", "logout"]), "");
        let mut expected = before.clone();
        expected["Token"] = json!("");
        assert_eq!(home.config(CONFIG), expected, "the rest is kept");
        home.write("old.cfg", before.to_string());
        let error = home.fails(&["-c", "old.cfg", "auth", "whoami"]);
        assert!(reason(&error).starts_with("rpc error: code = Unauthenticated"), "{error}");
        home.fails(&["tenant", "create", "x"]);
        home.ok(&["-c", "other.cfg", "tenant", "ls"]);
        // Only warned about when it fails.
        assert_eq!(home.ok(&["-c", "old.cfg", "auth", "logout"]), "");
        assert_eq!(home.token("old.cfg"), "");
    }

    #[test]
    fn c25_without_a_session_whoami_fails_and_does_not_crash() {
        let (_server, home) = site();
        let text = home.read(CONFIG).replace(&home.token(CONFIG), "");
        home.write("anonymous.cfg", text);
        let error = home.fails(&["-c", "anonymous.cfg", "auth", "whoami"]);
        assert!(reason(&error).starts_with("rpc error: code = Unauthenticated"), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }
}

mod config {
    use super::*;

    #[test]
    fn a_missing_file_is_no_error_and_a_broken_one_is() {
        let home = Home::new();
        let ran = home.call(&["-v", "tenant", "ls"]).run();
        assert_eq!(ran.code, Some(1));
        assert_eq!(reason(&ran.stderr), "no hostname configured; try auth login");
        assert!(ran.stderr.contains(".cacheroach/config"), "it is logged: {}", ran.stderr);
        home.ok(&["tenant", "default", SCRATCHPAD]);
        for broken in ["", "[]", "{", "{\"Host\": 7}", "{\"Session\": {\"unknown\": 1}}", "{\"Token\": []}"] {
            home.write("broken.cfg", broken);
            let error = home.fails(&["-c", "broken.cfg", "tenant", "ls"]);
            assert!(reason(&error).contains("broken.cfg"), "{error}");
            home.fails(&["-c", "broken.cfg", "tenant", "default", SCRATCHPAD]);
            assert_eq!(home.read("broken.cfg"), broken, "it is left as it is");
        }
    }

    #[test]
    fn keys_are_read_in_any_case_and_unknown_ones_ignored() {
        let (_server, home) = site();
        let config = home.config(CONFIG);
        let odd = json!({
            "host": config["Host"], "INSECURE": true, "tOKEN": config["Token"], "Unknown": { "x": [1] },
            "session": null,
        });
        home.write("odd.cfg", odd.to_string());
        assert!(home.ok(&["-c", "odd.cfg", "auth", "whoami"]).contains("SUPERTOKEN"));
    }

    #[test]
    fn a91_a_file_that_others_can_read_is_warned_about() {
        let (_server, home) = site();
        fs::set_permissions(home.at(CONFIG), fs::Permissions::from_mode(0o644)).unwrap();
        let ran = home.call(&["auth", "whoami"]).run();
        assert_eq!(ran.code, Some(0));
        assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
        home.ok(&["tenant", "default", SCRATCHPAD]);
        assert_eq!(fs::metadata(home.at(CONFIG)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_servers_config_is_one_that_the_client_takes() {
        let (server, home) = site();
        home.ok(&["principal", "create", "alice"]);
        let token = home.token("alice.cfg");
        let bearer = format!("Bearer {token}");
        let got = get(&format!("{}/_/v0/config", server.url), &[("authorization", &bearer)]);
        assert_eq!(got.status, 200);
        assert_eq!(got.header("content-type"), Some("application/json"));
        assert_eq!(got.header("content-disposition"), Some("attachment; filename=\"cacheroach.cfg\""));
        assert!(got.text().contains("\"\\u003cself\\u003e\""), "as Go writes it: {}", got.text());
        home.write("got.cfg", &got.body);
        fs::set_permissions(home.at("got.cfg"), fs::Permissions::from_mode(0o600)).unwrap();
        let (mine, theirs) = (home.config("alice.cfg"), home.config("got.cfg"));
        for key in ["Host", "Insecure", "Session", "Token"] {
            assert_eq!(mine[key], theirs[key], "{key}");
        }
        assert_eq!(theirs["DefaultTenant"], json!({ "data": SCRATCHPAD_BASE64 }));
        let whoami = |config: &str| home.ok(&["-c", config, "auth", "whoami"]);
        assert_eq!(whoami("alice.cfg"), whoami("got.cfg"));
        // Loaded and written again, it is the same.
        home.ok(&["-c", "got.cfg", "tenant", "default", SCRATCHPAD]);
        assert_eq!(home.read("got.cfg"), got.text());

        let anonymous = get(&format!("{}/_/v0/config", server.url), &[]);
        let anonymous: Value = serde_json::from_slice(&anonymous.body).unwrap();
        assert_eq!(anonymous["Token"], "");
        assert_eq!(anonymous["Session"]["name"], "public-access-v0");
    }
}

mod tenants {
    use super::*;

    #[test]
    fn tenants_are_made_listed_chosen_and_deleted() {
        let (server, home) = site();
        let acme = tenant(&home, "acme & <co>");
        let rows = table(&home.ok(&["tenant", "ls"]), &TENANTS);
        assert_eq!(rows.len(), 2);
        assert!(
            rows.contains(&vec![SCRATCHPAD.into(), "1".into(), "Default Scratchpad".into(), "local".into()]),
            "{rows:?}"
        );
        assert!(
            rows.contains(&vec![acme.clone(), "1".into(), "acme & <co>".into(), "local".into()]),
            "{rows:?}"
        );
        let json: Vec<Value> = serde_json::from_str(&home.ok(&["tenant", "ls", "--output", "json"])).unwrap();
        assert!(
            json.contains(&json!({ "id": acme, "version": 1, "name": "acme & <co>", "region": "local" })),
            "{json:?}"
        );

        home.write("x.txt", "x");
        assert_eq!(home.ok(&["tenant", "default", &acme]), "");
        home.ok(&["file", "put", "/", "x.txt"]);
        assert_eq!(home.ok(&["file", "ls"]), "/x.txt\n");
        assert_eq!(home.ok(&["file", "ls", "-t", SCRATCHPAD]), "/index.html\n");
        assert_eq!(home.ok(&["file", "-t", SCRATCHPAD_BASE64, "ls"]), "/index.html\n", "base64 is an ID too");
        delegate(&home, &acme, "read", &["-o", "reader.cfg"]);
        home.ok(&["-c", "reader.cfg", "file", "get", "-o", "-", "/x.txt"]);
        home.ok(&["vhost", "create", &acme, "acme.example"]);

        let error = home.fails(&["tenant", "rm", &acme, "2"]);
        assert_eq!(reason(&error), "rpc error: code = Aborted desc = version skew");
        assert_eq!(home.ok(&["tenant", "rm", &acme, "1"]), format!("{acme}\n"));
        assert_eq!(table(&home.ok(&["tenant", "ls"]), &TENANTS).len(), 1);
        assert_eq!(table(&home.ok(&["vhost", "ls"]), &VHOSTS), [[SCRATCHPAD, "*"]]);
        assert!(home.call(&["file", "ls"]).run().stdout.is_empty(), "nothing is left");
        home.fails(&["file", "get", "-o", "-", "/x.txt"]);
        home.fails(&["file", "put", "/", "x.txt"]);
        home.fails(&["-c", "reader.cfg", "file", "get", "-o", "-", "/x.txt"]);
        let reader = format!("Bearer {}", home.token("reader.cfg"));
        let got = get(&format!("{}/x.txt", server.url), &[("authorization", &reader)]);
        assert!(matches!(got.status, 401 | 404), "{got:?}");
    }

    #[test]
    fn wrong_ids_are_of_an_unsupported_format() {
        let (_server, home) = site();
        for id in [
            "",
            "x",
            "CgoKCgoKCgoKCgoKCgoKCgoK",
            "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0",
            "Zg0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
        ] {
            for arguments in [
                &["tenant", "default", id][..],
                &["tenant", "rm", id, "1"],
                &["file", "-t", id, "ls"],
                &["principal", "rm", id, "1"],
                &["session", "rm", id],
                &["vhost", "create", id, "h"],
                &["vhost", "rm", id, "h"],
            ] {
                assert_eq!(reason(&home.fails(arguments)), "unsupported format", "{arguments:?}");
            }
        }
        let nowhere = "12345678-1234-4234-8234-123456789abc";
        home.fails(&["tenant", "rm", nowhere, "1"]);
        home.fails(&["principal", "rm", nowhere, "1"]);
        home.fails(&["vhost", "create", nowhere, "h"]);
        assert_eq!(home.ok(&["session", "rm", nowhere]), "", "an unknown session is over already");
    }

    #[test]
    fn without_a_tenant_file_commands_need_one() {
        let (_server, home) = site();
        let mut config = home.config(CONFIG);
        config["DefaultTenant"] = Value::Null;
        home.write(CONFIG, config.to_string());
        assert_eq!(reason(&home.fails(&["file", "ls"])), "--tenant required");
        delegate(&home, SCRATCHPAD, "read", &["-o", "reader.cfg"]);
        let mut config = home.config("reader.cfg");
        assert_eq!(config["DefaultTenant"], json!({ "data": SCRATCHPAD_BASE64 }));
        config["DefaultTenant"] = Value::Null;
        home.write("reader.cfg", config.to_string());
        assert_eq!(home.ok(&["-c", "reader.cfg", "file", "ls"]), "/index.html\n", "that of the session");
    }

    #[test]
    fn a87_names_cannot_speak_to_the_terminal() {
        let (_server, home) = site();
        let ran = home.call(&["tenant", "create", "\u{1b}[31mred\u{202e}"]).run();
        for format in ["table", "json"] {
            let listed = home.ok(&["tenant", "ls", "--output", format]);
            assert!(!listed.contains('\u{1b}') && !listed.contains('\u{202e}'), "{listed:?}");
            assert_eq!(ran.code == Some(0), listed.contains("[31mred"), "{listed:?}");
        }
    }
}

mod principals {
    use super::*;

    #[test]
    fn principals_are_made_listed_and_deleted() {
        let (_server, home) = site();
        let alice = id_of(&home.ok(&["principal", "create", "alice"]), "Principal ID");
        let more = ["principal", "create", "bob's team", "--emailDomain", "Example.com", "-o", "bob.cfg"];
        let bob = id_of(&home.ok(&more), "Principal ID");
        let rows = table(&home.ok(&["principal", "ls"]), &PRINCIPALS);
        assert_eq!(rows.len(), 4, "{rows:?}");
        let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap();
        assert_eq!(row(&alice)[1..4], ["1", "alice", ""]);
        let claims: Value = serde_json::from_str(&row(&alice)[4]).unwrap();
        assert_eq!(claims, json!({ "name": "alice", "source": "cli principal" }));
        assert_eq!(row(&bob)[1..4], ["1", "bob's team", "example.com"]);
        assert_eq!(row(NOBODY)[2], "Unauthenticated Principal");
        let own = rows.iter().find(|row| ![&alice, &bob, NOBODY].contains(&row[0].as_str())).unwrap();
        assert_eq!(own[2], own[0], "whom nobody has named has its ID for a label");
        let json: Vec<Value> =
            serde_json::from_str(&home.ok(&["--output", "json", "principal", "ls"])).unwrap();
        assert!(json.iter().any(|one| one["label"] == "alice" && one["claims"]["source"] == "cli principal"));

        let config = home.config("alice.cfg");
        assert_eq!(config["DefaultTenant"], home.config(CONFIG)["DefaultTenant"]);
        assert_eq!(config["Session"]["name"], "<self>");
        assert!(home.read("alice.cfg").contains("\\u003cself\\u003e"));
        let expires = config["Session"]["x"].as_str().unwrap();
        assert!(expires.ends_with('Z') && !expires.contains('.'), "to the second: {expires}");

        assert_eq!(home.ok(&["-c", "alice.cfg", "auth", "whoami"]).lines().count(), 7);
        home.fails(&["-c", "alice.cfg", "principal", "ls"]);
        home.fails(&["principal", "rm", &alice, "9"]);
        assert_eq!(home.ok(&["principal", "rm", &alice, "1"]), "");
        assert_eq!(table(&home.ok(&["principal", "ls"]), &PRINCIPALS).len(), 3);
        let error = home.fails(&["-c", "alice.cfg", "auth", "whoami"]);
        assert!(reason(&error).starts_with("rpc error: code = Unauthenticated"), "{error}");
        // Its e-mail domain is taken by one only.
        let again = home.fails(&["principal", "create", "carol", "--emailDomain", "EXAMPLE.COM"]);
        assert!(reason(&again).starts_with("rpc error: code = AlreadyExists"), "{again}");
        assert!(!home.at("carol.cfg").exists());
    }
}

mod sessions {
    use super::*;

    #[test]
    fn sessions_are_delegated_listed_and_ended() {
        let (_server, home) = site();
        let me = home.ok(&["--output", "json", "auth", "whoami"]);
        let me: Value = serde_json::from_str(&me).unwrap();
        let me = me["principal"].as_str().unwrap();
        let acme = tenant(&home, "acme");
        home.write("x.txt", "x");
        home.ok(&["file", "-t", &acme, "put", "/in/", "x.txt"]);
        let reader =
            delegate(&home, &acme, "read", &["--path", "/in/*", "--name", "reader", "-o", "reader.cfg"]);
        let all = delegate(&home, &acme, "all", &["--duration", "1h30m"]);
        let on_me =
            home.ok(&["session", "delegate", "--on", "principal", "--capabilities", "write,read,pii"]);
        let on_me = id_of(&on_me, "Session ID");
        let super_too = home.ok(&["session", "delegate", "--on", "super", "--capabilities", "read"]);
        let super_too = id_of(&super_too, "Session ID");

        let rows = table(&home.ok(&["session", "ls"]), &SESSIONS);
        let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap()[1..].to_vec();
        assert_eq!(row(&reader), [me, "reader", "read", "Tenant", &acme, "/in/*"]);
        assert_eq!(row(&all), [me, "", "all", "Tenant", &acme, "/*"]);
        assert_eq!(row(&on_me), [me, "", "pii,read,write", "Principal", me, ""]);
        assert_eq!(row(&super_too), [me, "", "read", "SUPERTOKEN", "", ""]);
        assert!(rows.iter().any(|row| row[2..] == ["", "", "SUPERTOKEN", "", ""]), "the own one: {rows:?}");
        let json: Vec<Value> =
            serde_json::from_str(&home.ok(&["session", "ls", "--output", "json"])).unwrap();
        assert!(json.iter().any(|one| one["id"] == reader && one["target_id"] == acme));
        let json: Value = serde_json::from_str(&home.ok(&[
            "--output",
            "json",
            "session",
            "delegate",
            "--on",
            "super",
            "--capabilities",
            "all",
        ]))
        .unwrap();
        assert!(is_uuid(json["session_id"].as_str().unwrap()));

        // It can what it may, and nothing else.
        assert_eq!(home.ok(&["-c", "reader.cfg", "file", "ls", "/in/"]), "/in/x.txt\n");
        assert_eq!(home.ok(&["-c", "reader.cfg", "file", "get", "-o", "-", "/in/x.txt"]), "x");
        let put = home.call(&["-c", "reader.cfg", "file", "put", "/in/", "x.txt"]).run();
        assert_eq!(put.code, Some(1));
        let status = table(&put.stdout, &PUTS)[0][2].clone();
        assert!(status.starts_with("rpc error: code = PermissionDenied desc = "), "{status}");
        home.fails(&["-c", "reader.cfg", "file", "ls", "/"]);
        home.fails(&["-c", "reader.cfg", "file", "-t", SCRATCHPAD, "ls", "/in/"]);
        home.fails(&["-c", "reader.cfg", "file", "rm", "/in/x.txt"]);
        home.fails(&["-c", "reader.cfg", "session", "delegate", "--on", "tenant"]);
        home.fails(&["-c", "reader.cfg", "session", "ls"]);

        // A name is taken, for each holder, as long as the session lives.
        let again = [
            "session",
            "delegate",
            "--on",
            "tenant",
            "--id",
            &acme,
            "--capabilities",
            "read",
            "--name",
            "reader",
        ];
        assert!(reason(&home.fails(&again)).starts_with("rpc error: code = AlreadyExists"));
        assert_eq!(home.ok(&["session", "rm", &reader]), "");
        let error = home.fails(&["-c", "reader.cfg", "file", "ls", "/in/"]);
        assert!(reason(&error).starts_with("rpc error: code = Unauthenticated"), "at once: {error}");
        assert!(!home.ok(&["session", "ls"]).contains(&reader));
        assert!(
            home.call(&["-v", "session", "rm", &reader]).run().stderr.contains("Success"),
            "again is fine"
        );
        home.ok(&again);
    }

    #[test]
    fn a_grant_for_somebody_else_is_used_by_their_own_session() {
        let (_server, home) = site();
        let acme = tenant(&home, "acme");
        home.write("x.txt", "x");
        home.ok(&["file", "-t", &acme, "put", "/", "x.txt"]);
        let alice = id_of(&home.ok(&["principal", "create", "alice"]), "Principal ID");
        let list = ["-c", "alice.cfg", "file", "-t", &acme, "ls"];
        let put = ["-c", "alice.cfg", "file", "-t", &acme, "put", "/", "x.txt"];
        home.fails(&list);
        let grant = delegate(&home, &acme, "read", &["--for", &alice]);
        assert_eq!(home.ok(&list), "/x.txt\n");
        home.fails(&put);
        let rows = table(&home.ok(&["-c", "alice.cfg", "session", "ls"]), &SESSIONS);
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().any(|row| row[1] == alice && row[2] == "<self>" && row[3] == "all"), "{rows:?}");
        assert!(rows.iter().any(|row| row[0] == grant && row[3] == "read"), "{rows:?}");
        let write = delegate(&home, &acme, "write", &["--for", &alice]);
        home.ok(&put);
        home.ok(&["session", "rm", &write]);
        home.fails(&put);
        home.ok(&["session", "rm", &grant]);
        home.fails(&list);
    }

    #[test]
    fn what_makes_no_sense_is_told_in_the_words_of_the_original() {
        let (_server, home) = site();
        let told = |arguments: &[&str]| {
            let error = home.fails(&[&["session", "delegate"], arguments].concat());
            reason(&error).to_owned()
        };
        assert_eq!(told(&["--on", "x", "--capabilities", "all"]), "unknown --on value \"x\"");
        assert_eq!(told(&["--on", "super"]), "missing required --capabilities");
        assert_eq!(told(&["--on", "super", "--capabilities", "x"]), "capabilities: unknown capability \"x\"");
        assert_eq!(
            told(&["--on", "tenant", "--id", "x", "--capabilities", "all"]),
            "onID: unsupported format"
        );
        assert_eq!(
            told(&["--on", "principal", "--id", "x", "--capabilities", "all"]),
            "onID: unsupported format"
        );
        for path in ["/a*", "/*/x", "a", ""] {
            let error = told(&["--on", "tenant", "--capabilities", "read", "--path", path]);
            assert!(error.starts_with("rpc error: code = InvalidArgument desc = "), "{path}: {error}");
        }
    }
}

mod vhosts {
    use super::*;

    fn seen(server: &Server, host: &str) -> (u16, String) {
        let got = get(&format!("{}/x.txt", server.url), &[("host", host)]);
        (got.status, got.text())
    }

    #[test]
    fn vhosts_act_at_once() {
        let (server, home) = site();
        let acme = tenant(&home, "acme");
        home.write("x.txt", "of acme");
        home.ok(&["file", "-t", &acme, "put", "/", "x.txt"]);
        delegate(&home, &acme, "read", &["--for", NOBODY]);
        assert_eq!(table(&home.ok(&["vhost", "ls"]), &VHOSTS), [[SCRATCHPAD, "*"]]);
        assert_eq!(seen(&server, "files.example").0, 404);
        assert_eq!(home.ok(&["vhost", "create", &acme, "files.example"]), "");
        for host in ["files.example", "FILES.example:8080"] {
            assert_eq!(seen(&server, host), (200, "of acme".into()), "{host}");
        }
        assert_eq!(seen(&server, "other.example").0, 404);
        let mut rows = table(&home.ok(&["vhost", "ls"]), &VHOSTS);
        rows.sort_unstable();
        let mut expected =
            [vec![SCRATCHPAD.to_owned(), "*".into()], vec![acme.clone(), "files.example".into()]];
        expected.sort_unstable();
        assert_eq!(rows, expected);
        let json: Vec<Value> = serde_json::from_str(&home.ok(&["--output", "json", "vhost", "ls"])).unwrap();
        assert!(json.contains(&json!({ "tenant_id": acme, "hostname": "files.example" })), "{json:?}");

        assert_eq!(
            home.ok(&["vhost", "rm", SCRATCHPAD, "files.example"]),
            "",
            "that is not how it is mapped"
        );
        assert_eq!(seen(&server, "files.example").0, 200);
        assert_eq!(home.ok(&["vhost", "rm", &acme, "files.example"]), "");
        assert_eq!(seen(&server, "files.example").0, 404);
        assert_eq!(home.ok(&["vhost", "create", &acme, "*"]), "");
        assert_eq!(seen(&server, "other.example"), (200, "of acme".into()));
        home.fails(&["vhost", "create", &acme, "no host"]);
    }
}

mod files {
    use super::*;

    #[test]
    fn files_are_put_where_they_are_asked_to_be() {
        let (_server, home) = site();
        for (name, content) in
            [("d/hello.txt", "hello"), ("d/sub/more.txt", "more"), ("d/empty", ""), ("it's.txt", "i")]
        {
            home.write(name, content);
        }
        let put = |arguments: &[&str]| {
            let mut rows = table(&home.ok(&[&["file", "put"], arguments].concat()), &PUTS);
            rows.sort_unstable();
            rows
        };
        assert_eq!(put(&["/glob/", "d/hello.txt"]), [["d/hello.txt", "/glob/d/hello.txt", "OK"]]);
        assert_eq!(
            put(&["-r", "/up/", "d"]),
            [
                ["d/empty", "/up/empty", "OK"],
                ["d/hello.txt", "/up/hello.txt", "OK"],
                ["d/sub/more.txt", "/up/sub/more.txt", "OK"],
            ]
        );
        assert_eq!(put(&["/flat/", "d"]), [[""; 3]; 0], "a directory without -r");
        assert_eq!(put(&["/many/", "d/*.txt", "*.txt"]).len(), 2, "patterns are ours to expand");
        assert_eq!(put(&["/one/", "-p", "1", "it's.txt"]), [["it's.txt", "/one/it's.txt", "OK"]]);
        let names = [
            "/glob/d/hello.txt",
            "/index.html",
            "/many/d/hello.txt",
            "/many/it's.txt",
            "/one/it's.txt",
            "/up/empty",
            "/up/hello.txt",
            "/up/sub/more.txt",
        ];
        assert_eq!(home.ok(&["file", "ls"]).lines().collect::<Vec<_>>(), names);
        assert_eq!(home.ok(&["file", "ls", "/up/sub", "/one/"]), "/up/sub/more.txt\n/one/it's.txt\n");
        assert_eq!(home.ok(&["file", "ls", "/none/"]), "");

        assert_eq!(reason(&home.fails(&["file", "put", "up/", "d"])), "the remote path must start with /");
        assert_eq!(
            reason(&home.fails(&["file", "put", "/up", "d"])),
            "the target for an upload must end in a / to avoid ambiguous behavior"
        );
    }

    #[test]
    fn a_pattern_without_matches_puts_nothing() {
        let (_server, home) = site();
        let ran = home.call(&["file", "put", "/x/", "none*"]).run();
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.lines().count() <= 1, "no rows: {}", ran.stdout);
        assert_eq!(home.ok(&["file", "ls"]), "/index.html\n");
    }

    #[test]
    fn a89_one_failure_is_told_and_the_others_are_attempted() {
        let (_server, home) = site();
        home.write("a", "a");
        home.write("b", "b");
        let ran = home.call(&["file", "put", "/", "a", "missing", "b"]).run();
        assert_eq!(ran.code, Some(1));
        let mut rows = table(&ran.stdout, &PUTS);
        rows.sort_unstable();
        assert_eq!([&rows[0][2], &rows[1][2]], ["OK", "OK"]);
        assert!(rows[2][0] == "missing" && rows[2][2] != "OK", "{rows:?}");
        assert!(reason(&ran.stderr).contains("missing"), "{}", ran.stderr);

        let ran = home.call(&["file", "get", "-o", "out", "/a", "/none", "/b"]).run();
        assert_eq!(ran.code, Some(1));
        let rows = table(&ran.stdout, &GETS);
        let remotes: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(remotes, ["/a", "/none", "/b"], "in the order of the arguments");
        assert_eq!([&rows[0][2], &rows[2][2]], ["OK", "OK"]);
        assert!(rows[1][2].contains("NotFound") || rows[1][2] == "404 Not Found", "{rows:?}");
        assert_eq!((home.read("out/a"), home.read("out/b")), ("a".into(), "b".into()));
        assert_eq!(fs::read_dir(home.at("out")).unwrap().count(), 2, "and nothing in part");

        let ran = home.call(&["file", "rm", "/a", "/none", "/b"]).run();
        let rows = table(&ran.stdout, &["Path", "Status"]);
        assert_eq!(rows, [["/a", "OK"], ["/none", "OK"], ["/b", "OK"]], "what is not there is deleted");
        assert_eq!(ran.code, Some(0));
        assert_eq!(home.ok(&["file", "ls"]), "/index.html\n");
    }

    #[test]
    fn the_wide_listing_shows_what_is_known() {
        let (_server, home) = site();
        home.write("x.txt", "12345");
        home.ok(&["file", "put", "/", "x.txt"]);
        home.ok(&["file", "put", "/", "x.txt"]);
        let columns = ["Path", "Size", "Version", "CTime", "MTime"];
        let rows = table(&home.ok(&["file", "ls", "-w", "/x.txt"]), &columns);
        assert_eq!(rows[0][..3], ["/x.txt", "5", "2"]);
        for time in &rows[0][3..] {
            let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert!(form.get(3..) == Some(" 00 00:00:00") || form.get(3..) == Some("  0 00:00:00"), "{time}");
            assert!(form[..3].chars().all(|c| c.is_ascii_alphabetic()), "{time}");
        }
        assert_eq!(table(&home.ok(&["file", "ls", "--wide", "/none"]), &columns).len(), 0);
        let json: Vec<Value> = serde_json::from_str(&home.ok(&["file", "ls", "--output", "json"])).unwrap();
        assert_eq!(json.len(), 2);
        assert!(json.iter().any(|one| one["path"] == "/x.txt" && one["version"] == 2));
    }

    #[test]
    fn files_are_got_to_where_they_are_asked_to_be() {
        let (_server, home) = site();
        home.write("x.txt", "content");
        home.ok(&["file", "put", "/a/", "x.txt"]);
        let get = |arguments: &[&str]| table(&home.ok(&[&["file", "get"], arguments].concat()), &GETS);
        fs::remove_file(home.at("x.txt")).unwrap();
        assert_eq!(get(&["/a/x.txt"])[0][2], "OK");
        assert_eq!(home.read("x.txt"), "content");
        get(&["/a/x.txt", "-o", "new/name.txt"]);
        assert_eq!(home.read("new/name.txt"), "content");
        assert_eq!(fs::metadata(home.at("new/name.txt")).unwrap().permissions().mode() & 0o777, 0o644);
        fs::create_dir_all(home.at("deep/er")).unwrap();
        get(&["/a/x.txt", "-o", "deep/er"]);
        assert_eq!(home.read("deep/er/x.txt"), "content");
        home.write("full.txt", "longer than the content");
        get(&["/a/x.txt", "--out", "full.txt"]);
        assert_eq!(home.read("full.txt"), "content");
        let ran = home.call(&["file", "get", "-o", "-", "/a/x.txt"]).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "content"));
        assert_eq!(
            reason(&home.fails(&["file", "get", "-o", "x.txt", "/a/x.txt", "/index.html"])),
            "multiple files requested, but --out is not a directory"
        );
        home.fails(&["file", "get", "-o", "none.txt", "/none"]);
        assert!(!home.at("none.txt").exists());
        let json = home.ok(&["--output", "json", "file", "get", "-o", "y", "/a/x.txt"]);
        assert_eq!(
            serde_json::from_str::<Value>(&json).unwrap(),
            json!([{ "remote": "/a/x.txt", "local": "y", "status": "OK" }])
        );
        let json = home.ok(&["--output", "json", "file", "put", "/", "y"]);
        assert_eq!(
            serde_json::from_str::<Value>(&json).unwrap(),
            json!([{ "local": "y", "remote": "/y", "status": "OK" }])
        );
        let json = home.ok(&["--output", "json", "file", "rm", "/y"]);
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([{ "path": "/y", "status": "OK" }]));
    }

    #[test]
    fn a_signed_url_is_good_for_its_file() {
        let (server, home) = site();
        let acme = tenant(&home, "acme");
        home.ok(&["tenant", "default", &acme]);
        home.write("it's a file.txt", "secret");
        home.ok(&["file", "put", "/", "it's a file.txt"]);
        let anonymous = get(&format!("{}/it's%20a%20file.txt", server.url), &[]);
        assert!(matches!(anonymous.status, 401 | 404), "{anonymous:?}");
        for validity in [&[][..], &["--validity", "1h30m"], &["--validity", "0s"]] {
            let arguments = [&["file", "sign"], validity, &["/it's a file.txt"]].concat();
            let rows = table(&home.ok(&arguments), &["Path", "URL"]);
            assert_eq!(rows[0][0], "/it's a file.txt");
            assert!(rows[0][1].starts_with(&format!("{}/_/v0/retrieve/", server.url)), "{rows:?}");
            let got = get(&rows[0][1], &[]);
            assert_eq!((got.status, got.text().as_str()), (200, "secret"));
        }
        let signed = home.ok(&["file", "sign", "--validity", "1ms", "/it's a file.txt"]);
        assert!(signed.contains("access_token="), "{signed}");
        let json: Value =
            serde_json::from_str(&home.ok(&["--output", "json", "file", "sign", "/it's a file.txt"]))
                .unwrap();
        assert_eq!(get(json[0]["url"].as_str().unwrap(), &[]).status, 200);
        home.fails(&["file", "sign", "/none"]);
    }

    #[test]
    fn what_http_puts_the_command_line_sees() {
        let (server, home) = site();
        let bearer = format!("Bearer {}", home.token(CONFIG));
        let put = http().put(format!("{}/by/http", server.url)).header("authorization", &bearer).body("abc");
        let put = block_on(answer(put));
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((put.status, put.text().as_str()), (202, hash));
        assert_eq!(home.ok(&["file", "get", "-o", "-", "/by/http"]), "abc");
        let anonymous = block_on(answer(http().put(format!("{}/by/http", server.url)).body("x")));
        assert_eq!(anonymous.status, 401);
    }
}

mod start {
    use super::*;

    #[test]
    fn a_server_stops_when_told_and_keeps_what_it_had() {
        let (mut server, home) = site();
        home.write("x.txt", "x");
        home.ok(&["file", "put", "/", "x.txt"]);
        let said = server.stdout();
        assert!(said.contains("cacheroach bootstrap --dataDir"), "it says what to type next: {said}");
        server.stop();
        assert!(!home.at("data/address").exists(), "its address goes with it");
        assert_eq!(server.stderr(), "");
        home.fails(&["auth", "whoami"]);
        let port = server.host().to_owned();
        let _again = Server::with(&home.at("data"), &["--bindAddr", &port]);
        assert_eq!(home.ok(&["file", "get", "-o", "-", "/x.txt"]), "x");
    }

    #[test]
    fn a_second_server_on_the_same_data_is_refused() {
        let (_server, home) = site();
        let ran = home.call(&["start", "--dataDir", "data", "--bindAddr", "127.0.0.1:0"]).run();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        home.ok(&["auth", "whoami"]);
    }

    #[test]
    fn flags_that_make_no_sense_end_with_1() {
        let (server, home) = site();
        for arguments in [
            &["start", "--dataDir", "d", "--signingKey", "short"][..],
            &["start", "--dataDir", "d", "--signingKey", "AAAA"],
            &["start", "--dataDir", "d", "--cacheKey", "AAAA"],
            &["start", "--dataDir", "d", "--cacheKey", ""],
            &["start", "--dataDir", "d", "--bindAddr", "nowhere"],
            &["start", "--dataDir", "d", "--bindAddr", server.host()],
            &["start", "--dataDir", "d", "--connect", "oracle://x"],
            &["start", "--dataDir", "d", "--selfSign"],
            &["start", "--dataDir", "/proc/none"],
        ] {
            let error = home.fails(arguments);
            assert!(!reason(&error).is_empty(), "{arguments:?}");
        }
    }
}
