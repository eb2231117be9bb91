//! The README's quickstart, word for word, on the real binary.

#![cfg(test)]

mod program;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use program::desk::{Desk, commands, on_free_ports};

const README: &str = include_str!("../../../README.md");
const MARK: &str = "sh quickstart";
const PORT: u16 = 13013;

/// The commands for a machine on which the port may be taken.
fn adapted(commands: Vec<String>) -> Vec<String> {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok() { commands } else { on_free_ports(commands) }
}

#[test]
fn the_quickstart_works_as_it_is_written() {
    let commands = adapted(commands(README, MARK));
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
    assert_eq!(commands(text, MARK), ["one &", "two", "three"]);
}
