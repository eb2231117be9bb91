//! `file sign`: URLs that stand for a file, for whoever has them.

use std::time::Duration;

use cacheroach_api::file::RetrievalRequest;
use clap::Args;
use reqwest::Url;

use super::{Site, absolute};
use crate::commands::Context;
use crate::duration;
use crate::error::Error;
use crate::output::Table;
use crate::retry::insist;

/// Make URLs with which anybody can read a file.
#[derive(Args)]
pub(super) struct Sign {
    /// Which files.
    #[arg(required = true)]
    paths: Vec<String>,
    /// How long the URLs are good for; 0s: as long as one may read the file oneself.
    #[arg(long, value_parser = duration::parse, default_value = "24h")]
    validity: Duration,
}

impl Sign {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut table = Table::new(context.format, &["Path", "URL"]);
        for path in self.paths {
            let url = site.sign(&path, self.validity).await?;
            table.row([path.into(), url.as_str().into()])?;
        }
        table.finish()
    }
}

impl Site {
    /// A URL for the current content of a file.
    pub(super) async fn sign(&self, path: &str, validity: Duration) -> Result<Url, Error> {
        let valid_for = prost_types::Duration::try_from(validity).ok().filter(|_| !validity.is_zero());
        let request = RetrievalRequest {
            tenant: Some(self.tenant.into()),
            path: absolute(path),
            version: 0,
            valid_for,
        };
        let answer = insist(|| {
            let (mut files, request) = (self.client.files(), request.clone());
            async move { files.retrieve(request).await }
        });
        self.client.url(&answer.await?.get_uri)
    }
}
