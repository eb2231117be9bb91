//! `store load`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use cacheroach_store::tools::dump::{self, Counts};
use clap::Args;

use super::place::Place;
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Format, Table};

/// Read a file that `store dump` wrote into an empty store.
///
/// The chunk tier must be the one that the dump's store had: a dump says where bytes are, and holds small ones only.
#[derive(Args)]
pub(crate) struct Load {
    #[command(flatten)]
    place: Place,
    /// Go on with a store that has some of it already. What is there stays, unless the file has a higher version of it.
    #[arg(long)]
    merge: bool,
    /// The file.
    file: PathBuf,
}

impl Load {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let open = || {
            let cannot = |e| Error::because(format!("cannot read {}", self.file.display()), e);
            File::open(&self.file).map(BufReader::new).map_err(cannot)
        };
        // All of it is looked at before any of it is believed.
        let from = open()?;
        let checking = tokio::task::spawn_blocking(move || dump::check(from));
        let checked = checking.await.map_err(|e| Error::because("the check stopped", e))?;
        checked.map_err(|e| Error::because("nothing was loaded", e))?;
        let store = self.place.open().await?;
        let counts = dump::load(&*store.metadata, open()?, self.merge).await;
        tell(context.format, &counts.map_err(|e| Error::because("the dump was not loaded", e))?)
    }
}

/// How many rows of each table.
pub(super) fn tell(format: Format, counts: &Counts) -> Result<(), Error> {
    let mut table = Table::new(format, &["Table", "Rows"]);
    for (name, rows) in counts {
        table.row([Cell::from(*name), Cell::from(i64::try_from(*rows).unwrap_or(i64::MAX))])?;
    }
    table.finish()
}
