//! Answers and work that go on for long: whether whoever is being answered may still hear the rest. What is taken back on this
//! server ends them with their next part; what is taken back elsewhere does so when this server hears of it, and within
//! [`FRESH`](cacheroach_store::changes::FRESH) if it never does.

use std::sync::Arc;
use std::time::Duration;

use cacheroach_api::rule::Method;
use cacheroach_auth::Want;
use cacheroach_model::Capabilities;

use crate::caller::Callers;
use crate::door::must;
use crate::{Caller, Error, Result};

/// How often a busy store is asked again before an answer is given up, and how long after.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

type Question = dyn Fn(&Caller) -> Result<()> + Send + Sync;

/// Somebody who was let in.
#[derive(Clone)]
pub(crate) struct Still {
    callers: Callers,
    caller: Caller,
    /// Whether a caller could ask what was asked.
    may: Arc<Question>,
}

impl Still {
    /// A caller who was let in with this request, in its canonical form.
    pub(crate) fn new<M: Method>(callers: &Callers, caller: &Caller, request: M::Request) -> Self {
        Still::where_(callers, caller, move |caller| must::<M>(caller, request.clone()))
    }

    /// A caller who may do these things.
    pub(crate) fn able(callers: &Callers, caller: &Caller, to: Vec<(Capabilities, Want)>) -> Self {
        Still::where_(callers, caller, move |caller| {
            to.iter().try_for_each(|(capabilities, want)| caller.must(*capabilities, want))
        })
    }

    fn where_(
        callers: &Callers,
        caller: &Caller,
        may: impl Fn(&Caller) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Still { callers: callers.clone(), caller: caller.clone(), may: Arc::new(may) }
    }

    /// That the caller would be let in if it came now, with what it presented: its time must not have run out, either.
    ///
    /// # Errors
    /// It would not; the store's.
    pub(crate) async fn must_anew(&mut self) -> Result<()> {
        if !self.callers.is_still_good(&self.caller) {
            let caller = self.callers.renewed(&self.caller).await?;
            (self.may)(&caller)?;
            self.caller = caller;
        }
        Ok(())
    }

    /// As it was seen last.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// That the caller would be let in now. Most of the time that is known without a look.
    ///
    /// # Errors
    /// It would not; the store's, if it was asked in vain for a while.
    pub(crate) async fn must(&mut self) -> Result<()> {
        if self.callers.is_fresh(&self.caller) {
            return Ok(());
        }
        let mut tries = 0;
        let caller = loop {
            // Nothing goes out meanwhile.
            match self.callers.still(&self.caller).await {
                Err(Error::Busy) if tries < TRIES => tokio::time::sleep(PAUSE).await,
                other => break other?,
            }
            tries += 1;
        };
        (self.may)(&caller)?;
        self.caller = caller;
        Ok(())
    }
}

#[cfg(test)]
#[path = "still_tests.rs"]
mod tests;
