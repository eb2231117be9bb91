//! `tenant`: the walls between files.

use std::str::FromStr;
use std::time::Duration;

use cacheroach_api::{json, tenant};
use cacheroach_model::{Region, TenantId};
use clap::{Args, Subcommand};

use super::{AtVersion, Context};
use crate::duration;
use crate::error::Error;
use crate::ids;
use crate::output::{Cell, Format, Table, facts, line};

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
        /// Where its bytes belong [default: the region of the server that is asked].
        #[arg(long, value_name = "NAME")]
        region: Option<Region>,
        #[command(flatten)]
        keep: Keep,
    },
    /// Choose the one that `file` is about unless told otherwise.
    Default {
        /// Its ID.
        id: String,
    },
    /// List those one may see.
    Ls,
    /// Change where one is at home: what is written from then on goes there.
    ///
    /// What was written before is brought there by the servers; the answer tells how much that is.
    Move {
        #[command(flatten)]
        which: AtVersion,
        /// Where its bytes belong from now on.
        region: Region,
    },
    /// Delete one, with all its files.
    Rm(AtVersion),
    /// Change which old versions one keeps.
    Set {
        #[command(flatten)]
        which: AtVersion,
        #[command(flatten)]
        keep: Keep,
    },
    /// Count where the bytes of one are, by region and tier.
    Where {
        /// Its ID.
        id: String,
    },
}

/// Which old versions of its files a tenant keeps. What is not said is as the server has it.
#[derive(Args)]
struct Keep {
    /// How many versions of a file, its current one among them; 0: all; default: as the server has it.
    #[arg(long, value_name = "N", value_parser = or_default::<u32>)]
    keep_versions: Option<Rule<u32>>,
    /// How long versions are kept after they were overwritten; 0: for ever; default: as the server has it.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    keep_versions_for: Option<Rule<Duration>>,
}

/// A limit of its own, or the server's.
#[derive(Clone, Copy)]
struct Rule<T>(Option<T>);

fn or_default<T: FromStr>(text: &str) -> Result<Rule<T>, String> {
    match text {
        "default" => Ok(Rule(None)),
        _ => text.parse().map(|limit| Rule(Some(limit))).map_err(|_| "a number, or default".into()),
    }
}

fn age(text: &str) -> Result<Rule<Duration>, String> {
    match text {
        "default" => Ok(Rule(None)),
        _ => duration::parse(text).map(|age| Rule(Some(age))),
    }
}

impl Keep {
    /// With what is not said taken from what was before.
    fn over(&self, before: Option<tenant::Retention>) -> Result<Option<tenant::Retention>, Error> {
        if self.keep_versions.is_none() && self.keep_versions_for.is_none() {
            return Ok(before);
        }
        let before = before.unwrap_or_default();
        let age = match self.keep_versions_for {
            None => before.age,
            Some(Rule(age)) => age
                .map(prost_types::Duration::try_from)
                .transpose()
                .map_err(|e| Error::because("--keep-versions-for", e))?,
        };
        let versions = self.keep_versions.map_or(before.versions, |Rule(versions)| versions);
        Ok(Some(tenant::Retention { versions, age }))
    }
}

impl Tenant {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Create { label, region, keep } => {
                let id = TenantId::random(ids::random()?);
                let region = region.map(|region| region.to_string()).unwrap_or_default();
                let retention = keep.over(None)?;
                let new = tenant::Tenant { id: Some(id.into()), label, version: 0, region, retention };
                ensure(context, new, false).await?;
                show(context, id)
            }
            Command::Default { id } => {
                let id = ids::parse::<TenantId>(&id).map_err(Error::new)?;
                let mut config = context.config()?;
                config.default_tenant = Some(json::Id { data: id.as_bytes().to_vec() });
                context.save(&config)
            }
            Command::Ls => list(context).await,
            Command::Move { which, region } => {
                let id = ids::parse::<TenantId>(&which.id).map_err(Error::new)?;
                let (version, region) = (which.version, region.to_string());
                let tenant = tenant::Tenant { id: Some(id.into()), version, region, ..Default::default() };
                ensure(context, tenant, false).await?;
                count(context, id).await
            }
            Command::Rm(which) => {
                let id = ids::parse::<TenantId>(&which.id).map_err(Error::new)?;
                let tenant =
                    tenant::Tenant { id: Some(id.into()), version: which.version, ..Default::default() };
                ensure(context, tenant, true).await?;
                show(context, id)
            }
            Command::Set { which, keep } => {
                let id = ids::parse::<TenantId>(&which.id).map_err(Error::new)?;
                let request = tenant::GetRequest { id: Some(id.into()) };
                let before = context.connect().await?.tenants().get(request).await?.into_inner().tenant;
                let retention = keep.over(before.and_then(|tenant| tenant.retention))?;
                let version = which.version;
                let tenant = tenant::Tenant { id: Some(id.into()), version, retention, ..Default::default() };
                ensure(context, tenant, false).await?;
                show(context, id)
            }
            Command::Where { id } => count(context, ids::parse::<TenantId>(&id).map_err(Error::new)?).await,
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
    let mut table = Table::new(context.format, &["ID", "Version", "Name", "Region"]);
    while let Some(one) = found.message().await? {
        let id = ids::show(one.id.as_ref().map(|id| &id.data[..]));
        table.row([id.into(), one.version.into(), one.label.into(), one.region.into()])?;
    }
    table.finish()
}

/// Shows where the bytes of a tenant are, and tells of those that are not at home.
async fn count(context: &Context, id: TenantId) -> Result<(), Error> {
    let request = tenant::WhereRequest { id: Some(id.into()) };
    let found = context.connect().await?.tenants().r#where(request).await?.into_inner();
    let mut table = Table::new(context.format, &["Region", "Tier", "Chunks", "Bytes"]);
    let mut elsewhere = 0_i64;
    for one in found.places {
        if !one.region.is_empty() && one.region != found.home {
            elsewhere = elsewhere.saturating_add(one.bytes);
        }
        let region = if one.region.is_empty() { Cell::none() } else { one.region.into() };
        table.row([region, one.tier.into(), one.chunks.into(), one.bytes.into()])?;
    }
    table.finish()?;
    if found.moving > 0 {
        eprintln!("note: {} bytes are still to be moved home, to {}", found.moving, found.home);
    } else if elsewhere > 0 {
        eprintln!("note: {elsewhere} bytes are not in {}, the tenant's home", found.home);
    }
    Ok(())
}
