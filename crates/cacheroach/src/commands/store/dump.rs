//! `store dump`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use cacheroach_store::tools::dump::dump;
use clap::Args;

use super::load::tell;
use super::place::Place;
use crate::commands::Context;
use crate::error::Error;

/// Write all metadata into a file, as it is at this moment.
///
/// The file holds hashes of passwords and small contents: only its owner can read it.
#[derive(Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    place: Place,
    /// The file, which must not be there yet.
    file: PathBuf,
}

impl Dump {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let store = self.place.open_to_read().await?;
        let cannot = |e| Error::because(format!("cannot write {}", self.file.display()), e);
        let file =
            File::options().write(true).create_new(true).mode(0o600).open(&self.file).map_err(cannot)?;
        let mut to = BufWriter::new(file);
        let done = dump(&*store.metadata, &mut to).await;
        let done = match done {
            Ok(counts) => to.flush().and_then(|()| to.get_ref().sync_all()).map_err(cannot).map(|()| counts),
            Err(error) => Err(Error::because("cannot dump the store", error)),
        };
        if done.is_err() {
            // Half a dump helps nobody.
            let _ = fs::remove_file(&self.file);
        }
        tell(context.format, &done?)
    }
}
