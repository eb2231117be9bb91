//! How long a connection may do nothing: a peer that neither begins nor takes what it asked for is let go.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A client that takes nothing, or sends nothing of the body it has begun, for so long is let go.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// After so many bytes it is known which protocol is spoken, and that one watches over the rest of the head.
const OPENING: usize = 24;

/// A stream that loses patience.
pub(crate) struct Patient<S> {
    inner: S,
    /// Runs until the peer has begun.
    opening: Option<Pin<Box<Sleep>>>,
    opened: usize,
    /// How long the peer may take nothing, and the clock that runs while it does.
    idle: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// How many bytes the peer has taken, for whoever else watches.
    sent: Arc<AtomicU64>,
}

impl<S> Patient<S> {
    /// With a time to begin in, and one to take something in.
    pub(crate) fn new(inner: S, begin: Duration, idle: Duration, sent: Arc<AtomicU64>) -> Self {
        Patient { inner, opening: Some(Box::pin(sleep(begin))), opened: 0, idle, stalled: None, sent }
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }

    /// Passes on what came of a write, and starts or stops the clock.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let idle = self.idle;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(idle)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Some(opening) = &mut this.opening {
            this.opened += buf.filled().len() - before;
            if this.opened >= OPENING {
                this.opening = None;
            } else if read.is_pending() {
                return opening.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.count(&written);
        this.watch(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.watch(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.watch(cx, shut)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.count(&written);
        this.watch(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const BEGIN: Duration = Duration::from_secs(30);
    #[tokio::test(start_paused = true)]
    async fn a59_a_peer_that_does_not_begin_is_let_go() {
        for opening in [&b""[..], b"PRI * HTT"] {
            let (mut peer, ours) = duplex(1024);
            peer.write_all(opening).await.unwrap();
            let mut ours = Patient::new(ours, BEGIN, IDLE, Arc::default());
            let mut read = Vec::new();
            assert_eq!(ours.read_to_end(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_begun_may_take_its_time() {
        let (mut peer, ours) = duplex(1024);
        let mut ours = Patient::new(ours, BEGIN, IDLE, Arc::default());
        peer.write_all(&[b'x'; OPENING]).await.unwrap();
        ours.read_exact(&mut [0; OPENING]).await.unwrap();
        let late = tokio::spawn(async move {
            sleep(2 * BEGIN).await;
            peer.write_all(b"y").await
        });
        ours.read_exact(&mut [0]).await.unwrap();
        late.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn f24_a_peer_that_takes_nothing_is_let_go_and_one_that_is_slow_is_not() {
        let (peer, ours) = duplex(16);
        let mut ours = Patient::new(ours, BEGIN, IDLE, Arc::default());
        let stalled = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
        drop(peer);

        let (mut peer, ours) = duplex(16);
        let mut ours = Patient::new(ours, BEGIN, IDLE, Arc::default());
        let slow = tokio::spawn(async move {
            for _ in 0..100 {
                sleep(IDLE / 2).await;
                peer.read_exact(&mut [0]).await.unwrap();
            }
        });
        ours.write_all(&[0; 100]).await.unwrap();
        slow.await.unwrap();
    }
}
