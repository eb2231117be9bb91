//! Writing and deleting files.

use ::http::{HeaderMap, Response, StatusCode, header};
use cacheroach_api::content::WriteRequest;
use cacheroach_api::file::DeleteRequest;
use cacheroach_api::method::contents;
use cacheroach_model::Metadata;
use cacheroach_service::{Error, Result, Service, Writer};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::answer::{self, set};
use super::files::IDLE;
use super::{Asked, Body, media};

/// PUT and POST: the body becomes the next version of the path.
pub(super) async fn put(service: &Service, asked: &Asked, body: Incoming) -> Result<Response<Body>> {
    let headers = &asked.parts.headers;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::invalid("Content-Encoding", "bodies are stored as they are: send them without"));
    }
    let request = WriteRequest {
        tenant: Some(asked.tenant.into()),
        path: asked.target.path().into(),
        content_type: declared_type(headers)?,
    };
    let mut writer = service.call::<contents::Write>(&asked.caller, request).await?;
    if let Err(error) = receive(&mut writer, body).await {
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
async fn receive(writer: &mut Writer, mut body: Incoming) -> Result<()> {
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        let frame = frame.map_err(|_| Error::invalid("body", "nothing came for a minute"))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|_| Error::invalid("body", "it ended too early or was malformed"))?;
        if let Ok(data) = frame.into_data() {
            writer.write(data).await?;
        }
    }
}

/// DELETE: what is not there is deleted already.
pub(super) async fn delete(service: &Service, asked: &Asked) -> Result<Response<Body>> {
    let request = DeleteRequest { tenant: Some(asked.tenant.into()), path: asked.target.path().into() };
    // A directory is not a file, and the top is not one either: nothing to delete.
    if !request.path.ends_with('/') {
        service.call::<contents::Remove>(&asked.caller, request).await?;
        return Ok(answer::empty(StatusCode::OK));
    }
    match service.call::<contents::Remove>(&asked.caller, request).await {
        Ok(_) | Err(Error::Invalid { .. }) => Ok(answer::empty(StatusCode::OK)),
        Err(error) => Err(error),
    }
}
