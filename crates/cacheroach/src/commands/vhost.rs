//! `vhost`: which tenant a host name shows.

use cacheroach_api::vhost::{EnsureRequest, VHost};
use cacheroach_model::TenantId;
use clap::{Args, Subcommand};

use super::Context;
use crate::error::Error;
use crate::ids;
use crate::output::{Cell, Table};

/// Manage virtual hosts.
#[derive(Args)]
pub(crate) struct Vhost {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let a host show a tenant, with these settings and no others.
    Create(Create),
    /// List all.
    Ls {
        /// Show their settings too.
        #[arg(short, long)]
        wide: bool,
    },
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

#[derive(Args)]
struct Create {
    #[command(flatten)]
    mapping: Mapping,
    /// Take cookies of logins here, and run no script of uploaded pages. Once one host is marked so, no other takes cookies.
    #[arg(long)]
    login: bool,
    /// Whose scripts may read from here, without cookies: `https://app.example,…` or `*` for everybody's.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    cors: Vec<String>,
    /// Show the index file of the top at addresses without a file: a single-page app knows what to do there.
    #[arg(long)]
    spa: bool,
    /// The file that a directory is shown as [default: index.html].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    index: String,
    /// The file that is shown, with status 404, where nothing is.
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    error_page: String,
}

impl Vhost {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Create(create) => create.run(context).await,
            Command::Ls { wide } => list(context, wide).await,
            Command::Rm(mapping) => ensure(context, mapping.vhost()?, true).await,
        }
    }
}

impl Mapping {
    fn vhost(self) -> Result<VHost, Error> {
        let tenant = ids::parse::<TenantId>(&self.tenant).map_err(Error::new)?;
        Ok(VHost { vhost: self.host, tenant_id: Some(tenant.into()), ..Default::default() })
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let (login, cors, spa, index) = (self.login, self.cors, self.spa, self.index);
        let vhost = VHost { login, cors, spa, index, error_page: self.error_page, ..self.mapping.vhost()? };
        ensure(context, vhost, false).await
    }
}

async fn ensure(context: &Context, vhost: VHost, delete: bool) -> Result<(), Error> {
    context.connect().await?.vhosts().ensure(EnsureRequest { vhost: Some(vhost), delete }).await?;
    tracing::info!("Success");
    Ok(())
}

const COLUMNS: [&str; 2] = ["Tenant ID", "Hostname"];
const WIDE: [&str; 7] = ["Tenant ID", "Hostname", "Login", "CORS", "SPA", "Index", "Error Page"];

async fn list(context: &Context, wide: bool) -> Result<(), Error> {
    let mut found = context.connect().await?.vhosts().list(()).await?.into_inner();
    let mut table = Table::new(context.format, if wide { &WIDE } else { &COLUMNS });
    while let Some(one) = found.message().await? {
        let tenant = ids::show(one.tenant_id.as_ref().map(|id| &id.data[..]));
        if wide {
            let index = if one.index.is_empty() { "index.html".into() } else { one.index };
            let cors = Cell::new(one.cors.join(","), one.cors.into());
            let (login, spa) = (flag(one.login), flag(one.spa));
            table.row([
                tenant.into(),
                one.vhost.into(),
                login,
                cors,
                spa,
                index.into(),
                one.error_page.into(),
            ])?;
        } else {
            table.row([tenant.into(), one.vhost.into()])?;
        }
    }
    table.finish()
}

fn flag(set: bool) -> Cell {
    Cell::new(if set { "yes" } else { "" }, set.into())
}
