//! Virtual hosts.

use std::fmt;

use crate::TenantId;

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
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(HostError)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| HostError)?;
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
        let host = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
        let is_name =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':');
        if !port_is_fine || host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
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

/// Which tenant a host shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vhost {
    /// The host.
    pub host: Host,
    /// The tenant.
    pub tenant: TenantId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a46_one_host_has_one_spelling() {
        for (given, host) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("[::1]:80", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(Host::of_authority(given).unwrap().as_str(), host);
        }
        let long = "a".repeat(300);
        for given in ["", "*", "a b", "user@host", "a:b", "[::1", "[x]", "a/b", &long, "ex\u{e4}mple.com"] {
            assert_eq!(Host::of_authority(given), Err(HostError), "{given}");
        }
        assert_eq!(Host::parse("*").unwrap(), Host::any());
    }
}
