//! `file stat`: what is known of files, without their contents.

use cacheroach_api::file::{Meta, StatRequest};
use clap::Args;
use serde_json::Value;

use super::{Site, Tally, absolute, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Format, Table, facts, line};

pub(super) const TIME: &str = "%F %T%.f UTC";
const NAMES: [&str; 8] = ["Path", "Version", "Size", "Hash", "Type", "Created", "Modified", "Metadata"];

/// Show what is known of files.
///
/// The hash is the SHA-256 of the content.
#[derive(Args)]
pub(super) struct Stat {
    /// Which files.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Not the current version, but this one.
    #[arg(long, value_name = "N", value_parser = version())]
    version: Option<i64>,
}

impl Stat {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let mut tally = Tally::default();
        let mut rows = Vec::new();
        for path in &self.paths {
            match site.stat(absolute(path), self.version.unwrap_or_default()).await {
                Ok(meta) => rows.push(cells(meta)),
                Err(error) => drop(tally.count(path, Err(error))),
            }
        }
        match context.format {
            Format::Table => blocks(rows)?,
            Format::Json => {
                let mut table = Table::new(context.format, &NAMES);
                rows.into_iter().try_for_each(|row| table.row(row))?;
                table.finish()?;
            }
        }
        tally.files = self.paths.len();
        tally.outcome()
    }
}

impl Site {
    /// What is known of a version of a file; 0: the current one.
    pub(super) async fn stat(&self, path: String, version: i64) -> Result<Meta, Error> {
        let request = StatRequest { tenant: Some(self.tenant.into()), path, version };
        self.ask(&request, |mut files, request| async move { files.stat(request).await }).await
    }
}

/// A file a block, with a line between.
fn blocks(rows: Vec<[Cell; 8]>) -> Result<(), Error> {
    for (at, row) in rows.into_iter().enumerate() {
        if at > 0 {
            line("")?;
        }
        facts(Format::Table, NAMES.into_iter().zip(row).collect())?;
    }
    Ok(())
}

fn cells(meta: Meta) -> [Cell; 8] {
    let [created, modified] = [meta.created_at, meta.modified_at].map(|time| Cell::time(time.as_ref(), TIME));
    let mut pairs: Vec<_> = meta.meta.into_iter().collect();
    pairs.sort_unstable();
    let shown: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let object = pairs.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
    [
        meta.path.into(),
        meta.version.into(),
        meta.size.into(),
        hex(&meta.hash).into(),
        meta.content_type.into(),
        created,
        modified,
        Cell::new(shown.join(", "), Value::Object(object)),
    ]
}

/// A hash as people write it.
pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
