//! Streams that nobody takes from. Over HTTP/1 a peer that takes nothing stalls its connection, which `patience.rs` sees.
//! Over HTTP/2 it can hold back single streams by their windows and keep the connection busy with pings: that shows only
//! in bodies that have more to give and are not asked for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Version;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

use crate::body::Body;

/// How many bytes a connection must have sent meanwhile, for a body to be slow rather than stalled: more than answers to
/// a few pings.
const PROGRESS: u64 = 1024;

/// The bodies of one connection that wait for their peer.
#[derive(Clone, Default)]
pub(crate) struct Waiting {
    /// By the number of the body: since when, and how many bytes the connection had sent by then.
    since: Arc<Mutex<HashMap<u64, (Instant, u64)>>>,
    last: Arc<AtomicU64>,
    /// Bytes that the connection has sent.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Waiting {
    /// The same body, watched. Only over HTTP/2: otherwise the connection itself stalls.
    pub(crate) fn watch(&self, inner: Body, version: Version) -> Watched {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let waiting = (version == Version::HTTP_2).then(|| self.clone());
        let watched = Watched { inner, waiting, number };
        watched.waits(true);
        watched
    }

    /// Answers once a body has waited for so long on a connection that sends nothing.
    pub(crate) async fn stalled(&self, patience: Duration) {
        loop {
            sleep(patience / 4).await;
            let sent = self.sent.load(Ordering::Relaxed);
            let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
            for waiting in since.values_mut().filter(|(since, _)| since.elapsed() >= patience) {
                if sent - waiting.1 < PROGRESS {
                    return;
                }
                *waiting = (Instant::now(), sent);
            }
        }
    }
}

/// A body that tells while it waits for its peer to ask for more.
pub(crate) struct Watched {
    inner: Body,
    waiting: Option<Waiting>,
    number: u64,
}

impl Watched {
    fn waits(&self, yes: bool) {
        let Some(waiting) = &self.waiting else { return };
        let mut since = waiting.since.lock().unwrap_or_else(PoisonError::into_inner);
        if yes {
            since.insert(self.number, (Instant::now(), waiting.sent.load(Ordering::Relaxed)));
        } else {
            since.remove(&self.number);
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        // Asked and without an answer it waits for the store, which is not the peer's fault.
        this.waits(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.waits(false);
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn endless() -> Body {
        Body::new(StreamBody::new(stream::repeat(()).map(|()| Ok(Frame::data(Bytes::from_static(b"x"))))))
    }

    #[tokio::test(start_paused = true)]
    async fn a58_a_body_that_nobody_asks_for_more_is_stalled_and_a_slow_one_is_not() {
        let waiting = Waiting::default();
        let mut slow = waiting.watch(endless(), Version::HTTP_2);
        let reader = async {
            for _ in 0..100 {
                sleep(PATIENCE / 2).await;
                slow.frame().await.unwrap().unwrap();
            }
        };
        tokio::select! {
            () = reader => {}
            () = waiting.stalled(PATIENCE) => panic!("it was read from"),
        }
        let begun = Instant::now();
        waiting.stalled(PATIENCE).await;
        assert!(begun.elapsed() >= PATIENCE / 2 && begun.elapsed() <= 2 * PATIENCE);
        slow.frame().await.unwrap().unwrap();
        // A window opened byte by byte lets the body wait, but the connection sends.
        let trickle = async {
            loop {
                sleep(PATIENCE / 10).await;
                waiting.sent.fetch_add(PROGRESS / 5, Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = trickle => {}
            () = waiting.stalled(PATIENCE) => panic!("it was sent to"),
            () = sleep(50 * PATIENCE) => {}
        }
        drop(slow);
        let never = tokio::time::timeout(100 * PATIENCE, waiting.stalled(PATIENCE)).await;
        assert!(never.is_err(), "nothing is left to wait for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_for_the_store_is_not_stalled() {
        let waiting = Waiting::default();
        let pending = stream::pending::<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>();
        let mut body = waiting.watch(Body::new(StreamBody::new(pending)), Version::HTTP_2);
        let asked = tokio::time::timeout(Duration::ZERO, body.frame()).await;
        assert!(asked.is_err());
        let never = tokio::time::timeout(100 * PATIENCE, waiting.stalled(PATIENCE)).await;
        assert!(never.is_err());
    }
}
