//! Answers without a file in them.

use ::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use cacheroach_model::Timestamp;
use cacheroach_service::Error;
use http_body::Body as _;

use super::date;
use super::problem::Problem;
use crate::body::{self, Body};
use crate::caller::{COOKIE, HOST_COOKIE};
use crate::status;

/// For pages that this server makes itself: they need nothing but their own style.
pub(super) const OWN_PAGE: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// As many headers as an answer has, or more.
const HEADERS: usize = 12;

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body::whole(Bytes::new()));
    *response.status_mut() = status;
    // What a file's answer has: a map that grows is moved three times.
    response.headers_mut().reserve(HEADERS);
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = empty(status);
    *response.body_mut() = body::whole(text);
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// A page of our own making.
pub(super) fn page(content_type: &'static str, content: String) -> Response<Body> {
    let mut response = text(StatusCode::OK, content);
    set(&mut response, header::CONTENT_TYPE, content_type);
    set(&mut response, header::CONTENT_SECURITY_POLICY, OWN_PAGE);
    set(&mut response, header::VARY, "Accept, Authorization, Cookie");
    response
}

/// Where to is for now, and may hold a token: no cache keeps it.
pub(super) fn redirect(location: &str) -> Response<Body> {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    set(&mut response, header::LOCATION, location);
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// Something else is there than the request asked for.
pub(super) fn precondition_failed() -> Response<Body> {
    let mut response =
        text(StatusCode::PRECONDITION_FAILED, "the file is not what the request expects it to be\n");
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

pub(super) fn not_allowed() -> Response<Body> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED, &format!("a path takes {ALLOWED}"));
    set(&mut response, header::ALLOW, ALLOWED);
    response
}

/// What can be done with a path.
pub(super) const ALLOWED: &str = "GET, HEAD, OPTIONS, PUT, POST, DELETE, PATCH, COPY, MOVE";

/// Sets a header to what is known to be one; a string that is given away is not copied. A value with control characters is left out
/// rather than trusted.
pub(super) fn set<V: TryInto<HeaderValue>>(
    response: &mut Response<Body>,
    name: header::HeaderName,
    value: V,
) {
    if let Ok(value) = value.try_into() {
        response.headers_mut().insert(name, value);
    }
}

/// The same of a value that is always the same, without a copy.
pub(super) fn set_fixed(response: &mut Response<Body>, name: header::HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Which version a path has.
const VERSION: header::HeaderName = header::HeaderName::from_static("x-cacheroach-version");

/// Tells which version a path has now.
pub(super) fn set_version(response: &mut Response<Body>, version: impl Into<HeaderValue>) {
    response.headers_mut().insert(VERSION, version.into());
}

/// Lets the browser forget a token that is none any more.
pub(super) fn forget_cookie(response: &mut Response<Body>) {
    for (name, secure) in [(COOKIE, ""), (HOST_COOKIE, "Secure; ")] {
        let gone = format!("{name}=; Path=/; Max-Age=0; {secure}HttpOnly; SameSite=Lax");
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
    }
}

/// Lets the browser keep a token until then. It goes nowhere but here, and no script sees it.
pub(super) fn keep_cookie(response: &mut Response<Body>, token: &str, until: Timestamp, secure: bool) {
    let (name, secure) = if secure { (HOST_COOKIE, "Secure; ") } else { (COOKIE, "") };
    let until = date::format(until);
    let kept = format!("{name}={token}; Path=/; {secure}HttpOnly; SameSite=Lax; Expires={until}");
    set(response, header::SET_COOKIE, &kept);
}

/// Where to go on with a GET after something was done.
pub(super) fn see_other(location: &str) -> Response<Body> {
    let mut response = empty(StatusCode::SEE_OTHER);
    set(&mut response, header::LOCATION, location);
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// A page with forms. Other than on pages of files, the browser tells it as the origin of what is sent from it, and so
/// the server knows its own forms; nobody else is told more than that.
pub(super) fn form_page(status: StatusCode, content: String, and_to: Option<&str>) -> Response<Body> {
    let mut response = text(status, content);
    let and_to = and_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'{and_to}"
    );
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, header::CONTENT_SECURITY_POLICY, &policy);
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, header::REFERRER_POLICY, "same-origin");
    response
}

/// An error, to whom it concerns.
pub(super) fn refuse(error: &Error) -> Response<Body> {
    refuse_with(error, false)
}

/// The same. Whoever is anonymous and may not is asked for credentials, whether or not there is something.
pub(super) fn refuse_with(error: &Error, anonymous: bool) -> Response<Body> {
    let status = match (error, anonymous) {
        (Error::Denied { .. }, true) => StatusCode::UNAUTHORIZED,
        _ => status::http(error),
    };
    let mut response = match status {
        StatusCode::UNAUTHORIZED => {
            let mut response = empty(status);
            set(&mut response, header::WWW_AUTHENTICATE, "Bearer");
            response
        }
        // Byte for byte the same for all that is not there and all that must not be known.
        StatusCode::NOT_FOUND => text(status, "404 page not found\n"),
        StatusCode::SERVICE_UNAVAILABLE => {
            let mut response = text(status, format!("{status}\n"));
            set(&mut response, header::RETRY_AFTER, "1");
            response
        }
        StatusCode::INTERNAL_SERVER_ERROR => text(status, format!("{status}\n")),
        status => text(status, format!("{error}\n")),
    };
    // It is for this caller and this moment.
    set(&mut response, header::CACHE_CONTROL, "no-store");
    about(response, Problem::of(error, status))
}

/// Nothing but a status, for clients that ask for no more; with a sentence for those that do.
pub(super) fn bare(status: StatusCode, detail: &str) -> Response<Body> {
    about(empty(status), Problem::new(status, detail))
}

/// A host without a tenant shows nothing, not even what nothing looks like elsewhere.
pub(super) fn no_site(error: &Error) -> Response<Body> {
    let status = status::http(error);
    let mut response = about(empty(status), Problem::of(error, status));
    // It is for this caller: others may see a tenant here.
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

fn about(mut response: Response<Body>, problem: Problem) -> Response<Body> {
    response.extensions_mut().insert(problem);
    response
}

/// An answer to HEAD: as to GET, but for the body.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    let length =
        response.body().size_hint().exact().filter(|_| response.status() != StatusCode::NOT_MODIFIED);
    let (mut parts, _) = response.into_parts();
    if let Some(length) = length {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, empty(StatusCode::OK).into_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_control_characters_is_left_out() {
        let mut response = empty(StatusCode::OK);
        for value in ["a\r\nb: c", "\0", "\u{7f}"] {
            set(&mut response, header::CONTENT_DISPOSITION, value);
            assert!(response.headers().is_empty(), "{value:?}");
        }
        set(&mut response, header::CONTENT_DISPOSITION, "inline");
        assert_eq!(response.headers()[header::CONTENT_DISPOSITION], "inline");
    }
}
