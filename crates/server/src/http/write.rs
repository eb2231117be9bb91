//! Writing and deleting files.

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, Response, StatusCode, Version, header};
use bytes::Bytes;
use cacheroach_api::content::{OpenRequest, WriteRequest};
use cacheroach_api::file::DeleteRequest;
use cacheroach_api::method::contents;
use cacheroach_service::{Error, Result, Service, Writer};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::answer::{self, set, set_version};
use super::conditions::{self, Verdict};
use super::{Asked, media, metadata, representation};
use crate::body::Body;
use crate::caller::query;
use crate::patience::IDLE;

/// Which version it must have for a change to be made; -1: none.
pub(super) const EXPECTED_VERSION: HeaderName = HeaderName::from_static("x-cacheroach-expected-version");

/// PUT and POST: the body becomes the next version of the path.
pub(super) async fn put(service: &Service, asked: &Asked<'_>, body: &mut Incoming) -> Result<Response<Body>> {
    let headers = &asked.parts.headers;
    must_be_whole(headers)?;
    let request = WriteRequest {
        tenant: Some(asked.tenant.into()),
        path: asked.target.path().into(),
        content_type: declared_type(headers)?,
        meta: metadata::of(headers)?,
        expected_version: 0,
    };
    let Some(expected_version) = expected(service, asked, asked.target.path()).await? else {
        return Ok(answer::precondition_failed());
    };
    let request = WriteRequest { expected_version, ..request };
    let mut writer = match service.call::<contents::Write>(&asked.caller, request.clone()).await {
        Err(Error::Conflict(_)) => return Ok(answer::precondition_failed()),
        writer => writer?,
    };
    let mut came = receive(&mut writer, asked.parts, body).await;
    if came.is_ok() {
        // A session may end while a body comes, and whoever sends it decides how long that takes.
        came = service.must_still_say::<contents::Write>(&asked.caller, request).await;
    }
    if let Err(error) = came {
        writer.abandon().await;
        return Err(error);
    }
    let written = match writer.finish().await {
        Err(Error::Conflict(_)) => return Ok(answer::precondition_failed()),
        written => written?,
    };
    let mut response = answer::text(StatusCode::ACCEPTED, written.hash.to_string());
    set(&mut response, header::ETAG, format!("\"{}\"", written.hash));
    set_version(&mut response, written.version.0);
    Ok(response)
}

/// The version that a request expects to find; 0: it does not say.
pub(super) fn said_version(headers: &HeaderMap) -> Result<i64> {
    let mut values = headers.get_all(EXPECTED_VERSION).iter();
    let Some(value) = values.next() else { return Ok(0) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|_| values.next().is_none());
    number.ok_or_else(|| Error::invalid(EXPECTED_VERSION.as_str(), "a version, -1 for no file, or 0 for any"))
}

/// What the conditions of a request come to as an expected version; none if they fail already. What depends on what is
/// stored (RFC 9110, 13.1) is for those who may read it.
pub(super) async fn expected(service: &Service, asked: &Asked<'_>, path: &str) -> Result<Option<i64>> {
    let headers = &asked.parts.headers;
    let said = said_version(headers)?;
    if !conditions::of_write(headers) {
        return Ok(Some(said));
    }
    if conditions::only_if_absent(headers) {
        // Whoever may write a file may write it only if there is none: that needs no look.
        return Ok((said <= 0).then_some(-1));
    }
    // What may not be written is refused whatever is there; an unused writer leaves nothing.
    let tenant = Some(asked.tenant.into());
    let write = WriteRequest { tenant: tenant.clone(), path: path.into(), ..Default::default() };
    service.call::<contents::Write>(&asked.caller, write).await?;
    let request = OpenRequest { tenant, path: path.into(), version: 0, unread: true };
    let current = match service.call::<contents::Open>(&asked.caller, request).await {
        Ok(content) => Some(content),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let validators = current.as_ref().map(|current| representation::validators(current.file()));
    if conditions::check(headers, false, validators.as_ref()) != Verdict::Proceed {
        return Ok(None);
    }
    // What was judged must be what is replaced.
    let judged = current.map_or(-1, |current| current.file().version.0);
    Ok((said == 0 || said == judged).then_some(judged))
}

/// Why a change that names a version is not made: who means to delete that one would delete all. Who may not write hears
/// what it always hears.
pub(super) async fn of_a_version(service: &Service, asked: &Asked<'_>) -> Error {
    let (tenant, path) = (Some(asked.tenant.into()), asked.target.path().into());
    let write = WriteRequest { tenant, path, ..Default::default() };
    match service.call::<contents::Write>(&asked.caller, write).await {
        Ok(_) => Error::invalid("version", "one is read or copied, and never changed"),
        Err(error) => error,
    }
}

/// That a body is a content as it is, and all of it.
pub(super) fn must_be_whole(headers: &HeaderMap) -> Result<()> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::invalid("Content-Encoding", "bodies are stored as they are: send them without"));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Error::invalid("Content-Range", "a file is written as a whole"));
    }
    Ok(())
}

/// The type that the client means. What programs send by themselves says nothing of the content.
pub(super) fn declared_type(headers: &HeaderMap) -> Result<String> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(String::new()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "multipart/form-data" {
        return Err(Error::invalid("Content-Type", "forms are not taken apart: send the content alone"));
    }
    if !media::is_valid(text) {
        return Err(Error::invalid("Content-Type", "type/subtype; parameters"));
    }
    Ok(if essence == "application/x-www-form-urlencoded" { String::new() } else { text.to_owned() })
}

/// What a body goes into.
pub(super) trait Sink: Send {
    /// Takes more bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send;
}

impl Sink for Writer {
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send {
        Writer::write(self, bytes)
    }
}

/// A body that ends too early is no body.
pub(super) async fn receive(to: &mut impl Sink, parts: &Parts, body: &mut Incoming) -> Result<()> {
    let cut_off = || Error::invalid("body", "it ended too early or was malformed");
    let mut received = 0;
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        let frame = frame.map_err(|_| Error::invalid("body", "nothing came for a minute"))?;
        let Some(frame) = frame else { break };
        if let Ok(data) = frame.map_err(|_| cut_off())?.into_data() {
            received += data.len() as u64;
            to.write(data).await?;
        }
    }
    // An HTTP/2 stream that is reset politely (NO_ERROR) looks like one that has ended, but it has not. Only HTTP/2 can
    // tell; HTTP/1 has failed before.
    let ended = parts.version != Version::HTTP_2 || body.is_end_stream();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if ended && declared.is_none_or(|declared: u64| declared == received) { Ok(()) } else { Err(cut_off()) }
}

/// DELETE: what is not there is deleted already. With `?recursive` and a last slash, all that is below.
pub(super) async fn delete(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let path = asked.target.path();
    let recursive = match query(asked.parts, "recursive").as_deref() {
        None => false,
        Some("" | "true") if path.ends_with('/') => true,
        Some("" | "true") => {
            return Err(Error::invalid("recursive", "of a directory: a path with a last slash"));
        }
        Some(_) => return Err(Error::invalid("recursive", "true, or nothing")),
    };
    // A directory is nothing that a condition could hold for.
    let conditional = conditions::of_write(&asked.parts.headers);
    let request = DeleteRequest {
        tenant: Some(asked.tenant.into()),
        path: path.into(),
        recursive: recursive && !conditional,
        expected_version: said_version(&asked.parts.headers)?,
    };
    if path.ends_with('/') {
        service.call::<contents::Remove>(&asked.caller, request).await?;
        return Ok(match conditional {
            true => answer::precondition_failed(),
            false => answer::empty(StatusCode::OK),
        });
    }
    let Some(expected_version) = expected(service, asked, path).await? else {
        return Ok(answer::precondition_failed());
    };
    match service.call::<contents::Remove>(&asked.caller, DeleteRequest { expected_version, ..request }).await
    {
        Err(Error::Conflict(_)) => Ok(answer::precondition_failed()),
        done => done.map(|()| answer::empty(StatusCode::OK)),
    }
}
