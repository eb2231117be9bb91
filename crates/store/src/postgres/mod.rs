//! The engine for many servers: PostgreSQL 15 and later, and CockroachDB 21.1 and later, which speak one protocol and,
//! with the statements that are here, one language.
//!
//! On PostgreSQL transactions run at READ COMMITTED: what must not change between two statements is locked by the
//! first. CockroachDB runs the same statements SERIALIZABLE. Times are the database's, never a server's.

#![expect(dead_code, reason = "its parts are being written")]

mod changes;
mod regions;
mod row;
mod run;
mod statement;

use std::sync::Arc;

use cacheroach_model::{Clock, Region};
use deadpool_postgres::Pool;

/// A store of metadata in a database that servers share.
pub struct Postgres {
    pool: Pool,
    /// The database's time, unless a test has its own.
    clock: Arc<dyn Clock>,
    dialect: Dialect,
    /// Where new tenants are at home.
    region: Region,
}

/// Which of the two it is; found out by asking the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Postgres,
    Cockroach,
}
