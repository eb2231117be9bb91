//! `store stat`.

use cacheroach_store::inspect::Usage;
use cacheroach_store::tools::stat::{TenantUsage, stat};
use clap::Args;

use super::place::Place;
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Table};

/// Tell how much is kept, of each tenant and in all, and what was saved by keeping equal contents once.
#[derive(Args)]
pub(crate) struct Stat {
    #[command(flatten)]
    place: Place,
}

const COLUMNS: [&str; 10] = [
    "Tenant",
    "Files",
    "File Bytes",
    "Versions",
    "Version Bytes",
    "Stored Bytes",
    "Chunks",
    "Dedup Saved",
    "Compression Saved",
    "Label",
];

fn cells(name: String, label: &str, usage: &Usage, compression_saved: u64) -> [Cell; 10] {
    let number = |number: u64| Cell::from(i64::try_from(number).unwrap_or(i64::MAX));
    [
        name.into(),
        number(usage.files),
        number(usage.file_bytes),
        number(usage.versions),
        number(usage.version_bytes),
        number(usage.stored_bytes().saturating_sub(compression_saved)),
        number(usage.rows + usage.chunks),
        number(usage.dedup_saved()),
        number(compression_saved),
        label.into(),
    ]
}

impl Stat {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let store = self.place.open_to_read().await?;
        let mut table = Table::new(context.format, &COLUMNS);
        let (mut total, mut all_saved) = (Usage::default(), 0);
        stat(&store, |TenantUsage { tenant, usage, compression_saved }| {
            total.add(&usage);
            all_saved += compression_saved;
            table.row(cells(tenant.id.to_string(), &tenant.label, &usage, compression_saved))
        })
        .await?;
        table.row(cells("total".into(), "", &total, all_saved))?;
        table.finish()
    }
}
