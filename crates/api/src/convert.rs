//! Between messages and the types of `cacheroach-model`. Towards the model everything is parsed; what does not parse is
//! named by its field.

use cacheroach_model::{
    Capabilities, Expected, File, Location, PastFile, Pattern, Principal, PrincipalId, Scope, Session,
    SessionId, Tenant, TenantId, Timestamp, Version, Vhost,
};

use crate::rule::FormError;
use crate::{capabilities, file, principal, session, tenant, upload, vhost};

fn wrong(field: &str, problem: &'static str) -> FormError {
    FormError { field: field.into(), problem }
}

macro_rules! ids {
    ($($package:ident $(:: $outer:ident)? => $id:ty),* $(,)?) => { $(
        impl From<$id> for $package $(:: $outer)? ::Id {
            fn from(id: $id) -> Self {
                $package $(:: $outer)? ::Id { data: id.as_bytes().to_vec() }
            }
        }

        impl $package $(:: $outer)? ::Id {
            /// As a type; an empty one counts as absent, and so does one of a wrong length, which
            /// [`Ruled::form`](crate::rule::Ruled::form) has refused before.
            #[must_use]
            pub fn parse(id: Option<&Self>) -> Option<$id> {
                id.and_then(|id| <$id>::try_from(id.data.as_slice()).ok())
            }
        }
    )* };
}

ids! {
    principal => PrincipalId,
    session => SessionId,
    tenant => TenantId,
    upload => cacheroach_model::UploadId,
    file::link => cacheroach_model::LinkId,
}

/// A length of time as a message.
#[must_use]
pub fn duration(length: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(length).unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}

/// A point in time as a message.
#[must_use]
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: time.subsec_nanos() }
}

/// A point in time from a message, cut to microseconds.
#[must_use]
pub fn from_timestamp(time: prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(
        time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000),
    )
}

impl From<Capabilities> for capabilities::Capabilities {
    fn from(from: Capabilities) -> Self {
        Self {
            read: from.contains(Capabilities::READ),
            write: from.contains(Capabilities::WRITE),
            delegate: from.contains(Capabilities::DELEGATE),
            pii: from.contains(Capabilities::PII),
            fetch: from.contains(Capabilities::FETCH),
        }
    }
}

impl From<&capabilities::Capabilities> for Capabilities {
    fn from(from: &capabilities::Capabilities) -> Self {
        let set = [from.read, from.write, from.delegate, from.pii, from.fetch];
        let bits = set.iter().enumerate().filter(|(_, set)| **set).map(|(at, _)| 1 << at).sum();
        Capabilities::from_bits(bits)
    }
}

impl From<&Scope> for session::Scope {
    fn from(scope: &Scope) -> Self {
        use session::scope::Kind;
        let kind = match scope {
            Scope::Super => Kind::SuperToken(true),
            Scope::Principal(id) => Kind::OnPrincipal((*id).into()),
            Scope::Location(location) => Kind::OnLocation(session::Location {
                tenant_id: Some(location.tenant.into()),
                path: location.pattern.to_string(),
                version: location.version.map_or(0, |version| version.0),
            }),
        };
        session::Scope { kind: Some(kind) }
    }
}

impl session::Scope {
    /// As a type. A scope of no kind is none; so is `super_token: false`.
    ///
    /// # Errors
    /// The field that does not parse.
    pub fn parse(&self) -> Result<Option<Scope>, FormError> {
        use session::scope::Kind;
        Ok(match &self.kind {
            None | Some(Kind::SuperToken(false)) => None,
            Some(Kind::SuperToken(true)) => Some(Scope::Super),
            Some(Kind::OnPrincipal(id)) => {
                let id =
                    principal::Id::parse(Some(id)).ok_or_else(|| wrong("on_principal", "which principal"))?;
                Some(Scope::Principal(id))
            }
            Some(Kind::OnLocation(location)) => {
                Some(Scope::Location(location.parse().map_err(|e| e.in_field("on_location"))?))
            }
        })
    }
}

impl session::Location {
    fn parse(&self) -> Result<Location, FormError> {
        let tenant =
            tenant::Id::parse(self.tenant_id.as_ref()).ok_or_else(|| wrong("tenant_id", "which tenant"))?;
        let pattern = Pattern::parse(&self.path).map_err(|_| {
            wrong(
                "path",
                "a scope is a path of at most 1024 bytes from / on, with * as its last segment at most",
            )
        })?;
        let version = match self.version {
            0 => None,
            version @ 1.. => Some(Version(version)),
            _ => return Err(wrong("version", "versions count from 1")),
        };
        Ok(Location { tenant, pattern, version })
    }
}

impl From<&Session> for session::Session {
    fn from(from: &Session) -> Self {
        session::Session {
            id: from.id.map(Into::into),
            capabilities: (from.capabilities != Capabilities::NONE).then(|| from.capabilities.into()),
            principal_id: from.principal.map(Into::into),
            scope: from.scope.as_ref().map(Into::into),
            expires_at: from.expires_at.map(timestamp),
            note: from.note.clone(),
            name: from.name.clone(),
        }
    }
}

impl session::Session {
    /// As a type.
    ///
    /// # Errors
    /// The field that does not parse.
    pub fn parse(&self) -> Result<Session, FormError> {
        let scope =
            self.scope.as_ref().map(session::Scope::parse).transpose().map_err(|e| e.in_field("scope"))?;
        Ok(Session {
            id: session::Id::parse(self.id.as_ref()),
            principal: principal::Id::parse(self.principal_id.as_ref()),
            capabilities: self.capabilities.as_ref().map(Into::into).unwrap_or_default(),
            scope: scope.flatten(),
            expires_at: self.expires_at.map(from_timestamp),
            name: self.name.clone(),
            note: self.note.clone(),
        })
    }
}

impl From<&Tenant> for tenant::Tenant {
    fn from(from: &Tenant) -> Self {
        tenant::Tenant {
            id: Some(from.id.into()),
            label: from.label.clone(),
            version: from.version,
            region: from.region.as_ref().map(ToString::to_string).unwrap_or_default(),
            retention: from.retention.map(|retention| tenant::Retention {
                versions: retention.versions,
                age: retention.age.map(duration),
            }),
        }
    }
}

impl From<&Principal> for principal::Principal {
    /// Without what only the server itself deals with.
    fn from(from: &Principal) -> Self {
        principal::Principal {
            id: Some(from.id.into()),
            label: from.label.clone(),
            version: from.version,
            claims: from.claims.clone().unwrap_or_default().into_bytes(),
            email_domain: from.email_domain.clone().unwrap_or_default(),
            ..Default::default()
        }
    }
}

impl From<&Vhost> for vhost::VHost {
    fn from(from: &Vhost) -> Self {
        let settings = &from.settings;
        vhost::VHost {
            vhost: from.host.to_string(),
            tenant_id: Some(from.tenant.into()),
            login: settings.login,
            cors: settings.cors.iter().map(ToString::to_string).collect(),
            spa: settings.spa,
            index: settings.index.as_set().into(),
            error_page: settings.error_page.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl file::Meta {
    /// A file of a tenant as it is listed.
    #[must_use]
    pub fn new(tenant: TenantId, file: &File) -> Self {
        file::Meta {
            tenant: Some(tenant.into()),
            path: file.path.to_string(),
            version: file.version.0,
            created_at: Some(timestamp(file.created_at)),
            modified_at: Some(timestamp(file.modified_at)),
            meta: file.metadata.pairs().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            size: i64::try_from(file.size).unwrap_or(i64::MAX),
            hash: file.hash.as_bytes().to_vec(),
            content_type: file.content_type.clone(),
            deleted_at: None,
        }
    }

    /// The same for a version that may be deleted.
    #[must_use]
    pub fn past(tenant: TenantId, past: &PastFile) -> Self {
        file::Meta { deleted_at: past.deleted_at.map(timestamp), ..file::Meta::new(tenant, &past.file) }
    }
}

/// What a request expects to be at a path: 0 is anything, -1 nothing, others a version.
///
/// # Errors
/// Other negative numbers.
pub fn expected(version: i64) -> Result<Expected, FormError> {
    match version {
        0 => Ok(Expected::Anything),
        -1 => Ok(Expected::Nothing),
        1.. => Ok(Expected::Version(Version(version))),
        _ => Err(wrong("expected_version", "a version, -1 for no file, or 0 for any")),
    }
}
