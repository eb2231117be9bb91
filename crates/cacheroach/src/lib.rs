//! The program: it reads arguments, environment and files, runs one command and ends the process. Both the server and
//! the client of it.

mod arguments;
mod client;
mod clock;
mod commands;
mod config;
mod duration;
mod error;
mod ids;
mod output;
mod progress;
mod random;
mod retry;
mod terminal;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::commands::Cli;
use crate::error::Error;
use crate::output::printable;

/// How long what still runs at the end may take to clean up after itself.
const CLEAN_UP: Duration = Duration::from_secs(1);

/// Runs the command that the arguments ask for. What is left for `main` is to call it.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = arguments::expand_all(env::args_os()).map(Cli::try_parse_from);
    let outcome = match parsed {
        Ok(Ok(cli)) => run(cli),
        Ok(Err(answer)) => return explain(&answer),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    log(cli.verbose, cli.is_server());
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Error::because("cannot start", e))?;
    let outcome = runtime.block_on(Box::pin(cli.run()));
    runtime.shutdown_timeout(CLEAN_UP);
    outcome
}

/// Help and version are answers; whatever else is wrong with a command line ends with 1, not with clap's 2.
fn explain(answer: &clap::Error) -> ExitCode {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = answer.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = output::line(answer.render().to_string().trim_end());
            ExitCode::SUCCESS
        }
        _ => {
            let _ = answer.print();
            ExitCode::FAILURE
        }
    }
}

fn report(error: &Error) {
    if error.is_broken_pipe() {
        return;
    }
    eprintln!("error: {}", printable(&error.text()));
    if let Some(hint) = error.hint() {
        eprintln!("hint: {}", printable(&hint));
    }
}

/// Only what we log ourselves: the libraries below would show headers and URLs, and with them secrets.
fn log(verbose: u8, is_server: bool) {
    let level = match verbose {
        // Nobody asks a server twice for what went wrong.
        0 if is_server => LevelFilter::WARN,
        0 => return,
        1 => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(Targets::new().with_target("cacheroach", level)).init();
}
