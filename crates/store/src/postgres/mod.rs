//! The engine for many servers: PostgreSQL 15 and later, and CockroachDB 21.1 and later, which speak one protocol and,
//! with the statements that are here, one language.
//!
//! On PostgreSQL transactions run at READ COMMITTED: what must not change between two statements is locked by the
//! first. CockroachDB runs the same statements SERIALIZABLE. Times are the database's, never a server's.
//!
//! There are no foreign keys, for a tenant is deleted in pieces. What must not appear without its tenant takes a lock on
//! the tenant's row, `FOR KEY SHARE`, in the statement that inserts or in one before it in the same transaction
//! (`tenants::must_exist`): changes of the tenant go on beside it, its deletion waits for it or it for the deletion.

mod casts;
mod changes;
mod chunk_data;
mod chunks;
mod clock;
mod connect;
mod copies;
mod failure;
mod feed;
mod files;
mod healing;
mod inspect;
mod links;
pub mod lint;
mod listings;
mod migrations;
mod passwords;
#[cfg(test)]
mod played;
mod pool;
mod principals;
mod purge;
mod regions;
mod row;
mod run;
mod sessions;
mod statement;
mod tenants;
mod uploads;
mod versions;
mod vhosts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cacheroach_model::{Clock, Region, Timestamp};
use tokio_postgres::Client;

use crate::changes::{Changes, News};
use crate::{Error, Result};
use changes::{Listening, dial};
use clock::DatabaseClock;
pub use connect::{Connect, ConnectError};
use failure::Failure;
use pool::Pool;
pub use statement::{Site, all_seen};

/// A store of metadata in a database that servers share.
pub struct Postgres {
    pool: Arc<Pool>,
    /// The database's time, unless a test has its own.
    clock: Arc<dyn Clock>,
    dialect: Dialect,
    /// Where new tenants are at home.
    region: Region,
    measuring: Option<tokio::task::JoinHandle<()>>,
    /// What was changed, by this server and by others.
    news: Arc<News>,
    _listening: Listening,
}

/// Which of the two it is; found out by asking the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Postgres,
    Cockroach,
}

/// How long a start waits for a database that is not there yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the database is asked what time it is.
const MEASURED: Duration = Duration::from_secs(5);

impl Postgres {
    /// Connects; makes or migrates the schema. A server without a region is where the node is that it asks, and the clock
    /// is the database's unless there is another one to go by.
    ///
    /// # Errors
    /// The database can't be reached or lets nobody in; its schema is newer than this program.
    pub async fn open(
        connect: &Connect,
        region: impl Into<Option<Region>>,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        let region = region.into();
        let client = first(connect).await?;
        let dialect = Dialect::of(&client).await?;
        migrations::run(connect, &client, dialect).await?;
        let region = match region {
            Some(region) => region,
            None => regions::of_server(&client, dialect).await?,
        };
        let pool = Arc::new(Pool::new(connect, dialect)?);
        let (clock, measuring) = match clock {
            Some(clock) => (clock, None),
            None => {
                let clock = Arc::new(DatabaseClock::new());
                clock.measure(&client).await?;
                let task = tokio::spawn(measure(Arc::clone(&clock), Arc::clone(&pool)));
                (clock as Arc<dyn Clock>, Some(task))
            }
        };
        let news = Arc::new(News::default());
        let line = dial(connect.config.clone(), connect.tls.clone());
        let listening = Listening::start(line, dialect, Arc::clone(&news));
        Ok(Postgres { pool, clock, dialect, region, measuring, news, _listening: listening })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Changes for Postgres {
    fn changes(&self) -> &News {
        &self.news
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(task) = &self.measuring {
            task.abort();
        }
    }
}

impl Dialect {
    async fn of(client: &Client) -> Result<Self> {
        let row = client.query_one(&statement::sql!("SELECT version()"), &[]).await.map_err(Failure::from)?;
        let version: &str = row.try_get(0).map_err(Failure::from)?;
        Ok(if version.contains("CockroachDB") { Dialect::Cockroach } else { Dialect::Postgres })
    }
}

/// The first connection: the database may be starting, too.
async fn first(connect: &Connect) -> Result<Client> {
    let end = Instant::now() + PATIENCE;
    loop {
        match connect.connect().await {
            Err(Error::Busy(_)) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}

async fn measure(clock: Arc<DatabaseClock>, pool: Arc<Pool>) {
    loop {
        tokio::time::sleep(MEASURED).await;
        // Whoever needs the connections more has them; the clock goes on meanwhile.
        if let Ok(client) = pool.get().await {
            let _ = tokio::time::timeout(MEASURED, clock.measure(&client)).await;
        }
    }
}

/// An id of a call or of a holder, that nobody else has.
fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system has random bytes");
    id
}
