//! The commands that files have grown beyond the original's: versions, copies, moves, descriptions, and sync.

#![cfg(test)]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use program::{Home, Server, site, table};
use serde_json::{Value, json};

/// The SHA-256 of `abc`.
const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const SYNCS: [&str; 3] = ["Action", "Path", "Status"];

fn reason(stderr: &str) -> &str {
    let line = stderr.lines().find(|line| line.starts_with("error: "));
    line.and_then(|line| line.strip_prefix("error: ")).unwrap_or_else(|| panic!("no error: {stderr}"))
}

/// A server with nothing in it, and files put there as they are named, each after the one before.
fn holding(files: &[(&str, &str)]) -> (Server, Home) {
    let (server, home) = site();
    home.ok(&["file", "rm", "/index.html"]);
    for (path, content) in files {
        put(&home, path, content);
    }
    (server, home)
}

fn put(home: &Home, path: &str, content: &str) {
    let (dir, name) = path.rsplit_once('/').unwrap();
    home.write(name, content);
    home.ok(&["file", "put", &format!("{dir}/"), name]);
    fs::remove_file(home.at(name)).unwrap();
}

fn shown(home: &Home, path: &str) -> String {
    home.ok(&["file", "get", "-o", "-", path])
}

fn names(home: &Home, arguments: &[&str]) -> Vec<String> {
    home.ok(&[&["file", "ls"], arguments].concat()).lines().map(str::to_owned).collect()
}

fn stat(home: &Home, path: &str) -> Value {
    let json: Value = serde_json::from_str(&home.ok(&["--output", "json", "file", "stat", path])).unwrap();
    json[0].clone()
}

mod versions {
    use super::*;

    #[test]
    fn stat_shows_what_is_known() {
        let (_server, home) = holding(&[("/d/x.txt", "before"), ("/d/x.txt", "abc")]);
        let known = stat(&home, "/d/x.txt");
        assert_eq!(
            [&known["path"], &known["version"], &known["size"], &known["hash"], &known["metadata"]],
            [&json!("/d/x.txt"), &json!(2), &json!(3), &json!(OF_ABC), &json!({})]
        );
        assert!(known["modified"].as_str().unwrap() >= known["created"].as_str().unwrap());
        let text = home.ok(&["file", "stat", "/d/x.txt", "--version", "1"]);
        let facts: Vec<_> = text.lines().map(|line| line.split_once("  ").unwrap()).collect();
        let names = ["Path", "Version", "Size", "Hash", "Type", "Created", "Modified", "Metadata"];
        assert_eq!(facts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        assert_eq!([facts[1].1.trim(), facts[2].1.trim()], ["1", "6"]);
        let ran = home.call(&["file", "stat", "/none", "/d/x.txt"]).run();
        assert_eq!(ran.code, Some(1), "one of them is not there");
        assert!(ran.stdout.contains(OF_ABC) && reason(&ran.stderr).contains("/none"), "{ran:?}");
    }

    #[test]
    fn every_version_is_listed_read_and_restored() {
        let (_server, home) = holding(&[("/x", "one"), ("/x", "second")]);
        home.ok(&["file", "rm", "/x"]);
        let columns = ["Version", "Size", "Modified", "Deleted", "Hash"];
        let rows = table(&home.ok(&["file", "versions", "/x"]), &columns);
        assert_eq!(rows.iter().map(|row| &row[..2]).collect::<Vec<_>>(), [["2", "6"], ["1", "3"]]);
        assert!(rows.iter().all(|row| row[3].ends_with(" UTC") && row[4].len() == 64), "{rows:?}");

        assert_eq!(home.ok(&["file", "restore", "/x"]), "Path     /x\nVersion  3\n");
        assert_eq!(shown(&home, "/x"), "second", "the last one of a deleted file");
        assert!(reason(&home.fails(&["file", "restore", "/x"])).contains("not deleted"));
        put(&home, "/x", "fourth");
        assert_eq!(home.ok(&["file", "get", "-o", "-", "--version", "3", "/x"]), "second");
        home.ok(&["file", "get", "-o", "old", "--version", "3", "/x"]);
        assert_eq!(home.read("old"), "second");
        let skew = home.fails(&["file", "restore", "/x", "--version", "3", "--if-version", "3"]);
        assert!(skew.contains("code = Aborted"), "{skew}");
        home.ok(&["file", "restore", "/x", "--version", "3", "--if-version", "4"]);
        assert_eq!(shown(&home, "/x"), "second");
        home.fails(&["file", "versions", "/none"]);
        for wrong in ["0", "-1", "x"] {
            home.fails(&["file", "restore", "/x", "--version", wrong]);
        }
    }

    #[test]
    fn only_what_is_expected_is_written_and_deleted() {
        let (_server, home) = holding(&[("/x", "one"), ("/x", "two"), ("/d/y", "y")]);
        let skew = home.fails(&["file", "rm", "--if-version", "1", "/x"]);
        assert!(skew.contains("/x: rpc error: code = Aborted"), "{skew}");
        home.ok(&["file", "rm", "--if-version", "2", "/x"]);
        assert_eq!(names(&home, &[]), ["/d/y"]);
        home.write("y", "new");
        let told = home.fails(&["file", "put", "--no-overwrite", "/d/", "y"]);
        assert!(told.contains("y: rpc error: code = Aborted"), "{told}");
        assert_eq!(shown(&home, "/d/y"), "y");
        home.ok(&["file", "put", "--no-overwrite", "/", "y"]);
        assert_eq!(shown(&home, "/y"), "new");
        home.write("large", vec![7; 3 << 20]);
        home.ok(&["file", "put", "--no-overwrite", "/", "large"]);
        let told = home.fails(&["file", "put", "--no-overwrite", "/", "large"]);
        assert!(told.contains("large: there is a file already"), "told before it is sent: {told}");
        assert_eq!(stat(&home, "/large")["version"], 1);
    }
}

mod places {
    use super::*;

    #[test]
    fn files_and_directories_are_copied() {
        let (_server, home) = holding(&[("/a/x", "old"), ("/a/x", "x"), ("/a/sub/y", "y")]);
        assert_eq!(home.ok(&["file", "cp", "/a/x", "/b/z"]), "From     /a/x\nTo       /b/z\nVersion  1\n");
        home.ok(&["file", "cp", "--version", "1", "/a/x", "/c/"]);
        assert_eq!((shown(&home, "/b/z"), shown(&home, "/c/x")), ("x".into(), "old".into()));
        assert_eq!(home.ok(&["file", "cp", "/a/", "/d/e/"]), "From   /a/\nTo     /d/e/\nFiles  2\n");
        assert_eq!(names(&home, &["/d"]), ["/d/e/sub/y", "/d/e/x"]);
        let taken = home.fails(&["file", "cp", "--no-overwrite", "/a/x", "/c/"]);
        assert!(taken.contains("code = Aborted"), "{taken}");
        assert_eq!(shown(&home, "/c/x"), "old");
        home.fails(&["file", "cp", "/a/", "/d"]);
        home.fails(&["file", "cp", "/none", "/d/"]);
        home.fails(&["file", "cp", "--version", "1", "/a/", "/d/"]);
    }

    #[test]
    fn files_and_directories_are_moved() {
        let (_server, home) = holding(&[("/a/x", "x"), ("/a/sub/y", "y"), ("/a/sub/z", "z")]);
        assert_eq!(home.ok(&["file", "mv", "/a/x", "/b/"]), "From     /a/x\nTo       /b/x\nVersion  1\n");
        let json: Value =
            serde_json::from_str(&home.ok(&["--output", "json", "file", "mv", "/a/sub/", "/c/"])).unwrap();
        assert_eq!(json, json!({ "from": "/a/sub/", "to": "/c/", "files": 2 }));
        assert_eq!(names(&home, &[]), ["/b/x", "/c/y", "/c/z"]);
        home.fails(&["file", "mv", "--no-overwrite", "/c/y", "/c/z"]);
        home.ok(&["file", "mv", "/c/y", "/c/z"]);
        assert_eq!(shown(&home, "/c/z"), "y");
        home.ok(&["file", "restore", "/a/x"]);
        assert_eq!(shown(&home, "/a/x"), "x", "what was moved away can be restored");
    }

    #[test]
    fn a_directory_is_deleted_with_and_without_the_file_of_its_name() {
        let (_server, home) = holding(&[("/a", "file"), ("/a/x", "x"), ("/a/sub/y", "y"), ("/ab", "ab")]);
        assert_eq!(table(&home.ok(&["file", "rm", "-r", "/a/"]), &["Path", "Status"]), [["/a/", "OK"]]);
        assert_eq!(names(&home, &[]), ["/a", "/ab"]);
        home.ok(&["file", "restore", "/a/x"]);
        home.ok(&["file", "rm", "--recursive", "/a"]);
        assert_eq!(names(&home, &[]), ["/ab"]);
        home.fails(&["file", "rm", "-r", "--if-version", "1", "/ab"]);
        let unnamed = home.fails(&["file", "rm", "-r", ""]);
        assert!(unnamed.contains("no name"), "p8: an empty variable is not the whole tenant: {unnamed}");
        assert_eq!(names(&home, &[]), ["/ab"]);
    }

    #[test]
    fn a_directory_is_listed_a_level_at_a_time_and_as_it_was() {
        let (_server, home) = holding(&[("/a/x", "x"), ("/a/sub/y", "y"), ("/b", "b")]);
        assert_eq!(names(&home, &["-d"]), ["/a/", "/b"]);
        assert_eq!(names(&home, &["--dirs", "/a"]), ["/a/sub/", "/a/x"]);
        let columns = ["Path", "Size", "Version", "CTime", "MTime"];
        let rows = table(&home.ok(&["file", "ls", "-dw", "/a/"]), &columns);
        assert_eq!([&rows[0][..3], &rows[1][..3]], [["/a/sub/", "", ""], ["/a/x", "1", "1"]]);
        let json = home.ok(&["--output", "json", "file", "ls", "-d"]);
        let json: Vec<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!((&json[0]["path"], &json[0]["size"]), (&json!("/a/"), &Value::Null));

        let then = stat(&home, "/b")["modified"].as_str().unwrap().to_owned();
        home.ok(&["file", "rm", "/b"]);
        assert_eq!(names(&home, &["--as-of", &then]), ["/a/sub/y", "/a/x", "/b"]);
        assert_eq!(names(&home, &["-d", "--as-of", &then]), ["/a/", "/b"]);
        assert_eq!(names(&home, &["--as-of", "1h"]), [""; 0]);
        home.fails(&["file", "ls", "--as-of", "yesterday"]);
    }
}

mod descriptions {
    use super::*;

    #[test]
    fn what_is_said_of_a_file_is_kept_and_can_be_changed() {
        let (_server, home) = holding(&[]);
        home.write("x", "x");
        home.write("large", vec![7; 3 << 20]);
        let described = ["--meta", "who=me", "--meta", "what=a=b", "--type", "text/x-log"];
        home.ok(&[&["file", "put", "/", "x", "large"], &described[..]].concat());
        for path in ["/x", "/large"] {
            let known = stat(&home, path);
            assert_eq!(known["metadata"], json!({ "who": "me", "what": "a=b" }), "{path}");
            assert_eq!((&known["type"], &known["version"]), (&json!("text/x-log"), &json!(1)), "{path}");
        }
        assert!(home.ok(&["file", "stat", "/x"]).contains("Metadata  what=a=b, who=me\n"));
        let edit = ["file", "edit", "/x", "--set", "who=you", "--unset", "what", "--type", "text/plain"];
        assert_eq!(home.ok(&edit), "Path     /x\nVersion  2\n");
        let known = stat(&home, "/x");
        assert_eq!((&known["metadata"], &known["type"]), (&json!({ "who": "you" }), &json!("text/plain")));
        assert_eq!(shown(&home, "/x"), "x");
        home.fails(&["file", "edit", "/x", "--set", "a=b", "--if-version", "1"]);
        home.fails(&["file", "edit", "/x"]);
        home.fails(&["file", "edit", "/none", "--set", "a=b"]);
        home.fails(&["file", "put", "/", "x", "--meta", "none"]);
    }
}

mod sync {
    use super::*;

    /// The rows of a sync, in order of their names.
    #[track_caller]
    fn sync(home: &Home, arguments: &[&str]) -> Vec<Vec<String>> {
        let mut rows = table(&home.ok(&[&["file", "sync"], arguments].concat()), &SYNCS);
        rows.sort_unstable_by(|one, other| one[1].cmp(&other[1]));
        rows
    }

    /// The files below a directory.
    fn local(home: &Home, dir: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![home.at(dir)];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
                if kind.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(home.at(dir)).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
        found
    }

    fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|&(name, content)| (name.to_owned(), content.to_owned())).collect()
    }

    #[test]
    fn what_changed_is_uploaded_and_nothing_else() {
        let (_server, home) = holding(&[("/other", "stays")]);
        for (name, content) in [("d/a", "a"), ("d/sub/b", "b"), ("d/sub/empty", "")] {
            home.write(name, content);
        }
        home.write("d/large", vec![7; 3 << 20]);
        let planned = sync(&home, &["-n", "d", "cr:/up/"]);
        assert!(planned.len() == 4 && planned.iter().all(|row| row[2] == "dry run"), "{planned:?}");
        assert_eq!(names(&home, &["/up"]), [""; 0]);
        assert_eq!(
            sync(&home, &["d", "cr:/up"]),
            [
                ["upload", "a", "OK"],
                ["upload", "large", "OK"],
                ["upload", "sub/b", "OK"],
                ["upload", "sub/empty", "OK"]
            ]
        );
        assert_eq!(names(&home, &["/up"]), ["/up/a", "/up/large", "/up/sub/b", "/up/sub/empty"]);
        assert_eq!(sync(&home, &["./d/", "cr:/up/"]), [[""; 3]; 0], "all is there");

        // Of the same size, and described: what is said of it stays.
        home.ok(&["file", "edit", "/up/a", "--set", "who=me"]);
        home.write("d/a", "A");
        fs::remove_file(home.at("d/sub/b")).unwrap();
        assert_eq!(sync(&home, &["d", "cr:/up/"]), [["upload", "a", "OK"]]);
        assert_eq!(
            (shown(&home, "/up/a"), stat(&home, "/up/a")["metadata"].clone()),
            ("A".into(), json!({ "who": "me" }))
        );
        assert_eq!(sync(&home, &["--delete", "-n", "d", "cr:/up/"]), [["delete", "sub/b", "dry run"]]);
        assert_eq!(sync(&home, &["--delete", "-p", "1", "d", "cr:/up/"]), [["delete", "sub/b", "OK"]]);
        assert_eq!(names(&home, &[]), ["/other", "/up/a", "/up/large", "/up/sub/empty"]);
        assert_eq!(stat(&home, "/up/large")["version"], 1);
    }

    #[test]
    fn what_changed_is_downloaded_and_nothing_else() {
        let (_server, home) =
            holding(&[("/up/a", "a"), ("/up/sub/b", "b"), ("/up", "no directory"), ("/upper", "")]);
        let planned = sync(&home, &["--dry-run", "cr:/up/", "d"]);
        assert_eq!(planned, [["download", "a", "dry run"], ["download", "sub/b", "dry run"]]);
        assert!(!home.at("d").exists());
        assert_eq!(sync(&home, &["cr:/up/", "d"]), [["download", "a", "OK"], ["download", "sub/b", "OK"]]);
        assert_eq!(local(&home, "d"), tree(&[("a", "a"), ("sub/b", "b")]));
        assert_eq!(sync(&home, &["cr:/up", "./d/"]), [[""; 3]; 0], "all is there");
        home.write("d/sub/extra", "extra");
        home.write("d/a", "A");
        assert_eq!(sync(&home, &["cr:/up/", "d"]), [["download", "a", "OK"]]);
        assert_eq!(local(&home, "d"), tree(&[("a", "a"), ("sub/b", "b"), ("sub/extra", "extra")]));
        assert_eq!(sync(&home, &["-n", "--delete", "cr:/up/", "d"]), [["delete", "sub/extra", "dry run"]]);
        assert_eq!(sync(&home, &["--delete", "cr:/up/", "d"]), [["delete", "sub/extra", "OK"]]);
        assert_eq!(local(&home, "d"), tree(&[("a", "a"), ("sub/b", "b")]));
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_reason_to_delete() {
        let (_server, home) = holding(&[("/up/a", "a")]);
        home.write("d/a", "a");
        let told = home.fails(&["file", "sync", "--delete", "none", "cr:/up/"]);
        assert_eq!(reason(&told), "none is not a directory");
        home.fails(&["file", "sync", "--delete", "cr:/none/", "d"]);
        home.fails(&["file", "sync", "--delete", "d", "up"]);
        assert_eq!(names(&home, &[]), ["/up/a"]);
        assert_eq!(local(&home, "d"), tree(&[("a", "a")]));
    }

    #[test]
    fn a88_links_and_odd_files_are_left_alone_on_both_sides() {
        let (_server, home) = holding(&[("/up/dirlink/x", "x"), ("/up/socket", "s"), ("/up/gone", "g")]);
        home.write("d/a", "a");
        home.write("outside/secret", "secret");
        symlink(home.at("d/a"), home.at("d/link")).unwrap();
        symlink(home.at("outside"), home.at("d/dirlink")).unwrap();
        let _socket = UnixListener::bind(home.at("d/socket")).unwrap();
        let ran = home.call(&["file", "sync", "--delete", "d", "cr:/up/"]).run();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.stderr.contains("dirlink: a symbolic link") && ran.stderr.contains("socket: not a regular")
        );
        assert_eq!(names(&home, &[]), ["/up/a", "/up/dirlink/x", "/up/link", "/up/socket"]);
        // Downwards nothing goes through the link, and nothing behind it is deleted.
        let ran = home.call(&["file", "sync", "--delete", "cr:/up/", "d"]).run();
        assert_eq!(ran.code, Some(1));
        assert!(ran.stdout.contains("dirlink is a symbolic link"), "{ran:?}");
        assert_eq!(local(&home, "outside"), tree(&[("secret", "secret")]));
    }

    #[test]
    fn a89_what_cannot_be_listed_is_named_and_nothing_is_deleted() {
        let (_server, home) = holding(&[("/up/gone", "g")]);
        home.write("d/a", "a");
        symlink("nowhere", home.at("d/broken")).unwrap();
        let ran = home.call(&["file", "sync", "--delete", "d", "cr:/up/"]).run();
        assert_eq!(ran.code, Some(1));
        assert!(reason(&ran.stderr).contains("broken: cannot be read"), "{}", ran.stderr);
        assert!(ran.stderr.contains("nothing is deleted"), "{}", ran.stderr);
        assert_eq!(names(&home, &[]), ["/up/a", "/up/gone"]);
    }

    #[test]
    fn a89_a_file_that_fails_is_named_and_the_others_arrive() {
        let (_server, home) = holding(&[("/up/a", "a"), ("/up/b", "b")]);
        fs::create_dir_all(home.at("d/a")).unwrap();
        let ran = home.call(&["file", "sync", "cr:/up/", "d"]).run();
        assert_eq!(ran.code, Some(1));
        assert!(reason(&ran.stderr).contains("a: ") && ran.stderr.contains("in the way"), "{}", ran.stderr);
        let rows = table(&ran.stdout, &SYNCS);
        assert_eq!(rows[1], ["download", "b", "OK"]);
        // The next one does what is left.
        fs::remove_dir(home.at("d/a")).unwrap();
        assert_eq!(sync(&home, &["cr:/up/", "d"]), [["download", "a", "OK"]]);
    }
}
