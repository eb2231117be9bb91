//! `file restore`: making what was there current again.

use cacheroach_api::file::RestoreRequest;
use clap::Args;

use super::{Site, absolute, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::facts;

/// Make an older or deleted version of a file the current one again.
///
/// It becomes a new version; `file versions` shows which there are.
#[derive(Args)]
pub(super) struct Restore {
    /// Which file.
    path: String,
    /// Which version [default: the last one of a deleted file].
    #[arg(long, value_name = "N", value_parser = version())]
    version: Option<i64>,
    /// Only if this is the current version.
    #[arg(long, value_name = "N", value_parser = version())]
    if_version: Option<i64>,
}

impl Restore {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let request = RestoreRequest {
            tenant: Some(site.tenant.into()),
            path: absolute(&self.path),
            version: self.version.unwrap_or_default(),
            expected_version: self.if_version.unwrap_or_default(),
        };
        let restored =
            site.ask(&request, |mut files, request| async move { files.restore(request).await }).await?;
        facts(context.format, vec![("Path", restored.path.into()), ("Version", restored.version.into())])
    }
}
