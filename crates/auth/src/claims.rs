//! Session tokens: JWTs (RFC 7519) signed with HS256, their claims laid out as the original's. A claim of a wrong type is
//! never taken for an absent one.

use cacheroach_api::{json, session};
use cacheroach_model::{Capabilities, PrincipalId, Scope, Session, SessionId, TenantId, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::keys::Keys;
use crate::link::Link;

/// A token is at most this long, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

const AUDIENCE: &str = "cacheroach";

/// How far the clock of whoever issued a token may be ahead of ours.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(5);

/// What a token turned out to be.
#[derive(Debug)]
pub enum Presented {
    /// A session: as the token has it. Whether it still lives is for the store to say, unless it has no id.
    Session(Session),
    /// A signed URL: good for reading one file, nowhere else.
    Link(Link),
}

/// Why a token is not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Not a token at all.
    #[error("token is malformed: {0}")]
    Malformed(&'static str),
    /// Not signed by us.
    #[error("token signature is invalid")]
    Signature,
    /// Too old.
    #[error("token is expired by {0:?}")]
    Expired(std::time::Duration),
    /// From the future.
    #[error("token is not valid yet; wait {0:?}")]
    NotYet(std::time::Duration),
    /// For somebody else.
    #[error("'cacheroach' wasn't found in aud claim")]
    Audience,
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
        Ok(claims) => session_of(claims, now),
        Err(TokenError::Signature) => Link::verify(keys, token, now).map(Presented::Link),
        Err(error) => Err(error),
    }
}

fn session_of(claims: Read, now: Timestamp) -> Result<Presented, TokenError> {
    let audience = claims.aud.ok_or(TokenError::Audience)?;
    if !audience.iter().any(|one| one == AUDIENCE) {
        return Err(TokenError::Audience);
    }
    let expires_at = claims.exp.map(time).transpose()?;
    check_times(now, expires_at, claims.nbf)?;
    check_times(now, expires_at, Some(claims.iat.ok_or(TokenError::Malformed("no iat"))?))?;

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

    if let Some(link) = Link::of_original(&session) {
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

pub(crate) fn check_times(
    now: Timestamp,
    expires_at: Option<Timestamp>,
    not_before: Option<f64>,
) -> Result<(), TokenError> {
    if let Some(end) = expires_at
        && end <= now
    {
        return Err(TokenError::Expired(now.since(end)));
    }
    if let Some(begin) = not_before.map(time).transpose()?
        && begin > now.after(LEEWAY)
    {
        return Err(TokenError::NotYet(begin.since(now)));
    }
    Ok(())
}

/// Seconds since 1970 with a fraction, as JWTs have it (RFC 7519, NumericDate).
#[expect(clippy::cast_precision_loss, reason = "exact to the microsecond until the year 2255")]
pub(crate) fn seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
pub(crate) fn time(seconds: f64) -> Result<Timestamp, TokenError> {
    if (0.0..=253_402_300_799.0).contains(&seconds) {
        Ok(Timestamp::from_micros((seconds * 1e6).round() as i64))
    } else {
        Err(TokenError::Malformed("a time out of range"))
    }
}

pub(crate) fn encode(claims: &impl Serialize, key: &jsonwebtoken::EncodingKey) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, key).expect("claims are plain JSON")
}

/// The claims, if one of the keys signed them.
pub(crate) fn decode_any<'a, T: DeserializeOwned>(
    token: &str,
    keys: impl Iterator<Item = &'a DecodingKey>,
) -> Result<T, TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    let mut validation = Validation::new(Algorithm::HS256);
    // Only the signature: the library knows no claim of the wrong type, it takes it for absent.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    for key in keys {
        match jsonwebtoken::decode::<T>(token, key, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => {}
                _ => return Err(TokenError::Malformed("its claims are not ours")),
            },
        }
    }
    Err(TokenError::Signature)
}

/// Exactly our algorithm, and nothing that must be understood but is not (`crit`, RFC 7515 4.1.11).
fn check_header(token: &str) -> Result<(), TokenError> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed("too long"));
    }
    let mut segments = token.split('.');
    let (Some(header), Some(_), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(TokenError::Malformed("not of three segments"));
    };
    let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed("not base64"));
    // Another spelling of the same bytes would be another token with the same signature.
    decode(signature)?;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed("no header"))?;
    if header.get("alg").and_then(serde_json::Value::as_str) != Some("HS256") {
        return Err(TokenError::Malformed("alg is not HS256"));
    }
    if header.contains_key("crit") {
        return Err(TokenError::Malformed("crit is not understood"));
    }
    match header.get("typ") {
        None => Ok(()),
        Some(typ) if typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")) => Ok(()),
        Some(_) => Err(TokenError::Malformed("typ is not JWT")),
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
