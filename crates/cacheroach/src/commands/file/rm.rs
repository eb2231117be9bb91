//! `file rm`: deleting.

use cacheroach_api::file::DeleteRequest;
use clap::Args;

use super::{Site, Tally, absolute, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::Table;
use crate::retry::insist;

/// Delete files.
///
/// They can be restored for as long as the server keeps what is deleted.
#[derive(Args)]
pub(super) struct Rm {
    /// Which.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Delete all at and below the paths; with a last slash only what is below.
    #[arg(short, long)]
    recursive: bool,
    /// Only if this is the current version.
    #[arg(long, value_name = "N", value_parser = version(), conflicts_with = "recursive")]
    if_version: Option<i64>,
}

impl Rm {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        if self.recursive || self.if_version.is_some() {
            site.must_be_new().await?;
        }
        let mut table = Table::new(context.format, &["Path", "Status"]);
        let mut tally = Tally::default();
        for path in &self.paths {
            let status = tally.count(path, self.one(site, path).await);
            table.row([path.as_str().into(), status.into()])?;
        }
        table.finish()?;
        tally.outcome()
    }

    async fn one(&self, site: &Site, path: &str) -> Result<(), Error> {
        // An empty variable of a script: nobody means everything by it.
        if path.is_empty() {
            return Err(Error::new("no name for a file or a directory"));
        }
        let path = absolute(path);
        if !self.recursive {
            return site.delete(path, false, self.if_version.unwrap_or_default()).await;
        }
        if !path.ends_with('/') {
            site.delete(path.clone(), false, 0).await?;
        }
        site.delete(path, true, 0).await
    }
}

impl Site {
    /// Deletes a file if its version is the expected one, or what is below a directory.
    pub(super) async fn delete(&self, path: String, recursive: bool, expected: i64) -> Result<(), Error> {
        let request =
            DeleteRequest { tenant: Some(self.tenant.into()), path, recursive, expected_version: expected };
        let outcome = insist(|| {
            let (mut files, request) = (self.client.files(), request.clone());
            async move { files.delete(request).await }
        });
        outcome.await
    }
}
