//! The README's quickstart, word for word, on the real binary.

#![cfg(test)]

mod program;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use program::{BINARY, Process, free_port, until};

const README: &str = include_str!("../../../README.md");
const PORT: u16 = 13013;

/// The commands of all blocks that say that they are the quickstart.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim_end() {
            "```sh quickstart" => inside = true,
            "```" => inside = false,
            line if inside => commands.extend(line.strip_prefix("$ ").map(str::to_owned)),
            _ => {}
        }
    }
    commands
}

/// The commands for a machine on which the port may be taken.
fn adapted(commands: Vec<String>) -> Vec<String> {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok() {
        return commands;
    }
    let address = format!("127.0.0.1:{}", free_port());
    let adapt = |command: String| match command.strip_prefix("cacheroach start") {
        Some(flags) => format!("cacheroach start --bindAddr {address}{flags}"),
        None => command.replace(&format!("127.0.0.1:{PORT}"), &address),
    };
    commands.into_iter().map(adapt).collect()
}

struct Desk {
    home: tempfile::TempDir,
    path: String,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = Path::new(BINARY).parent().unwrap().to_str().unwrap();
        let path = format!("{dir}:{}", std::env::var("PATH").unwrap());
        Desk { home, path }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", line]).current_dir(&self.home);
        command.env("HOME", self.home.path()).env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        println!("$ {line}\n{stdout}{stderr}");
        assert!(output.status.success(), "{line}: {}", output.status);
        stdout
    }

    /// Whoever types the next command has read that the server serves.
    fn begin(&self, line: &str) -> Process {
        let said = self.home.path().join(".said");
        let mut command = self.command(&format!("exec {line}"));
        let mut process =
            Process(command.stdout(File::create(&said).unwrap()).stderr(Stdio::inherit()).spawn().unwrap());
        until("the server's greeting", Duration::from_secs(20), || {
            assert!(process.0.try_wait().unwrap().is_none(), "{line} has ended");
            fs::read_to_string(&said).unwrap().contains("\n\n").then_some(())
        });
        process
    }
}

#[test]
fn the_quickstart_works_as_it_is_written() {
    let commands = adapted(commands(README));
    assert!(!commands.is_empty(), "the README has a block marked `sh quickstart`");
    let desk = Desk::new();
    let mut servers = Vec::new();
    for line in &commands {
        match line.strip_suffix(" &") {
            Some(line) => servers.push(desk.begin(line)),
            None => {
                let stdout = desk.run(line);
                assert!(!line.starts_with("curl ") || !stdout.is_empty(), "{line}: nothing");
            }
        }
    }
    assert!(!servers.is_empty(), "the quickstart starts a server");
    for server in &mut servers {
        server.terminate();
        assert!(server.wait(Duration::from_secs(20)).success());
    }
}

#[test]
fn commands_are_found_in_marked_blocks_only() {
    let text = "```sh\n$ no\n```\n```sh quickstart\n$ one &\noutput\n$ two\n```\n$ no\n```sh quickstart\n$ three\n```";
    assert_eq!(commands(text), ["one &", "two", "three"]);
}
