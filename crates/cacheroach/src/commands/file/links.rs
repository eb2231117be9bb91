//! `file links`: the URLs that were made, as long as they are good for something.

use cacheroach_api::file::{Link, ListLinksRequest, link};
use clap::Args;
use serde_json::{Value, json};

use super::{Site, absolute};
use crate::commands::Context;
use crate::error::Error;
use crate::ids;
use crate::output::{Cell, Table};
use crate::retry::insist;

const TIME: &str = "%F %T";

/// List the URLs that `file sign` and `file drop` made: one's own or, with delegate on all of the tenant, everybody's.
#[derive(Args)]
pub(super) struct Links {
    /// A file, and all that is below it.
    #[arg(default_value = "/")]
    path: String,
}

impl Links {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let columns = ["ID", "Path", "Kind", "Created", "Expires", "Uses", "Network", "Name"];
        let mut table = Table::new(context.format, &columns);
        let mut request = ListLinksRequest {
            tenant: Some(site.tenant.into()),
            path: absolute(&self.path),
            ..Default::default()
        };
        loop {
            let page = insist(|| {
                let (mut files, request) = (site.client.files(), request.clone());
                async move { files.list_links(request).await }
            });
            let page = page.await?;
            for link in page.links {
                table.row(row(link))?;
            }
            if page.cursor.is_empty() {
                return table.finish();
            }
            request.cursor = page.cursor;
        }
    }
}

fn row(link: Link) -> [Cell; 8] {
    let kind = match link.kind() {
        link::Kind::Read => "read",
        link::Kind::Drop => "drop",
    };
    let uses = if link.max_uses > 0 {
        let json = json!({"used": link.uses, "most": link.max_uses});
        Cell::new(format!("{}/{}", link.uses, link.max_uses), json)
    } else {
        Cell::new("", Value::Null)
    };
    let networks = Cell::new(link.client_networks.join(","), link.client_networks.into());
    [
        ids::show(link.id.as_ref().map(|id| &id.data[..])).into(),
        link.path.into(),
        kind.into(),
        Cell::time(link.created_at.as_ref(), TIME),
        Cell::time(link.expires_at.as_ref(), TIME),
        uses,
        networks,
        link.name.into(),
    ]
}
