//! The connections of this process: as many as were asked for, each with its time-outs set, none kept longer than it should
//! be, and a queue before them that has an end.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Metrics, Pool as Connections, PoolError,
    RecyclingMethod, Runtime, TimeoutType,
};

use super::Dialect;
use super::connect::{Connect, PoolSettings};
use super::failure::{Failure, Outcome};
use super::statement::sql;
use crate::{Error, Result};

/// How long to wait for a connection that others have.
const WAIT: Duration = Duration::from_secs(5);

/// How many may wait for each connection there can be; who comes then is told at once.
const WAITING: usize = 64;

/// How long a statement may take, and how long a transaction may stand still, before the database ends it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Pool {
    connections: Connections,
    keeping: tokio::task::JoinHandle<()>,
}

impl Pool {
    pub(super) fn new(connect: &Connect, dialect: Dialect) -> Result<Self> {
        let settings = connect.pool.clone();
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(connect.config.clone(), connect.tls.clone(), config);
        let setup = setup(connect, dialect);
        let prepare = Hook::async_fn(move |client, _| {
            let setup = setup.clone();
            Box::pin(async move { client.batch_execute(&setup).await.map_err(HookError::Backend) })
        });
        let limits = settings.clone();
        let refuse_old =
            Hook::sync_fn(
                move |_, metrics| {
                    if is_fresh(&limits, metrics) { Ok(()) } else { Err(HookError::message("old")) }
                },
            );
        let create = connect.config.get_connect_timeout().copied().unwrap_or(WAIT);
        let connections = Connections::builder(manager)
            .runtime(Runtime::Tokio1)
            .max_size(settings.max)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(create))
            .recycle_timeout(Some(WAIT))
            .post_create(prepare)
            .pre_recycle(refuse_old)
            .build()
            .map_err(|error| Error::Failed(error.into()))?;
        let keeping = tokio::spawn(keep(connections.clone(), settings));
        Ok(Pool { connections, keeping })
    }

    /// A connection for one piece of work.
    pub(super) async fn get(&self) -> Outcome<Client> {
        let status = self.connections.status();
        if status.waiting >= WAITING * status.max_size {
            return Err(Error::Busy("too many wait for the database".into()).into());
        }
        self.connections.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => Failure::Silence,
            other => Error::Busy(other.into()).into(),
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.keeping.abort();
        self.connections.close();
    }
}

/// What each connection begins with. What the connect string sets itself stays.
fn setup(connect: &Connect, dialect: Dialect) -> String {
    let isolation = match dialect {
        Dialect::Postgres => "read committed",
        Dialect::Cockroach => "serializable",
    };
    let mut setup = sql!("SET default_transaction_isolation = '{isolation}'");
    let said = connect.config.get_options().unwrap_or_default();
    let patience = format!("{}ms", STATEMENT_TIMEOUT.as_millis());
    let mut settings =
        vec![("statement_timeout", &*patience), ("idle_in_transaction_session_timeout", &*patience)];
    if dialect == Dialect::Postgres {
        // Our statements walk an index in its order and stop. Of a table without statistics, as all are in their first
        // minutes, PostgreSQL expects few rows, and would rather find all of them and sort.
        settings.push(("enable_bitmapscan", "off"));
    }
    for (setting, value) in settings.into_iter().filter(|(setting, _)| !said.contains(setting)) {
        setup += "; ";
        setup += &sql!("SET {setting} = '{value}'");
    }
    setup
}

/// Not all at the same time, so that they are not all missing at the same time.
fn is_fresh(settings: &PoolSettings, metrics: &Metrics) -> bool {
    let mut hasher = DefaultHasher::new();
    metrics.created.hash(&mut hasher);
    let share = f64::from(u8::try_from(hasher.finish() & 0xff).unwrap_or(0)) / 256.0;
    let oldest = settings.lifetime + settings.lifetime_jitter.mul_f64(share);
    metrics.age() < oldest && metrics.last_used() < settings.idle_time
}

/// Lets go of what was idle too long, and holds as many as should always be there.
async fn keep(connections: Connections, settings: PoolSettings) {
    loop {
        let missing = settings.min.min(settings.max).saturating_sub(connections.status().size);
        let more = (0..missing).map(|_| connections.get());
        drop(futures::future::join_all(more).await);
        tokio::time::sleep(settings.health_check).await;
        let _ = connections.retain(|client, metrics| !client.is_closed() && is_fresh(&settings, &metrics));
    }
}
