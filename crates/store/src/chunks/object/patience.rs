//! Asking again: what an object store's errors mean, and how long a passing one is put up with.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ObjectSettings;
use crate::{Error, Result};

/// Pauses do not grow beyond this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long to try.
pub(super) struct Patience {
    request_timeout: Duration,
    deadline: Duration,
    first_pause: Duration,
}

impl Patience {
    pub(super) fn new(settings: &ObjectSettings) -> Self {
        Patience {
            request_timeout: settings.request_timeout,
            deadline: settings.deadline,
            first_pause: settings.first_pause,
        }
    }

    /// One request, repeated while its error is a passing one.
    ///
    /// # Errors
    /// [`Error::Missing`] if the object is not there; [`Error::Busy`] when the deadline passed.
    pub(super) async fn try_on<T, F>(
        &self,
        what: &str,
        permits: &Semaphore,
        attempt: impl Fn() -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        self.run(what, permits, self.request_timeout, attempt).await
    }

    /// Several requests that are one try: it may take as long as all.
    pub(super) async fn try_long<T, F>(
        &self,
        what: &str,
        permits: &Semaphore,
        attempt: impl Fn() -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        self.run(what, permits, self.deadline, attempt).await
    }

    async fn run<T, F>(
        &self,
        what: &str,
        permits: &Semaphore,
        each: Duration,
        attempt: impl Fn() -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let deadline = Instant::now() + self.deadline;
        let queued = timeout_at(deadline, permits.acquire()).await;
        let _permit = match queued {
            Ok(permit) => permit.map_err(|closed| Error::Failed(closed.into()))?,
            Err(late) => return Err(Error::Busy(late.into())),
        };
        let mut pause = self.first_pause;
        loop {
            let last: Box<dyn StdError + Send + Sync> = match timeout(each, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => match verdict(&error) {
                    Verdict::Passing => error.into(),
                    Verdict::Missing => return Err(Error::Missing("object")),
                    Verdict::Full => return Err(Error::Full(error.into())),
                    Verdict::Final => return Err(Error::Failed(error.into())),
                },
                Err(late) => late.into(),
            };
            let wait = jittered(pause);
            if Instant::now() + wait >= deadline {
                return Err(Error::Busy(last));
            }
            tracing::debug!(%what, error = %last, "asked again");
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Half of it to one and a half, so that many that failed at once do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + share)
}

/// What to do about an error.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Ask again.
    Passing,
    /// The object is not there.
    Missing,
    /// No room.
    Full,
    /// It will not get better by asking.
    Final,
}

pub(super) fn verdict(error: &object_store::Error) -> Verdict {
    use object_store::Error as E;
    let text = all_of(error);
    // Stores of this kind say it in a code within the body.
    let full = ["XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "status code: 507"];
    if is_storage_full(error) || full.iter().any(|code| text.contains(code)) {
        return Verdict::Full;
    }
    match error {
        // The bucket: nothing of what was kept in it is known to be lost.
        E::NotFound { .. } if text.contains("NoSuchBucket") || text.contains("ContainerNotFound") => {
            Verdict::Final
        }
        E::NotFound { .. } => Verdict::Missing,
        E::Generic { .. } | E::AlreadyExists { .. } | E::JoinError { .. } => match status(&text) {
            Some(408 | 409 | 429) | None => Verdict::Passing,
            Some(status) if status >= 500 => Verdict::Passing,
            Some(_) => Verdict::Final,
        },
        _ => Verdict::Final,
    }
}

/// The error and what caused it, in one text: the crate shows statuses in no other way.
fn all_of(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += " ";
        text += &cause.to_string();
        next = cause.source();
    }
    text
}

fn is_storage_full(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = cause.source();
    }
    false
}

fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}
