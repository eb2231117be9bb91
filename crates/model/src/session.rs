//! Sessions, and when one is good for what another asks.

use crate::{Capabilities, Location, PrincipalId, SessionId, Timestamp};

/// What a session reaches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Everything there is.
    Super,
    /// A principal: what concerns it, and with `delegate` its grants.
    Principal(PrincipalId),
    /// Paths of a tenant.
    Location(Location),
}

/// What a token stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Absent in ephemeral tokens, which no store knows.
    pub id: Option<SessionId>,
    /// Absent in ephemeral tokens of a key holder.
    pub principal: Option<PrincipalId>,
    /// What it may do.
    pub capabilities: Capabilities,
    /// With what. A session without a scope reaches nothing.
    pub scope: Option<Scope>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Unique among the live sessions of its principal, or empty.
    pub name: String,
    /// For people.
    pub note: String,
}

impl Session {
    /// Whether it reaches everything.
    #[must_use]
    pub fn is_super(&self) -> bool {
        self.scope == Some(Scope::Super)
    }

    /// Whether it is held by nobody in particular.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.principal == Some(PrincipalId::UNAUTHENTICATED)
    }

    /// The principal whose grants it may use besides itself.
    #[must_use]
    pub fn lookup(&self) -> Option<PrincipalId> {
        match self.scope {
            Some(Scope::Principal(principal)) if self.capabilities.contains(Capabilities::DELEGATE) => {
                Some(principal)
            }
            _ => None,
        }
    }
}
