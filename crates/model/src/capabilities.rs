//! What a session may do with what it reaches.

use std::fmt;
use std::ops::BitOr;

/// A set of capabilities. The bits are the original's: field number minus one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Capabilities(0);
    /// Read files.
    pub const READ: Self = Capabilities(1);
    /// Write and delete files.
    pub const WRITE: Self = Capabilities(2);
    /// Issue narrower sessions, and use the grants of one's principal.
    pub const DELEGATE: Self = Capabilities(4);
    /// See personal data of principals.
    pub const PII: Self = Capabilities(8);
    /// Let the server fetch from elsewhere.
    pub const FETCH: Self = Capabilities(16);
    /// All five.
    pub const ALL: Self = Capabilities(31);

    /// Each capability by name, in the order of the bits.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("read", Self::READ),
        ("write", Self::WRITE),
        ("delegate", Self::DELEGATE),
        ("pii", Self::PII),
        ("fetch", Self::FETCH),
    ];

    /// From bits; unknown ones are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Capabilities(bits & 31)
    }

    /// As bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `others` are among these.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Capabilities(self.0 | other.0)
    }
}

impl fmt::Display for Capabilities {
    /// `all`, or the names in alphabetical order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let mut names: Vec<_> =
            Self::NAMES.iter().filter(|(_, one)| self.contains(*one)).map(|(name, _)| *name).collect();
        names.sort_unstable();
        f.write_str(&names.join(","))
    }
}
