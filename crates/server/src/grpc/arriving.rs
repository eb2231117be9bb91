//! Requests as they arrive: a client that sends nothing of the one it has begun is let go. Only time in which it could send
//! counts, not that in which nobody asks for more.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

/// The body of a request that loses patience.
pub(super) struct Arriving<B> {
    inner: B,
    idle: Duration,
    /// The clock, and whether it runs.
    clock: Pin<Box<Sleep>>,
    is_running: bool,
}

impl<B> Arriving<B> {
    /// With a time in which something must come.
    pub(super) fn new(inner: B, idle: Duration) -> Self {
        Arriving { inner, idle, clock: Box::pin(sleep(idle)), is_running: false }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B>
where
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(frame) = frame {
            this.is_running = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))));
        }
        if !this.is_running {
            this.clock.as_mut().reset(Instant::now() + this.idle);
            this.is_running = true;
        }
        this.clock.as_mut().poll(cx).map(|()| Some(Err(Status::invalid_argument(SILENCE))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What a client hears that sends nothing.
const SILENCE: &str = "body: nothing came for a minute";

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn arriving(pauses: &'static [u64]) -> Arriving<impl Body<Data = Bytes, Error = Status> + Unpin> {
        let frames = stream::iter(pauses).then(|seconds| async {
            sleep(Duration::from_secs(*seconds)).await;
            Ok(Frame::data(Bytes::from_static(b"x")))
        });
        Arriving::new(StreamBody::new(Box::pin(frames)), IDLE)
    }

    #[tokio::test(start_paused = true)]
    async fn a59_a_request_of_which_nothing_comes_is_let_go_and_a_slow_one_is_not() {
        let slow = arriving(&[50, 59, 59, 1, 59]).collect().await.unwrap();
        assert_eq!(slow.to_bytes().len(), 5);
        let mut silent = arriving(&[1, 61]);
        assert!(silent.frame().await.unwrap().is_ok());
        let status = silent.frame().await.unwrap().unwrap_err();
        assert_eq!((status.code(), status.message()), (tonic::Code::InvalidArgument, SILENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asks_does_not_count() {
        let mut body = arriving(&[50, 50]);
        assert!(body.frame().await.unwrap().is_ok());
        sleep(10 * IDLE).await;
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.is_none());
    }
}
