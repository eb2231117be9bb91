//! `file sign`: URLs that stand for a file, for whoever has them.

use std::time::Duration;

use cacheroach_api::file::{RetrievalRequest, RetrievalResponse};
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
    /// The file is saved under this name, not shown.
    #[arg(long, value_name = "NAME")]
    download_name: Option<String>,
    /// How often the file can be read with each URL.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    max_uses: Option<i64>,
    /// From where the URLs can be used: addresses, or blocks such as 10.0.0.0/8.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    network: Vec<String>,
    /// Keep the URLs out of `file links`; to take one back, its URL is needed then.
    #[arg(long, conflicts_with = "max_uses")]
    unlisted: bool,
}

impl Sign {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut table = Table::new(context.format, &["Path", "URL"]);
        let is_bounded = self.download_name.is_some() || self.max_uses.is_some() || !self.network.is_empty();
        for path in self.paths {
            let request = RetrievalRequest {
                download_name: self.download_name.clone().unwrap_or_default(),
                max_uses: self.max_uses.unwrap_or(0),
                client_networks: self.network.clone(),
                listed: !self.unlisted,
                ..site.retrieval(&path, self.validity)
            };
            let answer = site.retrieve(request).await?;
            // A server from before does not know these fields, and its URL would be good for more than was asked.
            if is_bounded && answer.link_id.is_none() {
                return Err(Error::new("this server can't bound a URL by name, uses or network"));
            }
            let url = site.client.url(&answer.get_uri)?;
            table.row([path.into(), url.as_str().into()])?;
        }
        table.finish()
    }
}

impl Site {
    /// A URL for one version of a file; 0: the current one when it is read.
    pub(super) async fn sign(&self, path: &str, version: i64, validity: Duration) -> Result<Url, Error> {
        let request = RetrievalRequest { version, ..self.retrieval(path, validity) };
        let answer = self.retrieve(request).await?;
        self.client.url(&answer.get_uri)
    }

    fn retrieval(&self, path: &str, validity: Duration) -> RetrievalRequest {
        RetrievalRequest {
            tenant: Some(self.tenant.into()),
            path: absolute(path),
            valid_for: valid_for(validity),
            ..Default::default()
        }
    }

    async fn retrieve(&self, request: RetrievalRequest) -> Result<RetrievalResponse, Error> {
        insist(|| {
            let (mut files, request) = (self.client.files(), request.clone());
            async move { files.retrieve(request).await }
        })
        .await
    }
}

/// As a message has it: none is no limit.
pub(super) fn valid_for(validity: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(validity).ok().filter(|_| !validity.is_zero())
}
