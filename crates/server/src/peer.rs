//! Who is at the other end of a connection. What a request says of itself, in `X-Forwarded-For` or elsewhere, is no fact.

use std::net::IpAddr;

use ::http::Extensions;

/// The address a request came from: an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address that a request came from.
pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|Peer(address)| *address)
}
