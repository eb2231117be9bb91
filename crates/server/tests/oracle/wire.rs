//! HTTP/1.1 on a connection that is kept.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A client that asks one after the other.
pub(crate) struct Wire {
    addr: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    pub(crate) fn to(addr: SocketAddr) -> Self {
        Wire { addr, sender: None }
    }

    /// The status of the answer, whose body is taken off the connection.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let ready = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            let stream = TcpStream::connect(self.addr).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let answer = self.sender.as_mut().unwrap().send_request(request).await.unwrap();
        let status = answer.status().as_str().to_owned();
        answer.into_body().collect().await.unwrap();
        status
    }
}
