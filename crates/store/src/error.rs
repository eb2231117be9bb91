//! What can go wrong with what is kept, as far as a caller would act differently.

use std::error::Error as StdError;
use std::io;

type Source = Box<dyn StdError + Send + Sync>;

/// Why a store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The version the change was made from is not the current one.
    #[error("version skew")]
    Skew,
    /// Something unique is there already: which field.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// What the change refers to does not exist: which field.
    #[error("{0} does not exist")]
    Missing(&'static str),
    /// The upload's lease ran out, or a chunk it relied on is gone: begin again.
    #[error("the upload's lease ran out")]
    LeaseLost,
    /// A path would become longer than a path may be.
    #[error("a path would become too long")]
    TooLong,
    /// No room left.
    #[error("the disk is full")]
    Full(#[source] Source),
    /// Stored bytes are not what was written.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// Busy or away; the same call may succeed later.
    #[error("the store is busy")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the store failed")]
    Failed(#[source] Source),
}

/// With a store's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(error.into()),
            _ => Error::Failed(error.into()),
        }
    }
}
