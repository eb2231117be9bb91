//! The commands, a file per noun.

mod auth;
mod beside;
mod bootstrap;
mod completion;
mod file;
mod hand_over;
mod login;
mod password;
mod principal;
mod session;
mod start;
mod store;
mod tenant;
mod vhost;

use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;
use crate::config::Config;
use crate::error::Error;
use crate::output::Format;

/// A file store for many tenants: server and client in one program.
///
/// In every argument, $NAME and ${NAME} are replaced from the environment; an argument @FILE is replaced by the
/// contents of that file.
#[derive(Parser)]
#[command(name = "cacheroach", version)]
pub(crate) struct Cli {
    /// Say more on standard error; twice, say everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// The configuration file [default: $HOME/.cacheroach/config].
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What tables look like.
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Auth(auth::Auth),
    Bootstrap(bootstrap::Bootstrap),
    Completion(completion::Completion),
    File(file::File),
    Principal(principal::Principal),
    Session(session::Session),
    Start(Box<start::Start>),
    Store(Box<store::Store>),
    Tenant(tenant::Tenant),
    Vhost(vhost::Vhost),
}

/// What all client commands share.
pub(crate) struct Context {
    path: PathBuf,
    pub(crate) format: Format,
    /// Whether standard error is a terminal that nothing else writes to.
    pub(crate) bars: bool,
}

impl Context {
    /// The configuration.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        Config::load(&self.path)
    }

    /// Writes the configuration.
    pub(crate) fn save(&self, config: &Config) -> Result<(), Error> {
        config.save(&self.path)
    }

    /// The configured server.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        Client::connect(&self.config()?).await
    }
}

impl Cli {
    /// Whether this is the server.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self.command, Command::Start(_))
    }

    /// Runs the command to its end, or until the process is told to stop.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = Context {
            path: self.config.unwrap_or_else(Config::default_path),
            format: self.output,
            bars: self.verbose == 0 && stderr().is_terminal(),
        };
        match self.command {
            // It ends in its own way when told to stop.
            Command::Start(start) => start.run().await,
            command => tokio::select! {
                outcome = Box::pin(command.run(&context)) => outcome,
                outcome = told_to_stop() => outcome.and(Err(Error::new("interrupted"))),
            },
        }
    }
}

impl Command {
    async fn run(self, context: &Context) -> Result<(), Error> {
        match self {
            Command::Auth(command) => command.run(context).await,
            Command::Bootstrap(command) => command.run(context).await,
            Command::Completion(command) => command.run(),
            Command::File(command) => command.run(context).await,
            Command::Principal(command) => command.run(context).await,
            Command::Session(command) => command.run(context).await,
            Command::Start(command) => command.run().await,
            Command::Store(command) => command.run(context).await,
            Command::Tenant(command) => command.run(context).await,
            Command::Vhost(command) => command.run(context).await,
        }
    }
}

/// Returns at SIGINT or SIGTERM.
async fn told_to_stop() -> Result<(), Error> {
    let failed = |e| Error::because("cannot listen for signals", e);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Names one version of something; a change or removal of any other is refused.
#[derive(Args)]
struct AtVersion {
    /// Its ID.
    id: String,
    /// Its current version.
    version: i64,
}
