//! Who is at the other end. What a request says of itself in `X-Forwarded-For` is no fact, unless a proxy says it that the
//! operator trusts.

use std::net::IpAddr;

use ::http::{Extensions, HeaderMap, HeaderName};
use cacheroach_model::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address a request came from: an extension of what gRPC is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address that a request came from.
pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|Peer(address)| *address)
}

/// The nearest address on the way here that is not a trusted proxy's. Each proxy appends where it was asked from, so the
/// list is read from its end, and only as far as trusted proxies wrote it.
pub(crate) fn before(proxies: &Networks, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !proxies.hold(connection) {
        return connection;
    }
    let lists = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|list| list.to_str().ok());
    let mut entries: Vec<&str> = lists.flat_map(|list| list.split(',')).collect();
    let mut address = connection;
    while proxies.hold(address)
        && let Some(before) = entries.pop().and_then(|entry| entry.trim().parse().ok())
    {
        address = before;
    }
    address
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    #[test]
    fn a48_only_what_trusted_proxies_say_counts() {
        let proxies = Networks::parse(&["10.0.0.0/8"]).unwrap();
        let from = |connection: &str, lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-for", HeaderValue::from_static(list));
            }
            before(&proxies, connection.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(from("192.0.2.1", &["198.51.100.1"]), "192.0.2.1", "a stranger says so");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1", "the client's own words");
        assert_eq!(from("10.0.0.1", &["6.6.6.6", "198.51.100.1, 10.2.3.4"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["6.6.6.6, unknown"]), "10.0.0.1");
        let none = before(&Networks::default(), "10.0.0.1".parse().unwrap(), &HeaderMap::new());
        assert_eq!(none.to_string(), "10.0.0.1");
    }
}
