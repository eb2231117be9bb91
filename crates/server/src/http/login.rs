//! Logging in and out by browser, and handing a session on to the command line.

use std::fmt::Write as _;

use ::http::{HeaderValue, Method, Response, StatusCode, header};
use cacheroach_api::convert::from_timestamp;
use cacheroach_api::method::{principals, tokens};
use cacheroach_api::principal::{LoadRequest, load_request};
use cacheroach_api::token::{InvalidateRequest, LoginRequest, invalidate_request};
use cacheroach_model::Host;
use cacheroach_service::{Caller, Error, Result, Service};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::answer::{self, set};
use super::config;
use super::login_page::{HandOver, LoginPage, ProvisionPage};
use crate::body::Body;
use crate::caller::{self, Head};
use crate::patience::IDLE;
use crate::status;

/// How large the form of the login page may be.
const LARGEST_FORM: usize = 8 * 1024;

/// Tells the command line that this server sends its one-time secret back to it.
const HAND_OVER: &str = "x-cacheroach-handover";

/// Who one is, and how the command line becomes the same; or the form to log in with.
pub(super) async fn provision(
    service: &Service,
    head: &Head,
    host: &Host,
    spelled: &str,
    secure: bool,
) -> Result<Response<Body>> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(only("GET, HEAD"));
    }
    config::must_navigate(&head.headers)?;
    let mut response = match hand_over(|name| caller::query(head, name)) {
        Ok(to) => page(service, head, host, spelled, secure, to).await?,
        Err(problem) => answer::text(StatusCode::BAD_REQUEST, format!("{problem}\n")),
    };
    response.headers_mut().insert(HAND_OVER, HeaderValue::from_static("secret"));
    Ok(response)
}

async fn page(
    service: &Service,
    head: &Head,
    host: &Host,
    spelled: &str,
    secure: bool,
    to: HandOver,
) -> Result<Response<Body>> {
    let (caller, stale) = caller::of_http(service, head).await?;
    let mut response = if caller.is_anonymous() {
        form(&LoginPage { host: spelled, user: "", problem: None, to: &to }, StatusCode::UNAUTHORIZED)
    } else {
        let config = config::describe(service, &caller, host, spelled, secure).await?;
        let config = serde_json::to_string(&config).map_err(|error| Error::Internal(error.into()))?;
        let (label, id) = greeted(service, &caller).await?;
        let scheme = if secure { "https" } else { "http" };
        let page = ProvisionPage { host: spelled, scheme, label, id, config, to: &to };
        let origin = to.port.map(|port| format!("http://localhost:{port}"));
        answer::form_page(StatusCode::OK, page.html(), origin.as_deref())
    };
    if stale {
        answer::forget_cookie(&mut response);
    }
    Ok(response)
}

/// The name and the id of whoever is logged in.
async fn greeted(service: &Service, caller: &Caller) -> Result<(String, String)> {
    let Some(id) = caller.session().principal else {
        return Ok(("holder of the signing key".into(), String::new()));
    };
    let request = LoadRequest { kind: Some(load_request::Kind::Id(id.into())) };
    let principal = service.call::<principals::Load>(caller, request).await?;
    Ok((principal.label, id.to_string()))
}

/// The form of the login page: the session goes into a cookie.
pub(super) async fn log_in(
    service: &Service,
    head: &Head,
    body: &mut Incoming,
    secure: bool,
) -> Result<Response<Body>> {
    must_be_own_form(head)?;
    if head.method != Method::POST {
        return Ok(only("POST"));
    }
    let text = read_form(head, body).await?;
    let field = |name: &str| caller::of_form(&text, name);
    let to = hand_over(field).map_err(|problem| Error::invalid("form", problem))?;
    let (user, password) = (field("user").unwrap_or_default(), field("password").unwrap_or_default());
    let nobody = service.anonymous().await?.from(Some(head.peer));
    let request = LoginRequest { user: user.clone(), password, valid_for: None };
    let issued = match service.call::<tokens::Login>(&nobody, request).await {
        Ok(issued) => issued,
        Err(
            error @ (Error::Unauthenticated(_)
            | Error::Invalid { .. }
            | Error::TooMany(_)
            | Error::Busy
            | Error::ReadOnly),
        ) => {
            let problem = error.to_string();
            let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.or_else(|| head.uri.host()).unwrap_or_default();
            let page = LoginPage { host, user: &user, problem: Some(&problem), to: &to };
            return Ok(form(&page, status::http(&error)));
        }
        Err(error) => return Err(error),
    };
    let mut response = answer::see_other(&back(&to));
    if let (Some(session), Some(token)) = (issued.issued, issued.token) {
        let until = session.expires_at.map(from_timestamp).unwrap_or_default();
        answer::keep_cookie(&mut response, &token.jwt, until, secure);
    }
    Ok(response)
}

/// Ends the session that the browser holds.
pub(super) async fn log_out(service: &Service, head: &Head) -> Result<Response<Body>> {
    must_be_own_form(head)?;
    if head.method != Method::POST {
        return Ok(only("POST"));
    }
    let (caller, _) = caller::of_http(service, head).await?;
    if !caller.is_anonymous() && caller.session().id.is_some() {
        let kind = Some(invalidate_request::Kind::Current(true));
        service.call::<tokens::Invalidate>(&caller, InvalidateRequest { kind }).await?;
    }
    let mut response = answer::see_other("/_/v0/provision");
    answer::forget_cookie(&mut response);
    Ok(response)
}

fn form(page: &LoginPage<'_>, status: StatusCode) -> Response<Body> {
    let mut response = answer::form_page(status, page.html(), None);
    if status == StatusCode::UNAUTHORIZED {
        set(&mut response, header::WWW_AUTHENTICATE, "Bearer");
    }
    response
}

fn only(methods: &str) -> Response<Body> {
    let mut response = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, header::ALLOW, methods);
    response
}

/// With or without a cookie: nobody logs others in or out from elsewhere.
fn must_be_own_form(head: &Head) -> Result<()> {
    if caller::is_cross_site_write(head) {
        return Err(Error::denied("a write from another site"));
    }
    Ok(())
}

async fn read_form(head: &Head, body: &mut Incoming) -> Result<String> {
    let declared = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Error::invalid("Content-Type", "application/x-www-form-urlencoded"));
    }
    let reading = tokio::time::timeout(IDLE, Limited::new(body, LARGEST_FORM).collect()).await;
    let reading = reading.map_err(|_| Error::invalid("body", "nothing came for a minute"))?;
    let bytes = reading.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Error::TooLarge("the form is larger than 8 KiB".into())
        } else {
            Error::invalid("body", "it ended too early or was malformed")
        }
    })?;
    String::from_utf8(bytes.to_bytes().into()).map_err(|_| Error::invalid("body", "a form is text"))
}

/// Whom a session is handed on to, if to anybody. What could not stand in a URL as it is, is refused.
fn hand_over(field: impl Fn(&str) -> Option<String>) -> Result<HandOver, &'static str> {
    let port = match field("port") {
        None => None,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.parse().ok().filter(|port| *port > 0).ok_or("bad port value")?)
        }
        Some(_) => return Err("bad port value"),
    };
    let is_word = |text: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=128).contains(&text.len()) && text.bytes().all(plain)
    };
    let secret =
        field("secret").map(|text| Some(text).filter(is_word).ok_or("bad secret value")).transpose()?;
    Ok(HandOver { port, secret })
}

/// The page that the login page stood for.
fn back(to: &HandOver) -> String {
    let mut location = "/_/v0/provision".to_owned();
    if let Some(port) = to.port {
        let _ = write!(location, "?port={port}");
        if let Some(secret) = &to.secret {
            let _ = write!(location, "&secret={secret}");
        }
    }
    location
}
