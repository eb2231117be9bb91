//! `store`: looking after what is kept. These commands open the store themselves; most ask no server.

mod copy;
mod dump;
mod load;
mod migrate;
pub(crate) mod place;
pub(crate) mod purge;
mod stat;
mod verify;
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
    Copy(copy::Copy),
    Dump(dump::Dump),
    Load(load::Load),
    Migrate(migrate::Migrate),
    Purge(purge::Purge),
    Zones(zones::Zones),
    Stat(stat::Stat),
    Verify(verify::Verify),
}

impl Store {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Copy(command) => command.run(context).await,
            Command::Dump(command) => command.run(context).await,
            Command::Load(command) => command.run(context).await,
            Command::Migrate(command) => command.run().await,
            Command::Purge(command) => command.run(context).await,
            Command::Zones(command) => command.run().await,
            Command::Stat(command) => command.run(context).await,
            Command::Verify(command) => command.run(context).await,
        }
    }
}
