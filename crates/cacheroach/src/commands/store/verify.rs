//! `store verify`.

use std::time::Duration;

use cacheroach_store::tools::verify::{Finding, Settings, Verified, verify};
use clap::Args;

use super::place::Place;
use crate::commands::Context;
use crate::duration;
use crate::error::Error;
use crate::output::{Cell, Table};

/// Read every chunk and check that all that is kept is whole, and that nothing is left over.
///
/// Each row is one version of a file that something is wrong with. Ends with status 1 if there is any.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Drop what is left over, and see to it that putting a damaged content again heals it. No server may have an
    /// embedded store open then.
    #[arg(long)]
    repair: bool,
    /// Bytes that nothing refers to are left over when they are older than any upload takes.
    #[arg(long, value_name = "DURATION", default_value = "2h", value_parser = duration::parse)]
    left_after: Duration,
    /// With --repair: take chunks for lost although nothing of the store is left in their tier.
    #[arg(long, requires = "repair")]
    lost: bool,
}

fn cells(finding: Finding) -> [Cell; 6] {
    let (path, version) = match finding.path {
        Some((path, version)) => (Cell::from(path.to_string()), Cell::from(version.0)),
        None => (Cell::none(), Cell::none()),
    };
    let repaired = if finding.repaired { "yes" } else { "no" };
    [
        finding.problem.to_string().into(),
        finding.tenant.to_string().into(),
        path,
        version,
        Cell::new(repaired, finding.repaired.into()),
        finding.detail.into(),
    ]
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let store = if self.repair { self.place.open().await? } else { self.place.open_to_read().await? };
        let settings = Settings {
            repair: self.repair,
            left_after: self.left_after,
            lost: self.lost,
            ..Settings::default()
        };
        let mut table =
            Table::new(context.format, &["Problem", "Tenant", "Path", "Version", "Repaired", "Detail"]);
        let mut written = Ok(());
        let done = verify(&store, settings, |finding| {
            if written.is_ok() {
                written = table.row(cells(finding));
            }
        });
        let done = done.await.map_err(|e| Error::because("the store could not be verified", e))?;
        written?;
        table.finish()?;
        conclude(&done)
    }
}

fn conclude(done: &Verified) -> Result<(), Error> {
    let Verified { chunks, bytes, ropes, versions, problems, repaired, young } = done;
    eprintln!("{chunks} chunks ({bytes} bytes), {ropes} contents and {versions} versions were checked");
    if *young > 0 {
        eprintln!("{young} chunks in the tier have no row yet: they may belong to uploads");
    }
    if *problems == 0 {
        return Ok(());
    }
    Err(Error::new(format!("{problems} problems, {repaired} of them repaired or ready to be healed")))
}
