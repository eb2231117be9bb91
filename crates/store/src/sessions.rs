//! Sessions as they are kept.

use async_trait::async_trait;
use cacheroach_model::{PrincipalId, Session, SessionId, Timestamp};

use crate::Result;

/// A session that was found.
#[derive(Clone, Debug)]
pub struct KeptSession {
    /// As it was issued.
    pub session: Session,
    /// Whether it still counts.
    pub standing: Standing,
}

/// Where the authority of a session comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// The session that issued it.
    pub parent: Option<SessionId>,
    /// When what it was issued from ends: no renewal goes beyond.
    pub not_after: Option<Timestamp>,
}

/// Whether a session counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It does.
    Live,
    /// Its time is over, or it was ended.
    Ended,
    /// The tenant it is on is no more.
    TenantGone,
}

/// Keeps sessions. What expired or was ended stays to be found by its id; it counts no more.
#[async_trait]
pub trait Sessions {
    /// Adds a session; id, principal, scope and expiry must be there. The name of a session that is over is free again.
    ///
    /// # Errors
    /// [`Error::Taken`](crate::Error::Taken) for a name that a live session of the principal has;
    /// [`Error::Missing`](crate::Error::Missing) for a principal or tenant that does not exist.
    async fn add_session(&self, session: &Session, origin: Origin) -> Result<()>;

    /// One session, over or not.
    ///
    /// # Errors
    /// The store's.
    async fn find_session(&self, session: SessionId) -> Result<Option<KeptSession>>;

    /// The session of that name of a principal.
    ///
    /// # Errors
    /// The store's.
    async fn find_session_by_name(&self, principal: PrincipalId, name: &str) -> Result<Option<KeptSession>>;

    /// The live sessions that a principal holds: its own, and those of the principal that stands for the domain of its
    /// address; at most 10,000 of them.
    ///
    /// # Errors
    /// The store's.
    async fn list_grants(&self, principal: PrincipalId) -> Result<Vec<Session>>;

    /// Ends a session now. One that is over or unknown is fine.
    ///
    /// # Errors
    /// The store's.
    async fn end_session(&self, session: SessionId) -> Result<()>;

    /// Ends a live session and adds one with another id in its place: same capabilities, scope and name, as long from
    /// now as the first was given, but not beyond what it was issued from. Nothing if it is not live.
    ///
    /// # Errors
    /// The store's.
    async fn renew_session(&self, old: SessionId, new: SessionId) -> Result<Option<Session>>;
}
