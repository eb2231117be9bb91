//! Signed URLs: a token of its own kind, signed with a derived key, good for reading one file at the retrieve endpoint.
//! It lives as long as its signer may read that file, and at most as long as was asked.

use cacheroach_model::{
    Capabilities, Location, Path, Pattern, PrincipalId, Scope, Session, SessionId, TenantId, Timestamp,
    Version,
};
use serde::{Deserialize, Serialize};

use crate::jwt::{TokenError, check_times, decode_any, encode, seconds, time};
use crate::keys::Keys;

/// What a signed URL is good for, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Whose file.
    pub tenant: TenantId,
    /// Which file.
    pub path: Path,
    /// Only this version; else the current one at each use.
    pub version: Option<Version>,
    /// Whose authority it stands on.
    pub principal: Option<PrincipalId>,
    /// The session that signed it.
    pub session: Option<SessionId>,
    /// At the latest.
    pub expires_at: Option<Timestamp>,
}

/// Names that no session token has, so that the two can't be mistaken even by a reader of both.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// The tenant.
    t: String,
    /// The path.
    p: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    iat: f64,
}

impl Link {
    /// The token of this link.
    #[must_use]
    pub fn sign(&self, keys: &Keys, issued_at: Timestamp) -> String {
        let claims = Claims {
            t: self.tenant.to_string(),
            p: self.path.to_string(),
            v: self.version.map(|version| version.0),
            sub: self.principal.map(|id| id.to_string()),
            sid: self.session.map(|id| id.to_string()),
            exp: self.expires_at.map(seconds),
            iat: seconds(issued_at),
        };
        encode(&claims, keys.link_signer())
    }

    pub(crate) fn verify(keys: &Keys, token: &str, now: Timestamp) -> Result<Self, TokenError> {
        let claims: Claims = decode_any(token, keys.link_verifiers())?;
        let broken = || TokenError::Malformed("no such link");
        let expires_at = claims.exp.map(time).transpose()?;
        check_times(now, expires_at, Some(claims.iat))?;
        let sub = claims.sub.map(|id| id.parse()).transpose().map_err(|_| broken())?;
        let sid = claims.sid.map(|id| id.parse()).transpose().map_err(|_| broken())?;
        Ok(Link {
            tenant: claims.t.parse().map_err(|_| broken())?,
            path: Path::parse_file(&claims.p).map_err(|_| broken())?,
            version: claims.v.map(Version),
            principal: sub,
            session: sid,
            expires_at,
        })
    }

    /// The original had no kind of its own for signed URLs: theirs are session tokens without an id, for reading one
    /// path, in the name of a principal.
    pub(crate) fn of_original(session: &Session) -> Option<Self> {
        let Some(Scope::Location(Location { tenant, pattern: Pattern::Exactly(path), version })) =
            &session.scope
        else {
            return None;
        };
        let is_link = session.id.is_none()
            && session.principal.is_some()
            && session.capabilities == Capabilities::READ
            && !path.is_root();
        is_link.then(|| Link {
            tenant: *tenant,
            path: path.clone(),
            version: *version,
            principal: session.principal,
            session: None,
            expires_at: session.expires_at,
        })
    }

    /// What the link itself allows, as a session: reading its file.
    #[must_use]
    pub fn as_session(&self) -> Session {
        Session {
            id: None,
            principal: self.principal,
            capabilities: Capabilities::READ,
            scope: Some(Scope::Location(Location {
                tenant: self.tenant,
                pattern: Pattern::Exactly(self.path.clone()),
                version: self.version,
            })),
            expires_at: self.expires_at,
            name: String::new(),
            note: String::new(),
        }
    }
}
