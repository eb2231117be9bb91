//! An S3 server in this process that fails as it is told: a bucket called `bucket`, as much of the protocol as a tier
//! uses, and no signatures.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request fails.
#[derive(Clone, Copy)]
pub(super) enum Failing {
    Status(u16, &'static str),
    /// No answer at all.
    Hangs,
    /// The work is done, and the connection closed instead of an answer.
    Drops,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: Mutex<BTreeMap<String, Bytes>>,
    /// Of a thousand requests, so many fail, one way after the other.
    pub(super) share: AtomicUsize,
    pub(super) failing: Mutex<Vec<Failing>>,
    /// Erasures are acknowledged and nothing goes.
    pub(super) keeps: std::sync::atomic::AtomicBool,
    pub(super) requests: AtomicUsize,
    failed: AtomicUsize,
}

/// Stops when it is dropped.
pub(super) struct Server {
    pub(super) state: Arc<State>,
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let serve = service_fn(move |request| answer(Arc::clone(&state), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve),
                );
            }
        });
        Server { state, address, task }
    }

    pub(super) fn fail(&self, share: usize, failing: &[Failing]) {
        *self.state.failing.lock().unwrap() = failing.to_vec();
        self.state.share.store(share, Ordering::SeqCst);
    }
}

impl State {
    /// Spread evenly: the same share of every run of requests.
    fn fault(&self) -> Option<Failing> {
        let share = self.share.load(Ordering::SeqCst);
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        // 617 has no factor in common with 1000, so each thousand requests meets each remainder once.
        if number * 617 % 1000 >= share {
            return None;
        }
        let failing = self.failing.lock().unwrap();
        failing.get(self.failed.fetch_add(1, Ordering::SeqCst) % failing.len()).copied()
    }
}

type Answer = Response<Full<Bytes>>;

fn plain(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, std::io::Error> {
    let fault = state.fault();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    match fault {
        Some(Failing::Status(status, code)) => {
            return Ok(plain(status, format!("<Error><Code>{code}</Code></Error>")));
        }
        Some(Failing::Hangs) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        _ => {}
    }
    let key = head.uri.path().strip_prefix("/bucket").unwrap_or_default().trim_start_matches('/').to_owned();
    let done = work(&state, &head.method, &key, head.uri.query().unwrap_or_default(), body);
    if matches!(fault, Some(Failing::Drops)) {
        return Err(std::io::Error::other("dropped"));
    }
    Ok(done.unwrap_or_else(|never| match never {}))
}

fn work(state: &State, method: &Method, key: &str, query: &str, body: Bytes) -> Result<Answer, Infallible> {
    let mut objects = state.objects.lock().unwrap();
    Ok(match *method {
        Method::PUT => {
            objects.insert(key.to_owned(), body);
            let mut answer = plain(200, "");
            answer.headers_mut().insert("etag", "\"e\"".parse().unwrap());
            answer
        }
        Method::DELETE => {
            if !state.keeps.load(Ordering::SeqCst) {
                objects.remove(key);
            }
            plain(204, "")
        }
        Method::GET if key.is_empty() => plain(200, listing(&objects, query)),
        Method::GET => match objects.get(key) {
            None => plain(404, "<Error><Code>NoSuchKey</Code></Error>"),
            Some(bytes) => {
                let mut answer = plain(200, bytes.clone());
                answer.headers_mut().insert("etag", "\"e\"".parse().unwrap());
                answer
                    .headers_mut()
                    .insert("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap());
                answer
            }
        },
        _ => plain(405, ""),
    })
}

fn listing(objects: &BTreeMap<String, Bytes>, query: &str) -> String {
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, after, token) = (value("prefix"), value("start-after"), value("continuation-token"));
    let after = if token.is_empty() { after } else { token };
    let mut rest = objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after).peekable();
    let mut text = "<ListBucketResult>".to_owned();
    let mut last = String::new();
    // A real server's pages have a thousand.
    for (key, bytes) in rest.by_ref().take(10) {
        write!(
            text,
            "<Contents><Key>{key}</Key><Size>{}</Size><ETag>e</ETag>\
             <LastModified>2026-10-21T07:28:00Z</LastModified></Contents>",
            bytes.len()
        )
        .unwrap();
        last.clone_from(key);
    }
    if rest.peek().is_some() {
        write!(text, "<NextContinuationToken>{last}</NextContinuationToken>").unwrap();
    }
    text + "</ListBucketResult>"
}
