//! HTTP/1.1 as bytes and HTTP/2 as frames, for what no proper client would send.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Sends bytes as they are, ends its side, and answers all that comes back until the server closes.
pub(crate) async fn exchange(addr: SocketAddr, bytes: impl Into<Vec<u8>>) -> Vec<u8> {
    talk(addr, bytes.into(), true).await
}

/// The same without ending the client's side: it is the server that must close.
pub(crate) async fn exchange_open(addr: SocketAddr, bytes: impl Into<Vec<u8>>) -> Vec<u8> {
    talk(addr, bytes.into(), false).await
}

async fn talk(addr: SocketAddr, bytes: Vec<u8>, then_end: bool) -> Vec<u8> {
    let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
    // The server may answer and close before it has taken all.
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        if then_end {
            let _ = write.shutdown().await;
        }
        write
    });
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server closes in time");
    let _ = writing.await;
    answer
}

/// One response of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body has all the bytes that its head promises.
    pub(crate) whole: bool,
}

/// All responses in what a server sent, none of them to HEAD.
pub(crate) fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        if (100..200).contains(&status) {
            continue;
        }
        assert!(!headers.contains_key("transfer-encoding"), "{head}");
        let length = headers.get("content-length").map(|value| value.to_str().unwrap().parse().unwrap());
        let length: usize = length.unwrap_or(0);
        let (body, rest) = bytes.split_at(length.min(bytes.len()));
        let (body, whole) = (body.to_vec(), body.len() == length);
        bytes = rest;
        replies.push(Reply { status, headers, body, whole });
    }
    replies
}

/// The one response to a request of HTTP/1.1 that says `Connection: close` or deserves it.
pub(crate) async fn reply(addr: SocketAddr, bytes: impl Into<Vec<u8>>) -> Reply {
    let answer = exchange_open(addr, bytes).await;
    let mut replies = replies(&answer);
    assert_eq!(replies.len(), 1, "{:?}", String::from_utf8_lossy(&answer));
    replies.remove(0)
}

/// What a server sent, but for the one line that differs from second to second.
pub(crate) fn without_date(answer: &[u8]) -> String {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let lines = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    format!("{}\r\n\r\n{body}", lines.collect::<Vec<_>>().join("\r\n"))
}

/// A connection of HTTP/2.
pub(crate) async fn h2(addr: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client.ready().await.unwrap()
}

/// One request over HTTP/2 without a body: the status, the headers and the body.
pub(crate) async fn h2_get(
    client: &SendRequest<Bytes>,
    request: Request<()>,
) -> Result<(u16, HeaderMap, Vec<u8>), h2::Error> {
    let work = async {
        let mut client = client.clone().ready().await?;
        let (response, _) = client.send_request(request, true)?;
        let (parts, mut body) = response.await?.into_parts();
        let mut all = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            all.extend_from_slice(&data);
        }
        Ok((parts.status.as_u16(), parts.headers, all))
    };
    tokio::time::timeout(PATIENCE, work).await.expect("an answer in time")
}
