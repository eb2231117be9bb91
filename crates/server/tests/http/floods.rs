//! HTTP/2 spoken badly on purpose, frame by frame (RFC 9113): the connection ends, or nobody else notices it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::Server;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET / HTTP/2` of the host `a`, as HPACK: indexed fields, and a literal authority.
fn get() -> Vec<u8> {
    vec![0x82, 0x84, 0x86, 0x01, 1, b'a']
}

/// How a connection took a flood of frames.
#[derive(Debug, Eq, PartialEq)]
enum End {
    /// The server closed it, with or without a word.
    Closed,
    /// The server took no more of it: what we send waits in our own buffers.
    Held,
    /// All of it was taken, and the connection goes on.
    Taken,
}

/// Sends frames and reads nothing, until the server has had enough or all are sent.
async fn flood(server: &Server, frames: impl Iterator<Item = Vec<u8>>) -> End {
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let mut batch = Vec::new();
    for frame in frames {
        batch.extend_from_slice(&frame);
        if batch.len() >= 16 * 1024 {
            match timeout(Duration::from_secs(2), stream.write_all(&batch)).await {
                Err(_) => return End::Held,
                Ok(Err(_)) => return End::Closed,
                Ok(Ok(())) => batch.clear(),
            }
        }
    }
    if stream.write_all(&batch).await.is_err() {
        return End::Closed;
    }
    let mut answers = Vec::new();
    match timeout(Duration::from_secs(2), stream.read_to_end(&mut answers)).await {
        Ok(_) => End::Closed,
        Err(_) if answers.windows(4).any(|part| part[3] == GOAWAY && part[0] == 0) => End::Closed,
        Err(_) => End::Taken,
    }
}

/// Odd numbers: the streams of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|at| 2 * at + 1)
}

async fn others_are_served(server: &Server) {
    let tenant = server.tenant().await;
    server.put(tenant, "/a", "x").await;
    assert_eq!(server.list(tenant).await.len(), 1);
}

#[tokio::test]
async fn a58_streams_that_are_reset_as_fast_as_they_are_opened_end_the_connection() {
    let server = Server::start().await;
    let resets = streams(20_000).flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &get()),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
    });
    assert_eq!(flood(&server, resets).await, End::Closed);
    others_are_served(&server).await;
}

#[tokio::test]
async fn a58_a_head_that_goes_on_for_ever_ends_the_connection() {
    let server = Server::start().await;
    // A literal field without indexing: `x: y`, over and over, and never the end of the head.
    let field = [0, 1, b'x', 1, b'y'].repeat(200);
    let begin = frame(HEADERS, 0, 1, &get());
    let more = (0..20_000).map(move |_| frame(CONTINUATION, 0, 1, &field));
    assert_eq!(flood(&server, std::iter::once(begin).chain(more)).await, End::Closed);
    let empty = (0..200_000).map(|_| frame(CONTINUATION, 0, 1, &[]));
    assert_eq!(flood(&server, std::iter::once(frame(HEADERS, 0, 1, &get())).chain(empty)).await, End::Closed);
    others_are_served(&server).await;
}

#[tokio::test]
async fn a58_questions_whose_answers_nobody_reads_fill_no_memory() {
    let server = Server::start().await;
    // Enough answers to fill every buffer on the way: then the server must stop reading, or hang up.
    let pings = (0..2_000_000_u64).map(|at| frame(PING, 0, 0, &at.to_be_bytes()));
    assert_ne!(flood(&server, pings).await, End::Taken);
    let settings = (0..2_000_000).map(|_| frame(SETTINGS, 0, 0, &[]));
    assert_ne!(flood(&server, settings).await, End::Taken);
    others_are_served(&server).await;
}

#[tokio::test]
async fn a58_empty_frames_of_a_body_hold_up_nobody() {
    let server = Server::start().await;
    // POST instead of GET, and the body never ends.
    let post = [&[0x83][..], &get()[1..]].concat();
    let begin = frame(HEADERS, END_HEADERS, 1, &post);
    let empty = (0..500_000).map(|_| frame(DATA, 0, 1, &[]));
    flood(&server, std::iter::once(begin).chain(empty)).await;
    others_are_served(&server).await;
}

#[tokio::test]
async fn a58_more_streams_than_are_allowed_at_once_are_refused() {
    let server = Server::start().await;
    let open = streams(10_000).map(|stream| frame(HEADERS, END_HEADERS, stream, &get()));
    flood(&server, open).await;
    others_are_served(&server).await;
}
