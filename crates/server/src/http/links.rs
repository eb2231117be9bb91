//! Signed URLs.

use ::http::{Method, Response, StatusCode, header};
use cacheroach_api::content::OpenRequest;
use cacheroach_api::method::contents;
use cacheroach_model::{Location, Pattern, Scope};
use cacheroach_service::{Caller, Error, Result, Service};

use super::answer::{self, refuse, set};
use super::{disposition, files};
use crate::body::Body;
use crate::caller::{Credential, Head};

/// The file that the token is for, whatever name the URL gives it.
pub(super) async fn retrieve(service: &Service, head: &Head) -> Response<Body> {
    let mut response = file(service, head).await.unwrap_or_else(|error| refuse(&error));
    // The URL is the credential: it must not travel on, and no shared cache may answer for it.
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    response
}

async fn file(service: &Service, head: &Head) -> Result<Response<Body>> {
    if !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let mut response = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        set(&mut response, header::ALLOW, "GET, HEAD, OPTIONS");
        return Ok(response);
    }
    let (Credential::Presented(token) | Credential::Cookie(token)) = Credential::of(head)? else {
        return Err(Error::Unauthenticated("a signed URL has a token".into()));
    };
    let peer = Some(head.peer);
    let unread = files::is_unread(&head.method);
    let linked = match service.follow(&token, peer).await {
        Ok(linked) => linked,
        // A session on a single file serves as well, as it did with the original.
        Err(refusal) => match service.authenticate(&token).await {
            Ok(caller) => {
                let request = OpenRequest { unread, ..of_session(&caller)? };
                let opened = service.call::<contents::Open>(&caller, request).await?;
                return files::serve(&head.method, &head.headers, opened).await;
            }
            Err(_) => return Err(refusal),
        },
    };
    let request = OpenRequest { unread, ..linked.request.clone() };
    let opened = service.call::<contents::Open>(&linked.caller, request).await?;
    let mut response = files::serve(&head.method, &head.headers, opened).await?;
    let holds_contents = matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    if holds_contents && head.method != Method::HEAD {
        // Each range counts: a limit that parts get around is none. The answer goes only if there was a use left.
        service.count(&linked).await?;
    }
    if let Some(name) = linked.download_name.as_deref().filter(|_| holds_contents) {
        set(&mut response, header::CONTENT_DISPOSITION, disposition::attachment(name));
    }
    Ok(response)
}

fn of_session(caller: &Caller) -> Result<OpenRequest> {
    match &caller.session().scope {
        Some(Scope::Location(Location { tenant, pattern: Pattern::Exactly(path), version })) => {
            Ok(OpenRequest {
                tenant: Some((*tenant).into()),
                path: path.to_string(),
                version: version.map_or(0, |version| version.0),
                ..Default::default()
            })
        }
        Some(Scope::Location(_)) => Err(Error::NotFound("file")),
        _ => Err(Error::denied("not the token of a file")),
    }
}
