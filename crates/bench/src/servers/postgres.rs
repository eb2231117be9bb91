//! PostgreSQL below cacheroach: one server for a run, durable as in production, and a database for each store.

use std::fs;
use std::sync::OnceLock;

use cacheroach_testing::process::Options;
use cacheroach_testing::{Database, Server, can_start_postgres};

use super::Usage;
use super::process::usage_of_family;
use crate::Result;

/// A database with nothing in it; gone when this is dropped.
pub(crate) struct Postgres {
    database: Database,
    process: u32,
}

impl Postgres {
    pub(crate) async fn empty() -> Result<Self> {
        if !can_start_postgres() {
            return Err("PostgreSQL is not here (Debian: postgresql)".into());
        }
        let server = server();
        let dir = server.process().ok_or("the database was not started here")?.dir();
        let told = fs::read_to_string(dir.join("data/postmaster.pid"))?;
        let process = told.lines().next().unwrap_or_default().trim().parse()?;
        Ok(Self { database: server.empty().await, process })
    }

    /// As `--connect` takes it.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// A connection of the driver's.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.database.connect().await
    }

    /// The first process of the server.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// Of all its processes.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage_of_family(self.process)
    }
}

/// Ends with this process.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&Options { durable: true, ..Options::default() }))
}
