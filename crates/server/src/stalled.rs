//! Connections that wait for their peer. It may be slow, but something has to come of waiting for it: a request, or bytes
//! that it takes. Over HTTP/1 a peer that takes nothing stalls its connection, which `patience.rs` sees. Over HTTP/2 it can
//! hold back single streams by their windows and keep the connection busy with pings: that shows only in bodies that have
//! more to give and are not asked for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

use crate::body::Body;

/// How many bytes a connection must have sent meanwhile, for a body to be slow rather than stalled: more than answers to
/// a few pings.
const PROGRESS: u64 = 1024;

/// What one connection waits for.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Bodies by their number: since when, and how many bytes the connection had sent by then. Only over HTTP/2.
    since: Mutex<HashMap<u64, (Instant, u64)>>,
    /// Answers that were begun, and those of them that are over.
    begun: AtomicU64,
    over: AtomicU64,
    /// Bytes that the connection has sent.
    pub(crate) sent: AtomicU64,
    /// Whether the peer takes none of them right now, of whatever answer: how long it may is for `patience.rs`.
    pub(crate) is_held_up: AtomicBool,
    is_http2: AtomicBool,
}

impl Waiting {
    /// The connection has a protocol that looks after idle peers by itself.
    pub(crate) fn speaks_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// A request has come, whose answer is under way as long as there is what this gives.
    pub(crate) fn begin(self: &Arc<Self>) -> Answering {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        Answering { waiting: Arc::clone(self), number }
    }

    /// Answers once nobody is to be waited for any longer: a body has waited for so long (`body`) on a connection that
    /// sends nothing; or, over HTTP/1, no request has come for so long (`head`) since the last answer was taken. Either may
    /// take a quarter of `body` more.
    pub(crate) async fn in_vain(&self, body: Duration, head: Duration) {
        let (mut quiet, mut seen) = (Instant::now(), (0, 0));
        loop {
            sleep(body / 4).await;
            if self.has_stalled(body) {
                return;
            }
            let (begun, sent) = (self.begun.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed));
            let is_busy = begun != self.over.load(Ordering::Relaxed)
                || self.is_held_up.load(Ordering::Relaxed)
                || self.is_http2.load(Ordering::Relaxed);
            if is_busy || seen != (begun, sent) {
                (quiet, seen) = (Instant::now(), (begun, sent));
            } else if quiet.elapsed() >= head {
                return;
            }
        }
    }

    fn has_stalled(&self, patience: Duration) -> bool {
        let sent = self.sent.load(Ordering::Relaxed);
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        for waiting in since.values_mut().filter(|(since, _)| since.elapsed() >= patience) {
            if sent - waiting.1 < PROGRESS {
                return true;
            }
            *waiting = (Instant::now(), sent);
        }
        false
    }
}

/// An answer from its request's head to the end of its body.
pub(crate) struct Answering {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Answering {
    /// Its body, watched over HTTP/2: otherwise the connection itself stalls.
    pub(crate) fn watch(self, inner: Body) -> Watched {
        let watched = Watched { inner, answering: self };
        watched.answering.waits(true);
        watched
    }

    fn waits(&self, yes: bool) {
        if !self.waiting.is_http2.load(Ordering::Relaxed) {
            return;
        }
        let mut since = self.waiting.since.lock().unwrap_or_else(PoisonError::into_inner);
        if yes {
            since.insert(self.number, (Instant::now(), self.waiting.sent.load(Ordering::Relaxed)));
        } else {
            since.remove(&self.number);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.waits(false);
        self.waiting.over.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that tells while it waits for its peer to ask for more.
pub(crate) struct Watched {
    inner: Body,
    answering: Answering,
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
        this.answering.waits(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn endless() -> Body {
        crate::body::flowing(StreamBody::new(
            stream::repeat(()).map(|()| Ok(Frame::data(Bytes::from_static(b"x")))),
        ))
    }

    fn watch(waiting: &Arc<Waiting>, body: Body) -> Watched {
        waiting.speaks_http2();
        waiting.begin().watch(body)
    }

    /// In vain for bodies, or over HTTP/1 without a head for half as long.
    async fn in_vain(waiting: &Waiting) {
        waiting.in_vain(PATIENCE, PATIENCE / 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a59_a_peer_without_a_request_is_let_go_and_one_that_is_answered_is_not() {
        let waiting = Arc::new(Waiting::default());
        let begun = Instant::now();
        in_vain(&waiting).await;
        assert!(begun.elapsed() >= PATIENCE / 2 && begun.elapsed() <= PATIENCE, "it never began");

        let busy = async {
            // An answer that takes long, and its last bytes, which may take long after it.
            let answer = waiting.begin().watch(endless());
            sleep(10 * PATIENCE).await;
            drop(answer);
            for _ in 0..100 {
                waiting.sent.fetch_add(1, Ordering::Relaxed);
                sleep(PATIENCE / 5).await;
            }
            waiting.is_held_up.store(true, Ordering::Relaxed);
            sleep(2 * PATIENCE).await;
            waiting.is_held_up.store(false, Ordering::Relaxed);
            waiting.sent.fetch_add(1, Ordering::Relaxed);
            sleep(PATIENCE / 3).await;
            // Requests with rests between them.
            for _ in 0..100 {
                drop(waiting.begin());
                sleep(PATIENCE / 3).await;
            }
        };
        tokio::select! {
            () = busy => {}
            () = in_vain(&waiting) => panic!("it was in use"),
        }
        let idle = Instant::now();
        in_vain(&waiting).await;
        assert!(idle.elapsed() <= PATIENCE);

        // HTTP/2 asks its idle peers whether they are there.
        waiting.speaks_http2();
        assert!(tokio::time::timeout(100 * PATIENCE, in_vain(&waiting)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a58_a_body_that_nobody_asks_for_more_is_stalled_and_a_slow_one_is_not() {
        let waiting = Arc::new(Waiting::default());
        let mut slow = watch(&waiting, endless());
        let reader = async {
            for _ in 0..100 {
                sleep(PATIENCE / 2).await;
                slow.frame().await.unwrap().unwrap();
            }
        };
        tokio::select! {
            () = reader => {}
            () = in_vain(&waiting) => panic!("it was read from"),
        }
        let begun = Instant::now();
        in_vain(&waiting).await;
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
            () = in_vain(&waiting) => panic!("it was sent to"),
            () = sleep(50 * PATIENCE) => {}
        }
        drop(slow);
        let never = tokio::time::timeout(100 * PATIENCE, in_vain(&waiting)).await;
        assert!(never.is_err(), "nothing is left to wait for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_for_the_store_is_not_stalled() {
        let waiting = Arc::new(Waiting::default());
        let pending = stream::pending::<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>();
        let mut body = watch(&waiting, crate::body::flowing(StreamBody::new(pending)));
        let asked = tokio::time::timeout(Duration::ZERO, body.frame()).await;
        assert!(asked.is_err());
        let never = tokio::time::timeout(100 * PATIENCE, in_vain(&waiting)).await;
        assert!(never.is_err());
    }
}
