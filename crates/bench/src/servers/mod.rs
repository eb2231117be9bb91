//! The servers under test: started, stopped, and what the kernel says they cost.

mod cacheroach;
mod minio;
mod nginx;
mod postgres;
mod process;
mod relay;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use cacheroach::{Cacheroach, Engine, Store};
pub(crate) use minio::{Minio, PROGRAM as MINIO};
pub(crate) use nginx::{Nginx, find_nginx};
pub(crate) use postgres::Postgres;
pub(crate) use process::{cpu_of, processes_called};
pub(crate) use relay::Relay;

use crate::Result;
use crate::load::{self, Ask, Target};
use crate::report::Peer;

/// Longer than any start that is worth waiting for.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to leave by itself.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A running server; dropping it stops it.
pub(crate) struct Server {
    pub(crate) peer: Peer,
    child: Child,
    /// Itself and its workers.
    processes: Vec<u32>,
    /// The first process of the database that it keeps its rows in.
    database: Option<u32>,
    pub(crate) address: SocketAddr,
    /// Where it speaks HTTP/2 in clear text, if it does.
    pub(crate) http2: Option<SocketAddr>,
    /// From being spawned to the first answer.
    pub(crate) started_in: Duration,
}

/// What processes have cost since they began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes handed to block devices.
    pub(crate) written: u64,
}

impl Usage {
    /// What was added since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
        }
    }
}

impl Server {
    /// Spawns a command and asks `GET /` until somebody answers, whatever the status.
    async fn spawn(
        peer: Peer,
        command: &mut Command,
        log: &Path,
        address: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut server = Self {
            peer,
            processes: vec![child.id()],
            child,
            database: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            http2: None,
            started_in: Duration::ZERO,
        };
        loop {
            if let Some(address) = address()
                && load::once(&Target::anonymous(address), Ask::get("/")).await.is_ok()
            {
                server.address = address;
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} ended with {status}: {}", tail(log)).into());
            }
            if begun.elapsed() > START_LIMIT {
                return Err(format!("{command:?} does not answer: {}", tail(log)).into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// The first of its processes.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for process in &self.processes {
            let usage = process::usage_of(*process)?;
            sum.cpu += usage.cpu;
            sum.written += usage.written;
        }
        Ok(sum)
    }

    /// Of the database that it keeps its rows in, if that is a program of its own.
    pub(crate) fn database_usage(&self) -> Result<Option<Usage>> {
        self.database.map(process::usage_of_family).transpose()
    }

    /// Most memory held at any time since `forget_peak`, workers summed (what they share counts for each).
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        self.processes.iter().try_fold(0, |sum, process| Ok(sum + process::memory_of(*process)?.0))
    }

    /// Memory held now, summed in the same way.
    pub(crate) fn held_bytes(&self) -> Result<u64> {
        self.processes.iter().try_fold(0, |sum, process| Ok(sum + process::memory_of(*process)?.1))
    }

    pub(crate) fn forget_peak(&self) {
        self.processes.iter().for_each(|process| process::forget_peak(*process));
    }
}

impl Drop for Server {
    /// Asks first: killed, nginx would leave its workers behind and cacheroach a log to recover.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let asked =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while asked.as_ref().is_ok_and(std::process::ExitStatus::success) && begun.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
