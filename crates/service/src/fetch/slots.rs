//! How many fetches are under way, in all, for each principal and for each session: each takes a connection and memory
//! here, and may keep somebody else's server busy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cacheroach_model::{PrincipalId, SessionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Caller, Error, Result};

/// Whose fetches are counted together. Tokens that no store knows count as those of their principal.
type Who = (Option<SessionId>, Option<PrincipalId>);

/// So many times those of a session are a principal's: sessions are easily had, principals are not.
const SESSIONS_WORTH: usize = 2;

pub(super) struct Slots {
    all: Arc<Semaphore>,
    per_session: usize,
    under_way: Mutex<HashMap<Who, usize>>,
}

/// The right to fetch something, until dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    who: Who,
    _one_of_all: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(at_once: usize, per_session: usize) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)));
        Arc::new(Slots { all, per_session, under_way: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, caller: &Caller) -> Result<Slot> {
        let who = (caller.session().id, caller.session().principal);
        self.take_for(who)
    }

    fn take_for(self: &Arc<Self>, who: Who) -> Result<Slot> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(&who).is_some_and(|count| *count >= self.per_session) || self.per_session == 0 {
            let most = self.per_session;
            return Err(Error::TooLarge(format!("too many fetches at once: {most} for each session")));
        }
        let of_principal = under_way.iter().filter(|(other, _)| other.1 == who.1).map(|(_, count)| count);
        if of_principal.sum::<usize>() >= self.per_session * SESSIONS_WORTH {
            return Err(Error::TooLarge("too many fetches at once for this principal".into()));
        }
        let permit = Arc::clone(&self.all).try_acquire_owned();
        let permit = permit.map_err(|_| Error::TooLarge("too many fetches at once, try again".into()))?;
        *under_way.entry(who).or_default() += 1;
        drop(under_way);
        Ok(Slot { slots: Arc::clone(self), who, _one_of_all: permit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut under_way = self.slots.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a56_fetches_are_counted_for_each_session_and_in_all() {
        let slots = Slots::new(3, 2);
        let who = |byte| (Some(SessionId::new([byte; 16])), Some(PrincipalId::new([byte; 16])));
        let (first, _second) = (slots.take_for(who(1)).unwrap(), slots.take_for(who(1)).unwrap());
        assert!(matches!(slots.take_for(who(1)), Err(Error::TooLarge(_))));
        let _other = slots.take_for(who(2)).unwrap();
        assert!(matches!(slots.take_for(who(3)), Err(Error::TooLarge(_))));
        drop(first);
        let _third = slots.take_for(who(3)).unwrap();
        assert_eq!(slots.under_way.lock().unwrap().len(), 3);
        drop((_second, _other, _third));
        assert!(slots.under_way.lock().unwrap().is_empty(), "nothing is kept of who is done");
        assert_eq!(slots.all.available_permits(), 3);
    }

    #[test]
    fn a56_many_sessions_of_one_principal_are_no_more_than_two() {
        let slots = Slots::new(100, 2);
        let taken = (0..50).map(|byte| {
            let who = (Some(SessionId::new([byte; 16])), Some(PrincipalId::new([1; 16])));
            slots.take_for(who).ok()
        });
        assert_eq!(taken.collect::<Vec<_>>().iter().flatten().count(), 4);
    }
}
