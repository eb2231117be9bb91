//! Drop links: a page for browsers, and a PUT for programs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use ::http::{HeaderMap, Method, Response, StatusCode, Version, header};
use bytes::Bytes;
use cacheroach_service::{Arrival, Error, Inlet, Result, Service};
use futures::Stream;
use hyper::body::{Body as _, Incoming};
use multer::{Field, Multipart};
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{self, refuse, set};
use super::drop_page::DropPage;
use super::media;
use super::write::{self, Sink};
use crate::body::Body;
use crate::caller::{Credential, Head};
use crate::patience::IDLE;

/// How many parts a form may have.
const MAX_PARTS: usize = 100;

/// How much of a form may be between one piece of a file and the next, or the first: boundaries and the heads of parts.
const MAX_BETWEEN: usize = 16 * 1024;

/// `/_/v0/drop/NAME`: the token says where to, the name what to call it.
pub(super) async fn answer(
    service: &Service,
    head: &Head,
    name: &str,
    body: &mut Incoming,
) -> Response<Body> {
    let answer = match head.method {
        Method::GET | Method::HEAD => page(service, head).await,
        Method::PUT => put(service, head, name, body).await,
        Method::POST => post(service, head, body).await,
        _ => Ok(not_allowed()),
    };
    let mut response = answer.unwrap_or_else(|error| refuse(&error));
    // The URL is the credential: it must not travel on, and nothing it answers is anybody else's.
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

fn not_allowed() -> Response<Body> {
    let mut response = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, header::ALLOW, "GET, HEAD, PUT, POST");
    response
}

/// Only a token that was presented on purpose counts, so no other site can make a browser send anything with it.
async fn inlet(service: &Service, head: &Head) -> Result<Inlet> {
    let Credential::Presented(token) = Credential::of(head)? else {
        return Err(Error::Unauthenticated("a drop link has a token".into()));
    };
    service.follow_drop(&token, Some(head.peer)).await
}

async fn page(service: &Service, head: &Head) -> Result<Response<Body>> {
    let inlet = inlet(service, head).await?;
    let page = DropPage { inlet: Some(&inlet), taken: &[], problem: None };
    Ok(answer::form_page(StatusCode::OK, page.to_string(), None))
}

/// PUT: the body is the file.
async fn put(service: &Service, head: &Head, name: &str, body: &mut Incoming) -> Result<Response<Body>> {
    let inlet = inlet(service, head).await?;
    write::must_be_whole(&head.headers)?;
    let declared =
        head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|declared: u64| declared > inlet.max_size()) {
        return Err(Error::TooLarge(format!("a file has at most {} bytes here", inlet.max_size())));
    }
    let content_type = content_type(&head.headers, name)?;
    let mut arrival = service.begin_arrival(&inlet, name, &content_type).await?;
    if let Err(error) = write::receive(&mut arrival, head, body).await {
        arrival.abandon().await;
        return Err(error);
    }
    let written = service.finish_arrival(arrival).await?;
    Ok(answer::text(StatusCode::CREATED, format!("{}\n", written.hash)))
}

impl Sink for Arrival {
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send {
        Arrival::write(self, bytes)
    }
}

/// As it was declared, else by the name. The link may be for some types only, so each file has one.
fn content_type(headers: &HeaderMap, name: &str) -> Result<String> {
    let declared = write::declared_type(headers)?;
    if declared.is_empty() {
        Ok(media::by_name(name).unwrap_or("application/octet-stream").to_owned())
    } else {
        Ok(declared)
    }
}

/// POST: a form with files in it. Each that came whole stays, whatever becomes of those after it.
async fn post(service: &Service, head: &Head, body: &mut Incoming) -> Result<Response<Body>> {
    let inlet = inlet(service, head).await?;
    write::must_be_whole(&head.headers)?;
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok());
    let boundary = boundary.filter(|boundary| (1..=70).contains(&boundary.len()));
    let boundary =
        boundary.ok_or_else(|| Error::invalid("Content-Type", "multipart/form-data, with a boundary"))?;

    let pace = Arc::new(Pace::default());
    let paced = Paced::new(body, head.version, Arc::clone(&pace));
    let mut form = Form { parts: Multipart::new(paced, boundary), pace, count: 0 };
    let mut taken = Vec::new();
    let outcome = loop {
        match form.take_one(service, &inlet).await {
            Ok(Some(name)) => taken.extend(name),
            Ok(None) if taken.is_empty() => break Err(Error::invalid("form", "no file was chosen")),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let (status, problem) = match outcome {
        Ok(()) => (StatusCode::CREATED, None),
        Err(error) => match crate::status::http(&error) {
            // What the link itself is told in is not repeated for those who lost it while they sent.
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => return Err(error),
            status => (status, Some(error.to_string())),
        },
    };
    // As it is now: with fewer files left, or not at all.
    let now = self::inlet(service, head).await.ok();
    let page = DropPage { inlet: now.as_ref(), taken: &taken, problem };
    Ok(answer::form_page(status, page.to_string(), None))
}

/// A form on its way in.
struct Form<'a> {
    parts: Multipart<'a>,
    pace: Arc<Pace>,
    count: usize,
}

impl Form<'_> {
    /// The next file, stored: its name, or no name for a field that nothing was chosen for. Nothing at the end.
    async fn take_one(&mut self, service: &Service, inlet: &Inlet) -> Result<Option<Option<String>>> {
        let Some(mut field) = self.parts.next_field().await.map_err(|error| malformed(&error))? else {
            return Ok(None);
        };
        self.pace.found();
        self.count += 1;
        if self.count > MAX_PARTS {
            return Err(Error::TooLarge(format!("at most {MAX_PARTS} files at once")));
        }
        let Some(name) = field.file_name().map(str::to_owned) else {
            return Err(Error::invalid("form", "each part is a file, with a name"));
        };
        if name.is_empty() {
            // What browsers send when nothing was chosen.
            return match next_piece(&mut field, &self.pace).await? {
                None => Ok(Some(None)),
                Some(_) => Err(Error::invalid("form", "each part is a file, with a name")),
            };
        }
        let content_type = content_type(field.headers(), &name)?;
        let mut arrival = service.begin_arrival(inlet, &name, &content_type).await?;
        loop {
            let stored = match next_piece(&mut field, &self.pace).await {
                Ok(None) => break,
                Ok(Some(bytes)) => arrival.write(bytes).await,
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                arrival.abandon().await;
                return Err(error);
            }
        }
        service.finish_arrival(arrival).await?;
        Ok(Some(Some(name)))
    }
}

async fn next_piece(field: &mut Field<'_>, pace: &Pace) -> Result<Option<Bytes>> {
    loop {
        let piece = field.chunk().await.map_err(|error| malformed(&error))?;
        pace.found();
        // A file without contents comes as one piece of nothing.
        if piece.as_ref().is_none_or(|piece| !piece.is_empty()) {
            return Ok(piece);
        }
    }
}

fn malformed(error: &multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast_ref::<Broken>() {
            Some(broken @ Broken::Between) => Error::TooLarge(broken.to_string()),
            Some(broken) => Error::invalid("body", broken),
            None => Error::invalid("form", "malformed"),
        },
        _ => Error::invalid("form", "malformed, or it ended too early"),
    }
}

/// Why a body does not go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it ended too early or was malformed")]
    CutOff,
    #[error("nothing came for a minute")]
    Idle,
    #[error("the head of a part is too large")]
    Between,
}

/// What a parser of a form and its body know of each other.
#[derive(Default)]
struct Pace {
    /// How much came since the parser last found something.
    between: AtomicUsize,
    /// Whether the parser is to look at what it has before it gets more.
    rests: AtomicBool,
}

impl Pace {
    fn found(&self) {
        self.between.store(0, Ordering::Relaxed);
        self.rests.store(true, Ordering::Relaxed);
    }
}

/// A body, piece by piece and with patience. The parser takes all there is each time it looks, and looks through all it
/// has: so it gets a piece only when it found nothing in what it has, and not too many in which it finds nothing.
struct Paced<'a> {
    body: &'a mut Incoming,
    is_http2: bool,
    pace: Arc<Pace>,
    idle: Pin<Box<Sleep>>,
}

impl<'a> Paced<'a> {
    fn new(body: &'a mut Incoming, version: Version, pace: Arc<Pace>) -> Self {
        Paced { body, is_http2: version == Version::HTTP_2, pace, idle: Box::pin(sleep(IDLE)) }
    }
}

impl Stream for Paced<'_> {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.pace.rests.swap(false, Ordering::Relaxed) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(frame) = Pin::new(&mut *this.body).poll_frame(cx) else {
            return this.idle.as_mut().poll(cx).map(|()| Some(Err(Broken::Idle)));
        };
        this.idle.as_mut().reset(Instant::now() + IDLE);
        match frame {
            None if this.is_http2 && !this.body.is_end_stream() => Poll::Ready(Some(Err(Broken::CutOff))),
            None => Poll::Ready(None),
            Some(Err(_)) => Poll::Ready(Some(Err(Broken::CutOff))),
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if this.pace.between.fetch_add(data.len(), Ordering::Relaxed) >= MAX_BETWEEN {
                    return Poll::Ready(Some(Err(Broken::Between)));
                }
                this.pace.rests.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Ok(data)))
            }
        }
    }
}
