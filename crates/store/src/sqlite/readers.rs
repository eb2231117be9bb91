//! Connections that only read, on the blocking pool.

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
        let idle = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE))
            .collect::<Result<Vec<_>>>()?;
        for connection in &idle {
            connection.pragma_update(None, "query_only", true)?;
        }
        Ok(Readers { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(READERS)) })
    }

    /// Runs a query in a transaction of its own, so that all its statements see the same state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|closed| Error::Busy(closed.into()))?;
        let idle = Arc::clone(&self.idle);
        let done = tokio::task::spawn_blocking(move || {
            // A permit is given back only after its connection, whatever the query does.
            let connection = lock(&idle).pop();
            let mut lent = Lent { connection, idle, _permit: permit };
            let connection = lent.connection.as_mut().expect("there are as many connections as permits");
            let transaction = connection.transaction()?;
            let answer = query(&transaction)?;
            transaction.finish()?;
            Ok(answer)
        });
        done.await.map_err(|stopped| Error::Failed(stopped.into()))?
    }
}

/// A connection that goes back where it came from.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.idle).extend(self.connection.take());
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
