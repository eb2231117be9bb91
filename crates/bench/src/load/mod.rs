//! The load generator: clients that share a bounded amount of work.

mod ask;
mod connection;
mod content;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub(crate) use ask::{Ask, Target};
pub(crate) use connection::{Connection, once};
pub(crate) use content::{Content, mix};

use crate::{Error, Result};

/// No single round takes anywhere near this long; a server that hangs must not hang the run.
const ROUND_LIMIT: Duration = Duration::from_secs(900);

/// Somebody who does one thing at a time.
pub(crate) trait Client: Send + 'static {
    /// Does piece number `index` of the work, and tells how many bytes of bodies that moved.
    fn perform(&mut self, index: u64) -> impl Future<Output = Result<u64>> + Send;
}

/// When clients stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    Operations(u64),
    Time(Duration),
}

/// How much is asked: request number n is `ask(n)`, for n in `0..requests`, from `connections` at once.
pub(crate) struct Plan<F> {
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) ask: F,
}

/// What the clients saw of some work.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) wall: Duration,
    /// Bytes of bodies, in either direction, answers to PUTs left out.
    pub(crate) body_bytes: u64,
    /// One per operation, ascending.
    pub(crate) latencies: Vec<Duration>,
}

impl Outcome {
    /// Fails if other bytes came than were asked for.
    pub(crate) fn of_bytes(self, bytes: u64) -> Result<Self> {
        if self.body_bytes == bytes {
            return Ok(self);
        }
        Err(format!("{} bytes came, not {bytes}", self.body_bytes).into())
    }
}

/// A connection and what is asked on it.
pub(crate) struct Asking<F> {
    connection: Connection,
    ask: Arc<F>,
}

impl<F: Fn(u64) -> Ask + Send + Sync + 'static> Asking<F> {
    pub(crate) async fn clients(target: &Target, connections: usize, ask: F) -> Result<Vec<Self>> {
        let (mut clients, ask) = (Vec::new(), Arc::new(ask));
        for _ in 0..connections {
            clients.push(Self { connection: Connection::open(target).await?, ask: Arc::clone(&ask) });
        }
        Ok(clients)
    }
}

impl<F: Fn(u64) -> Ask + Send + Sync + 'static> Client for Asking<F> {
    async fn perform(&mut self, index: u64) -> Result<u64> {
        self.connection.perform((self.ask)(index)).await
    }
}

/// Runs a plan; the first answer that is not what it should be ends it.
pub(crate) async fn run<F>(target: &Target, plan: Plan<F>) -> Result<Outcome>
where
    F: Fn(u64) -> Ask + Send + Sync + 'static,
{
    let clients = Asking::clients(target, plan.connections, plan.ask).await?;
    drive(clients, Amount::Operations(plan.requests)).await
}

/// Lets clients work at once, each piece of the work done by one of them.
pub(crate) async fn drive<C: Client>(clients: Vec<C>, amount: Amount) -> Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    let begun = Instant::now();
    for client in clients {
        workers.spawn(work(client, Arc::clone(&next), begun, amount));
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

async fn work<C: Client>(
    mut client: C,
    next: Arc<AtomicU64>,
    begun: Instant,
    amount: Amount,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let is_over = match amount {
            Amount::Operations(operations) => index >= operations,
            Amount::Time(time) => begun.elapsed() >= time,
        };
        if is_over {
            return Ok(outcome);
        }
        let begun = Instant::now();
        outcome.body_bytes += client.perform(index).await?;
        outcome.latencies.push(begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, StatusCode};
    use http_body_util::BodyExt as _;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    use tokio::net::TcpListener;

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
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
                });
            }
        });
        Target::anonymous(address)
    }

    #[tokio::test]
    async fn every_request_is_made_once_and_counted() {
        let target = server().await;
        let by_http2 = target.clone().by_http2(target.address);
        for target in [target, by_http2] {
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
            assert!(outcome.of_bytes(5001).is_err());
        }
    }

    #[tokio::test]
    async fn an_upload_counts_what_went_up() {
        let ask = |index| Ask::put(format!("/{index}"), Content::new(index, 4096));
        let outcome = run(&server().await, Plan { connections: 2, requests: 4, ask }).await.unwrap();
        assert_eq!(outcome.body_bytes, 4 * 4096);
    }

    #[tokio::test]
    async fn work_by_time_ends() {
        let clients = Asking::clients(&server().await, 2, |_| Ask::get("/")).await.unwrap();
        let outcome = drive(clients, Amount::Time(Duration::from_millis(50))).await.unwrap();
        assert!(outcome.wall >= Duration::from_millis(50) && !outcome.latencies.is_empty());
    }

    #[tokio::test]
    async fn a_wrong_status_ends_the_run() {
        let ask = |_| Ask::get("/missing");
        let error = run(&server().await, Plan { connections: 1, requests: 2, ask }).await.unwrap_err();
        assert!(error.to_string().contains("404"), "{error}");
    }
}
