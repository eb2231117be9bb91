//! From a request to the one host that it is for.

use ::http::request::Parts;
use ::http::{Uri, header};
use cacheroach_model::{Host, HostError};

/// The host that was asked. What names two hosts names none (RFC 9110, 7.2).
pub(crate) fn host(parts: &Parts) -> Result<Host, HostError> {
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let header = headers.next().map(|value| value.to_str().map_err(|_| HostError)).transpose()?;
    if headers.next().is_some() {
        return Err(HostError);
    }
    let of_uri = Uri::authority(&parts.uri).map(::http::uri::Authority::as_str);
    let (Some(spelled), other) = (header.or(of_uri), of_uri) else { return Err(HostError) };
    let host = Host::of_authority(spelled)?;
    match other.map(Host::of_authority).transpose()? {
        Some(other) if other != host => Err(HostError),
        _ => Ok(host),
    }
}

/// The host as the client spelled it, with the port. Of what [`host`] has read.
pub(crate) fn spelled(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    header.or(Uri::authority(&parts.uri).map(::http::uri::Authority::as_str)).unwrap_or_default()
}
