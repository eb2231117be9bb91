//! Faults, each by the id it has in `docs/threats.md`, against real servers.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod clients;
mod drain;
mod panics;
mod steps;
mod storage;

use cacheroach_faults::{Place, Site};

/// The program with failpoints.
const PROGRAM: &str = env!("CARGO_BIN_EXE_faulty");

/// One server on an embedded store.
fn site() -> Site {
    Site::started(PROGRAM, &Place::sqlite(), 1)
}

/// Drives a future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
