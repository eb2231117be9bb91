//! Signed URLs: a token of its own kind, signed with a derived key, good for reading one file at the retrieve endpoint.
//! It lives as long as its signer may read that file, and at most as long as was asked. All that bounds it is signed
//! with it; only what must be counted or taken back needs the store.

use aws_lc_rs::digest::{SHA256, digest};
use cacheroach_model::{
    Capabilities, LinkId, Location, Networks, Path, Pattern, PrincipalId, Scope, Session, SessionId,
    TenantId, Timestamp, Version,
};
use serde::{Deserialize, Serialize};

use crate::jwt::{TokenError, check_times, decode_any, encode, seconds, time};
use crate::keys::Keys;

/// What a signed URL is good for, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Its name, by which it can be taken back.
    pub id: LinkId,
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
    /// When it was signed.
    pub issued_at: Timestamp,
    /// At the latest.
    pub expires_at: Option<Timestamp>,
    /// The name under which the file is to be saved; else it is shown under its own.
    pub download_name: Option<String>,
    /// From where it can be used.
    pub networks: Networks,
    /// Whether the store counts its uses: without a row there it is worth nothing.
    pub counted: bool,
}

/// Names that no session token has, so that the two can't be mistaken even by a reader of both.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// The link. Absent in those that were signed before links could be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<String>,
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
    /// The download name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dn: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    net: Vec<String>,
    /// Whether it is counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cnt: bool,
}

impl Link {
    /// The token of this link.
    #[must_use]
    pub fn sign(&self, keys: &Keys) -> String {
        let claims = Claims {
            l: Some(self.id.to_string()),
            t: self.tenant.to_string(),
            p: self.path.to_string(),
            v: self.version.map(|version| version.0),
            sub: self.principal.map(|id| id.to_string()),
            sid: self.session.map(|id| id.to_string()),
            exp: self.expires_at.map(seconds),
            iat: seconds(self.issued_at),
            dn: self.download_name.clone(),
            net: self.networks.texts(),
            cnt: self.counted,
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
        let id = claims.l.map(|id| id.parse()).transpose().map_err(|_| broken())?;
        Ok(Link {
            id: id.unwrap_or_else(|| id_of(token)),
            tenant: claims.t.parse().map_err(|_| broken())?,
            path: Path::parse_file(&claims.p).map_err(|_| broken())?,
            version: claims.v.map(Version),
            principal: sub,
            session: sid,
            issued_at: time(claims.iat)?,
            expires_at,
            download_name: claims.dn,
            networks: Networks::parse(&claims.net).map_err(|_| broken())?,
            counted: claims.cnt,
        })
    }

    /// The original had no kind of its own for signed URLs: theirs are session tokens without an id, for reading one
    /// path, in the name of a principal.
    pub(crate) fn of_original(session: &Session, token: &str, issued_at: Timestamp) -> Option<Self> {
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
            id: id_of(token),
            tenant: *tenant,
            path: path.clone(),
            version: *version,
            principal: session.principal,
            session: None,
            issued_at,
            expires_at: session.expires_at,
            download_name: None,
            networks: Networks::default(),
            counted: false,
        })
    }

    /// What the link itself allows, as a session: reading its file.
    #[must_use]
    pub fn as_session(&self) -> Session {
        let location = Location {
            tenant: self.tenant,
            pattern: Pattern::Exactly(self.path.clone()),
            version: self.version,
        };
        narrow(self.principal, Capabilities::READ, location, self.expires_at)
    }
}

/// A session that is good for one thing, and known to no store.
pub(crate) fn narrow(
    principal: Option<PrincipalId>,
    capabilities: Capabilities,
    location: Location,
    expires_at: Option<Timestamp>,
) -> Session {
    Session {
        id: None,
        principal,
        capabilities,
        scope: Some(Scope::Location(location)),
        expires_at,
        name: String::new(),
        note: String::new(),
    }
}

/// The name of a link that brings none: what was signed is the same however the signature is spelled.
fn id_of(token: &str) -> LinkId {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let mut id = [0; 16];
    id.copy_from_slice(&digest(&SHA256, signed.as_bytes()).as_ref()[..16]);
    LinkId::new(id)
}
