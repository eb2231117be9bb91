//! Connections: accepting them, bounding them, and letting go of them in the end.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::{HeaderValue, Request, Response, Version, header};
use cacheroach_model::Networks;
use cacheroach_service::Service;
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::framing::{MAX_LINE, Strict};
use crate::patience::{IDLE, Patient};
use crate::peer;
use crate::route::Router;
use crate::stalled::{Waiting, Watched};

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether clients reach this server by TLS that ends before it.
    pub assume_secure: bool,
    /// How long requests under way may take once the server is told to stop.
    pub grace_period: Duration,
    /// At most so many connections; others wait to be accepted.
    pub connections: usize,
    /// Proxies whose `X-Forwarded-For` is believed. Default: none.
    pub trusted_proxies: Networks,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            assume_secure: false,
            grace_period: Duration::from_secs(10),
            connections: 10_000,
            trusted_proxies: Networks::default(),
        }
    }
}

/// A client that sends no head for so long is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What a request head may measure in HTTP/2. Fields of HTTP/1 are bounded by hyper, to 100: told to, it would find room
/// for them in another way, which is slower.
const HEAD_SIZE: u32 = 32 * 1024;

/// Told to stop, a server first takes leave for so long at most: it answers what comes on connections that it has, and
/// says that each is over. To close them at once would lose the requests that are on their way to it.
const FAREWELL: Duration = Duration::from_secs(1);

/// After a failure to accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop, then until what is under way is done or the grace period is over.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    settings: Settings,
    stop: impl Future<Output = ()>,
) {
    let entrance = Entrance {
        router: Router::new(service, settings.assume_secure),
        proxies: Arc::new(settings.trusted_proxies),
        leaving: Arc::default(),
    };
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(settings.connections));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer, permit)) => spawn(stream, peer, permit, entrance.clone(), &graceful),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever has connected already is served, too: to close the socket on them would reset them.
    while let Some(Ok((stream, peer, permit))) = accept(&listener, &permits).now_or_never() {
        spawn(stream, peer, permit, entrance.clone(), &graceful);
    }
    drop(listener);
    let over = tokio::time::Instant::now() + settings.grace_period;
    entrance.leaving.store(true, Ordering::Relaxed);
    let all_gone = permits.acquire_many(u32::try_from(settings.connections).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(FAREWELL.min(settings.grace_period / 2), all_gone).await;
    if tokio::time::timeout_at(over, graceful.shutdown()).await.is_err() {
        tracing::warn!("the grace period is over; requests under way are cut off");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address.ip(), permit))
}

/// What all connections lead to.
#[derive(Clone)]
struct Entrance {
    router: Router,
    proxies: Arc<Networks>,
    /// Whether the server was told to stop.
    leaving: Arc<AtomicBool>,
}

/// One connection, as far as its requests are concerned.
struct Connection {
    entrance: Entrance,
    /// Whose it is: perhaps a proxy's.
    peer: IpAddr,
    waiting: Arc<Waiting>,
}

impl Connection {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Watched>, Infallible> {
        let Entrance { router, proxies, leaving } = &self.entrance;
        let answering = self.waiting.begin();
        let peer = peer::before(proxies, self.peer, request.headers());
        // HTTP/2 has a message of its own for that.
        let says_so = request.version() < Version::HTTP_2;
        let mut response = router.route(request, peer).await;
        if says_so && leaving.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| answering.watch(body)))
    }
}

fn spawn(
    stream: TcpStream,
    peer: IpAddr,
    permit: OwnedSemaphorePermit,
    entrance: Entrance,
    graceful: &GracefulShutdown,
) {
    let waiting = Arc::new(Waiting::default());
    let connection = Arc::new(Connection { entrance, peer, waiting: Arc::clone(&waiting) });
    let serve = hyper::service::service_fn(move |request| Arc::clone(&connection).answer(request));
    let stream = Strict::new(Patient::new(stream, IDLE, Arc::clone(&waiting)), Arc::clone(&waiting));
    let serving = graceful.watch(builder().serve_connection(TokioIo::new(stream), serve).into_owned());
    tokio::spawn(async move {
        tokio::select! {
            biased;
            ended = serving => if let Err(error) = ended {
                tracing::debug!(error = &*error, "connection ended");
            },
            () = waiting.in_vain(IDLE, HEAD_TIMEOUT) => tracing::debug!("a connection was let go: its peer does nothing"),
        }
        drop(permit);
    });
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Who sends no head is known to `Waiting`: a clock of hyper's would be set anew for each request.
    builder.http1().header_read_timeout(None).max_buf_size(MAX_LINE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_SIZE)
        .max_concurrent_streams(256)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_send_buf_size(1 << 20)
        .keep_alive_interval(Some(Duration::from_secs(60)))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
