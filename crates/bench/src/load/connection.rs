//! Connections of the load generator, one request at a time on each.

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Ask, Content, Target};
use crate::Result;

/// What may come on a stream of HTTP/2 before it is taken; with the specification's 64 KiB, waiting is what is measured.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Kept open from one request to the next.
pub(crate) struct Connection {
    target: Target,
    sender: Sender,
    /// Moves the bytes; dropped, and so ended, together with the sender.
    _driver: JoinSet<()>,
}

enum Sender {
    Http1(http1::SendRequest<Content>),
    Http2(http2::SendRequest<Content>),
}

impl Sender {
    async fn send(&mut self, request: Request<Content>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        let mut driver = JoinSet::new();
        // What breaks the connection is told to the request under way, too.
        let sender = if target.http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(STREAM_WINDOW);
            builder.initial_connection_window_size(CONNECTION_WINDOW);
            let (sender, connection) = builder.handshake(stream).await?;
            driver.spawn(async { drop(connection.await) });
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await?;
            driver.spawn(async { drop(connection.await) });
            Sender::Http1(sender)
        };
        Ok(Self { target: target.clone(), sender, _driver: driver })
    }

    /// From now on its requests are somebody else's.
    pub(crate) fn act_as(&mut self, authorization: Option<HeaderValue>) {
        self.target.authorization = authorization;
    }

    /// Makes a request, throws its answer away and tells how many bytes of a body went either way; the answer must be
    /// as expected.
    pub(crate) async fn perform(&mut self, ask: Ask) -> Result<u64> {
        let (expected, uploads) = (ask.expected(), ask.uploads());
        let request = self.target.request(ask)?;
        // Without what follows the question mark: it may be a credential.
        let path = request.uri().path().to_owned();
        let (status, received) = self.count(request).await.map_err(|error| format!("{path}: {error}"))?;
        if !expected.contains(&status) {
            return Err(format!("{path}: {status}").into());
        }
        Ok(if uploads == 0 { received } else { uploads })
    }

    /// Counts an answer's body and throws it away.
    async fn count(&mut self, request: Request<Content>) -> Result<(StatusCode, u64)> {
        let answer = self.sender.send(request).await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok((status, received))
    }
}

/// One request on a connection of its own, with its answer kept.
pub(crate) async fn once(target: &Target, ask: Ask) -> Result<(StatusCode, Bytes)> {
    let request = target.request(ask)?;
    let mut connection = Connection::open(target).await?;
    let answer = connection.sender.send(request).await?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
}
