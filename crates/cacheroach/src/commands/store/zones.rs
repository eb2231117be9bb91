//! `store zones`.

use cacheroach_model::{Region, TenantId};
use cacheroach_store::Store;
use cacheroach_store::zones::{Means, Plan};
use clap::{Args, ValueEnum};

use super::place::Place;
use crate::error::Error;
use crate::output::line;

/// How many tenants are read at a time.
const PAGE: usize = 1000;

/// Print the statements that keep rows in their regions on CockroachDB.
///
/// With --apply they are executed, one by one. Run it again when regions or tenants came, went or moved.
#[derive(Args)]
pub(crate) struct Zones {
    #[command(flatten)]
    place: Place,
    /// Execute them, too.
    #[arg(long)]
    apply: bool,
    /// What to use [default: rows with an enterprise licence, else tables].
    #[arg(long, value_enum, value_name = "MEANS")]
    means: Option<Chosen>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Chosen {
    /// REGIONAL BY ROW: an enterprise licence.
    Rows,
    /// PARTITION BY LIST and a zone for each partition: an enterprise licence, a database without regions.
    Partitions,
    /// A zone for each table: any cluster.
    Tables,
}

impl From<Chosen> for Means {
    fn from(chosen: Chosen) -> Self {
        match chosen {
            Chosen::Rows => Means::Rows,
            Chosen::Partitions => Means::Partitions,
            Chosen::Tables => Means::Tables,
        }
    }
}

impl Zones {
    pub(super) async fn run(self) -> Result<(), Error> {
        let store = self.place.open().await?;
        let failed = |e| Error::because("cannot ask the store", e);
        let Some(cluster) = store.metadata.cluster().await.map_err(failed)? else {
            return Err(Error::new(
                "only CockroachDB keeps rows in zones; with this engine all rows are where the database is. \
                 Bytes can still be kept in regions: see --chunks",
            ));
        };
        let means = self.means.map_or(cluster.means, Means::from);
        let plan = cluster.plan(means, &homes(&store).await?);
        for statement in &plan.statements {
            line(&format!("{statement};"))?;
            if self.apply {
                let said = store.metadata.say_to_cluster(statement).await;
                said.map_err(|e| Error::because(format!("this statement failed: {statement}"), e))?;
            }
        }
        report(&plan, self.apply);
        Ok(())
    }
}

fn report(plan: &Plan, applied: bool) {
    for note in &plan.notes {
        eprintln!("note: {note}");
    }
    if applied {
        eprintln!("{} statements were executed", plan.statements.len());
    }
}

/// All tenants, and where they are at home.
async fn homes(store: &Store) -> Result<Vec<(TenantId, Region)>, Error> {
    let mut homes = Vec::new();
    loop {
        let after = homes.last().map(|(tenant, _)| *tenant);
        let page = store.metadata.list_tenants(after, PAGE).await;
        let page = page.map_err(|e| Error::because("cannot list the tenants", e))?;
        if page.is_empty() {
            return Ok(homes);
        }
        homes.extend(page.into_iter().filter_map(|tenant| tenant.region.map(|region| (tenant.id, region))));
    }
}
