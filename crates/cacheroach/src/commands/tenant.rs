//! `tenant`: the walls between files.

use cacheroach_api::{json, tenant};
use cacheroach_model::TenantId;
use clap::{Args, Subcommand};

use super::{AtVersion, Context};
use crate::error::Error;
use crate::ids;
use crate::output::{Format, Table, facts, line};

/// Manage tenants.
#[derive(Args)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create one.
    Create {
        /// Its name for people.
        label: String,
    },
    /// Choose the one that `file` is about unless told otherwise.
    Default {
        /// Its ID.
        id: String,
    },
    /// List those one may see.
    Ls,
    /// Delete one, with all its files.
    Rm(AtVersion),
}

impl Tenant {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Create { label } => {
                let id = TenantId::random(ids::random()?);
                ensure(
                    context,
                    tenant::Tenant { id: Some(id.into()), label, version: 0, ..Default::default() },
                    false,
                )
                .await?;
                show(context, id)
            }
            Command::Default { id } => {
                let id = ids::parse::<TenantId>(&id).map_err(Error::new)?;
                let mut config = context.config()?;
                config.default_tenant = Some(json::Id { data: id.as_bytes().to_vec() });
                context.save(&config)
            }
            Command::Ls => list(context).await,
            Command::Rm(which) => {
                let id = ids::parse::<TenantId>(&which.id).map_err(Error::new)?;
                let tenant =
                    tenant::Tenant { id: Some(id.into()), version: which.version, ..Default::default() };
                ensure(context, tenant, true).await?;
                show(context, id)
            }
        }
    }
}

async fn ensure(context: &Context, tenant: tenant::Tenant, delete: bool) -> Result<(), Error> {
    let request = tenant::EnsureRequest { tenant: Some(tenant), delete };
    context.connect().await?.tenants().ensure(request).await?;
    Ok(())
}

fn show(context: &Context, id: TenantId) -> Result<(), Error> {
    match context.format {
        Format::Table => line(&id.to_string()),
        Format::Json => facts(Format::Json, vec![("ID", id.to_string().into())]),
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let mut found = context.connect().await?.tenants().list(()).await?.into_inner();
    let mut table = Table::new(context.format, &["ID", "Version", "Name"]);
    while let Some(one) = found.message().await? {
        let id = ids::show(one.id.as_ref().map(|id| &id.data[..]));
        table.row([id.into(), one.version.into(), one.label.into()])?;
    }
    table.finish()
}
