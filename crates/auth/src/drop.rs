//! Drop links: a token of its own kind, signed with a key of its own, good for uploading into one directory at the drop
//! endpoint. Its limits are in its row in the store, without which it is worth nothing.

use cacheroach_model::{
    Capabilities, LinkId, Location, Path, Pattern, PrincipalId, Session, SessionId, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::jwt::{TokenError, check_header, check_times, decode_any, encode, seconds, time};
use crate::keys::Keys;
use crate::link::narrow;

/// Where a drop link leads, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DropLink {
    /// Its name, under which its limits are kept.
    pub id: LinkId,
    /// Whose directory.
    pub tenant: TenantId,
    /// Which directory.
    pub dir: Path,
    /// Whose authority it stands on.
    pub principal: Option<PrincipalId>,
    /// The session that signed it.
    pub session: Option<SessionId>,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// At the latest.
    pub expires_at: Option<Timestamp>,
}

/// Names that neither session tokens nor signed URLs have.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    drop: String,
    t: String,
    dir: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    iat: f64,
}

impl DropLink {
    /// The token of this link.
    #[must_use]
    pub fn sign(&self, keys: &Keys) -> String {
        let claims = Claims {
            drop: self.id.to_string(),
            t: self.tenant.to_string(),
            dir: self.dir.to_string(),
            sub: self.principal.map(|id| id.to_string()),
            sid: self.session.map(|id| id.to_string()),
            exp: self.expires_at.map(seconds),
            iat: seconds(self.issued_at),
        };
        encode(&claims, keys.drop_signer())
    }

    /// What a token says, if it is a drop link's.
    ///
    /// # Errors
    /// Why it is none, or none any more.
    pub fn verify(keys: &Keys, token: &str, now: Timestamp) -> Result<Self, TokenError> {
        check_header(token)?;
        let claims: Claims = decode_any(token, keys.drop_verifiers())?;
        let broken = || TokenError::Malformed("no such drop link");
        let expires_at = claims.exp.map(time).transpose()?;
        check_times(now, expires_at, Some(claims.iat))?;
        Ok(DropLink {
            id: claims.drop.parse().map_err(|_| broken())?,
            tenant: claims.t.parse().map_err(|_| broken())?,
            dir: Path::parse(&claims.dir).map_err(|_| broken())?,
            principal: claims.sub.map(|id| id.parse()).transpose().map_err(|_| broken())?,
            session: claims.sid.map(|id| id.parse()).transpose().map_err(|_| broken())?,
            issued_at: time(claims.iat)?,
            expires_at,
        })
    }

    /// What the link itself allows for one file, as a session: writing it.
    #[must_use]
    pub fn as_session(&self, file: &Path) -> Session {
        let pattern = Pattern::Exactly(file.clone());
        let location = Location { tenant: self.tenant, pattern, version: None };
        narrow(self.principal, Capabilities::WRITE, location, self.expires_at)
    }
}
