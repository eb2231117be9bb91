//! Other servers, as a test scripts them: what comes is kept, what goes is what the script writes, byte for byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server on a loopback address.
pub(super) struct Remote {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Remote {
    /// On 127.0.0.1. The script gets the head of each request and the connection.
    pub(super) async fn start<F, D>(script: F) -> Self
    where
        F: Fn(String, TcpStream) -> D + Send + Sync + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        Self::start_on(Ipv4Addr::LOCALHOST, script).await
    }

    pub(super) async fn start_on<F, D>(ip: Ipv4Addr, script: F) -> Self
    where
        F: Fn(String, TcpStream) -> D + Send + Sync + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let keep = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, keep) = (Arc::clone(&script), Arc::clone(&keep));
                tokio::spawn(async move {
                    let head = head(&mut stream).await;
                    keep.lock().unwrap().push(head.clone());
                    script(head, stream).await;
                });
            }
        });
        Remote { addr, seen }
    }

    /// Answers everything with these bytes and closes.
    pub(super) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |_, stream| {
            let answer = Arc::clone(&answer);
            async move { say(stream, &answer).await }
        })
        .await
    }

    /// An address of it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(super) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The heads of all requests so far, in small letters; of a connection without one, nothing.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte).await, Ok(1)) {
        head.extend(byte);
        // TLS, which is not spoken here.
        if head == [0x16] {
            break;
        }
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// Writes and closes, and lets the other side read all of it.
pub(super) async fn say(mut stream: TcpStream, bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        let _ = stream.shutdown().await;
        gone(&mut stream).await;
    }
}

/// Waits until the other side has closed.
pub(super) async fn gone(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// An answer with a body that is as long as it says.
pub(super) fn whole(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer
}

/// An answer that sends the client elsewhere.
pub(super) fn redirect(to: &str) -> Vec<u8> {
    whole("302 Found", &format!("location: {to}\r\n"), b"")
}
