//! How work reaches the database: a connection of the pool, bounded tries, and what to do when nobody knows whether it
//! was done.

use std::future::Future;
use std::time::{Duration, Instant};

use cacheroach_model::Timestamp;
use deadpool_postgres::{Client, Object, Transaction};
use futures::future::BoxFuture;
use tokio_postgres::Row;

use super::changes::announce;
use super::failure::Verdict;
pub(super) use super::failure::{Failure, Outcome};
use super::health::Heard;
use super::row::{Values, all, change, get, one};
use super::statement::sql;
use super::{Postgres, random_id};
use crate::Result;
use crate::changes::Change as Told;

/// Tries begin within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one try may take: longer than a statement may, so that this only ends what was never heard of again.
const SILENCE: Duration = Duration::from_secs(20);

/// How long, while nothing at all is heard of the database: a call makes several pieces of work one after the other, and its
/// caller does not wait for ever.
const SILENCE_WHEN_LOST: Duration = Duration::from_secs(3);

/// Tries at the most.
const TRIES: u32 = 40;

/// Work on a connection; each of its statements is a transaction of its own.
pub(super) trait Work<T>: for<'a> Fn(&'a Client, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

impl<T, W> Work<T> for W where W: for<'a> Fn(&'a Client, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

/// Work in a transaction.
pub(super) trait Change<T>:
    for<'a> Fn(&'a Transaction<'a>, Timestamp) -> BoxFuture<'a, Outcome<T>>
{
}

impl<T, W> Change<T> for W where W: for<'a> Fn(&'a Transaction<'a>, Timestamp) -> BoxFuture<'a, Outcome<T>> {}

/// The tries at one piece of work.
struct Tries<'a> {
    began: Instant,
    count: u32,
    heard: &'a Heard,
}

impl<'a> Tries<'a> {
    fn new(heard: &'a Heard) -> Self {
        Tries { began: Instant::now(), count: 0, heard }
    }

    /// Waits before the next try, longer each time and never twice the same, or gives up.
    async fn next(&mut self, failure: Failure) -> Result<()> {
        let longest = match failure.verdict() {
            // Who was in the way is gone soon.
            Verdict::Again => Duration::from_millis(2 << self.count.min(7)),
            Verdict::Afresh => Duration::from_millis(1),
            Verdict::Away | Verdict::Broken => Duration::from_millis(20 << self.count.min(5)),
            Verdict::Busy | Verdict::Full | Verdict::Failed => return Err(failure.into()),
        };
        self.count += 1;
        let patience = if self.heard.is_lost() { SILENCE_WHEN_LOST } else { PATIENCE };
        if self.count >= TRIES || self.began.elapsed() >= patience {
            return Err(failure.into());
        }
        tracing::debug!(tries = self.count, ?failure, "trying again");
        tokio::time::sleep(longest.mul_f64(jitter())).await;
        Ok(())
    }
}

/// Between a half and one.
fn jitter() -> f64 {
    0.5 + f64::from(random_id()[0]) / 512.0
}

impl Postgres {
    /// Ends a try that nothing is heard of; sooner, if nobody else has heard of the database either. A connection of which
    /// that is so is not used again.
    async fn heard<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let began = Instant::now();
        let silence = async {
            while began.elapsed() < if self.heard.is_lost() { SILENCE_WHEN_LOST } else { SILENCE } {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = silence => Err(Failure::Silence),
        };
        self.heard.note(&outcome);
        outcome
    }

    /// A connection: of the pool, or a new one.
    pub(super) async fn client(&self) -> Outcome<Client> {
        self.pool.get().await
    }

    /// Puts a connection away after a failure: for good, if it may be of no use any more.
    fn put_away(&self, client: Client, failure: &Failure) {
        match failure.verdict() {
            Verdict::Afresh => {
                client.statement_cache.clear();
            }
            Verdict::Away | Verdict::Broken => drop(Object::take(client)),
            Verdict::Again | Verdict::Busy | Verdict::Full | Verdict::Failed => {}
        }
    }

    /// A connection for the next try, as soon as there is one.
    async fn connection(&self, tries: &mut Tries<'_>) -> Result<Client> {
        loop {
            match self.client().await {
                Ok(client) => return Ok(client),
                Err(failure) => tries.next(failure).await?,
            }
        }
    }

    /// The answer of a try; nothing, when it is time for another one.
    async fn settle<T>(&self, client: Client, tried: Outcome<T>, tries: &mut Tries<'_>) -> Result<Option<T>> {
        match tried {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) => {
                self.put_away(client, &failure);
                tries.next(failure).await?;
                Ok(None)
            }
        }
    }

    /// Does work that may be repeated whatever became of it before: reads, and single statements that find out by
    /// themselves that they were done already.
    pub(super) async fn run<T: Send>(&self, work: impl Work<T> + Send + Sync) -> Result<T> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let client = self.connection(&mut tries).await?;
            let tried = self.heard(work(&client, self.now())).await;
            if let Some(answer) = self.settle(client, tried, &mut tries).await? {
                return Ok(answer);
            }
        }
    }

    /// One query that reads, or one statement that may be repeated: its row, if there is one.
    pub(super) async fn one<T: Send>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T> + Send + Sync,
    ) -> Result<Option<T>> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let client = self.connection(&mut tries).await?;
            let tried = self.heard(one(&client, sql, values, &read)).await;
            if let Some(answer) = self.settle(client, tried, &mut tries).await? {
                return Ok(answer);
            }
        }
    }

    /// All rows of one query.
    pub(super) async fn all<T: Send>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T> + Send + Sync,
    ) -> Result<Vec<T>> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let client = self.connection(&mut tries).await?;
            let tried = self.heard(all(&client, sql, values, &read)).await;
            if let Some(answer) = self.settle(client, tried, &mut tries).await? {
                return Ok(answer);
            }
        }
    }

    /// One statement that may be repeated, for its effect alone: how often it had one is not known after a second try.
    pub(super) async fn set(&self, sql: &str, values: Values<'_>) -> Result<()> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let client = self.connection(&mut tries).await?;
            let tried = self.heard(change(&client, sql, values)).await;
            if self.settle(client, tried, &mut tries).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Makes a change in a transaction, which may be repeated whatever became of it before.
    pub(super) async fn transact<T: Send>(&self, change: impl Change<T> + Send + Sync) -> Result<T> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let failure = match self.try_change(&change, None, &[]).await {
                Ok(answer) => return Ok(answer),
                Err(Ended::Undone(failure) | Ended::Unknown(failure, _)) => failure,
            };
            tries.next(failure).await?;
        }
    }

    /// Makes a change in a transaction, once: if the answer to its COMMIT is lost, the outcome is looked up.
    pub(super) async fn transact_once<T: Send>(&self, change: impl Change<T> + Send + Sync) -> Result<T> {
        self.transact_and_tell(&[], change).await
    }

    /// Makes a change once that others must hear of: those of other servers when it is committed, those of this one
    /// before this answers.
    pub(super) async fn transact_and_tell<T: Send>(
        &self,
        tells: &[Told],
        change: impl Change<T> + Send + Sync,
    ) -> Result<T> {
        let answer = self.transact_known(tells, change).await?;
        tells.iter().for_each(|told| self.news.tell(*told));
        Ok(answer)
    }

    async fn transact_known<T: Send>(
        &self,
        tells: &[Told],
        change: impl Change<T> + Send + Sync,
    ) -> Result<T> {
        let mut tries = Tries::new(&self.heard);
        loop {
            let call = random_id();
            match self.try_change(&change, Some(call), tells).await {
                Ok(answer) => return Ok(answer),
                Err(Ended::Undone(failure)) => tries.next(failure).await?,
                Err(Ended::Unknown(failure, answer)) => {
                    if self.is_done(call).await? {
                        return Ok(answer);
                    }
                    tries.next(failure).await?;
                }
            }
        }
    }

    /// One try. Before its COMMIT, what is noted with it says later whether it came through.
    async fn try_change<T: Send>(
        &self,
        work: &(impl Change<T> + Send + Sync),
        call: Option<[u8; 16]>,
        tells: &[Told],
    ) -> Result<T, Ended<T>> {
        let mut client = self.client().await.map_err(Ended::Undone)?;
        let tried = async {
            let begin = self.heard(async { Ok(client.transaction().await?) });
            let transaction = begin.await.map_err(Ended::Undone)?;
            let changed = self.heard(async {
                let now = self.now();
                let answer = work(&transaction, now).await?;
                if !tells.is_empty() {
                    announce(&transaction, self.dialect, tells).await?;
                }
                if let Some(call) = call {
                    let note = sql!("INSERT INTO outcomes (call, at) VALUES ($1, $2)");
                    change(&transaction, &note, &[&&call[..], &now.micros()]).await?;
                }
                Ok(answer)
            });
            let answer = changed.await.map_err(Ended::Undone)?;
            match self.heard(async { Ok(transaction.commit().await?) }).await {
                Ok(()) => Ok(answer),
                Err(failure) if failure.may_be_done() => Err(Ended::Unknown(failure, answer)),
                Err(failure) => Err(Ended::Undone(failure)),
            }
        }
        .await;
        if let Err(Ended::Undone(failure) | Ended::Unknown(failure, _)) = &tried {
            self.put_away(client, failure);
        }
        tried
    }

    /// Whether a call's transaction was committed. To insert the same note waits until that one is decided; and once ours
    /// is in, that one can never be.
    async fn is_done(&self, call: [u8; 16]) -> Result<bool> {
        let note = sql!("INSERT INTO outcomes (call, at) VALUES ($1, $2) ON CONFLICT (call) DO NOTHING");
        let find = sql!("SELECT at FROM outcomes WHERE call = $1");
        let mut tries = Tries::new(&self.heard);
        // Our own note must be told from that of the call, also when it is ours that nobody answered for: each has a time
        // of its own.
        let ours = self.now().micros();
        loop {
            let failure = match self.client().await {
                Ok(client) => {
                    let look = async {
                        if change(&client, &note, &[&&call[..], &-ours]).await? > 0 {
                            return Ok(false);
                        }
                        let at = one(&client, &find, &[&&call[..]], |row| get::<i64>(row, "at")).await?;
                        // A note of a lookup has a negative time.
                        Ok(at.is_some_and(|at| at >= 0))
                    };
                    match self.heard(look).await {
                        Ok(done) => return Ok(done),
                        Err(failure) => {
                            self.put_away(client, &failure);
                            failure
                        }
                    }
                }
                Err(failure) => failure,
            };
            tries.next(failure).await?;
        }
    }
}

/// How a try ended that did not succeed.
enum Ended<T> {
    /// Nothing was done.
    Undone(Failure),
    /// Nobody knows; if it was done, this is the answer.
    Unknown(Failure, T),
}
