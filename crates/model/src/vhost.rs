//! Virtual hosts.

use std::fmt;

use crate::{Origin, Path, TenantId};

/// A host name as it is compared: lower case, without port and last dot. `*` stands for all that are not named.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Host(String);

/// Not a host name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a host is a name or an address of at most 253 characters, without scheme, user and port, or *")]
pub struct HostError;

impl Host {
    /// All hosts that are not named.
    #[must_use]
    pub fn any() -> Self {
        Host("*".into())
    }

    /// A host as an operator names it.
    ///
    /// # Errors
    /// What could never be the host of a request.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::any());
        }
        Self::of_authority(text)
    }

    /// The host of a `Host` header or `:authority`.
    ///
    /// # Errors
    /// What is neither a name nor an address, with or without a port.
    pub fn of_authority(text: &str) -> Result<Self, HostError> {
        let (mut host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(HostError)?;
                // An address has many spellings, and one that RFC 5952 recommends.
                let address = address.parse::<std::net::Ipv6Addr>().map_err(|_| HostError)?;
                (format!("[{address}]"), port)
            }
            None => {
                let at = text.find(':').unwrap_or(text.len());
                (text[..at].to_owned(), &text[at..])
            }
        };
        let port_is_fine = match port.strip_prefix(':') {
            None => port.is_empty(),
            Some(digits) => digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()),
        };
        if host.ends_with('.') {
            host.pop();
        }
        host.make_ascii_lowercase();
        let is_name =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':');
        let has_empty_label = host.split('.').any(str::is_empty);
        if !port_is_fine || has_empty_label || host.len() > 253 || !host.bytes().all(is_name) {
            return Err(HostError);
        }
        Ok(Host(host))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which tenant a host shows, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vhost {
    /// The host.
    pub host: Host,
    /// The tenant.
    pub tenant: TenantId,
    /// How.
    pub settings: VhostSettings,
}

impl Vhost {
    /// With nothing set.
    #[must_use]
    pub fn new(host: Host, tenant: TenantId) -> Self {
        Vhost { host, tenant, settings: VhostSettings::default() }
    }
}

/// How a host shows its tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VhostSettings {
    /// Whether it carries logins: cookies count here, and what users uploaded runs no script. As long as no vhost is
    /// named so, all hosts carry logins.
    pub login: bool,
    /// The origins whose scripts may read what this host answers.
    pub cors: Vec<Origin>,
    /// Whether an address without a file shows the page of the top: the program in it knows what to show.
    pub spa: bool,
    /// The name of the file that a directory is shown as.
    pub index: IndexName,
    /// The file whose content is shown where there is nothing.
    pub error_page: Option<Path>,
}

/// The name of the file that a directory is shown as: one segment of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IndexName(String);

/// Not the name of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a file: one segment of a path, of at most 255 bytes")]
pub struct IndexNameError;

impl IndexName {
    const DEFAULT: &str = "index.html";

    /// From text; empty is the default, `index.html`.
    ///
    /// # Errors
    /// What is no name of a file.
    pub fn parse(text: &str) -> Result<Self, IndexNameError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let path = Path::parse_file(&format!("/{text}")).map_err(|_| IndexNameError)?;
        let is_clean = path.as_str().strip_prefix('/') == Some(text);
        if is_clean && !text.contains('/') && text.len() <= 255 {
            Ok(IndexName(text.into()))
        } else {
            Err(IndexNameError)
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is kept: empty for the default.
    #[must_use]
    pub fn as_set(&self) -> &str {
        if self.0 == Self::DEFAULT { "" } else { &self.0 }
    }
}

impl Default for IndexName {
    fn default() -> Self {
        IndexName(Self::DEFAULT.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_index_is_one_segment() {
        for (given, name) in [("", "index.html"), ("start.htm", "start.htm"), ("a b", "a b"), ("...", "...")]
        {
            assert_eq!(IndexName::parse(given).unwrap().as_str(), name);
        }
        assert_eq!(IndexName::parse("index.html").unwrap().as_set(), "");
        let long = "a".repeat(256);
        for given in [".", "..", "/", "a/b", "/a", "a/", "a\0", "a\n", &long] {
            assert_eq!(IndexName::parse(given), Err(IndexNameError), "{given:?}");
        }
    }

    #[test]
    fn a46_one_host_has_one_spelling() {
        for (given, host) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0::0001]", "[::1]"),
            ("[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(Host::of_authority(given).unwrap().as_str(), host);
        }
        let long = "a".repeat(300);
        let more = ["a..", ".", ".a", "a..b", "[::1].", "[::1", "[x]", &long, "ex\u{e4}mple.com"];
        for given in ["", "*", "a b", "user@host", "a:b", "a/b"].into_iter().chain(more) {
            assert_eq!(Host::of_authority(given), Err(HostError), "{given}");
        }
        assert_eq!(Host::parse("*").unwrap(), Host::any());
    }
}
