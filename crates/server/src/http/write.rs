//! Writing and deleting files.

use ::http::request::Parts;
use ::http::{HeaderMap, Response, StatusCode, Version, header};
use cacheroach_api::content::WriteRequest;
use cacheroach_api::file::DeleteRequest;
use cacheroach_api::method::contents;
use cacheroach_model::Metadata;
use cacheroach_service::{Error, Result, Service, Writer};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::answer::{self, set};
use super::{Asked, media};
use crate::body::Body;
use crate::patience::IDLE;

/// PUT and POST: the body becomes the next version of the path.
pub(super) async fn put(service: &Service, asked: &Asked, body: Incoming) -> Result<Response<Body>> {
    let headers = &asked.parts.headers;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::invalid("Content-Encoding", "bodies are stored as they are: send them without"));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Error::invalid("Content-Range", "a file is written as a whole"));
    }
    let request = WriteRequest {
        tenant: Some(asked.tenant.into()),
        path: asked.target.path().into(),
        content_type: declared_type(headers)?,
    };
    let mut writer = service.call::<contents::Write>(&asked.caller, request).await?;
    if let Err(error) = receive(&mut writer, &asked.parts, body).await {
        writer.abandon().await;
        return Err(error);
    }
    let written = writer.finish(Metadata::default()).await?;
    let mut response = answer::text(StatusCode::ACCEPTED, written.hash.to_string());
    set(&mut response, header::ETAG, &format!("\"{}\"", written.hash));
    Ok(response)
}

/// The type that the client means. What programs send by themselves says nothing of the content.
fn declared_type(headers: &HeaderMap) -> Result<String> {
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

/// A body that ends too early is no body.
async fn receive(writer: &mut Writer, parts: &Parts, mut body: Incoming) -> Result<()> {
    let cut_off = || Error::invalid("body", "it ended too early or was malformed");
    let mut received = 0;
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        let frame = frame.map_err(|_| Error::invalid("body", "nothing came for a minute"))?;
        let Some(frame) = frame else { break };
        if let Ok(data) = frame.map_err(|_| cut_off())?.into_data() {
            received += data.len() as u64;
            writer.write(data).await?;
        }
    }
    // An HTTP/2 stream that is reset politely (NO_ERROR) looks like one that has ended, but it has not. Only HTTP/2 can
    // tell; HTTP/1 has failed before.
    let ended = parts.version != Version::HTTP_2 || body.is_end_stream();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if ended && declared.is_none_or(|declared: u64| declared == received) { Ok(()) } else { Err(cut_off()) }
}

/// DELETE: what is not there is deleted already.
pub(super) async fn delete(service: &Service, asked: &Asked) -> Result<Response<Body>> {
    let request = DeleteRequest { tenant: Some(asked.tenant.into()), path: asked.target.path().into() };
    service.call::<contents::Remove>(&asked.caller, request).await?;
    Ok(answer::empty(StatusCode::OK))
}
