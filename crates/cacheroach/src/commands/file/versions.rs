//! `file versions`: what a file has been.

use cacheroach_api::file::ListVersionsRequest;
use clap::Args;

use super::stat::{TIME, hex};
use super::{Site, absolute};
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Table};

/// List the versions of a file, the newest first, deleted ones too.
#[derive(Args)]
pub(super) struct Versions {
    /// Which file.
    path: String,
}

impl Versions {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut request = ListVersionsRequest {
            tenant: Some(site.tenant.into()),
            path: absolute(&self.path),
            ..Default::default()
        };
        let mut table = Table::new(context.format, &["Version", "Size", "Modified", "Deleted", "Hash"]);
        loop {
            let page = site
                .ask(&request, |mut files, request| async move { files.list_versions(request).await })
                .await?;
            for meta in page.versions {
                let [modified, deleted] =
                    [meta.modified_at, meta.deleted_at].map(|time| Cell::time(time.as_ref(), TIME));
                table.row([
                    meta.version.into(),
                    meta.size.into(),
                    modified,
                    deleted,
                    hex(&meta.hash).into(),
                ])?;
            }
            // Going round in circles is nothing a server can make us do.
            match page.before {
                1.. if request.before == 0 || page.before < request.before => request.before = page.before,
                _ => break,
            }
        }
        table.finish()
    }
}
