//! `auth`: who we are to the server.

use std::fs;
use std::io;

use cacheroach_api::{json, session, token};
use cacheroach_model::Capabilities;
use clap::{Args, Subcommand};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tonic::Code;

use super::Context;
use super::beside::Beside;
use crate::client::{Client, authority, server};
use crate::error::Error;
use crate::{ids, output};

/// Log in and out.
#[derive(Args)]
pub(crate) struct Auth {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Login(super::login::Login),
    /// End the session and forget its token.
    Logout,
    Set(Set),
    /// Show the session.
    Whoami,
}

/// Use a token one has been given.
#[derive(Args)]
struct Set {
    /// The server, as `https://TOKEN@host:port/`. Other programs can see the arguments: rather leave TOKEN@ away and give
    /// --token-file, or write @FILE for the whole URL.
    #[arg(required_unless_present = "token_file")]
    url: Option<String>,
    /// Read the token from a file, or from standard input if it is `-`. Then the URL may be left away beside a server.
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    #[command(flatten)]
    beside: Beside,
}

impl Auth {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.command {
            Command::Login(login) => login.run(context).await,
            Command::Logout => logout(context).await,
            Command::Set(set) => set.run(context).await,
            Command::Whoami => whoami(context).await,
        }
    }
}

/// The token is forgotten even if the server can't be told.
async fn logout(context: &Context) -> Result<(), Error> {
    let mut config = context.config()?;
    if let Err(error) = invalidate(&config).await {
        tracing::warn!("the session may live on: {}", error.text());
    }
    config.token.clear();
    context.save(&config)
}

async fn invalidate(config: &crate::config::Config) -> Result<(), Error> {
    let current = token::invalidate_request::Kind::Current(true);
    let request = token::InvalidateRequest { kind: Some(current) };
    Client::connect(config).await?.tokens().invalidate(request).await?;
    Ok(())
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let url = match self.url {
            Some(url) => url,
            None => self.beside.address().await?,
        };
        let (url, insecure) = server(&url)?;
        let mut config = context.config()?;
        config.token = match self.token_file {
            Some(file) => read_token(&file)?,
            None => percent_decode_str(url.username()).decode_utf8_lossy().into_owned(),
        };
        if config.token.is_empty() {
            return Err(Error::new("must specify a username"));
        }
        (config.host, config.insecure) = (authority(&url)?, insecure);
        let session = current(&Client::connect(&config).await?).await?;
        config.session = Some(json::Session::from(&session));
        context.save(&config)?;
        tracing::info!("Success");
        Ok(())
    }
}

fn read_token(file: &str) -> Result<String, Error> {
    let text = if file == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|e| Error::because(format!("cannot read the token from {file}"), e))?;
    Ok(text.trim().to_owned())
}

/// The session as the server knows it. An empty one is none.
async fn current(client: &Client) -> Result<session::Session, Error> {
    let session = client.tokens().current(()).await?.into_inner();
    if session.scope.as_ref().is_none_or(|scope| scope.kind.is_none()) {
        return Err(tonic::Status::new(Code::Unauthenticated, "there is no such session").into());
    }
    Ok(session)
}

async fn whoami(context: &Context) -> Result<(), Error> {
    let session = current(&context.connect().await?).await?;
    let (scope, scope_json) = scope(&session);
    let (capabilities, capabilities_json) = capabilities(&session);
    output::facts(
        context.format,
        vec![
            ("Principal", ids::show(session.principal_id.as_ref().map(|id| &id.data[..])).into()),
            ("Session", ids::show(session.id.as_ref().map(|id| &id.data[..])).into()),
            ("Name", session.name.as_str().into()),
            ("Expires", output::Cell::time(session.expires_at.as_ref(), "%F %T%.f +0000 UTC")),
            ("Scope", output::Cell::new(scope, scope_json)),
            ("Capabilities", output::Cell::new(capabilities, capabilities_json)),
            ("Note", session.note.as_str().into()),
        ],
    )
}

fn scope(session: &session::Session) -> (String, Value) {
    let scope = super::session::Reach::of(session);
    let parts = [scope.kind, &scope.target, &scope.path];
    let shown = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    (shown, json!({ "type": scope.kind, "target_id": scope.target, "path": scope.path }))
}

fn capabilities(session: &session::Session) -> (String, Value) {
    let Some(message) = &session.capabilities else { return ("<nil>".into(), Value::Null) };
    let held = Capabilities::from(message);
    let names = Capabilities::NAMES.iter().filter(|(_, one)| held.contains(*one)).map(|(name, _)| *name);
    let names: Vec<_> = names.collect();
    let shown: Vec<_> = names.iter().map(|name| format!("{name}:true")).collect();
    (shown.join(" "), json!(names))
}
