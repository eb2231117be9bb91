//! Reading files and directories.

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use cacheroach_api::content::{BrowseRequest, OpenRequest};
use cacheroach_api::convert::{from_timestamp, timestamp};
use cacheroach_api::file::ListVersionsRequest;
use cacheroach_api::method::contents;
use cacheroach_model::{Entry, Timestamp};
use cacheroach_service::{Content, Directory, Error, Result, Service, Stream};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use super::answer::{self, empty, set, set_fixed, set_version};
use super::conditions::{self, Verdict};
use super::page::{Page, Row};
use super::range::{self, Part, Ranges};
use super::representation::{Representation, content_type, known_type};
use super::{Asked, date, metadata, static_site, target};
use crate::body::{self, Body};
use crate::caller::query;
use crate::site;

/// Uploaded pages run in an origin of their own, without script, and in no frame: a login cookie may be near. Hosts that
/// carry no logins lift this.
pub(super) const USER_CONTENT: &str = "sandbox; frame-ancestors 'none'";

/// GET, HEAD and OPTIONS of a path: a file, or a directory.
pub(super) async fn get(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let mut response = match found(service, asked).await {
        Ok(response) => response,
        Err(error) => Box::pin(static_site::instead(service, asked, error)).await?,
    };
    // What one may see another may not: a shared cache asks again, and keeps nothing of who is known.
    let cache = if asked.caller.is_anonymous() { "no-cache" } else { "private, no-cache" };
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(cache));
    if asked.parts.method == Method::OPTIONS {
        set(&mut response, header::ALLOW, answer::ALLOWED);
    }
    Ok(response)
}

async fn found(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let path = asked.target.path();
    let version = version(asked.parts)?;
    match path.strip_suffix('/') {
        Some(file) => Box::pin(directory(service, asked, file)).await,
        None if query(asked.parts, "versions").is_some() => Box::pin(history(service, asked)).await,
        None if version != 0 => {
            let unread = is_unread(&asked.parts.method);
            let opened = open_as(service, asked, path, version, unread).await?;
            serve(&asked.parts.method, &asked.parts.headers, opened).await
        }
        None if last(path) == asked.settings.index.as_str() => match look_for(service, asked, path).await {
            Ok(()) | Err(Error::NotFound(_)) => Ok(redirect(asked, "./")),
            Err(error) => Err(error),
        },
        None => match open(service, asked, path).await {
            Ok(opened) => serve(&asked.parts.method, &asked.parts.headers, opened).await,
            // A scope may reach what is below a path, and not the path itself.
            Err(Error::NotFound(_) | Error::Denied { .. } | Error::Unauthenticated(_))
                if Box::pin(is_directory(service, asked, path)).await =>
            {
                Ok(redirect(asked, &format!("{}/", last_segment(path))))
            }
            Err(error) => Err(error),
        },
    }
}

/// To a relative reference, with the query, which may hold the token.
fn redirect(asked: &Asked<'_>, location: &str) -> Response<Body> {
    let query = asked.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    answer::redirect(&format!("{location}{query}"))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A relative reference to the last segment: with `./` before it no colon in it can make it a scheme.
fn last_segment(path: &str) -> String {
    let name = target::encode(last(path));
    if name.contains(':') { format!("./{name}") } else { name }
}

/// The version that a request is about; 0: the current one.
pub(super) fn version(parts: &Parts) -> Result<i64> {
    let Some(text) = query(parts, "version") else { return Ok(0) };
    text.parse().map_err(|_| Error::invalid("version", "a number"))
}

pub(super) async fn open(service: &Service, asked: &Asked<'_>, path: &str) -> Result<Content> {
    open_as(service, asked, path, 0, is_unread(&asked.parts.method)).await
}

/// Only to see whether it is there.
async fn look_for(service: &Service, asked: &Asked<'_>, path: &str) -> Result<()> {
    open_as(service, asked, path, 0, true).await.map(drop)
}

async fn open_as(
    service: &Service,
    asked: &Asked<'_>,
    path: &str,
    version: i64,
    unread: bool,
) -> Result<Content> {
    let request = OpenRequest { tenant: Some(asked.tenant.into()), path: path.into(), version, unread };
    service.call::<contents::Open>(&asked.caller, request).await
}

/// Whether a method asks for what is known of a file, and hardly for its bytes.
pub(super) fn is_unread(method: &Method) -> bool {
    *method != Method::GET
}

async fn browse(
    service: &Service,
    asked: &Asked<'_>,
    path: &str,
    after: String,
    limit: i32,
) -> Result<Directory> {
    let as_of = as_of(asked.parts)?.map(timestamp);
    let request = BrowseRequest { tenant: Some(asked.tenant.into()), path: path.into(), after, limit, as_of };
    service.call::<contents::Browse>(&asked.caller, request).await
}

/// Whether there is something below a path that the caller may list.
async fn is_directory(service: &Service, asked: &Asked<'_>, path: &str) -> bool {
    browse(service, asked, path, String::new(), 1).await.is_ok_and(|found| !found.entries.is_empty())
}

/// A path with a last slash: a file of that name is elsewhere; then its index page, then what is in it.
async fn directory(service: &Service, asked: &Asked<'_>, file: &str) -> Result<Response<Body>> {
    let past = query(asked.parts, "as_of");
    if past.is_some() {
        return page_of(service, asked, file).await;
    }
    if !file.is_empty() && look_for(service, asked, file).await.is_ok() {
        return Ok(redirect(asked, &format!("../{}", last_segment(file).trim_start_matches("./"))));
    }
    match open(service, asked, &format!("{file}/{}", asked.settings.index.as_str())).await {
        Ok(opened) => return serve(&asked.parts.method, &asked.parts.headers, opened).await,
        // The page may be another scope's; what is in the directory may still be the caller's.
        Err(Error::NotFound(_) | Error::Denied { .. } | Error::Unauthenticated(_)) => {}
        Err(error) => return Err(error),
    }
    page_of(service, asked, file).await
}

/// What is in a directory.
async fn page_of(service: &Service, asked: &Asked<'_>, file: &str) -> Result<Response<Body>> {
    let limit = query(asked.parts, "limit").map_or(Ok(0), |limit| limit.parse());
    let limit: i32 = limit.map_err(|_| Error::invalid("limit", "a number"))?;
    let after = query(asked.parts, "after").unwrap_or_default();
    let path = asked.target.path();
    let found = browse(service, asked, path, after, limit).await?;
    if found.entries.is_empty() && !file.is_empty() && !is_directory(service, asked, path).await {
        return Err(Error::NotFound("directory"));
    }
    Ok(listing(asked, found, limit))
}

fn listing(asked: &Asked<'_>, found: Directory, limit: i32) -> Response<Body> {
    let next = found.entries.last().filter(|_| found.more).map(|last| {
        let slash = if matches!(last, Entry::Directory(_)) { "/" } else { "" };
        let after = percent_encoding::utf8_percent_encode(last.name(), percent_encoding::NON_ALPHANUMERIC);
        let limit = if limit > 0 { format!("&limit={limit}") } else { String::new() };
        let as_of = query(asked.parts, "as_of").map(|as_of| {
            format!(
                "&as_of={}",
                percent_encoding::utf8_percent_encode(&as_of, percent_encoding::NON_ALPHANUMERIC)
            )
        });
        format!("?after={after}{slash}{limit}{}", as_of.unwrap_or_default())
    });
    let page = Page {
        path: asked.target.path(),
        host: site::spelled(asked.parts),
        entries: found.entries.into_iter().map(row).collect(),
        next,
    };
    if wants_json(&asked.parts.headers) {
        answer::page("application/json", page.json())
    } else {
        answer::page("text/html; charset=utf-8", page.html())
    }
}

fn row(entry: Entry) -> Row {
    match entry {
        Entry::Directory(name) => Row {
            name,
            directory: true,
            size: 0,
            modified: None,
            version: 0,
            hash: String::new(),
            content_type: String::new(),
        },
        Entry::File(file) => Row {
            directory: false,
            size: file.size,
            modified: Some(file.modified_at),
            version: file.version.0,
            hash: file.hash.to_string(),
            content_type: known_type(&file).unwrap_or_default().to_owned(),
            name: file.path.name().to_owned(),
        },
    }
}

/// Whether JSON is wanted more than HTML, or as much and named before it (RFC 9110, 12.5.1).
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut json, mut html) = ((0.0, 0), (0.0, 0));
    for (at, range) in accepted.flat_map(|value| value.split(',')).enumerate() {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
        let wanted = (weight.unwrap_or(0.0), usize::MAX - at);
        match essence {
            "application/json" => json = wanted,
            "text/html" => html = wanted,
            _ => {}
        }
    }
    json.0 > 0.0 && json > html
}

/// The time whose state a request asks for (RFC 3339).
fn as_of(parts: &Parts) -> Result<Option<Timestamp>> {
    let Some(text) = query(parts, "as_of") else { return Ok(None) };
    let time: jiff::Timestamp =
        text.parse().map_err(|_| Error::invalid("as_of", "a time like 2026-07-01T00:00:00Z"))?;
    Ok(Some(Timestamp::from_micros(time.as_microsecond())))
}

/// The versions of a path, the newest first, for programs.
async fn history(service: &Service, asked: &Asked<'_>) -> Result<Response<Body>> {
    let number = |name: &str| {
        let text = query(asked.parts, name).filter(|text| !text.is_empty());
        text.map_or(Ok(0), |text| text.parse::<i32>().map_err(|_| Error::invalid(name, "a number")))
    };
    let request = ListVersionsRequest {
        tenant: Some(asked.tenant.into()),
        path: asked.target.path().into(),
        before: number("before")?.into(),
        page_size: number("limit")?,
    };
    let found = service.call::<contents::Versions>(&asked.caller, request).await?;
    let shown = |time| format!("{}Z", date::civil(from_timestamp(time)));
    let versions: Vec<_> = found.versions.into_iter().map(|meta| {
        let hash: String = meta.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "version": meta.version, "size": meta.size, "hash": hash, "content_type": meta.content_type,
            "modified": meta.modified_at.map(shown), "deleted": meta.deleted_at.map(shown), "metadata": meta.meta,
        })
    }).collect();
    let before = (found.before > 0).then_some(found.before);
    let text = json!({ "path": asked.target.path(), "versions": versions, "before": before }).to_string();
    Ok(answer::page("application/json", text))
}

/// A file as it is asked for: all of it, parts of it, or only what is known of it.
pub(super) async fn serve(method: &Method, headers: &HeaderMap, content: Content) -> Result<Response<Body>> {
    let file = content.file();
    let known = content.derived(Representation::of);
    let mut response = match conditions::check(headers, true, Some(&known.validators)) {
        Verdict::NotModified => empty(StatusCode::NOT_MODIFIED),
        Verdict::Failed => empty(StatusCode::PRECONDITION_FAILED),
        Verdict::Proceed => whole_or_parts(method, headers, &content, &known).await?,
    };
    set(&mut response, header::ETAG, known.etag.clone());
    set(&mut response, header::LAST_MODIFIED, known.last_modified.clone());
    set_fixed(&mut response, header::ACCEPT_RANGES, "bytes");
    set_fixed(&mut response, header::CONTENT_SECURITY_POLICY, USER_CONTENT);
    set_fixed(&mut response, header::VARY, "Authorization, Cookie");
    set_version(&mut response, known.version.clone());
    metadata::show(response.headers_mut(), &file.metadata);
    Ok(response)
}

async fn whole_or_parts(
    method: &Method,
    headers: &HeaderMap,
    content: &Content,
    known: &Representation,
) -> Result<Response<Body>> {
    let file = content.file();
    let ranges = headers.get(header::RANGE).filter(|_| *method == Method::GET);
    let ranges = match ranges.and_then(|value| value.to_str().ok()) {
        Some(text) if conditions::range_applies(headers, &known.validators) => range::parse(text, file.size),
        _ => Ranges::Whole,
    };
    match ranges {
        Ranges::Unsatisfiable => {
            let mut response =
                answer::text(StatusCode::RANGE_NOT_SATISFIABLE, "invalid range: failed to overlap\n");
            set(&mut response, header::CONTENT_RANGE, range::unsatisfied(file.size));
            Ok(response)
        }
        Ranges::Parts(parts) if parts.len() > 1 => {
            Ok(multipart(content, &parts, content_type(content).await?))
        }
        Ranges::Parts(parts) if !parts.is_empty() => {
            let mut response = one(method, content, parts[0], known).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, parts[0].content_range(file.size));
            Ok(response)
        }
        Ranges::Whole | Ranges::Parts(_) => {
            one(method, content, Part { start: 0, end: file.size }, known).await
        }
    }
}

/// One stretch of bytes. The first of them are verified before the answer begins, so that damage is an error.
async fn one(
    method: &Method,
    content: &Content,
    part: Part,
    known: &Representation,
) -> Result<Response<Body>> {
    let mut response = empty(StatusCode::OK);
    if let Some(content_type) = known.content_type(content).await? {
        set(&mut response, header::CONTENT_TYPE, content_type);
    }
    let range = part.start..part.end;
    if *method == Method::HEAD {
        set(&mut response, header::CONTENT_LENGTH, part.length().to_string());
    } else if let Some(bytes) = content.at_hand(&range) {
        // Its length is known without being said.
        *response.body_mut() = body::whole(bytes);
    } else {
        let mut bytes = content.read(range);
        let first = bytes.try_next().await?;
        *response.body_mut() = stream_body(Box::pin(stream::iter(first.map(Ok)).chain(bytes)));
        set(&mut response, header::CONTENT_LENGTH, part.length().to_string());
    }
    Ok(response)
}

/// Several stretches, as RFC 9110, 14.6 has them.
fn multipart(content: &Content, parts: &[Part], content_type: &str) -> Response<Body> {
    let file = content.file();
    // No content can hold its own hash, so it can't hold this line either.
    let mut seed = [0; 16];
    seed.copy_from_slice(&file.hash.as_bytes()[..16]);
    let boundary = range::boundary(seed);
    let mut pieces: Vec<Stream<Bytes>> = Vec::new();
    for part in parts {
        let head = range::multipart_head(&boundary, content_type, *part, file.size);
        pieces.push(Box::pin(stream::once(std::future::ready(Ok(Bytes::from(head))))));
        pieces.push(content.read(part.start..part.end));
    }
    let tail = Bytes::from(range::multipart_tail(&boundary));
    pieces.push(Box::pin(stream::once(std::future::ready(Ok(tail)))));
    let mut response = empty(StatusCode::PARTIAL_CONTENT);
    *response.body_mut() = stream_body(Box::pin(stream::iter(pieces).flatten()));
    set(&mut response, header::CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"));
    let length = range::multipart_length(&boundary, content_type, parts, file.size);
    set(&mut response, header::CONTENT_LENGTH, length.to_string());
    response
}

/// Damage in the middle ends the stream: hyper then cuts the connection, and the client sees that bytes are missing.
fn stream_body(bytes: Stream<Bytes>) -> Body {
    body::flowing(StreamBody::new(bytes.map(|part| match part {
        Ok(bytes) => Ok(Frame::data(bytes)),
        Err(error) => Err(error.into()),
    })))
}
