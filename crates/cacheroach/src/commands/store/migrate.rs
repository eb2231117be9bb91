//! `store migrate`.

use clap::Args;

use super::place::Place;
use crate::error::Error;
use crate::output::line;

/// Bring the schema of a store up to date, as `start` does first of all.
#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    place: Place,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), Error> {
        drop(self.place.open().await?);
        line("the schema is up to date")
    }
}
