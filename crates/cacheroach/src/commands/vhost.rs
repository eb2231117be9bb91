//! `vhost`: which tenant a host name shows.

use cacheroach_api::vhost;
use cacheroach_model::TenantId;
use clap::{Args, Subcommand};

use super::Context;
use crate::error::Error;
use crate::ids;
use crate::output::Table;

/// Manage virtual hosts.
#[derive(Args)]
pub(crate) struct Vhost {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let a host show a tenant.
    Create(Mapping),
    /// List all.
    Ls,
    /// Let a host no longer show a tenant.
    Rm(Mapping),
}

#[derive(Args)]
struct Mapping {
    /// The tenant's ID.
    tenant: String,
    /// The host's name, or `*` for all that are not named.
    host: String,
}

impl Vhost {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Create(mapping) => mapping.ensure(context, false).await,
            Command::Ls => list(context).await,
            Command::Rm(mapping) => mapping.ensure(context, true).await,
        }
    }
}

impl Mapping {
    async fn ensure(self, context: &Context, delete: bool) -> Result<(), Error> {
        let tenant = ids::parse::<TenantId>(&self.tenant).map_err(Error::new)?;
        let vhost = vhost::VHost { vhost: self.host, tenant_id: Some(tenant.into()) };
        context.connect().await?.vhosts().ensure(vhost::EnsureRequest { vhost: Some(vhost), delete }).await?;
        tracing::info!("Success");
        Ok(())
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let mut found = context.connect().await?.vhosts().list(()).await?.into_inner();
    let mut table = Table::new(context.format, &["Tenant ID", "Hostname"]);
    while let Some(one) = found.message().await? {
        let tenant = ids::show(one.tenant_id.as_ref().map(|id| &id.data[..]));
        table.row([tenant.into(), one.vhost.into()])?;
    }
    table.finish()
}
