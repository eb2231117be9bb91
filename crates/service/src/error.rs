//! The vocabulary of the outside. Each front end maps it to its own statuses in one place.

use std::error::Error as StdError;

use cacheroach_api::rule::FormError;
use cacheroach_api::text;
use cacheroach_auth::{Lack, TokenError};

/// Why something was not done. The texts are made to be read by callers: they hold nothing that a caller may not know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credentials, or some that don't verify, where some are needed.
    #[error("{0}")]
    Unauthenticated(Unproven),
    /// Good credentials, too little authority.
    #[error("{text}")]
    Denied {
        /// As the original has it.
        text: &'static str,
        /// Whether the caller can do anything at all where it wanted to: if not, it must not learn what is there.
        reaches: bool,
        /// What it would have taken, if that is one thing.
        lack: Option<Box<Lack>>,
    },
    /// Not there, or not for this caller to know of.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Somebody else was faster: the version a change was made from is not the current one.
    #[error("{0}")]
    Conflict(&'static str),
    /// Something unique is there already: which field.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// The state of things does not allow it.
    #[error("{0}")]
    State(String),
    /// Which field, and what is wrong with it.
    #[error("{}", invalid(.field, .problem))]
    Invalid {
        /// Dotted, from the outermost message.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A content of a type that is not taken here.
    #[error("{0}")]
    MediaType(String),
    /// Too large, or too many.
    #[error("{0}")]
    TooLarge(String),
    /// Too often; later it may work.
    #[error("{0}")]
    TooMany(String),
    /// No room left on the server.
    #[error("no room left on the server")]
    Full,
    /// Overload, or something that the server needs is away; later it may work.
    #[error("the server is busy, try again")]
    Busy,
    /// The server takes no writes at the moment; later it may.
    #[error("the server is read-only: nothing can be changed at the moment")]
    ReadOnly,
    /// Another server that the caller names is away, or answers nonsense.
    #[error("{0}")]
    Unreachable(String),
    /// Another server that the caller names takes too long.
    #[error("{0}")]
    TookTooLong(String),
    /// What is stored is not what was written.
    #[error("the stored data is damaged")]
    Damaged,
    /// Not offered.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The cause is logged, never sent.
    #[error("internal error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

/// With an error for the outside.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fixed text of the original stands alone.
fn invalid(field: &str, problem: &str) -> String {
    if field.is_empty() { problem.to_owned() } else { format!("{field}: {problem}") }
}

impl Error {
    /// A field that can't be meant as it is.
    pub fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Error::Invalid { field: field.into(), problem: problem.to_string() }
    }

    /// Good credentials that don't matter here.
    #[must_use]
    pub fn denied(text: &'static str) -> Self {
        Error::Denied { text, reaches: true, lack: None }
    }

    /// A user name and a password that don't belong together.
    #[must_use]
    pub(crate) fn wrong_login(text: &str) -> Self {
        Error::Unauthenticated(Unproven::because(Why::Login, text))
    }

    /// A session that was ended, or ran out.
    #[must_use]
    pub(crate) fn over() -> Self {
        Error::Unauthenticated(Unproven::because(Why::Over, "the session is over"))
    }

    /// A text that clients of the original match as a whole.
    #[must_use]
    pub(crate) fn exactly(text: &str) -> Self {
        Error::Invalid { field: String::new(), problem: text.into() }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        tracing::error!(cause = &*cause as &dyn StdError, "internal error");
        Error::Internal(cause)
    }
}

impl From<FormError> for Error {
    fn from(error: FormError) -> Self {
        Error::invalid(&error.field, error.problem)
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let why = if matches!(error, TokenError::Expired(_)) { Why::Expired } else { Why::Invalid };
        Error::Unauthenticated(Unproven { text: error.to_string(), why })
    }
}

/// What was presented proves nothing, or nothing was presented.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Unproven {
    text: String,
    pub(crate) why: Why,
}

/// Why credentials are none, as far as something else is to be done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// There are none.
    Absent,
    /// They were good once.
    Expired,
    /// Their session was ended.
    Over,
    /// They never were any, here.
    Invalid,
    /// Nobody's user name and password.
    Login,
}

impl Unproven {
    pub(crate) fn because(why: Why, text: &str) -> Self {
        Unproven { text: text.into(), why }
    }
}

/// For what never was a credential.
impl From<&str> for Unproven {
    fn from(text: &str) -> Self {
        Unproven::because(Why::Invalid, text)
    }
}

impl From<cacheroach_store::Error> for Error {
    /// For what is no answer to the question asked. Whoever expects one of the first three takes it before.
    fn from(error: cacheroach_store::Error) -> Self {
        use cacheroach_store::Error as Store;
        match error {
            Store::Skew => Error::Conflict(text::VERSION_SKEW),
            Store::Taken(field) => Error::Taken(field),
            Store::Missing(what) => Error::NotFound(what),
            Store::TooLong => Error::TooLarge("a path would become longer than 1024 bytes".into()),
            Store::LeaseLost => Error::State(text::BAD_STATE.into()),
            Store::Full(cause) => {
                tracing::error!(%cause, "no room left");
                Error::Full
            }
            Store::Busy(cause) => {
                tracing::warn!(%cause, "the store is busy");
                Error::Busy
            }
            Store::Damaged(what) => {
                tracing::error!(%what, "stored data is damaged");
                Error::Damaged
            }
            Store::Failed(cause) => Error::internal(cause),
        }
    }
}
