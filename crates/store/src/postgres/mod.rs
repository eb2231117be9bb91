//! The engine for many servers: PostgreSQL 15 and later, and CockroachDB 21.1 and later, which speak one protocol and,
//! with the statements that are here, one language.
//!
//! On PostgreSQL transactions run at READ COMMITTED: what must not change between two statements is locked by the
//! first. CockroachDB runs the same statements SERIALIZABLE. Times are the database's, never a server's.
//!
//! There are no foreign keys, for a tenant is deleted in pieces. What must not appear without its tenant takes a lock on
//! the tenant's row, `FOR KEY SHARE`, in the statement that inserts or in one before it in the same transaction
//! (`tenants::must_exist`): changes of the tenant go on beside it, its deletion waits for it or it for the deletion.

mod ahead;
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
mod health;
mod inspect;
mod links;
pub mod lint;
mod listings;
mod migrations;
mod moves;
mod passwords;
mod pieces;
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
use ahead::Ahead;
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
    /// When the database was heard of last.
    heard: Arc<health::Heard>,
    dialect: Dialect,
    /// Where new tenants are at home.
    region: Region,
    /// Chunks that come with their files, where chunks are rows of this database.
    ahead: Option<Ahead>,
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

/// What is done about the schema.
#[derive(Clone, Copy)]
enum Schema {
    /// It is made, or brought up to date.
    Made,
    /// It must be there as it is.
    Found,
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
        Postgres::over(connect, region.into(), clock, Schema::Made).await
    }

    /// Connects, and changes nothing by that.
    ///
    /// # Errors
    /// As [`Postgres::open`]; there is no store, or its schema is not the one of this program.
    pub async fn open_to_read(
        connect: &Connect,
        region: Option<Region>,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        Postgres::over(connect, region, clock, Schema::Found).await
    }

    async fn over(
        connect: &Connect,
        region: Option<Region>,
        clock: Option<Arc<dyn Clock>>,
        schema: Schema,
    ) -> Result<Self> {
        let measured = Arc::new(DatabaseClock::new());
        let (dialect, region) = prepared(connect, region.as_ref(), &measured, schema).await?;
        let pool = Arc::new(Pool::new(connect, dialect)?);
        let heard = Arc::new(health::Heard::new());
        let (clock, measuring) = match clock {
            Some(clock) => (clock, None),
            None => {
                let clock = measured;
                let task = tokio::spawn(measure(connect.clone(), Arc::clone(&clock), Arc::clone(&heard)));
                (clock as Arc<dyn Clock>, Some(task))
            }
        };
        let news = Arc::new(News::default());
        let line = dial(connect.config.clone(), connect.tls.clone());
        let listening = Listening::start(line, dialect, Arc::clone(&news));
        Ok(Postgres {
            pool,
            clock,
            heard,
            dialect,
            region,
            ahead: None,
            measuring,
            news,
            _listening: listening,
        })
    }

    /// From now on the first chunk of a larger file comes with it, in one round trip: for a tier of rows of this engine. So
    /// much is remembered above of chunks that were read, and need not come again.
    pub fn read_ahead(&mut self, remembered_bytes: u64) {
        self.ahead = Some(Ahead::new(remembered_bytes));
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

/// What is done over the first connection. The database may be starting, too, or not be steady yet: then all of it is done
/// again.
async fn prepared(
    connect: &Connect,
    region: Option<&Region>,
    clock: &DatabaseClock,
    schema: Schema,
) -> Result<(Dialect, Region)> {
    let end = Instant::now() + PATIENCE;
    let prepare = async || {
        let client = connect.connect().await?;
        let dialect = Dialect::of(&client).await?;
        match schema {
            Schema::Made => migrations::run(connect, &client, dialect).await?,
            Schema::Found => migrations::check(&client).await?,
        }
        let region = match region {
            Some(region) => region.clone(),
            None => regions::of_server(&client, dialect).await?,
        };
        clock.measure(&client).await?;
        Ok((dialect, region))
    };
    loop {
        match prepare().await {
            Err(Error::Busy(_)) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}

/// On a connection of its own, so that it hears of the database although all others are at work.
async fn measure(connect: Connect, clock: Arc<DatabaseClock>, heard: Arc<health::Heard>) {
    let mut kept: Option<Client> = None;
    loop {
        tokio::time::sleep(MEASURED).await;
        let client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => match connect.connect().await {
                Ok(client) => client,
                Err(_) => continue,
            },
        };
        if let Ok(measured) = tokio::time::timeout(MEASURED, clock.measure(&client)).await {
            heard.note(&measured);
            kept = measured.is_ok().then_some(client);
        }
    }
}

/// An id of a call or of a holder, that nobody else has.
fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system has random bytes");
    id
}
