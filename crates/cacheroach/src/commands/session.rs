//! `session`: grants, and taking them back.

use std::path::PathBuf;
use std::time::Duration;

use cacheroach_api::convert::timestamp;
use cacheroach_api::session::scope::Kind;
use cacheroach_api::{json, session, tenant, token};
use cacheroach_model::{Capabilities, Clock as _, PrincipalId, SessionId, TenantId};
use clap::{Args, Subcommand};

use super::Context;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::Error;
use crate::output::{Table, facts};
use crate::{duration, ids};

/// Manage sessions.
#[derive(Args)]
pub(crate) struct Session {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Delegate(Delegate),
    /// List one's own.
    Ls,
    /// End one.
    Rm {
        /// Its ID.
        id: String,
    },
}

/// Issue a session to somebody: at most what one may do oneself.
#[derive(Args)]
struct Delegate {
    /// What it may do: read, write, delegate, pii, fetch or all [default: what the own session may do].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// How long it lasts.
    #[arg(long, value_parser = duration::parse, default_value = "87600h")]
    duration: Duration,
    /// The principal that holds it [default: the own one].
    #[arg(long = "for", value_name = "ID")]
    holder: Option<String>,
    /// What it reaches: super, principal or tenant.
    #[arg(long, value_name = "WHAT")]
    on: String,
    /// Which principal or tenant [default: the own principal, the default tenant].
    #[arg(long)]
    id: Option<String>,
    /// Which paths of the tenant: one, or all below one, as in `/a/*`.
    #[arg(long, default_value = "/*")]
    path: String,
    /// Its name, unique for its holder.
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// For people.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Write a configuration file that uses it.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Session {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Delegate(delegate) => delegate.run(context).await,
            Command::Ls => list(context).await,
            Command::Rm { id } => remove(&id, &context.connect().await?).await,
        }
    }
}

impl Delegate {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let config = context.config()?;
        let template = self.template(&config)?;
        let (session, token) = issue(&Client::connect(&config).await?, template).await?;
        if let Some(out) = &self.out {
            let default_tenant = match session.scope.as_ref().and_then(|scope| scope.kind.as_ref()) {
                Some(Kind::OnLocation(on)) => on.tenant_id.clone().map(|id| json::Id { data: id.data }),
                _ => None,
            };
            Config { default_tenant, ..config.with(&session, token) }.save(out)?;
        }
        let id = ids::show(session.id.as_ref().map(|id| &id.data[..]));
        facts(context.format, vec![("Session ID", id.into())])
    }

    fn template(&self, config: &Config) -> Result<session::Session, Error> {
        let own = config.session()?;
        let capabilities = match parse_capabilities(&self.capabilities)? {
            Some(given) => given.into(),
            None => own.capabilities.ok_or_else(|| Error::new("missing required --capabilities"))?,
        };
        let holder = match &self.holder {
            Some(id) => {
                Some(ids::parse::<PrincipalId>(id).map_err(|e| Error::new(format!("forID: {e}")))?.into())
            }
            None => own.principal_id,
        };
        let scope = self.scope(config, holder.as_ref())?;
        Ok(session::Session {
            capabilities: Some(capabilities),
            principal_id: holder,
            scope: Some(session::Scope { kind: Some(scope) }),
            expires_at: Some(timestamp(SystemClock.now().after(self.duration))),
            note: self.note.clone(),
            name: self.name.clone(),
            ..Default::default()
        })
    }

    fn scope(&self, config: &Config, holder: Option<&cacheroach_api::principal::Id>) -> Result<Kind, Error> {
        let wrong = |e| Error::new(format!("onID: {e}"));
        Ok(match self.on.as_str() {
            "super" => Kind::SuperToken(true),
            "principal" => match &self.id {
                Some(id) => Kind::OnPrincipal(ids::parse::<PrincipalId>(id).map_err(wrong)?.into()),
                None => Kind::OnPrincipal(holder.cloned().ok_or_else(|| Error::new("--id required"))?),
            },
            "tenant" => {
                let id = self.id.as_deref().map(ids::parse::<TenantId>).transpose().map_err(wrong)?;
                let id = config.tenant(id).map_err(|_| Error::new("--id required"))?;
                Kind::OnLocation(session::Location {
                    tenant_id: Some(tenant::Id::from(id)),
                    path: self.path.clone(),
                    version: 0,
                })
            }
            on => return Err(Error::new(format!("unknown --on value {on:?}"))),
        })
    }
}

/// Nothing if nothing is given.
fn parse_capabilities(names: &[String]) -> Result<Option<Capabilities>, Error> {
    let mut held = None;
    for name in names {
        let named = Capabilities::NAMES.iter().find(|(known, _)| known == name).map(|(_, one)| *one);
        let one = if name == "all" { Some(Capabilities::ALL) } else { named };
        let one = one.ok_or_else(|| Error::new(format!("capabilities: unknown capability {name:?}")))?;
        held = Some(held.unwrap_or(Capabilities::NONE) | one);
    }
    Ok(held)
}

/// Asks the server for a session, and for the token that stands for it.
pub(super) async fn issue(
    client: &Client,
    template: session::Session,
) -> Result<(session::Session, String), Error> {
    let answer = client.tokens().issue(token::IssueRequest { template: Some(template) }).await?.into_inner();
    match (answer.issued, answer.token) {
        (Some(session), Some(token)) => Ok((session, token.jwt)),
        _ => Err(Error::new("the server issued no session")),
    }
}

/// What a session reaches, in words.
pub(super) struct Reach {
    pub(super) kind: &'static str,
    pub(super) target: String,
    pub(super) path: String,
}

impl Reach {
    pub(super) fn of(session: &session::Session) -> Self {
        let reach = |kind, target, path| Reach { kind, target, path };
        match session.scope.as_ref().and_then(|scope| scope.kind.as_ref()) {
            Some(Kind::SuperToken(true)) => reach("SUPERTOKEN", String::new(), String::new()),
            Some(Kind::OnPrincipal(id)) => reach("Principal", ids::show(Some(&id.data)), String::new()),
            Some(Kind::OnLocation(on)) => {
                let tenant = ids::show(on.tenant_id.as_ref().map(|id| &id.data[..]));
                reach("Tenant", tenant, on.path.clone())
            }
            Some(Kind::SuperToken(false)) | None => reach("", String::new(), String::new()),
        }
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let mut found = context.connect().await?.tokens().find(session::Scope::default()).await?.into_inner();
    let columns = ["ID", "Principal", "Name", "Caps", "Type", "Target ID", "Path"];
    let mut table = Table::new(context.format, &columns);
    while let Some(one) = found.message().await? {
        let reach = Reach::of(&one);
        let held = one.capabilities.as_ref().map(Capabilities::from).unwrap_or_default();
        table.row([
            ids::show(one.id.as_ref().map(|id| &id.data[..])).into(),
            ids::show(one.principal_id.as_ref().map(|id| &id.data[..])).into(),
            one.name.into(),
            held.to_string().into(),
            reach.kind.into(),
            reach.target.into(),
            reach.path.into(),
        ])?;
    }
    table.finish()
}

async fn remove(id: &str, client: &Client) -> Result<(), Error> {
    let id = ids::parse::<SessionId>(id).map_err(Error::new)?;
    let kind = token::invalidate_request::Kind::Id(id.into());
    client.tokens().invalidate(token::InvalidateRequest { kind: Some(kind) }).await?;
    tracing::info!("Success");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delegate(on: &str, id: Option<&str>, capabilities: &[&str]) -> Delegate {
        Delegate {
            capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
            duration: Duration::from_secs(60),
            holder: None,
            on: on.into(),
            id: id.map(Into::into),
            path: "/*".into(),
            name: String::new(),
            note: String::new(),
            out: None,
        }
    }

    #[test]
    fn what_is_delegated_is_checked_before_the_server_is_asked() {
        let config = Config::default();
        let error = |command: Delegate| command.template(&config).unwrap_err().text();
        assert_eq!(error(delegate("x", None, &["all"])), "unknown --on value \"x\"");
        assert_eq!(error(delegate("super", None, &[])), "missing required --capabilities");
        assert_eq!(error(delegate("super", None, &["x"])), "capabilities: unknown capability \"x\"");
        assert_eq!(error(delegate("tenant", Some("x"), &["all"])), "onID: unsupported format");
        assert_eq!(error(delegate("tenant", None, &["all"])), "--id required");
    }

    #[test]
    fn a_grant_on_a_tenant_names_it() {
        let id = TenantId::SCRATCHPAD.to_string();
        let session = delegate("tenant", Some(&id), &["read", "write"]).template(&Config::default()).unwrap();
        let reach = Reach::of(&session);
        assert_eq!((reach.kind, reach.target, reach.path), ("Tenant", id, "/*".to_owned()));
        let held = Capabilities::from(&session.capabilities.unwrap());
        assert_eq!(held, Capabilities::READ | Capabilities::WRITE);
    }
}
