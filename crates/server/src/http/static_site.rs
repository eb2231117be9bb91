//! What is shown where nothing is: the program of a single-page app, or a page of the tenant's own. Both are opened through
//! the door like any file: whoever may not read them gets the plain answer.

use ::http::{HeaderMap, Method, Response, StatusCode, header};
use cacheroach_service::{Error, Result, Service};

use super::Asked;
use super::answer::set;
use super::files::{open, serve};
use crate::body::Body;
use crate::caller::query;
use crate::status;

/// An answer instead of an error, if the vhost has one.
///
/// The error page stands for all that is not found, and for all that the caller may not know of: which of them it is
/// does not show.
pub(super) async fn instead(service: &Service, asked: &Asked<'_>, error: Error) -> Result<Response<Body>> {
    if status::http(&error) != StatusCode::NOT_FOUND {
        return Err(error);
    }
    // Where the caller may not read, nothing says whether it is found.
    if asked.settings.spa && matches!(error, Error::NotFound(_)) && is_navigation(asked) {
        let index = format!("/{}", asked.settings.index.as_str());
        if let Ok(opened) = open(service, asked, &index).await {
            return serve(&asked.parts.method, &asked.parts.headers, opened).await;
        }
    }
    let Some(path) = &asked.settings.error_page else { return Err(error) };
    let Ok(opened) = open(service, asked, path.as_str()).await else { return Err(error) };
    // All of it, whatever is known of another version of it.
    let mut response = serve(&asked.parts.method, &HeaderMap::new(), opened).await?;
    *response.status_mut() = StatusCode::NOT_FOUND;
    for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        response.headers_mut().remove(name);
    }
    set(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

/// Whether a person goes there, rather than a page that needs one certain file.
fn is_navigation(asked: &Asked<'_>) -> bool {
    let name = asked.target.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let accepted = asked.parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let takes_pages =
        accepted.flat_map(|value| value.split(',')).any(|range| range.trim().starts_with("text/html"));
    matches!(asked.parts.method, Method::GET | Method::HEAD)
        && (takes_pages || !name.contains('.'))
        // Of a certain version there is that or none.
        && query(asked.parts, "version").is_none()
        && query(asked.parts, "versions").is_none()
}
