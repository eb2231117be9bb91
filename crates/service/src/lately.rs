//! Who came lately, so that not every request has to ask who it is.

use std::sync::Arc;

use cacheroach_model::{PrincipalId, Session, SessionId, Timestamp};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::Caller;

/// How many are remembered, each counted once and once more for each of its grants: those are what takes memory.
const MOST: u64 = 65_536;
/// How many tokens.
const TOKENS: usize = 8_192;

/// What is looked up of somebody.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Identity {
    /// No credentials.
    Nobody,
    /// The row of a session decides.
    Session(SessionId),
    /// All is in the token, but whether its principal exists and what the one that it is on was granted.
    Ephemeral(Option<PrincipalId>, Option<PrincipalId>),
}

impl Identity {
    pub(crate) fn of(session: &Session) -> Self {
        match session.id {
            Some(id) => Identity::Session(id),
            None => Identity::Ephemeral(session.principal, session.lookup()),
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Identity, Caller> for Weight {
    fn weight(&self, _: &Identity, caller: &Caller) -> u64 {
        1 + caller.held() as u64
    }
}

/// Remembers callers, and tokens whose signatures were verified.
pub(crate) struct Lately {
    callers: Cache<Identity, Caller, Weight>,
    /// What they say, and when they were good: their time may run out, or not have come if the clock is set back.
    tokens: Cache<Arc<str>, (Session, Timestamp)>,
}

impl Default for Lately {
    fn default() -> Self {
        Lately { callers: Cache::with_weighter(TOKENS, MOST, Weight), tokens: Cache::new(TOKENS) }
    }
}

impl Lately {
    /// As it was found then.
    pub(crate) fn caller(&self, identity: &Identity) -> Option<Caller> {
        self.callers.get(identity)
    }

    pub(crate) fn remember(&self, identity: Identity, caller: Caller) {
        self.callers.insert(identity, caller);
    }

    /// What a token says that was good before and is good now.
    pub(crate) fn claimed(&self, token: &str, now: Timestamp) -> Option<Session> {
        let (claimed, then) = self.tokens.get(token)?;
        let is_good = then <= now && claimed.expires_at.is_some_and(|end| end > now);
        is_good.then_some(claimed)
    }

    pub(crate) fn verified(&self, token: Arc<str>, claimed: Session, now: Timestamp) {
        self.tokens.insert(token, (claimed, now));
    }
}
