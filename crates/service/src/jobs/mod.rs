//! What the server does by itself.

mod moves;
mod purge;
mod sweep;

use std::any::Any;

pub use purge::{PurgeSettings, purge_all};

/// Tells what went wrong in one round of a job: whatever it was, there is a next one.
fn log_failure(job: &str, round: Result<Result<(), cacheroach_store::Error>, Box<dyn Any + Send>>) {
    match round {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(job, %error, cause, "a round failed");
        }
        Err(_) => tracing::error!(job, "a round panicked"),
    }
}
