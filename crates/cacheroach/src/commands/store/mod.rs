//! `store`: looking after what is kept. These commands open the store themselves; most ask no server.

mod migrate;
pub(crate) mod place;
pub(crate) mod purge;
mod zones;

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
    Purge(purge::Purge),
    Zones(zones::Zones),
}

impl Store {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Migrate(command) => command.run().await,
            Command::Purge(command) => command.run(context).await,
            Command::Zones(command) => command.run().await,
        }
    }
}
