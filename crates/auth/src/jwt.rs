//! What all tokens are: JWTs (RFC 7519) of one algorithm, whose times are checked.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_model::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A token is at most this long, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

/// How far the clock of whoever issued a token may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(5);

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
    Expired(Duration),
    /// From the future.
    #[error("token is not valid yet; wait {0:?}")]
    NotYet(Duration),
    /// For somebody else.
    #[error("'cacheroach' wasn't found in aud claim")]
    Audience,
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
#[expect(clippy::cast_precision_loss, reason = "exact to the microsecond until the year 2106")]
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
pub(crate) fn check_header(token: &str) -> Result<(), TokenError> {
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
