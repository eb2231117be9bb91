//! What tests of several crates need and no release has: a PostgreSQL server of this process's own, or one that is told by
//! an environment variable, an empty database on it for each case, and contents.

mod database;
mod noise;
pub mod process;

pub use database::{Database, Server};
pub use noise::noise;

/// Says where a PostgreSQL server is, in place of one that is started here: a URL whose user may create databases.
pub const POSTGRES: &str = "CACHEROACH_TEST_POSTGRES";

/// Says where a CockroachDB server is: a URL whose user may create databases.
pub const COCKROACH: &str = "CACHEROACH_TEST_COCKROACH";

/// Set to run everything there is: what is absent fails then.
pub const ALL: &str = "CACHEROACH_TEST_ALL";

/// Whether there is a PostgreSQL server for tests, or one can be started.
#[must_use]
pub fn has_postgres() -> bool {
    url(POSTGRES).is_some() || can_start_postgres()
}

/// Whether a PostgreSQL server of one's own can be started.
#[must_use]
pub fn can_start_postgres() -> bool {
    process::programs().is_some()
}

/// Whether there is a CockroachDB server for tests.
#[must_use]
pub fn has_cockroach() -> bool {
    url(COCKROACH).is_some()
}

/// What is set to nothing is not set.
fn url(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}
