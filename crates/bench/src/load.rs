//! The load generator: keep-alive HTTP/1.1 connections that share a bounded number of requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Error, Result};

/// No single round takes anywhere near this long; a server that hangs must not hang the run.
const ROUND_LIMIT: Duration = Duration::from_secs(900);

/// How much of a body is made at a time.
const BLOCK: usize = 256 * 1024;

/// Bytes that look random, follow from a seed, and differ for different seeds in every block: nothing a server
/// could deduplicate or compress.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    seed: u64,
    length: usize,
    sent: usize,
}

impl Content {
    pub(crate) fn new(seed: u64, length: usize) -> Self {
        Self { seed, length, sent: 0 }
    }

    fn empty() -> Self {
        Self::new(0, 0)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = vec![0; self.length];
        for (index, block) in all.chunks_mut(BLOCK).enumerate() {
            self.fill(index * BLOCK, block);
        }
        all
    }

    /// SplitMix64 over the position, so that any block can be made by itself.
    fn fill(&self, offset: usize, block: &mut [u8]) {
        let mut state = self.seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(offset as u64);
        for word in block.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            word.copy_from_slice(&mixed.to_le_bytes()[..word.len()]);
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let left = self.length - self.sent;
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut block = vec![0; left.min(BLOCK)];
        self.fill(self.sent, &mut block);
        self.sent += block.len();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(block)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.sent) as u64)
    }
}

/// Where requests go, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The `Authorization` header of PUTs; reading is for everyone.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        Self { address, authorization: None }
    }

    fn request(&self, ask: Ask) -> Result<Request<Content>> {
        let builder = Request::builder().uri(ask.path).header(header::HOST, self.address.to_string());
        let request = match ask.what {
            What::Get => builder.body(Content::empty())?,
            What::List => builder.header(header::ACCEPT, "application/json").body(Content::empty())?,
            What::Put(content) => {
                let mut request = builder.method(Method::PUT).body(content)?;
                if let Some(value) = &self.authorization {
                    request.headers_mut().insert(header::AUTHORIZATION, value.clone());
                }
                request
            }
        };
        Ok(request)
    }
}

/// One request, before it belongs to a server.
#[derive(Debug)]
pub(crate) struct Ask {
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Get,
    List,
    Put(Content),
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), what: What::Get }
    }

    pub(crate) fn list(path: impl Into<String>) -> Self {
        Self { path: path.into(), what: What::List }
    }

    pub(crate) fn put(path: impl Into<String>, content: Content) -> Self {
        Self { path: path.into(), what: What::Put(content) }
    }

    /// Good answers. Of a file that is stored some say OK, and some that they took it.
    fn expected(&self) -> &'static [StatusCode] {
        match self.what {
            What::Put(_) => &[StatusCode::OK, StatusCode::ACCEPTED],
            What::Get | What::List => &[StatusCode::OK],
        }
    }

    fn uploads(&self) -> u64 {
        if let What::Put(content) = &self.what { content.length as u64 } else { 0 }
    }
}

/// How much is asked: request number n is `ask(n)`, for n in `0..requests`, from `connections` at once.
pub(crate) struct Plan<F> {
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) ask: F,
}

/// What the client saw of a plan.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) wall: Duration,
    /// Bytes of bodies, in either direction, answers to PUTs left out.
    pub(crate) body_bytes: u64,
    /// One per request, ascending.
    pub(crate) latencies: Vec<Duration>,
}

/// Runs a plan; the first answer that is not what it should be ends it.
pub(crate) async fn run<F>(target: &Target, plan: Plan<F>) -> Result<Outcome>
where
    F: Fn(u64) -> Ask + Send + Sync + 'static,
{
    let plan = Arc::new(plan);
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(target.address).await?);
    }
    let begun = Instant::now();
    for connection in connections {
        workers.spawn(work(connection, target.clone(), Arc::clone(&plan), Arc::clone(&next)));
    }
    let mut outcome = Outcome::default();
    let all = async {
        while let Some(part) = workers.join_next().await {
            let part = part??;
            outcome.body_bytes += part.body_bytes;
            outcome.latencies.extend(part.latencies);
        }
        Ok::<_, Error>(())
    };
    tokio::time::timeout(ROUND_LIMIT, all).await.map_err(|_| "the server takes too long, giving up")??;
    outcome.wall = begun.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn work<F>(
    mut connection: Connection,
    target: Target,
    plan: Arc<Plan<F>>,
    next: Arc<AtomicU64>,
) -> Result<Outcome>
where
    F: Fn(u64) -> Ask,
{
    let mut outcome = Outcome::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= plan.requests {
            return Ok(outcome);
        }
        let ask = (plan.ask)(index);
        let (expected, uploads) = (ask.expected(), ask.uploads());
        let request = target.request(ask)?;
        let uri = request.uri().clone();
        let begun = Instant::now();
        let (status, received) =
            connection.count(request).await.map_err(|error| format!("{uri}: {error}"))?;
        outcome.latencies.push(begun.elapsed());
        if !expected.contains(&status) {
            return Err(format!("{}: {status}", uri.path()).into());
        }
        outcome.body_bytes += if uploads == 0 { received } else { uploads };
    }
}

/// One request on a connection of its own, with its answer kept.
pub(crate) async fn once(target: &Target, ask: Ask) -> Result<(StatusCode, Bytes)> {
    let request = target.request(ask)?;
    let mut connection = Connection::open(target.address).await?;
    let answer = connection.sender.send_request(request).await?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
}

struct Connection {
    sender: SendRequest<Content>,
    /// Moves the bytes; dropped, and so ended, together with the sender.
    _driver: JoinSet<()>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // What breaks the connection is told to the request under way, too.
        driver.spawn(async { drop(connection.await) });
        Ok(Self { sender, _driver: driver })
    }

    /// Counts an answer's body and throws it away.
    async fn count(&mut self, request: Request<Content>) -> Result<(StatusCode, u64)> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok((status, received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    #[test]
    fn contents_differ_in_every_block_and_repeat_for_a_seed() {
        let first = Content::new(1, 2 * BLOCK).bytes();
        let second = Content::new(2, 2 * BLOCK).bytes();
        assert_eq!(first, Content::new(1, 2 * BLOCK).bytes());
        assert_ne!(first[..BLOCK], first[BLOCK..]);
        assert_ne!(first[..BLOCK], second[..BLOCK]);
        assert_ne!(first[BLOCK..], second[BLOCK..]);
    }

    #[tokio::test]
    async fn what_is_sent_is_what_bytes_says() {
        let content = Content::new(7, 2 * BLOCK + 100);
        assert_eq!(content.clone().collect().await.unwrap().to_bytes(), content.bytes());
    }

    /// Answers a GET with 100 bytes, a PUT with 202 and a digest's length, and `/missing` with 404.
    async fn server() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = |request: Request<hyper::body::Incoming>| async move {
            let (status, length) = match (request.method(), request.uri().path()) {
                (_, "/missing") => (404, 0),
                (&Method::PUT, _) => (202, 64),
                _ => (200, 100),
            };
            request.into_body().collect().await?;
            let mut response = hyper::Response::new(Content::new(0, length));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, hyper::Error>(response)
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serve = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(async { drop(serve.await) });
            }
        });
        Target::anonymous(address)
    }

    #[tokio::test]
    async fn every_request_is_made_once_and_counted() {
        let target = server().await;
        let asked = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&asked);
        let ask = move |index| {
            sum.fetch_add(index, Ordering::Relaxed);
            Ask::get(format!("/{index}"))
        };
        let outcome = run(&target, Plan { connections: 3, requests: 50, ask }).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 49 * 50 / 2);
        assert_eq!(outcome.latencies.len(), 50);
        assert_eq!(outcome.body_bytes, 5000);
    }

    #[tokio::test]
    async fn an_upload_counts_what_went_up() {
        let ask = |index| Ask::put(format!("/{index}"), Content::new(index, 4096));
        let outcome = run(&server().await, Plan { connections: 2, requests: 4, ask }).await.unwrap();
        assert_eq!(outcome.body_bytes, 4 * 4096);
    }

    #[tokio::test]
    async fn a_wrong_status_ends_the_run() {
        let ask = |_| Ask::get("/missing");
        let error = run(&server().await, Plan { connections: 1, requests: 2, ask }).await.unwrap_err();
        assert!(error.to_string().contains("404"), "{error}");
    }
}
