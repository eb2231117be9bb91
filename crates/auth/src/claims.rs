//! Session tokens: JWTs (RFC 7519) signed with HS256, their claims laid out as the original's. A claim of a wrong type is
//! never taken for an absent one.

use cacheroach_api::{json, session};
use cacheroach_model::{Capabilities, PrincipalId, Scope, Session, SessionId, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::jwt::{TokenError, check_header, check_times, decode_any, encode, seconds, time};
use crate::keys::Keys;
use crate::link::Link;

const AUDIENCE: &str = "cacheroach";

/// What a token turned out to be.
#[derive(Debug)]
pub enum Presented {
    /// A session: as the token has it. Whether it still lives is for the store to say, unless it has no id.
    Session(Session),
    /// A signed URL: good for reading one file, nowhere else.
    Link(Link),
}

/// The claims in the order of the original.
#[derive(Serialize)]
struct Written<'a> {
    msg: json::Session,
    aud: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    iat: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(deserialize_with = "json::object")]
    msg: json::Session,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
}

/// `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The token of a session.
#[must_use]
pub fn sign(keys: &Keys, session: &Session, issued_at: Timestamp) -> String {
    // Only what the holder is entitled to know and what makes it a grant; id, principal and expiry have claims.
    let shown = session::Session {
        capabilities: (session.capabilities != Capabilities::NONE).then(|| session.capabilities.into()),
        scope: session.scope.as_ref().map(Into::into),
        name: session.name.clone(),
        ..Default::default()
    };
    let mut msg = json::Session::from(&shown);
    let tenant = match &session.scope {
        Some(Scope::Location(location)) => Some(location.tenant),
        _ => None,
    };
    if let Some(location) = msg.scope.as_mut().and_then(json::Scope::location_mut) {
        location.tenant_id = None;
    }
    let claims = Written {
        msg,
        aud: [AUDIENCE],
        exp: session.expires_at.map(seconds),
        jti: session.id.map(|id| id.to_string()),
        iat: seconds(issued_at),
        iss: tenant.map(|id| id.to_string()),
        sub: session.principal.map(|id| id.to_string()),
    };
    encode(&claims, keys.session_signer())
}

/// What a token says, if it is one of ours and its time has come and not gone.
///
/// # Errors
/// Why not.
pub fn verify(keys: &Keys, token: &str, now: Timestamp) -> Result<Presented, TokenError> {
    check_header(token)?;
    match decode_any(token, keys.session_verifiers()) {
        Ok(claims) => session_of(claims, token, now),
        Err(TokenError::Signature) => Link::verify(keys, token, now).map(Presented::Link),
        Err(error) => Err(error),
    }
}

fn session_of(claims: Read, token: &str, now: Timestamp) -> Result<Presented, TokenError> {
    let audience = claims.aud.ok_or(TokenError::Audience)?;
    if !audience.iter().any(|one| one == AUDIENCE) {
        return Err(TokenError::Audience);
    }
    let expires_at = claims.exp.map(time).transpose()?;
    check_times(now, expires_at, claims.nbf)?;
    let issued_at = claims.iat.ok_or(TokenError::Malformed("no iat"))?;
    check_times(now, expires_at, Some(issued_at))?;

    let tenant: Option<TenantId> = parse(claims.iss.as_deref(), "iss is no tenant")?;
    let mut msg = claims.msg;
    if let Some(location) = msg.scope.as_mut().and_then(json::Scope::location_mut) {
        location.tenant_id = tenant.map(|id| json::Id { data: id.as_bytes().to_vec() });
    }
    let message = session::Session::try_from(msg).map_err(|_| TokenError::Malformed("two scopes"))?;
    let mut session = message.parse().map_err(|_| TokenError::Malformed("no such session"))?;
    session.id = parse::<SessionId>(claims.jti.as_deref(), "jti is no session")?;
    session.principal = parse::<PrincipalId>(claims.sub.as_deref(), "sub is no principal")?;
    session.expires_at = expires_at;

    if let Some(link) = Link::of_original(&session, token, time(issued_at)?) {
        return Ok(Presented::Link(link));
    }
    match expires_at {
        Some(_) => Ok(Presented::Session(session)),
        None => Err(TokenError::Malformed("no exp")),
    }
}

fn parse<T: std::str::FromStr>(text: Option<&str>, problem: &'static str) -> Result<Option<T>, TokenError> {
    text.map(|text| text.parse().map_err(|_| TokenError::Malformed(problem))).transpose()
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
