//! What a browser is told and trusted with, by the host it visits: whether its cookies count, whose scripts may read the
//! answer, and what an answer may do once it is there.

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use cacheroach_model::Origin;
use cacheroach_service::AtHost;

use super::answer::{empty, set, set_fixed};
use super::files::USER_CONTENT;
use crate::body::Body;
use crate::caller::{Credential, query};

/// Pages below `/_/` that are there on every host, and for scripts of the origins that a host lists: they know callers by
/// their address alone. All others belong to the hosts that carry logins.
const EVERYWHERE: [&str; 2] = ["v0/retrieve/", "v0/drop/"];

/// How long, in seconds, a browser may go by what it was told of a listed origin.
const PREFLIGHT_AGE: &str = "600";

/// What scripts of listed origins may do, and the headers they may send besides those of `x-cacheroach-`.
const METHODS: &str = "GET, HEAD, PUT, POST, DELETE, PATCH, COPY, MOVE";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Range, If-Match, If-None-Match, If-Modified-Since, \
                               If-Unmodified-Since, If-Range, Cache-Control, Destination, Overwrite";

/// What they may read besides what every script may.
const SHOWN_HEADERS: &str = "ETag, Content-Range, Accept-Ranges, Content-Length, Content-Disposition";
const OWN_HEADERS: &str = "x-cacheroach-";

/// Of an answer: a tenant's file at a host that shows strangers another tenant's. Its scripts must not run in that origin.
#[derive(Clone, Copy)]
pub(super) struct Foreign;

/// One request, as far as browsers are concerned.
pub(super) struct Visit {
    carries_logins: bool,
    /// The route below `/_/`.
    route: Option<String>,
    /// Whether the vhost lists origins at all: then answers depend on who asks.
    lists_origins: bool,
    /// To be sent back: the origin, or `*`.
    allowed: Option<HeaderValue>,
    /// What a preflight asks to send.
    preflight: Option<String>,
    by_cookie: bool,
    has_token_in_url: bool,
}

impl Visit {
    /// Takes away cookies that don't count here, before anybody looks at them.
    pub(super) fn of(parts: &mut Parts, route: Option<&str>, host: &AtHost) -> Self {
        let is_open = route.is_none_or(is_everywhere);
        let origins = if is_open { host.origins() } else { &[] };
        if !host.carries_logins() || (is_read(&parts.method) && is_foreign(parts)) {
            parts.headers.remove(header::COOKIE);
        }
        Visit {
            carries_logins: host.carries_logins(),
            route: route.map(str::to_owned),
            lists_origins: !origins.is_empty(),
            allowed: allowed(&parts.headers, origins),
            preflight: preflight(parts),
            by_cookie: matches!(Credential::of(parts), Ok(Credential::Cookie(_))),
            has_token_in_url: query(parts, "access_token").is_some_and(|token| !token.is_empty()),
        }
    }

    /// Whether what is asked for is not on this host, whoever asks.
    pub(super) fn is_elsewhere(&self) -> bool {
        !self.carries_logins && self.route.as_deref().is_some_and(|route| !is_everywhere(route))
    }

    /// What a script of a listed origin may do here. Says nothing of what there is.
    pub(super) fn preflight(&self) -> Option<Response<Body>> {
        let (Some(wanted), Some(_)) = (&self.preflight, &self.allowed) else { return None };
        let mut response = empty(StatusCode::NO_CONTENT);
        set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        let own = wanted.split(',').map(str::trim).filter(|name| is_own(name));
        let headers = own.fold(REQUEST_HEADERS.to_owned(), |all, name| format!("{all}, {name}"));
        set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, &headers);
        set(&mut response, header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
        Some(response)
    }

    /// The last word on an answer, whatever it is.
    pub(super) fn finish(&self, response: &mut Response<Body>) {
        set_fixed(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        let is_user_content = response
            .headers()
            .get(header::CONTENT_SECURITY_POLICY)
            .is_some_and(|policy| policy == USER_CONTENT);
        let is_at_home = self.route.is_none() && response.extensions().get::<Foreign>().is_none();
        if is_user_content && !self.carries_logins && is_at_home {
            // No cookie of ours can come here, and the page is of the site whose origin it runs in.
            response.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
        }
        if self.has_token_in_url {
            set(response, header::REFERRER_POLICY, "no-referrer");
        }
        if self.by_cookie || self.route.as_deref().is_some_and(|route| !is_everywhere(route)) {
            // What is shown because of a cookie is not for the pages of others to embed. All else is shown to whoever
            // presents something on purpose, or to everybody: embedding tells a page nothing new.
            set(response, CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
        }
        self.share(response);
    }

    fn share(&self, response: &mut Response<Body>) {
        if self.lists_origins {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(allowed) = &self.allowed else { return };
        let own = response.headers().keys().map(HeaderName::as_str).filter(|name| is_own(name));
        let shown = own.fold(SHOWN_HEADERS.to_owned(), |all, name| format!("{all}, {name}"));
        set(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, &shown);
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
    }
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

fn is_everywhere(route: &str) -> bool {
    EVERYWHERE.iter().any(|known| route.starts_with(known))
}

/// One of our own headers, by a name that may stand in a list.
fn is_own(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'%');
    name.len() <= 256
        && name.get(..OWN_HEADERS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_HEADERS))
        && name.bytes().all(is_plain)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The origin of the script that asks. Several are none.
fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = headers.get_all(header::ORIGIN).iter();
    all.next().filter(|_| all.next().is_none())
}

/// Whether a script of another origin asks, or one that has none.
fn is_foreign(parts: &Parts) -> bool {
    if !parts.headers.contains_key(header::ORIGIN) {
        return false;
    }
    let site = parts.headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(::http::uri::Authority::as_str));
    let origin = origin(&parts.headers).and_then(|origin| origin.to_str().ok());
    let own = origin.and_then(|origin| origin.split_once("://"));
    own.is_none_or(|(_, own)| !host.is_some_and(|host| host.eq_ignore_ascii_case(own)))
}

/// What to allow the script that asks: its origin if just that is listed, `*` if everybody is.
fn allowed(headers: &HeaderMap, origins: &[Origin]) -> Option<HeaderValue> {
    let asking = origin(headers)?;
    if origins.iter().any(|listed| listed.as_str().as_bytes() == asking.as_bytes()) && asking != "*" {
        return Some(asking.clone());
    }
    origins.iter().any(Origin::is_any).then(|| HeaderValue::from_static("*"))
}

/// The headers that a preflight asks for, if this is one.
fn preflight(parts: &Parts) -> Option<String> {
    let is_one = parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    is_one.then(|| wanted.and_then(|wanted| wanted.to_str().ok()).unwrap_or_default().to_owned())
}
