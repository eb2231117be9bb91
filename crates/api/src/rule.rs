//! The rule language as static tables, and how a message is walked under it.

use std::fmt;

/// One rule. The tables are made from the protos when this crate is built.
#[derive(Debug)]
pub enum Rule {
    /// Both references resolve to the same; both absent counts as the same.
    Eq(Reference, Reference),
    /// The other does not hold.
    Not(&'static Rule),
    /// Does not hold for anybody.
    Never,
    /// All hold.
    And(&'static [Rule]),
    /// One holds.
    Or(&'static [Rule]),
    /// The caller is not anonymous.
    LoggedIn,
    /// Anybody.
    Public,
    /// The caller's own session has super scope.
    Super,
    /// The caller may do this.
    May {
        /// As the bits of `cacheroach_model::Capabilities`.
        capabilities: u8,
        /// On what.
        on: Target,
    },
    /// The message travels this way.
    Direction(Direction),
    /// The message is a session, and grants nothing that the caller does not hold.
    IsSubset,
}

/// What a [`Rule::May`] is about.
#[derive(Debug)]
pub enum Target {
    /// Nothing in particular: only the capabilities count.
    Anything,
    /// Everything.
    Super,
    /// A principal.
    Principal(Reference),
    /// A path of a tenant, in one version if that field is set.
    Location {
        /// The tenant.
        tenant: Reference,
        /// The path. A literal is a scope (`/*`), a field is a path to be taken as it stands.
        path: Reference,
        /// The number of the field that holds the version.
        version: Option<u32>,
    },
}

/// A value that a rule looks at.
#[derive(Debug)]
pub enum Reference {
    /// Never resolves.
    Absent,
    /// A field of the innermost message being checked.
    Field(u32),
    /// A literal.
    Text(&'static str),
    /// The caller's principal.
    SessionPrincipal,
    /// The tenant of the caller's scope.
    ScopeTenant,
    /// The principal of the caller's scope.
    ScopePrincipal,
    /// The well-known anonymous principal.
    UnauthenticatedPrincipal,
    /// The tenant of the virtual host that was asked.
    VhostTenant,
}

/// Where a message is going.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To the server.
    Request,
    /// To the caller.
    Response,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// Not set, or of a kind that rules don't look at.
    Absent,
    /// The bytes of an id.
    Id(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A 64-bit number.
    Number(i64),
}

impl<'a> Value<'a> {
    /// An id; an empty one counts as absent.
    #[must_use]
    pub fn id(data: Option<&'a [u8]>) -> Self {
        match data {
            None | Some([]) => Value::Absent,
            Some(data) => Value::Id(data),
        }
    }
}

/// Who decides whether a rule holds.
pub trait Judge {
    /// Whether `rule` holds for `message`.
    fn holds(&self, rule: &'static Rule, message: &dyn Ruled) -> bool;
}

/// A message that can be walked under its rules. Without any method of its own: one that has neither fields nor rules.
pub trait Ruled {
    /// The value of a field, for rules that refer to it by number.
    fn field(&self, number: u32) -> Value<'_> {
        let _ = number;
        Value::Absent
    }

    /// The message as a session, for [`Rule::IsSubset`].
    fn as_session(&self) -> Option<&crate::session::Session> {
        None
    }

    /// Clears what the judge does not let pass, outermost first, and tells whether that was anything.
    fn cut(&mut self, judge: &dyn Judge) -> bool {
        let _ = judge;
        false
    }

    /// Refuses what can't be meant: ids of a wrong length, times out of range.
    ///
    /// # Errors
    /// The field that is malformed.
    fn form(&self) -> Result<(), FormError> {
        Ok(())
    }
}

impl Ruled for () {}

/// A method: what goes in, what comes out, and who may call it.
pub trait Method: Send + Sync + 'static {
    /// What is asked.
    type Request: Ruled + Clone + Send + Sync;
    /// What is answered; for a stream, one element of it.
    type Response: Ruled + Send;
    /// The full name, without a leading slash.
    const NAME: &'static str;
    /// Who may call it at all. A method that declares no rule is for superusers.
    const RULE: &'static Rule;
}

/// A field that can't be meant as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormError {
    /// Dotted, from the outermost message.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl FormError {
    fn new(problem: &'static str) -> Self {
        FormError { field: String::new(), problem }
    }

    /// The same, seen from the message that holds `field`.
    #[must_use]
    pub fn in_field(mut self, field: &str) -> Self {
        self.field = if self.field.is_empty() { field.into() } else { format!("{field}.{}", self.field) };
        self
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for FormError {}

/// The checks that generated code calls.
pub(crate) mod form {
    use super::FormError;

    pub(crate) fn id(data: &[u8]) -> Result<(), FormError> {
        match data.len() {
            0 | 16 => Ok(()),
            _ => Err(FormError::new("an id has 16 bytes")),
        }
    }

    /// The years 1 to 9999, as `google/protobuf/timestamp.proto` has it.
    pub(crate) fn timestamp(time: Option<&prost_types::Timestamp>) -> Result<(), FormError> {
        match time {
            Some(time)
                if !(-62_135_596_800..=253_402_300_799).contains(&time.seconds)
                    || !(0..=999_999_999).contains(&time.nanos) =>
            {
                Err(FormError::new("a time between the years 1 and 9999"))
            }
            _ => Ok(()),
        }
    }

    /// Plus or minus 10,000 years, as `google/protobuf/duration.proto` has it.
    pub(crate) fn duration(length: Option<&prost_types::Duration>) -> Result<(), FormError> {
        match length {
            Some(length)
                if !(-315_576_000_000..=315_576_000_000).contains(&length.seconds)
                    || !(-999_999_999..=999_999_999).contains(&length.nanos)
                    || (length.seconds > 0 && length.nanos < 0)
                    || (length.seconds < 0 && length.nanos > 0) =>
            {
                Err(FormError::new("a duration of at most 10,000 years"))
            }
            _ => Ok(()),
        }
    }
}
