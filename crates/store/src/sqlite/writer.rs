//! The one connection that writes, on a thread of its own. What waits is committed together: one sync serves many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use cacheroach_model::{Clock, Timestamp};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::stamps::{Stamps, Touches};
use crate::changes::{Change as Told, News};
use crate::failpoint::{Step, hit};
use crate::{Error, Result};

/// How many changes may wait, and how many are committed together at most.
const QUEUE: usize = 1024;
const GROUP: usize = 256;

pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A change, without the type of its answer.
trait Job: Send {
    /// Makes the change; tells whether it succeeded. If not it is rolled back alone. It may be made again, if all was rolled
    /// back.
    fn run(&mut self, connection: &Connection, now: Timestamp) -> bool;
    /// What others may remember of files.
    fn touches(&self) -> &Touches;
    /// Tells others of a change that was made, then answers whoever waits.
    fn finish(self: Box<Self>, committed: Result<(), &rusqlite::Error>, news: &News);
}

struct Change<T, F> {
    change: F,
    touches: Touches,
    /// What others may remember wrongly once it is made.
    tells: Vec<Told>,
    answer: Option<Result<T>>,
    waiting: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: Fn(&Connection, Timestamp) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection, now: Timestamp) -> bool {
        // A change that panics is undone like one that fails: it must not take the others with it, nor the thread.
        let answer = catch_unwind(AssertUnwindSafe(|| (self.change)(connection, now)))
            .unwrap_or_else(|_| Err(Error::Failed("the change panicked".into())));
        let succeeded = answer.is_ok();
        self.answer = Some(answer);
        succeeded
    }

    fn touches(&self) -> &Touches {
        &self.touches
    }

    fn finish(self: Box<Self>, committed: Result<(), &rusqlite::Error>, news: &News) {
        let answer = match (self.answer, committed) {
            // A change that failed by itself keeps its own reason.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(answer)), Ok(())) => Ok(answer),
            (_, Err(error)) => Err(shared(error)),
            (None, Ok(())) => Err(Error::Failed("the change was not made".into())),
        };
        if answer.is_ok() {
            self.tells.into_iter().for_each(|told| news.tell(told));
        }
        // Nobody waits any more: the caller went away, the change stays.
        let _ = self.waiting.send(answer);
    }
}

/// One failure of a commit for each of the changes in it.
fn shared(error: &rusqlite::Error) -> Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone()).into()
        }
        other => Error::Failed(other.to_string().into()),
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        clock: Arc<dyn Clock>,
        news: Arc<News>,
        stamps: Arc<Stamps>,
    ) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_all(&connection, jobs, &*clock, &news, &stamps))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// For a store that is only read: refuses every change.
    pub(super) fn none() -> Self {
        Writer { queue: None, thread: None }
    }

    /// Makes a change. When this answers with success, it survives the loss of power.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl Fn(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(Touches::Everything, Vec::new(), change).await
    }

    /// Makes a change that touches no more of what may be remembered of files.
    pub(super) async fn write_touching<T: Send + 'static>(
        &self,
        touches: Touches,
        change: impl Fn(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(touches, Vec::new(), change).await
    }

    /// Makes a change that others must hear of. They are told before this answers, and also if nobody waits for the
    /// answer any more.
    pub(super) async fn write_and_tell<T: Send + 'static>(
        &self,
        touches: Touches,
        tells: Vec<Told>,
        change: impl Fn(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(touches, tells, change).await
    }

    async fn send<T: Send + 'static>(
        &self,
        touches: Touches,
        tells: Vec<Told>,
        change: impl Fn(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (waiting, answer) = oneshot::channel();
        let job = Change { change, touches, tells, answer: None, waiting };
        let stopped = || Error::Busy("the writer has stopped".into());
        let reading = || Error::Failed("the store is open for reading alone".into());
        let queue = self.queue.as_ref().ok_or_else(reading)?;
        queue.send(Box::new(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Lets the thread finish what waits, and closes the database.
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    clock: &dyn Clock,
    news: &News,
    stamps: &Stamps,
) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        let changing = stamps.change(group.iter().map(|job| job.touches()));
        let committed = commit_group(connection, &mut group, clock.now());
        // Before anybody is answered: who was told of a change must not be shown what was before it.
        drop(changing);
        if let Err(error) = &committed {
            tracing::error!(%error, changes = group.len(), "commit failed");
        }
        for job in group.drain(..) {
            job.finish(committed.as_ref().copied(), news);
        }
    }
}

/// Commits changes together. One that fails must not take the others with it, nor leave half of itself behind: should one
/// fail that has changed something, all are made again, each so that it can be undone alone. That is dear, since SQLite
/// then keeps a copy of each page for each change of it, and almost never needed: what fails fails before its first change.
fn commit_group(connection: &Connection, group: &mut [Box<dyn Job>], now: Timestamp) -> rusqlite::Result<()> {
    let done = (|| {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        if !make_all(connection, group, now) {
            // Some failures have rolled back already.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK")?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")?;
            make_each(connection, group, now)?;
        }
        hit(Step::GroupBeforeCommit);
        connection.execute_batch("COMMIT")?;
        hit(Step::GroupAfterCommit);
        Ok(())
    })();
    if done.is_err() && !connection.is_autocommit() {
        // The next group must find no open transaction.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

/// Whether none failed in the middle.
fn make_all(connection: &Connection, group: &mut [Box<dyn Job>], now: Timestamp) -> bool {
    group.iter_mut().all(|job| {
        let before = connection.total_changes();
        job.run(connection, now) || (connection.total_changes() == before && !connection.is_autocommit())
    })
}

fn make_each(connection: &Connection, group: &mut [Box<dyn Job>], now: Timestamp) -> rusqlite::Result<()> {
    for job in group {
        connection.prepare_cached("SAVEPOINT change")?.execute([])?;
        if !job.run(connection, now) {
            connection.prepare_cached("ROLLBACK TO change")?.execute([])?;
        }
        connection.prepare_cached("RELEASE change")?.execute([])?;
    }
    Ok(())
}
