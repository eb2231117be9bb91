//! Signed URLs.

use ::http::request::Parts;
use ::http::{Method, Response, StatusCode, header};
use cacheroach_api::content::OpenRequest;
use cacheroach_api::method::contents;
use cacheroach_model::{Location, Pattern, Scope};
use cacheroach_service::{Caller, Error, Result, Service};

use super::answer::{self, refuse, set};
use super::files;
use crate::body::Body;
use crate::caller::Credential;

/// The file that the token is for, whatever name the URL gives it.
pub(super) async fn retrieve(service: &Service, parts: &Parts) -> Response<Body> {
    let mut response = file(service, parts).await.unwrap_or_else(|error| refuse(&error));
    // The URL is the credential: it must not travel on, and no shared cache may answer for it.
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    response
}

async fn file(service: &Service, parts: &Parts) -> Result<Response<Body>> {
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let mut response = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        set(&mut response, header::ALLOW, "GET, HEAD, OPTIONS");
        return Ok(response);
    }
    let (Credential::Presented(token) | Credential::Cookie(token)) = Credential::of(parts)? else {
        return Err(Error::Unauthenticated("a signed URL has a token".into()));
    };
    let (caller, request) = match service.follow(&token).await {
        Ok(linked) => (linked.caller, linked.request),
        // A session on a single file serves as well, as it did with the original.
        Err(refusal) => match service.authenticate(&token).await {
            Ok(caller) => {
                let request = of_session(&caller)?;
                (caller, request)
            }
            Err(_) => return Err(refusal),
        },
    };
    let opened = service.call::<contents::Open>(&caller, request).await?;
    files::serve(&parts.method, &parts.headers, opened).await
}

fn of_session(caller: &Caller) -> Result<OpenRequest> {
    match &caller.session().scope {
        Some(Scope::Location(Location { tenant, pattern: Pattern::Exactly(path), version })) => {
            Ok(OpenRequest {
                tenant: Some((*tenant).into()),
                path: path.to_string(),
                version: version.map_or(0, |version| version.0),
            })
        }
        Some(Scope::Location(_)) => Err(Error::NotFound("file")),
        _ => Err(Error::Denied { text: "not the token of a file", reaches: true }),
    }
}
