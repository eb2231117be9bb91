//! What to do about an error: one sentence, the same on every page, in every problem document and on the command line.
//!
//! A sentence says no more than the caller may know. Where a caller reaches nothing there is only one, whether or not
//! something is there.

use std::fmt::Write as _;

use cacheroach_auth::{Lack, Want};
use cacheroach_model::Capabilities;

use crate::Error;
use crate::error::Why;

/// A kind of problem and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hint {
    /// Its name, for programs: `no-session`; `urn:cacheroach:problem:` goes before it.
    pub kind: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What to do.
    pub sentence: String,
}

fn hint(kind: &'static str, title: &'static str, sentence: impl Into<String>) -> Option<Hint> {
    Some(Hint { kind, title, sentence: sentence.into() })
}

impl Error {
    /// What to do about it, where that is known and may be told.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Unauthenticated(unproven) => of_credentials(unproven.why),
            Error::Denied { reaches: true, lack: Some(lack), .. } => {
                hint("missing-capability", "A capability is missing", of_lack(lack))
            }
            // Who reaches nothing in a place may still know that some things are for superusers.
            Error::Denied { lack: Some(lack), .. } if !is_of_a_place(&lack.on) => {
                hint("missing-capability", "A capability is missing", of_lack(lack))
            }
            Error::Denied { reaches: false, .. } => hint(
                "out-of-reach",
                "Out of reach",
                "the session reaches nothing there: check tenant and path, or use a session that was given for them \
                 (`cacheroach auth whoami` shows what this one reaches)",
            ),
            Error::NotFound("host") => hint(
                "wrong-host",
                "Nothing is shown at this host",
                "no tenant is shown at this host, or none that this session may know of: check the host's name, or \
                 let a superuser map it with `cacheroach vhost create TENANT HOST`",
            ),
            Error::Denied { .. }
            | Error::NotFound(_)
            | Error::Conflict(_)
            | Error::Taken(_)
            | Error::State(_)
            | Error::Invalid { .. }
            | Error::TooLarge(_)
            | Error::Full
            | Error::Busy
            | Error::ReadOnly
            | Error::Damaged
            | Error::Unsupported(_)
            | Error::MediaType(_)
            | Error::TooMany(_)
            | Error::Unreachable(_)
            | Error::TookTooLong(_)
            | Error::Internal(_) => None,
        }
    }
}

fn of_credentials(why: Why) -> Option<Hint> {
    match why {
        Why::Absent => hint(
            "no-session",
            "No session",
            "this needs a session, and none was presented: log in with `cacheroach auth login` (in a browser at \
             /_/v0/provision), or send a token as `Authorization: Bearer TOKEN`",
        ),
        Why::Expired => hint(
            "expired-token",
            "The token has expired",
            "the token has expired: log in again, or ask whoever issued the session for a new one",
        ),
        Why::Over => hint(
            "session-over",
            "The session is over",
            "the session was logged out, revoked or renewed since: log in again, or ask whoever issued it for a new one",
        ),
        Why::Login => hint(
            "wrong-login",
            "User or password is wrong",
            "user or password is wrong: check both, or let a superuser set a new one with `cacheroach principal password`",
        ),
        Why::Invalid => hint(
            "invalid-token",
            "The token is not valid here",
            "the token is not valid here: check that it is complete, of this server, not \
             taken back, and used where it was made for",
        ),
    }
}

fn is_of_a_place(on: &Want) -> bool {
    matches!(on, Want::Path(..) | Want::Location(_) | Want::Principal(_))
}

/// Which capability, and on what.
fn of_lack(lack: &Lack) -> String {
    if matches!(lack.on, Want::Super) {
        return "this is for superusers: use a session of one (`cacheroach bootstrap` makes the first)"
            .into();
    }
    let mut needs = String::from("this needs");
    let names = Capabilities::NAMES.iter().filter(|(_, one)| lack.capabilities.contains(*one));
    for (at, (name, _)) in names.enumerate() {
        let _ = write!(needs, "{} `{name}`", if at > 0 { " and" } else { "" });
    }
    if lack.capabilities == Capabilities::NONE {
        needs.push_str(" a session");
    }
    let _ = match &lack.on {
        Want::Anything | Want::Super => Ok(()),
        Want::Principal(id) => write!(needs, " on the principal {id}"),
        Want::Path(tenant, goal, _) => write!(needs, " on `{goal}` of the tenant {tenant}"),
        Want::Location(location) => {
            write!(needs, " on `{}` of the tenant {}", location.pattern, location.tenant)
        }
    };
    needs + ": ask for a session that has it (`cacheroach session delegate` makes one)"
}
