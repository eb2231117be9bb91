//! `principal`: who can hold sessions.

use std::path::PathBuf;
use std::time::Duration;

use cacheroach_api::convert::timestamp;
use cacheroach_api::principal::SetPasswordRequest;
use cacheroach_api::{principal, session};
use cacheroach_model::{Capabilities, Clock as _, PrincipalId, Scope, Timestamp};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::password::Source;
use super::session::issue;
use super::{AtVersion, Context};
use crate::client::Client;
use crate::clock::SystemClock;
use crate::error::Error;
use crate::ids;
use crate::output::{Cell, Table, facts};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Manage principals.
#[derive(Args)]
pub(crate) struct Principal {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Create),
    /// List all.
    Ls,
    Password(Password),
    /// Delete one, with all its sessions and its password.
    Rm(AtVersion),
}

/// Create a principal, and a configuration file for it to use.
#[derive(Args)]
struct Create {
    /// Its name for people.
    name: String,
    /// Everybody with an address in this domain may use its grants.
    #[arg(long = "emailDomain", value_name = "DOMAIN", default_value = "", hide_default_value = true)]
    email_domain: String,
    /// Where to write its configuration file [default: NAME.cfg].
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Give it a password, which is asked for on the terminal.
    #[arg(long)]
    password: bool,
    /// What it logs in as with that [default: NAME].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Set or change a password.
///
/// With --self, one's own: the old one is asked for first. On standard input (--password-stdin) it has a line of its
/// own, before the new one.
#[derive(Args)]
struct Password {
    /// Whose.
    #[arg(required_unless_present = "own", conflicts_with = "own")]
    id: Option<String>,
    /// One's own.
    #[arg(long = "self", id = "own")]
    own: bool,
    /// What to log in as [default: as it was].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    user: String,
    /// Take the password away.
    #[arg(long, conflicts_with_all = ["own", "user", "password_stdin", "password_file"])]
    remove: bool,
    /// Read the old password from a file.
    #[arg(long, value_name = "FILE", requires = "own")]
    old_password_file: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

impl Principal {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Create(create) => create.run(context).await,
            Command::Ls => list(context).await,
            Command::Password(password) => password.run(context).await,
            Command::Rm(which) => remove(&which, &context.connect().await?).await,
        }
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let config = context.config()?;
        let password = match self.password || self.user.is_some() || self.source.is_given() {
            true => {
                self.source.must_be_private(&config.host, config.insecure)?;
                Some(self.source.read_new().await?)
            }
            false => None,
        };
        let client = Client::connect(&config).await?;
        let id = PrincipalId::random(ids::random()?);
        let claims = json!({ "name": self.name, "source": "cli principal" });
        let request = principal::EnsureRequest {
            principal: Some(principal::Principal {
                id: Some(id.into()),
                claims: claims.to_string().into_bytes(),
                email_domain: self.email_domain,
                ..Default::default()
            }),
            delete: false,
        };
        client.principals().ensure(request).await?;
        if let Some(password) = password {
            let user = self.user.unwrap_or_else(|| self.name.clone());
            let request = SetPasswordRequest {
                principal: Some(id.into()),
                user,
                password,
                old_password: String::new(),
            };
            if let Err(refused) = client.principals().set_password(request).await {
                // As it was made for this, it is of no use.
                let made = principal::Principal { id: Some(id.into()), version: 1, ..Default::default() };
                let request = principal::EnsureRequest { principal: Some(made), delete: true };
                client.principals().ensure(request).await?;
                return Err(refused.into());
            }
        }
        let expires_at = Timestamp::from_seconds(SystemClock.now().seconds()).after(YEAR);
        let template = session::Session {
            principal_id: Some(id.into()),
            capabilities: Some(Capabilities::ALL.into()),
            scope: Some((&Scope::Principal(id)).into()),
            expires_at: Some(timestamp(expires_at)),
            name: "<self>".into(),
            ..Default::default()
        };
        let (session, token) = issue(&client, template).await?;
        let out = self.out.unwrap_or_else(|| format!("{}.cfg", self.name).into());
        config.with(&session, token).save(&out)?;
        facts(context.format, vec![("Principal ID", id.to_string().into())])
    }
}

impl Password {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let config = context.config()?;
        self.source.must_be_private(&config.host, config.insecure)?;
        let principal = match &self.id {
            Some(id) => Some(ids::parse::<PrincipalId>(id).map_err(Error::new)?.into()),
            None => config.session()?.principal_id,
        };
        let (old_password, password) = match (self.own, self.remove) {
            (true, _) => self.source.read_change(self.old_password_file.as_deref()).await?,
            (false, true) => Default::default(),
            (false, false) => (String::new(), self.source.read_new().await?),
        };
        let request = SetPasswordRequest { principal, user: self.user, password, old_password };
        Client::connect(&config).await?.principals().set_password(request).await?;
        tracing::info!("Success");
        Ok(())
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let mut found = context.connect().await?.principals().list(()).await?.into_inner();
    let mut table = Table::new(context.format, &["ID", "Version", "Label", "Domain", "Claims"]);
    while let Some(one) = found.message().await? {
        let claims = String::from_utf8_lossy(&one.claims);
        let claims_json = serde_json::from_slice(&one.claims).unwrap_or(Value::Null);
        table.row([
            ids::show(one.id.as_ref().map(|id| &id.data[..])).into(),
            one.version.into(),
            one.label.into(),
            one.email_domain.into(),
            Cell::new(claims, claims_json),
        ])?;
    }
    table.finish()
}

async fn remove(which: &AtVersion, client: &Client) -> Result<(), Error> {
    let id = ids::parse::<PrincipalId>(&which.id).map_err(Error::new)?;
    let principal =
        principal::Principal { id: Some(id.into()), version: which.version, ..Default::default() };
    client.principals().ensure(principal::EnsureRequest { principal: Some(principal), delete: true }).await?;
    tracing::info!("Success");
    Ok(())
}
