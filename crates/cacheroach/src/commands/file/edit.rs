//! `file edit`: describing a file anew.

use cacheroach_api::file::EditRequest;
use clap::{ArgGroup, Args};

use super::describe::pair;
use super::{Site, absolute, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::facts;

/// Change the metadata and the content type of a file.
///
/// The content stays; with its new description it is a new version.
#[derive(Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true).args(["set", "unset", "content_type"])))]
pub(super) struct Edit {
    /// Which file.
    path: String,
    /// Metadata to set; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Metadata to remove; may be repeated.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// The content type.
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// Only if this is the current version.
    #[arg(long, value_name = "N", value_parser = version())]
    if_version: Option<i64>,
}

impl Edit {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let request = EditRequest {
            tenant: Some(site.tenant.into()),
            path: absolute(&self.path),
            meta: self.set.into_iter().collect(),
            remove_meta: self.unset,
            content_type: self.content_type.unwrap_or_default(),
            expected_version: self.if_version.unwrap_or_default(),
        };
        let edited =
            site.ask(&request, |mut files, request| async move { files.edit(request).await }).await?;
        facts(context.format, vec![("Path", request.path.into()), ("Version", edited.version.into())])
    }
}
