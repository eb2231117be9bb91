//! Origins of scripts, as browsers name them.

use std::fmt;

use crate::Host;

/// Whose scripts may read an answer: `scheme://host[:port]`, byte for byte as browsers send it, or `*` for anybody's,
/// without credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin(String);

/// Not an origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OriginError {
    /// Neither `scheme://host[:port]` nor `*`.
    #[error("an origin is scheme://host or scheme://host:port, in lower case, without a path; or * for all")]
    Malformed,
    /// The origin of whoever has none.
    #[error("null is the origin of everybody who has none")]
    Null,
    /// `:443` behind `https://…`.
    #[error("browsers leave out the port that a scheme has by itself")]
    DefaultPort,
}

impl Origin {
    /// From text.
    ///
    /// # Errors
    /// What no browser sends: it would never match.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Origin(text.into())),
            "null" => return Err(OriginError::Null),
            _ => {}
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Malformed)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        let host = Host::of_authority(authority).map_err(|_| OriginError::Malformed)?;
        // A name in its one spelling, and behind it nothing but a port.
        let port = authority.strip_prefix(host.as_str()).ok_or(OriginError::Malformed)?;
        let is_number = |port: &str| port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        if !is_scheme || !is_port {
            return Err(OriginError::Malformed);
        }
        if matches!((scheme, port), ("http", ":80") | ("https", ":443")) {
            return Err(OriginError::DefaultPort);
        }
        Ok(Origin(text.into()))
    }

    /// Whether it stands for all.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a74_an_origin_is_one_origin() {
        for text in [
            "*",
            "https://app.example",
            "http://localhost:3000",
            "https://[::1]:8443",
            "chrome-extension://abcdefgh",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/path",
            "https://*.example",
            "https://*",
            "*://app.example",
            "*.example",
            "https://App.example",
            "HTTPS://app.example",
            "https://app.example.",
            "https://user@app.example",
            "https://app.example:",
            "https://app.example:0080",
            "https://app.example:99999",
            "https://a.example https://b.example",
            "https://a.example,https://b.example",
            " https://a.example",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError::Malformed), "{text}");
        }
        assert_eq!(Origin::parse("null"), Err(OriginError::Null));
        assert_eq!(Origin::parse("https://app.example:443"), Err(OriginError::DefaultPort));
        assert_eq!(Origin::parse("http://app.example:80"), Err(OriginError::DefaultPort));
    }
}
