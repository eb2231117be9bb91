//! Links: what the holder of a URL may do, and from where.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// What a link is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// Reading one file: a signed URL.
    Read,
    /// Uploading into one directory: a drop link.
    Drop,
}

/// The networks from which something may be used; none given means from everywhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks(Vec<IpNet>);

/// Not a list of networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// Not one of them.
    #[error("a network is an address, or an address and a prefix length such as 10.0.0.0/8")]
    Malformed,
    /// Too many of them.
    #[error("at most 16 networks")]
    TooMany,
}

impl Networks {
    /// How many there may be.
    pub const MOST: usize = 16;

    /// From addresses and CIDR blocks.
    ///
    /// # Errors
    /// What is neither; too many of them.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NetworkError> {
        if texts.len() > Self::MOST {
            return Err(NetworkError::TooMany);
        }
        texts.iter().map(|text| network(text.as_ref().trim())).collect::<Result<_, _>>().map(Networks)
    }

    /// Whether a peer is in one of them. One whose address is not known is in none.
    #[must_use]
    pub fn allow(&self, peer: Option<IpAddr>) -> bool {
        self.0.is_empty() || peer.is_some_and(|peer| self.hold(peer))
    }

    /// Whether an address is in one of them; in none if there are none.
    #[must_use]
    pub fn hold(&self, address: IpAddr) -> bool {
        // A socket for both protocols shows an IPv4 peer as an IPv6 address.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Each as text.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }
}

/// With commas.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(","))
    }
}

fn network(text: &str) -> Result<IpNet, NetworkError> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError::Malformed)?.trunc(),
    };
    // Peers are compared in their canonical form, so networks of such addresses take it, too.
    match network {
        IpNet::V6(six) if six.prefix_len() >= 96 => match six.network().to_ipv4_mapped() {
            Some(four) => {
                Ipv4Net::new(four, six.prefix_len() - 96).map(IpNet::V4).map_err(|_| NetworkError::Malformed)
            }
            None => Ok(network),
        },
        network => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_in_a_network_whichever_way_its_address_is_written() {
        let allow = |networks: &[&str], peer: &str| {
            Networks::parse(networks).unwrap().allow(Some(peer.parse().unwrap()))
        };
        assert!(allow(&[], "203.0.113.9"));
        assert!(allow(&["10.0.0.0/8"], "10.255.0.1"));
        assert!(allow(&["10.1.2.3/8"], "::ffff:10.255.0.1"));
        assert!(allow(&["::ffff:10.0.0.0/104"], "10.255.0.1"));
        assert!(allow(&["192.0.2.1", "2001:db8::/32"], "2001:db8::1"));
        assert!(!allow(&["10.0.0.0/8"], "11.0.0.1"));
        assert!(!allow(&["::/0"], "10.0.0.1"), "all of IPv6 is not all");
        assert!(!allow(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(!Networks::parse(&["0.0.0.0/0"]).unwrap().allow(None), "an unknown peer is nowhere");
        assert!(Networks::default().allow(None));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "example.com", "10.0.0.0/8/8", "::/129"]
        {
            assert_eq!(Networks::parse(&[text]), Err(NetworkError::Malformed), "{text}");
        }
        assert_eq!(Networks::parse(&["::1"; 17]), Err(NetworkError::TooMany));
    }
}
