//! Connections that only read.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect;
use crate::{Error, Result};

const READERS: usize = 8;

pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let idle = (0..READERS).map(|_| connect_to_read(path)).collect::<Result<Vec<_>>>()?;
        Ok(Readers { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(READERS)) })
    }

    /// Runs a query in a transaction of its own, so that all its statements see the same state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|closed| Error::Busy(closed.into()))?;
        let lent = Lent::take(&self.idle, permit);
        let done = tokio::task::spawn_blocking(move || lent.run(query));
        done.await.map_err(|stopped| Error::Failed(stopped.into()))?
    }

    /// The same for a look-up of a few rows by their key, right here: it takes less than handing it to another thread.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Lent::take(&self.idle, permit).run(query),
            Err(_) => self.read(query).await,
        }
    }
}

/// In WAL mode readers write too, into what they share with the writer; nothing else.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that goes back where it came from. Its permit is given back after it, whatever the query does.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn take(idle: &Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Self {
        Lent { connection: lock(idle).pop(), idle: Arc::clone(idle), _permit: permit }
    }

    fn run<T>(mut self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connection.as_mut().expect("there are as many connections as permits");
        let transaction = connection.transaction()?;
        let answer = query(&transaction)?;
        transaction.finish()?;
        Ok(answer)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.idle).extend(self.connection.take());
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
