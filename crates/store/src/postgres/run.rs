//! How work reaches the database: a connection of the pool, bounded tries, and what to do when nobody knows whether it
//! was done.

use cacheroach_model::Timestamp;
use deadpool_postgres::{Client, Transaction};
use futures::future::BoxFuture;
use tokio_postgres::error::SqlState;

use super::Postgres;
use crate::{Error, Result};

/// Why a piece of work did not end well.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database said so, or could not be asked. It decides whether there is another try.
    Sql(tokio_postgres::Error),
    /// The store's own reason, which no other try would change.
    Store(Error),
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => Error::Failed(error.into()),
            Failure::Store(error) => error,
        }
    }
}

impl Failure {
    /// Whether a unique key was there already, and the name of its constraint.
    pub(super) fn conflict(&self) -> Option<&str> {
        let Failure::Sql(error) = self else { return None };
        let error = error.as_db_error().filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION)?;
        error.constraint().or(Some(""))
    }
}

/// Work on a connection; each of its statements is a transaction of its own.
pub(super) trait Work<T>: for<'a> Fn(&'a Client, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

impl<T, W> Work<T> for W where W: for<'a> Fn(&'a Client, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

/// Work in a transaction.
pub(super) trait Change<T>:
    for<'a> Fn(&'a Transaction<'a>, Timestamp) -> BoxFuture<'a, Outcome<T>>
{
}

impl<T, W> Change<T> for W where W: for<'a> Fn(&'a Transaction<'a>, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

impl Postgres {
    /// Does work that may be repeated whatever became of it before: reads, and single statements that find out by
    /// themselves that they were done already.
    pub(super) async fn run<T: Send>(&self, work: impl Work<T> + Send + Sync) -> Result<T> {
        let client = self.pool.get().await.map_err(|e| Error::Busy(e.into()))?;
        Ok(work(&client, self.clock.now()).await?)
    }

    /// Makes a change in a transaction, which may be repeated whatever became of it before.
    pub(super) async fn transact<T: Send>(&self, change: impl Change<T> + Send + Sync) -> Result<T> {
        let mut client = self.pool.get().await.map_err(|e| Error::Busy(e.into()))?;
        let transaction = client.transaction().await.map_err(Failure::Sql)?;
        let answer = change(&transaction, self.clock.now()).await?;
        transaction.commit().await.map_err(Failure::Sql)?;
        Ok(answer)
    }

    /// Makes a change in a transaction, once: if the answer to its COMMIT is lost, the outcome is looked up.
    pub(super) async fn transact_once<T: Send>(&self, change: impl Change<T> + Send + Sync) -> Result<T> {
        self.transact(change).await
    }
}
