//! From credentials to a caller. One source counts, in a fixed order; authorities never add up.

use std::net::IpAddr;
use std::ops::Deref;

use ::http::request::Parts;
use ::http::{HeaderMap, Method, header};
use cacheroach_service::{Caller, Error, Result, Service};

/// The cookie that holds a token, as the original has it.
pub(crate) const COOKIE: &str = "authorization";

/// The same where the way to the browser is secure: no other host can set this one.
pub(crate) const HOST_COOKIE: &str = "__Host-authorization";

/// The head of an HTTP request, and the address it came from.
pub(crate) struct Head {
    pub(crate) parts: Parts,
    pub(crate) peer: IpAddr,
}

impl Deref for Head {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Where a token was found.
#[derive(Clone, Eq, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Credential {
    /// Nowhere.
    None,
    /// In the `Authorization` header or the `access_token` of the query: presented on purpose.
    Presented(String),
    /// In a cookie: sent by the browser by itself.
    Cookie(String),
}

impl Credential {
    /// The first of header, query and cookie that is not empty.
    ///
    /// # Errors
    /// Two `Authorization` headers.
    pub(crate) fn of(parts: &Parts) -> Result<Self> {
        let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
        // What is no text is a token all the same, and will not verify.
        let first = headers.next().map(|value| String::from_utf8_lossy(value.as_bytes()));
        if headers.next().is_some() {
            return Err(Error::Unauthenticated("two authorization headers".into()));
        }
        let token = first.as_deref().and_then(|value| value.strip_prefix("Bearer "));
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            return Ok(Credential::Presented(token.to_owned()));
        }
        if let Some(token) = query(parts, "access_token").filter(|token| !token.is_empty()) {
            return Ok(Credential::Presented(token));
        }
        Ok(cookie(&parts.headers).map_or(Credential::None, Credential::Cookie))
    }
}

/// The first value of a name in the query, decoded.
pub(crate) fn query(parts: &Parts, name: &str) -> Option<String> {
    of_form(parts.uri.query()?, name)
}

/// The same in a form's text.
pub(crate) fn of_form(text: &str, name: &str) -> Option<String> {
    let pairs = text.split('&');
    let (_, value) =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|(key, _)| *key == name)?;
    let plain = value.replace('+', " ");
    percent_encoding::percent_decode_str(&plain).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    // The cookies of others stand in the same header, and need not be text.
    let values =
        headers.get_all(header::COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let values: Vec<_> = values.collect();
    let pairs = values.iter().flat_map(|value| value.split(';'));
    let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    let pairs: Vec<_> = pairs.filter(|(_, value)| !value.is_empty()).collect();
    let named = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted);
    named(HOST_COOKIE).or_else(|| named(COOKIE)).map(|(_, value)| (*value).to_owned())
}

/// Who an HTTP request comes from, and whether the browser should forget its cookie.
///
/// # Errors
/// A presented token that does not verify; a write that another site makes with the cookie of this one.
pub(crate) async fn of_http(service: &Service, head: &Head) -> Result<(Caller, bool)> {
    let (caller, stale) = find(service, head).await?;
    Ok((caller.from(Some(head.peer)), stale))
}

async fn find(service: &Service, parts: &Parts) -> Result<(Caller, bool)> {
    match Credential::of(parts)? {
        Credential::None => Ok((service.anonymous().await?, false)),
        Credential::Presented(token) => Ok((service.authenticate(&token).await?, false)),
        Credential::Cookie(token) => match service.authenticate(&token).await {
            Ok(_) if is_cross_site_write(parts) => Err(Error::denied("a write from another site")),
            Ok(caller) => Ok((caller, false)),
            // It went stale by itself; nobody meant anything by sending it.
            Err(Error::Unauthenticated(_) | Error::NotFound(_)) => Ok((service.anonymous().await?, true)),
            Err(error) => Err(error),
        },
    }
}

/// Browsers say where a request comes from; what says nothing is no browser of today.
pub(crate) fn is_cross_site_write(parts: &Parts) -> bool {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let foreign_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = text("host").or_else(|| parts.uri.authority().map(::http::uri::Authority::as_str));
    let foreign_origin =
        text("origin").is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != host);
    foreign_site || foreign_origin
}

/// Who a gRPC call comes from. The scheme of the header is compared without regard to case, as the original does.
///
/// # Errors
/// A token that does not verify; two headers.
pub(crate) async fn of_grpc(service: &Service, metadata: &HeaderMap) -> Result<Caller> {
    let mut values = metadata.get_all(header::AUTHORIZATION).iter();
    let first = values.next().map(|value| String::from_utf8_lossy(value.as_bytes()));
    if values.next().is_some() {
        return Err(Error::Unauthenticated("two authorization values".into()));
    }
    let token = first.as_deref().and_then(|value| match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => Some(token.trim()),
        _ => None,
    });
    match token {
        Some(token) => service.authenticate(token).await,
        None => service.anonymous().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = ::http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a14_header_goes_before_query_and_query_before_cookie() {
        let all =
            parts("/?access_token=q", &[("authorization", "Bearer h"), ("cookie", "a=b; authorization=c")]);
        assert_eq!(Credential::of(&all).unwrap(), Credential::Presented("h".into()));
        let two = parts("/?x=1&access_token=q%2B", &[("cookie", "authorization=c")]);
        assert_eq!(Credential::of(&two).unwrap(), Credential::Presented("q+".into()));
        let one = parts("/", &[("authorization", "Basic x"), ("cookie", "authorization=c")]);
        assert_eq!(Credential::of(&one).unwrap(), Credential::Cookie("c".into()));
        assert_eq!(Credential::of(&parts("/", &[])).unwrap(), Credential::None);
        let twice = parts("/", &[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert!(Credential::of(&twice).is_err());
    }

    #[test]
    fn a73_a_write_from_another_site_is_told_apart() {
        let put = |headers: &[(&str, &str)]| {
            let mut parts = parts("/", headers);
            parts.method = Method::PUT;
            is_cross_site_write(&parts)
        };
        assert!(put(&[("sec-fetch-site", "cross-site")]));
        assert!(put(&[("sec-fetch-site", "same-site")]));
        assert!(put(&[("host", "a.example"), ("origin", "https://b.example")]));
        assert!(put(&[("host", "a.example"), ("origin", "null")]));
        assert!(!put(&[
            ("host", "a.example"),
            ("origin", "https://a.example"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(!put(&[]));
    }
}
