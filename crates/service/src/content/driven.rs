//! Work that goes on although nobody looks at it.

use std::task::Poll;

use tokio::task::JoinHandle;

use crate::{Error, Result};

/// Does work, on a task of its own unless it is done at once; dropped, it ends.
///
/// What is read ahead is looked at only when the client takes more. If it waited for a connection to the database, it
/// would be given one all the same, and hold it for as long as the client likes.
pub(super) async fn driven<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut work = Box::pin(work);
    match futures::poll!(&mut work) {
        Poll::Ready(done) => done,
        Poll::Pending => {
            let mut task = Task(tokio::spawn(work));
            (&mut task.0).await.map_err(Error::internal)?
        }
    }
}

/// Ends its task when it is dropped.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::{StreamExt as _, stream};
    use tokio::sync::Semaphore;

    use super::*;

    /// One connection, and a reader that takes the first of two parts and then nothing more.
    #[tokio::test]
    async fn f16_what_is_read_ahead_holds_nothing_while_its_reader_is_slow() {
        let connections = Arc::new(Semaphore::new(1));
        let read = |connections: Arc<Semaphore>| async move {
            let _connection = connections.acquire().await.unwrap();
            tokio::task::yield_now().await;
            Ok(())
        };
        let parts = stream::repeat_with(|| driven(read(Arc::clone(&connections)))).buffered(2);
        let mut parts = std::pin::pin!(parts);
        parts.next().await.unwrap().unwrap();
        let other = tokio::time::timeout(Duration::from_secs(5), connections.acquire()).await;
        drop(other.expect("nobody holds it").unwrap());
    }

    #[tokio::test]
    async fn what_is_dropped_ends() {
        let kept = Arc::new(());
        let held = Arc::clone(&kept);
        let mut work = Box::pin(driven::<()>(async move {
            let _held = held;
            std::future::pending().await
        }));
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        while Arc::strong_count(&kept) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
