//! What became of a piece of work that did not end well, by what the database said, or by its silence.

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::{Error, Result};

/// Why a piece of work did not end well.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database said so, or could not be asked. It decides whether there is another try.
    Sql(tokio_postgres::Error),
    /// The store's own reason, which no other try would change.
    Store(Error),
    /// Nothing was heard of it in time.
    Silence,
}

pub(super) type Outcome<T> = Result<T, Failure>;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Two got in each other's way: nothing was done, the next try may do it.
    Again,
    /// The connection knows statements that are no more: nothing was done, the next try begins without them.
    Afresh,
    /// The database is away or turns one away; it comes back, or another one in its place.
    Away,
    /// The connection broke: nobody knows how far it came.
    Broken,
    /// It had its time, and more would not help now.
    Busy,
    /// No room.
    Full,
    /// Anything else.
    Failed,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let verdict = failure.verdict();
        let error: Box<dyn std::error::Error + Send + Sync> = match failure {
            Failure::Store(error) => return error,
            Failure::Sql(error) => error.into(),
            Failure::Silence => "the database does not answer".into(),
        };
        match verdict {
            Verdict::Failed => Error::Failed(error),
            Verdict::Full => Error::Full(error),
            // Whoever comes again may be luckier.
            Verdict::Again | Verdict::Afresh | Verdict::Away | Verdict::Broken | Verdict::Busy => {
                Error::Busy(error)
            }
        }
    }
}

impl Failure {
    /// Whether a unique key was there already, and the name of its constraint.
    pub(super) fn conflict(&self) -> Option<&str> {
        let Failure::Sql(error) = self else { return None };
        let error = error.as_db_error().filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION)?;
        error.constraint().or(Some(""))
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Failure::Store(_) => Verdict::Failed,
            Failure::Silence => Verdict::Broken,
            Failure::Sql(error) => match error.as_db_error() {
                Some(told) => of_code(told.code(), told.message()),
                None if error.is_closed() || is_transport(error) => Verdict::Broken,
                None => Verdict::Failed,
            },
        }
    }

    /// Whether the database said so, of the work that it was asked to do: not that it is going, coming, or too full to hear.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Failure::Store(_) => true,
            Failure::Silence => false,
            Failure::Sql(error) => {
                error.as_db_error().is_some() && !matches!(self.verdict(), Verdict::Away | Verdict::Broken)
            }
        }
    }

    /// Whether a COMMIT that failed so may have happened all the same. An error of the transaction says that it did not;
    /// the end of the connection says nothing, whatever its words.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Failure::Store(_) => false,
            Failure::Silence => true,
            Failure::Sql(error) => error.as_db_error().is_none_or(ends_in_doubt),
        }
    }
}

fn ends_in_doubt(told: &DbError) -> bool {
    let is_error = match told.parsed_severity() {
        Some(severity) => severity == Severity::Error,
        None => told.severity() == "ERROR",
    };
    !is_error || in_doubt(told.code())
}

/// 40003 and 08007 say that nobody knows; those of the connection's end come while a COMMIT is on its way, too.
fn in_doubt(code: &SqlState) -> bool {
    matches!(code.code(), "40003" | "58000" | "58030" | "58C00" | "58C01" | "XX000" | "XXA00" | "XXUUU")
        || code.code().starts_with("08")
        || code.code().starts_with("57P")
}

/// Of the errors without words from the database, those of the connection: what came before it existed, and what is wrong
/// with values or settings, is another matter.
fn is_transport(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            // A certificate that is not trusted comes as one of these, and stays so.
            return error.kind() != std::io::ErrorKind::InvalidData;
        }
        source = cause.source();
    }
    error.to_string() == "timeout waiting for server"
}

/// By SQLSTATE, and for one of them by its words.
pub(super) fn of_code(code: &SqlState, message: &str) -> Verdict {
    match code.code() {
        "40001" | "40P01" => Verdict::Again,
        "40003" => Verdict::Broken,
        // Shut down, crashed, starting; too many connections; read only, as a server is that has been replaced.
        // CockroachDB: a range has lost its majority, or a node does not reach the next.
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "53300" | "58C00" | "58C01" => Verdict::Away,
        // A transaction that failed before, and that nobody ended: the connection is of no use.
        "25P02" => Verdict::Away,
        // A statement unknown behind a pooler, or one that is there already; a plan from before a schema change.
        "26000" | "42P05" => Verdict::Afresh,
        "0A000" if message.contains("cached plan") => Verdict::Afresh,
        // Time-outs of statements, locks and idle transactions; out of memory, and limits that pass.
        "57014" | "55P03" | "25P03" | "25P04" | "53000" | "53200" | "53400" => Verdict::Busy,
        "53100" => Verdict::Full,
        code if code.starts_with("08") => Verdict::Broken,
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_each_code_has_its_verdict_and_what_is_unknown_is_an_error() {
        for (code, verdict) in [
            ("40001", Verdict::Again),
            ("40P01", Verdict::Again),
            ("40003", Verdict::Broken),
            ("08006", Verdict::Broken),
            ("08003", Verdict::Broken),
            ("57P01", Verdict::Away),
            ("57P02", Verdict::Away),
            ("57P03", Verdict::Away),
            ("53300", Verdict::Away),
            ("25006", Verdict::Away),
            ("58C00", Verdict::Away),
            ("26000", Verdict::Afresh),
            ("57014", Verdict::Busy),
            ("53200", Verdict::Busy),
            ("53100", Verdict::Full),
            ("22021", Verdict::Failed),
            ("22P05", Verdict::Failed),
            ("42501", Verdict::Failed),
            ("ZZZZZ", Verdict::Failed),
        ] {
            assert_eq!(of_code(&SqlState::from_code(code), ""), verdict, "{code}");
        }
        let stale = SqlState::FEATURE_NOT_SUPPORTED;
        assert_eq!(of_code(&stale, "cached plan must not change result type"), Verdict::Afresh);
        assert_eq!(of_code(&stale, "unimplemented"), Verdict::Failed);
    }

    #[test]
    fn f12_only_an_error_of_the_transaction_says_that_it_did_not_happen() {
        for code in ["40003", "08006", "08007", "57P01", "58030", "58C00"] {
            assert!(in_doubt(&SqlState::from_code(code)), "{code}");
        }
        for code in ["40001", "40P01", "23505", "53100"] {
            assert!(!in_doubt(&SqlState::from_code(code)), "{code}");
        }
        assert!(Failure::Silence.may_be_done());
        assert!(!Failure::from(Error::Skew).may_be_done());
    }
}
