//! What a guide says, typed word for word.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{BINARY, Process, free_port, until};

/// Where servers listen that were not told, as guides write it, and the beginning of all addresses in guides.
const USUAL: &str = "127.0.0.1:13013";
const HERE: &str = "127.0.0.1:";

/// The commands of all blocks that are marked so.
pub(crate) fn commands(text: &str, mark: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim_end() {
            "```" => inside = false,
            line if line.strip_prefix("```") == Some(mark) => inside = true,
            line if inside => commands.extend(line.strip_prefix("$ ").map(str::to_owned)),
            _ => {}
        }
    }
    commands
}

/// The same commands with other ports, which nobody else has.
pub(crate) fn on_free_ports(commands: Vec<String>) -> Vec<String> {
    let mut ports = BTreeMap::new();
    let mut elsewhere = |address: &str| {
        let port = *ports.entry(address.to_owned()).or_insert_with(free_port);
        format!("{HERE}{port}")
    };
    let mut adapt = |command: String| {
        let command = match command.strip_prefix("cacheroach start") {
            Some(flags) if !flags.contains("--bindAddr") => {
                format!("cacheroach start --bindAddr {USUAL}{flags}")
            }
            _ => command,
        };
        let mut parts = command.split(HERE);
        let mut adapted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            adapted += &elsewhere(&part[..end]);
            adapted += &part[end..];
        }
        adapted
    };
    commands.into_iter().map(&mut adapt).collect()
}

/// Where commands are typed into a shell, in a home of their own.
pub(crate) struct Desk {
    home: tempfile::TempDir,
    path: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
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

    /// A command that must end well: what it answers.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        println!("$ {line}\n{stdout}{stderr}");
        assert!(output.status.success(), "{line}: {}", output.status);
        stdout
    }

    /// A server in the background. Whoever types the next command has read that the server serves.
    pub(crate) fn begin(&self, line: &str) -> Process {
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
