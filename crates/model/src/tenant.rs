//! Tenants, the regions they are at home in, and how long they keep what is past.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::TenantId;

/// A wall around files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tenant {
    /// Its name for programs.
    pub id: TenantId,
    /// Its name for people.
    pub label: String,
    /// Counts changes.
    pub version: i64,
    /// Where its bytes belong. Of a change, none: as before; of a new tenant, that of the server.
    pub region: Option<Region>,
    /// How long it keeps old versions. Of a change, none: as before; of a new tenant, as the server says.
    pub retention: Option<Retention>,
}

/// Which old versions of its files a tenant keeps. A rule that is not there is the server's; one of 0 has no limit. The
/// current version always stays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// The newest so many versions of a file, its current one among them.
    pub versions: Option<u32>,
    /// Those that were current not longer ago than this.
    pub age: Option<Duration>,
}

impl Retention {
    /// With what is not there taken from another.
    #[must_use]
    pub fn or(self, other: Retention) -> Retention {
        Retention { versions: self.versions.or(other.versions), age: self.age.or(other.age) }
    }
}

/// The name of a place where servers, databases and buckets are: lower-case letters, digits and hyphens, at most 63.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region(String);

/// What is no name of a region.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a region is 1 to 63 lower-case letters, digits and hyphens")]
pub struct RegionError;

impl Region {
    /// From text.
    ///
    /// # Errors
    /// What is no name.
    pub fn parse(text: &str) -> Result<Self, RegionError> {
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(is_plain) {
            return Err(RegionError);
        }
        Ok(Region(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        Region::parse(text)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_plain_short_name() {
        for good in ["eu", "us-east-1", "a", &"x".repeat(63)] {
            assert_eq!(Region::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "EU", "eu west", "eu'", "ü", "a=b", &"x".repeat(64)] {
            assert_eq!(Region::parse(bad), Err(RegionError), "{bad:?}");
        }
    }
}
