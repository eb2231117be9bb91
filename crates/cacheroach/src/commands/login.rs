//! `auth login`: by the browser, or with a password.

use cacheroach_api::json;
use cacheroach_api::token::LoginRequest;
use clap::Args;
use reqwest::Url;
use tonic::Code;

use super::Context;
use super::hand_over;
use super::password::Source;
use crate::client::{Client, authority, server};
use crate::config::Config;
use crate::error::Error;
use crate::output;

/// Log in, by the browser or with a password.
///
/// Prints where to go with a browser on this computer, and waits for it. With --user no browser is needed: the password
/// is asked for on the terminal.
#[derive(Args)]
pub(crate) struct Login {
    /// The server, as `https://host:port/`.
    url: String,
    /// Log in as this user, with a password.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    source: Source,
}

impl Login {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let (url, insecure) = server(&self.url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::new("the server's URL names no user here: give --user, or use `auth set`"));
        }
        let host = authority(&url)?;
        let before = context.config()?;
        let config = match self.user {
            Some(user) => with_password(user, &self.source, Config { host, insecure, ..before }).await?,
            None if self.source.is_given() => return Err(Error::new("--user says whose password it is")),
            None => by_browser(&url, Config { host, insecure, ..before }).await?,
        };
        context.save(&config)?;
        output::line("Success!")
    }
}

async fn with_password(user: String, source: &Source, config: Config) -> Result<Config, Error> {
    source.must_be_private(&config.host, config.insecure)?;
    let password = source.read().await?;
    // As nobody: whoever we were does not matter, and may be over.
    let client = Client::connect(&Config { token: String::new(), ..config.clone() }).await?;
    let answer = client.tokens().login(LoginRequest { user, password, valid_for: None }).await;
    let answer = answer.map_err(|refused| match refused.code() {
        // Not of a token, which is what is most often meant by this.
        Code::Unauthenticated => Error::new(refused.message()),
        _ => refused.into(),
    });
    let answer = answer?.into_inner();
    match (answer.issued, answer.token) {
        (Some(session), Some(token)) => {
            Ok(Config { session: Some(json::Session::from(&session)), token: token.jwt, ..config })
        }
        _ => Err(Error::new("the server issued no session")),
    }
}

async fn by_browser(url: &Url, config: Config) -> Result<Config, Error> {
    let got = hand_over::receive(url, &config).await?;
    let default_tenant = got.default_tenant.or(config.default_tenant);
    Ok(Config { default_tenant, session: got.session, token: got.token, ..config })
}
