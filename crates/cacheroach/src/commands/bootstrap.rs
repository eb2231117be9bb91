//! `bootstrap`: from the server's key to a superuser's session.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_api::convert::timestamp;
use cacheroach_api::{json, principal, session};
use cacheroach_model::{Clock as _, Scope, TenantId};
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::Context;
use super::beside::{Beside, read};
use super::session::issue;
use crate::client::{Client, authority, server};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::Error;

/// How long the key holder's own token is good for.
const TOKEN_SECONDS: i64 = 60;
const DAY: Duration = Duration::from_secs(86_400);

/// Become the superuser of a server whose signing key one has.
///
/// Beside the data directory of a running server it finds address and key by itself.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct Bootstrap {
    /// The server, as `https://host:port/`.
    url: Option<String>,
    /// The server's signing key in base64; rather written as @FILE, since other programs can see the arguments.
    #[arg(long, value_name = "KEY")]
    hmac_key: Option<String>,
    /// A file that holds the server's signing key.
    #[arg(long, value_name = "FILE", conflicts_with = "hmac_key")]
    hmac_key_file: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
    /// How long the session lasts.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    validity: u32,
}

impl Bootstrap {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => self.beside.address().await?,
        };
        let (url, insecure) = server(&url)?;
        let now = SystemClock.now();
        let mut config = context.config()?;
        (config.host, config.insecure) = (authority(&url)?, insecure);

        let token = mint(&self.key()?, now.seconds())?;
        let client = Client::connect(&Config { token, ..config.clone() }).await?;
        let request =
            principal::EnsureRequest { principal: Some(principal::Principal::default()), delete: false };
        let answer = client.principals().ensure(request).await?.into_inner();
        let id = answer.principal.and_then(|made| made.id);
        let template = session::Session {
            principal_id: Some(id.ok_or_else(|| Error::new("the server made no principal"))?),
            scope: Some((&Scope::Super).into()),
            expires_at: Some(timestamp(now.after(DAY * self.validity))),
            note: "cli bootstrap".into(),
            ..Default::default()
        };
        let (session, token) = issue(&client, template).await?;
        // Every new store begins with this one; `tenant default` chooses another.
        config.default_tenant.get_or_insert(json::Id { data: TenantId::SCRATCHPAD.as_bytes().to_vec() });
        context.save(&config.with(&session, token))?;
        tracing::info!("Success");
        Ok(())
    }

    fn key(&self) -> Result<Vec<u8>, Error> {
        let text = match (&self.hmac_key, &self.hmac_key_file) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(file)) => read(file),
            (None, None) => self.beside.key(),
        };
        decode_key(&text.map_err(|e| Error::because("supertoken is required", e))?)
    }
}

/// A signing key as it is written down.
pub(super) fn decode_key(text: &str) -> Result<Vec<u8>, Error> {
    let text: String = text.split_whitespace().collect();
    if text.is_empty() {
        return Err(Error::new("supertoken is required"));
    }
    STANDARD.decode(text).map_err(|_| Error::new("the signing key is not base64"))
}

/// A key holder's own token: super, for a minute, of no principal and in no store.
pub(super) fn mint(key: &[u8], now: i64) -> Result<String, Error> {
    let claims = serde_json::json!({
        "msg": { "s": { "s": true } },
        "aud": ["cacheroach"],
        "exp": now + TOKEN_SECONDS,
        "iat": now,
    });
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
        .map_err(|e| Error::because("the token could not be signed", e))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_token_of_a_key_holder_is_super_for_a_minute() {
        let token = mint(b"key", 1_000).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |at: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
        };
        assert_eq!(decode(0), json!({ "alg": "HS256", "typ": "JWT" }));
        let claims =
            json!({ "msg": { "s": { "s": true } }, "aud": ["cacheroach"], "exp": 1_060, "iat": 1_000 });
        assert_eq!(decode(1), claims);
    }
}
