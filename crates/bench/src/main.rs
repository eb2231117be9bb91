//! Load generator and comparison runs: `cargo xtask bench`.
//!
//! One run measures cacheroach and its peer on the same machine, the same files and the same minutes, round by
//! round in turns, since numbers of different runs cannot be compared. What costs the server is read from the
//! kernel, so the load generator may share the machine.

mod backlog;
mod cases;
mod clock;
mod flame;
mod growth;
mod load;
mod options;
mod report;
mod servers;

use std::iter::Peekable;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::options::Options;

/// Whatever stops a run: there is nobody here who would act on its kind.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Until someone wants the run to end: then the servers are still stopped, by being dropped.
async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err("interrupted".into())
}

async fn run(options: Options) -> Result<()> {
    let json = options.json.clone();
    let report = cases::run(options).await?;
    print!("\n{}", report.table());
    if let Some(file) = json {
        std::fs::write(&file, report.json()?).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// What the command line asks for, done; or the help text.
async fn obey(mut arguments: Peekable<impl Iterator<Item = String>>) -> Result<()> {
    if arguments.next_if(|word| word == "growth").is_some() {
        return match growth::Options::parse(arguments)? {
            Some(options) => growth::run(options).await,
            None => help(growth::HELP),
        };
    }
    if arguments.next_if(|word| word == "backlog").is_some() {
        return match backlog::Options::parse(arguments)? {
            Some(options) => backlog::run(options).await,
            None => help(backlog::HELP),
        };
    }
    match Options::parse(arguments)? {
        Some(options) => run(options).await,
        None => help(options::HELP),
    }
}

fn help(text: &str) -> Result<()> {
    print!("{text}");
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = Box::pin(obey(std::env::args().skip(1).peekable())) => outcome,
        outcome = interrupted() => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
