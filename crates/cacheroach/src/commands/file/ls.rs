//! `file ls`: names, and what is known of the files.

use clap::Args;
use futures::TryStreamExt as _;

use super::{Site, absolute};
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Format, Table, line, printable};

const TIME: &str = "%b %e %H:%M:%S";

/// List files: all at and below each path.
#[derive(Args)]
pub(super) struct Ls {
    /// Where.
    #[arg(default_value = "/")]
    paths: Vec<String>,
    /// Show more than names.
    #[arg(short, long)]
    wide: bool,
}

impl Ls {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        if context.format == Format::Table && !self.wide {
            return self.names(site).await;
        }
        let mut table = Table::new(context.format, &["Path", "Size", "Version", "CTime", "MTime"]);
        for path in self.paths {
            let mut found = std::pin::pin!(site.list(absolute(&path)));
            while let Some(file) = found.try_next().await? {
                let [created, modified] =
                    [file.created_at, file.modified_at].map(|time| Cell::time(time.as_ref(), TIME));
                table.row([file.path.into(), file.size.into(), file.version.into(), created, modified])?;
            }
        }
        table.finish()
    }

    async fn names(self, site: &Site) -> Result<(), Error> {
        for path in self.paths {
            let mut found = std::pin::pin!(site.list(absolute(&path)));
            while let Some(file) = found.try_next().await? {
                line(&printable(&file.path))?;
            }
        }
        Ok(())
    }
}
