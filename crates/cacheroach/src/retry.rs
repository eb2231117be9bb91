//! Surviving a server that is restarted: calls that may be repeated are, for a while.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Response, Status};

use crate::error::{Error, is_loss};

const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pauses that grow, and end once nothing has succeeded for [`PATIENCE`].
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failing: Option<(Instant, Duration)>,
}

impl Backoff {
    /// There was progress: patience begins anew.
    pub(crate) fn reset(&mut self) {
        self.failing = None;
    }

    /// Waits before the next try. False when there should be none.
    pub(crate) async fn pause(&mut self) -> bool {
        let (since, pause) = self.failing.unwrap_or_else(|| (Instant::now(), FIRST_PAUSE));
        if since.elapsed() + pause > PATIENCE {
            return false;
        }
        tracing::info!("the server cannot be reached, trying again in {pause:?}");
        sleep(pause).await;
        self.failing = Some((since, (pause * 2).min(LONGEST_PAUSE)));
        true
    }
}

/// Makes a call again while the server cannot be reached. Only for calls that may be repeated.
pub(crate) async fn insist<T, F>(mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut backoff = Backoff::default();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if is_loss(&status) && backoff.pause().await => {}
            Err(status) => return Err(status.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lost_server_is_waited_for_and_a_refusal_is_not() {
        let tries = Cell::new(0);
        let answer = insist(|| {
            tries.set(tries.get() + 1);
            let lost = tries.get() < 4;
            async move { if lost { Err(Status::unavailable("")) } else { Ok(Response::new(7)) } }
        });
        assert_eq!(answer.await.unwrap(), 7);
        assert_eq!(tries.get(), 4);

        let refused = insist(|| async { Err::<Response<()>, _>(Status::not_found("")) });
        assert!(refused.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let begun = Instant::now();
        let answer = insist(|| async { Err::<Response<()>, _>(Status::unavailable("")) }).await;
        assert!(answer.is_err());
        assert!(begun.elapsed() <= PATIENCE && begun.elapsed() > PATIENCE / 2);
    }
}
