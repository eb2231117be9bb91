//! What can go wrong in a command, and how it is told.

use std::error::Error as StdError;
use std::io;

use percent_encoding::percent_decode;
use reqwest::StatusCode;
use tonic::{Code, Status};

const WRONG_HOST: &str = "no server answers there: is it running, and is it the one in the configuration file? \
                          (`cacheroach auth set URL` names another)";
const NO_CACHEROACH: &str = "what answers there does not speak as a cacheroach does: check host and port in the configuration file, and \
                             whether the server is reached by http:// or https://";

/// Why a command failed. The variants are what it is treated differently for; most failures are only told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server's answer, or that there was none.
    #[error("rpc error: code = {} desc = {}", code_name(.0.code()), .0.message())]
    Rpc(Box<Status>),
    /// No way to the server that the configuration names.
    #[error("cannot connect to {base}")]
    Unreachable {
        /// `https://host:port`.
        base: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// An HTTP answer other than the file that was asked for.
    #[error("{0}")]
    HttpStatus(StatusCode),
    /// No HTTP answer, or half of one.
    #[error("the download broke off")]
    Http(#[source] reqwest::Error),
    /// Standard output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// Some of many failed.
    #[error("{what}")]
    Batch {
        /// How many, and the last of them.
        what: String,
        /// What may help with that one.
        hint: Option<String>,
    },
    /// Anything else.
    #[error("{what}")]
    Failed {
        /// What did not succeed.
        what: String,
        /// Why.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
}

impl Error {
    /// A failure without a deeper cause.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Error::Failed { what: what.into(), source: None }
    }

    /// A failure and its cause.
    pub(crate) fn because(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Error::Failed { what: what.into(), source: Some(source.into()) }
    }

    /// A server that does not answer.
    pub(crate) fn unreachable(base: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Unreachable { base: base.into(), source: source.into() }
    }

    /// A download that broke off; the URL, which holds a token, is not kept.
    pub(crate) fn http(source: reqwest::Error) -> Self {
        Error::Http(source.without_url())
    }

    /// The failure and its causes, as one text.
    pub(crate) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            // Some libraries say what their cause says.
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        text
    }

    /// What may help, if anything is known to. What the server says of it goes first: it knows which session, and what it
    /// lacks.
    pub(crate) fn hint(&self) -> Option<String> {
        let status = match self {
            Error::Rpc(status) => status,
            Error::Unreachable { .. } => return Some(WRONG_HOST.into()),
            Error::Batch { hint, .. } => return hint.clone(),
            Error::HttpStatus(_) | Error::Http(_) | Error::Output(_) | Error::Failed { .. } => return None,
        };
        if let Some(told) = told(status) {
            return Some(told);
        }
        let hint = match status.code() {
            _ if is_stranger(status) => NO_CACHEROACH,
            Code::Unauthenticated => {
                "the token is missing, expired or revoked; run `cacheroach bootstrap` or `cacheroach auth set`"
            }
            Code::Unavailable => WRONG_HOST,
            _ if status.message() == cacheroach_api::text::VERSION_SKEW => {
                "it has changed meanwhile; its current version is in the `ls` of its kind"
            }
            _ => return None,
        };
        Some(hint.into())
    }

    /// Whether the server could not be reached, or was lost on the way: trying again may help.
    pub(crate) fn is_loss(&self) -> bool {
        match self {
            Error::Rpc(status) => is_loss(status),
            Error::HttpStatus(status) => matches!(status.as_u16(), 502..=504),
            Error::Http(_) => true,
            Error::Unreachable { .. } | Error::Output(_) | Error::Batch { .. } | Error::Failed { .. } => {
                false
            }
        }
    }

    /// Whether the server does not take an upload further, so that it must begin anew.
    pub(crate) fn is_refusal(&self) -> bool {
        let Error::Rpc(status) = self else { return false };
        // That something else is at the target by now would be found out once more.
        let skewed = status.message() == cacheroach_api::text::VERSION_SKEW;
        !skewed
            && matches!(
                status.code(),
                Code::InvalidArgument
                    | Code::NotFound
                    | Code::FailedPrecondition
                    | Code::Aborted
                    | Code::Unknown
            )
    }

    /// Whether nobody reads the output any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<cacheroach_store::Error> for Error {
    fn from(error: cacheroach_store::Error) -> Self {
        Error::because("the store can't be looked into", error)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Error::Rpc(Box::new(status))
    }
}

/// What the server says is to be done.
fn told(status: &Status) -> Option<String> {
    let hint = status.metadata().get(cacheroach_api::text::HINT)?;
    Some(percent_decode(hint.as_bytes()).decode_utf8_lossy().into_owned()).filter(|hint| !hint.is_empty())
}

/// Whether something else than a cacheroach answered: not HTTP/2, not gRPC, or gRPC of another kind.
fn is_stranger(status: &Status) -> bool {
    // A connection over which a call can't even be made.
    if status.code() == Code::Cancelled && status.source().is_some() {
        return true;
    }
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.to_string().contains("http2 error") {
            return true;
        }
        cause = error.source();
    }
    let text = status.message();
    text.starts_with("grpc-status header missing")
        || text.contains("http2 error")
        || (status.code() == Code::Unimplemented && text.starts_with("unknown service"))
}

/// A status that was made here has the broken connection as its source; one that was received has none.
pub(crate) fn is_loss(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// The names that clients in Go, and so scripts, know.
fn code_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".into(),
        Code::Cancelled => "Canceled".into(),
        code => format!("{code:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_the_words_of_the_original() {
        let error = Error::from(Status::not_found("no such tenant"));
        assert_eq!(error.text(), "rpc error: code = NotFound desc = no such tenant");
        assert_eq!(Error::from(Status::cancelled("x")).to_string(), "rpc error: code = Canceled desc = x");
        assert!(Error::from(Status::unauthenticated("")).hint().is_some());
    }

    #[test]
    fn causes_follow_what_they_caused() {
        let error = Error::because("cannot read x", io::Error::other("torn"));
        assert_eq!(error.text(), "cannot read x: torn");
    }
}
