//! `store`: looking after what is kept. These commands open the store themselves; they ask no server.

mod migrate;
pub(crate) mod place;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::Error;

/// Look after a store.
#[derive(Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Migrate(migrate::Migrate),
}

impl Store {
    pub(super) async fn run(self, _context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Migrate(command) => command.run().await,
        }
    }
}
