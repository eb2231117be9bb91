//! Changes of what is stored that need no bytes: COPY and MOVE (RFC 4918, 9.8 and 9.9, as far as files need them), and
//! PATCH, which describes a file anew or restores a version of it.

use std::collections::BTreeMap;

use ::http::{HeaderMap, Response, StatusCode, Uri, header};
use bytes::Bytes;
use cacheroach_api::file::{CopyRequest, CopyResponse, EditRequest, MoveRequest, RestoreRequest};
use cacheroach_api::method::contents;
use cacheroach_model::Host;
use cacheroach_service::{Error, Result, Service};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::answer::{self, set, set_version};
use super::target::Target;
use super::write::expected;
use super::{Asked, conditions, files};
use crate::body::Body;
use crate::patience::IDLE;
use crate::site;

/// The largest description: metadata has 8 KiB, and JSON may write a byte as six.
const MAX_BODY: usize = 64 * 1024;

/// COPY: a file in the version asked for, or with a last slash all below a path.
pub(super) async fn copy(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let (tenant, to) = (Some(asked.tenant.into()), destination(asked)?);
    let path = asked.target.path().to_owned();
    let expected_version = overwrite(&asked.parts.headers)?;
    let version = files::version(asked.parts)?;
    let request = CopyRequest { tenant, path, version, to, expected_version };
    copied(service.call::<contents::Copy>(&asked.caller, request).await)
}

/// MOVE: the same, and the source is gone.
pub(super) async fn rename(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let (tenant, to) = (Some(asked.tenant.into()), destination(asked)?);
    let path = asked.target.path().to_owned();
    let request = MoveRequest { tenant, path, to, expected_version: overwrite(&asked.parts.headers)? };
    copied(service.call::<contents::Move>(&asked.caller, request).await)
}

fn copied(made: Result<CopyResponse>) -> Result<Response<Body>> {
    let made = match made {
        Err(Error::Conflict(_)) => return Ok(answer::precondition_failed()),
        made => made?,
    };
    let version = (made.version > 0).then_some(made.version);
    Ok(json_answer(&json!({ "files": made.files, "version": version })))
}

fn json_answer(value: &serde_json::Value) -> Response<Body> {
    let mut response = answer::text(StatusCode::OK, format!("{value}\n"));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// Where to: an absolute path, or a URL of the host that was asked.
fn destination(asked: &Asked<'_>) -> Result<String> {
    let wrong = |problem| Error::invalid("Destination", problem);
    let mut values = asked.parts.headers.get_all("destination").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("one path, or one URL of this host"));
    };
    // To others `//host/path` is a URL of that host.
    if value.as_bytes().starts_with(b"//") {
        return Err(wrong("a path with one slash before it, or a URL of this host"));
    }
    let uri: Uri = value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| wrong("a percent-encoded path, or a URL of this host"))?;
    if let Some(authority) = uri.authority() {
        let asked = site::host(asked.parts);
        if Host::of_authority(authority.as_str()) != asked {
            return Err(wrong("of the host that was asked"));
        }
    }
    if uri.query().is_some() {
        return Err(wrong("without a query: a question mark in a name is percent-encoded"));
    }
    let target = Target::of(&uri).map_err(|_| wrong("a percent-encoded absolute path"))?;
    if target.path() == "/_" || target.path().starts_with("/_/") {
        return Err(wrong("not below /_/"));
    }
    Ok(target.path().to_owned())
}

/// `Overwrite: F` (RFC 4918, 10.6): only if nothing is there. Else as the header for an expected version says. Conditions
/// are not passed over in silence: to some they are about where from, to others about where to.
fn overwrite(headers: &HeaderMap) -> Result<i64> {
    if let Some(name) = conditions::named_of_write(headers) {
        return Err(Error::invalid(name.as_str(), "not here: Overwrite or x-cacheroach-expected-version"));
    }
    match headers.get("overwrite").map(::http::HeaderValue::as_bytes) {
        Some(b"F" | b"f") => Ok(-1),
        Some(b"T" | b"t") | None => super::write::said_version(headers),
        Some(_) => Err(Error::invalid("Overwrite", "T or F")),
    }
}

/// What PATCH takes, as a merge patch (RFC 7396) of what is known of a file; or which version is to be current again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Option<String>>,
    /// A version; 0: the last one of a deleted file.
    #[serde(default)]
    restore: Option<i64>,
}

/// PATCH: other metadata, another content type, or an older version.
pub(super) async fn patch(
    service: &Service,
    asked: &Asked<'_>,
    body: &mut Incoming,
) -> Result<Response<Body>> {
    let text = receive(body).await?;
    let patch: Patch = serde_json::from_slice(&text).map_err(|problem| Error::invalid("body", problem))?;
    let path = asked.target.path();
    let Some(expected_version) = expected(service, asked, path).await? else {
        return Ok(answer::precondition_failed());
    };
    let (tenant, path) = (Some(asked.tenant.into()), path.to_owned());
    let version = match patch.restore {
        Some(_) if patch.content_type.is_some() || !patch.metadata.is_empty() => {
            return Err(Error::invalid("restore", "a version comes back as it was: describe it afterwards"));
        }
        Some(version) => {
            let request = RestoreRequest { tenant, path, version, expected_version };
            service.call::<contents::Restore>(&asked.caller, request).await.map(|file| file.version)
        }
        None => {
            let (set, removed): (Vec<_>, Vec<_>) =
                patch.metadata.into_iter().partition(|(_, value)| value.is_some());
            let request = EditRequest {
                tenant,
                path,
                meta: set.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
                remove_meta: removed.into_iter().map(|(key, _)| key).collect(),
                content_type: patch.content_type.unwrap_or_default(),
                expected_version,
            };
            service.call::<contents::Edit>(&asked.caller, request).await.map(|edited| edited.version)
        }
    };
    let version = match version {
        Err(Error::Conflict(_)) => return Ok(answer::precondition_failed()),
        version => version?,
    };
    let mut response = json_answer(&json!({ "version": version }));
    set_version(&mut response, version);
    Ok(response)
}

async fn receive(body: &mut Incoming) -> Result<Bytes> {
    let collected = tokio::time::timeout(IDLE, Limited::new(body, MAX_BODY).collect()).await;
    let collected = collected.map_err(|_| Error::invalid("body", "it did not come within a minute"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Error::TooLarge(format!("body: at most {MAX_BODY} bytes")))
        }
        Err(_) => Err(Error::invalid("body", "it ended too early or was malformed")),
    }
}
