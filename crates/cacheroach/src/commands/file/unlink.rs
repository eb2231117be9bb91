//! `file unlink`: taking URLs back.

use std::io;

use cacheroach_api::file::RevokeLinkRequest;
use cacheroach_api::file::revoke_link_request::Kind;
use cacheroach_model::LinkId;
use clap::Args;

use super::{Site, Tally};
use crate::commands::Context;
use crate::error::Error;
use crate::ids;
use crate::output::Table;
use crate::retry::insist;

/// Take URLs back: from then on they are good for nothing.
///
/// Other users of this machine can see what is on a command line: give a URL on standard input, with -, or the ID of the
/// link, which is in `file links`.
#[derive(Args)]
pub(super) struct Unlink {
    /// IDs or URLs; -: from standard input, one a line.
    #[arg(required = true, value_name = "ID|URL|-")]
    links: Vec<String>,
}

impl Unlink {
    /// What is given on standard input in the place of the dash.
    pub(super) fn check(self) -> Result<Self, Error> {
        let mut links = Vec::new();
        for link in self.links {
            if link == "-" {
                let text = io::read_to_string(io::stdin());
                let text = text.map_err(|e| Error::because("cannot read standard input", e))?;
                links.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
            } else {
                links.push(link);
            }
        }
        Ok(Unlink { links })
    }

    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut table = Table::new(context.format, &["Link", "Status"]);
        let mut tally = Tally::default();
        for link in self.links {
            let shown = shown(&link);
            let kind = match ids::parse::<LinkId>(&link) {
                Ok(id) => Kind::Id(id.into()),
                Err(_) => Kind::Url(link),
            };
            let outcome = insist(|| {
                let (mut files, request) =
                    (site.client.files(), RevokeLinkRequest { kind: Some(kind.clone()) });
                async move { files.revoke_link(request).await }
            });
            let status = tally.count(&shown, outcome.await);
            table.row([shown.into(), status.into()])?;
        }
        table.finish()?;
        tally.outcome()
    }
}

/// An ID as it is; of a URL what is no secret.
fn shown(link: &str) -> String {
    match link.split_once('?') {
        Some((address, _)) => address.to_owned(),
        None if ids::parse::<LinkId>(link).is_ok() => link.to_owned(),
        None => "(a token)".into(),
    }
}
