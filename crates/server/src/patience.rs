//! How long a peer may take nothing of what it asked for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::stalled::Waiting;

/// A client that takes nothing, or sends nothing of the body it has begun, for so long is let go.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// A stream that loses patience.
pub(crate) struct Patient<S> {
    inner: S,
    /// How long the peer may take nothing, and the clock that runs while it does.
    idle: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Is told how many bytes the peer has taken, and while it takes none.
    waiting: Arc<Waiting>,
}

impl<S> Patient<S> {
    /// With a time to take something in.
    pub(crate) fn new(inner: S, idle: Duration, waiting: Arc<Waiting>) -> Self {
        Patient { inner, idle, stalled: None, waiting }
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.waiting.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }

    /// Passes on what came of a write, and starts or stops the clock.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.waiting.is_held_up.store(false, Ordering::Relaxed);
            }
            return written;
        }
        self.waiting.is_held_up.store(true, Ordering::Relaxed);
        let idle = self.idle;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(idle)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
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

    #[tokio::test(start_paused = true)]
    async fn f24_a_peer_that_takes_nothing_is_let_go_and_one_that_is_slow_is_not() {
        let (peer, ours) = duplex(16);
        let mut ours = Patient::new(ours, IDLE, Arc::default());
        let stalled = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
        drop(peer);

        let (mut peer, ours) = duplex(16);
        let mut ours = Patient::new(ours, IDLE, Arc::default());
        let slow = tokio::spawn(async move {
            for _ in 0..100 {
                sleep(IDLE / 2).await;
                peer.read_exact(&mut [0]).await.unwrap();
            }
        });
        ours.write_all(&[0; 100]).await.unwrap();
        slow.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_right_now_is_known_by_it() {
        let (mut peer, ours) = duplex(16);
        let waiting = Arc::new(Waiting::default());
        let mut ours = Patient::new(ours, IDLE, Arc::clone(&waiting));
        let held_up = || waiting.is_held_up.load(Ordering::Relaxed);
        ours.write_all(&[0; 16]).await.unwrap();
        assert!(!held_up());
        let last = tokio::spawn(async move { ours.write_all(&[0; 8]).await.map(|()| ours) });
        sleep(IDLE / 2).await;
        assert!(held_up());
        peer.read_exact(&mut [0; 16]).await.unwrap();
        let _ours = last.await.unwrap().unwrap();
        assert!(!held_up());
    }
}
