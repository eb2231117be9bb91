//! The configuration of the command line, as a download.

use ::http::{HeaderMap, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_api::{json, session};
use cacheroach_model::Host;
use cacheroach_service::{Caller, Error, Result, Service};
use serde::Serialize;

use super::answer::{self, set};
use crate::body::Body;
use crate::caller::{self, Head};

/// The keys of the original, in its order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    default_tenant: Option<Data>,
    host: String,
    insecure: bool,
    session: json::Session,
    token: String,
}

#[derive(Serialize)]
struct Data {
    data: String,
}

/// For the address bar only: a script must not get at the token in it.
pub(super) async fn download(
    service: &Service,
    head: &Head,
    host: &Host,
    spelled: &str,
    secure: bool,
) -> Result<Response<Body>> {
    must_navigate(&head.headers)?;
    let (caller, stale) = caller::of_http(service, head).await?;
    let config = describe(service, &caller, host, spelled, secure).await?;
    let text = serde_json::to_string_pretty(&config).map_err(|error| Error::Internal(error.into()))?;
    // As the original writes it, so that it can stand in a page.
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026") + "\n";
    let mut response = answer::text(StatusCode::OK, text);
    set(&mut response, header::CONTENT_TYPE, "application/json");
    set(&mut response, header::CONTENT_DISPOSITION, "attachment; filename=\"cacheroach.cfg\"");
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    if stale {
        answer::forget_cookie(&mut response);
    }
    Ok(response)
}

/// What the command line needs to be this caller at this host.
pub(super) async fn describe(
    service: &Service,
    caller: &Caller,
    host: &Host,
    spelled: &str,
    secure: bool,
) -> Result<impl Serialize + use<>> {
    let tenant = match service.site(caller, host).await {
        Ok(tenant) => Some(Data { data: STANDARD.encode(tenant.as_bytes()) }),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let has_port = spelled.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let port = if secure { 443 } else { 80 };
    let mut shown = session::Session::from(caller.session());
    shown.note.clear();
    Ok(Config {
        default_tenant: tenant,
        host: if has_port { spelled.to_owned() } else { format!("{spelled}:{port}") },
        insecure: !secure,
        session: json::Session::from(&shown),
        token: caller.token().unwrap_or_default().to_owned(),
    })
}

/// Browsers tell navigation from script (Fetch Metadata); other programs send none of it and have no cookies to steal.
pub(super) fn must_navigate(headers: &HeaderMap) -> Result<()> {
    let is = |name: &str, wanted: &str| headers.get(name).is_none_or(|value| value == wanted);
    let navigates = is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
        && !headers.contains_key(header::ORIGIN);
    if navigates { Ok(()) } else { Err(Error::denied("only for the address bar")) }
}
