//! `file rm`: deleting.

use cacheroach_api::file::DeleteRequest;
use clap::Args;

use super::{Site, Tally, absolute};
use crate::commands::Context;
use crate::error::Error;
use crate::output::Table;
use crate::retry::insist;

/// Delete files.
#[derive(Args)]
pub(super) struct Rm {
    /// Which.
    #[arg(required = true)]
    paths: Vec<String>,
}

impl Rm {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut table = Table::new(context.format, &["Path", "Status"]);
        let mut tally = Tally::default();
        for path in self.paths {
            let request = DeleteRequest {
                tenant: Some(site.tenant.into()),
                path: absolute(&path),
                ..Default::default()
            };
            let outcome = insist(|| {
                let (mut files, request) = (site.client.files(), request.clone());
                async move { files.delete(request).await }
            });
            let status = tally.count(&path, outcome.await);
            table.row([path.into(), status.into()])?;
        }
        table.finish()?;
        tally.outcome()
    }
}
