//! What comes before any service: frames, sizes, deadlines, encodings, names that are none.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::Server;

/// A message as it travels: a flag, its length, its bytes.
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// Code and text of the answer to these very bytes.
async fn send(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (Code, String) {
    let mut request = http::Request::post(format!("{}/{path}", server.url()))
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", server.super_token()));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let work = async {
        let stream = TokioIo::new(TcpStream::connect(server.addr()).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        assert_eq!(parts.status.as_u16(), 200);
        assert!(!parts.headers.contains_key("grpc-encoding"), "answers are never compressed");
        let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let all = if parts.headers.contains_key("grpc-status") { parts.headers } else { trailers };
        outcome(&all)
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("an answer in time")
}

fn outcome(headers: &HeaderMap) -> (Code, String) {
    let code = Code::from_bytes(headers["grpc-status"].as_bytes());
    let text = headers.get("grpc-message").map(|text| percent_encoding::percent_decode(text.as_bytes()));
    (code, text.map(|text| text.decode_utf8().unwrap().into_owned()).unwrap_or_default())
}

const CURRENT: &str = "cacheroach.token.Tokens/Current";
const BEGIN: &str = "cacheroach.upload.Uploads/Begin";

#[tokio::test]
async fn a_call_is_answered() {
    let server = Server::start().await;
    assert_eq!(send(&server, CURRENT, &[], frame(0, b"")).await, (Code::Ok, String::new()));
    let proto = [("content-type", "application/grpc+proto")];
    assert_eq!(send(&server, CURRENT, &proto, frame(0, b"")).await.0, Code::Ok);
}

#[tokio::test]
async fn unknown_names_are_told_as_the_original_tells_them() {
    let server = Server::start().await;
    for (path, text) in [
        ("cacheroach.file.Files/X", "unknown method X for service cacheroach.file.Files"),
        ("cacheroach.file.Files/list", "unknown method list for service cacheroach.file.Files"),
        ("cacheroach.file.Nothing/List", "unknown service cacheroach.file.Nothing"),
        ("a.B/C", "unknown service a.B"),
        ("cacheroach.content.Contents/Open", "unknown service cacheroach.content.Contents"),
        ("cacheroach.content.Contents/X", "unknown service cacheroach.content.Contents"),
    ] {
        assert_eq!(
            send(&server, path, &[], frame(0, b"")).await,
            (Code::Unimplemented, text.into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a62_compressed_messages_are_refused() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    // A stream of zeros: 1,000 times as much once unpacked. The server has no use for what it would unpack to.
    let packed =
        vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0];
    for encoding in ["gzip", "deflate", "zstd", "br", "x"] {
        let (code, _) = send(&server, BEGIN, &[("grpc-encoding", encoding)], frame(1, &packed)).await;
        assert_eq!(code, Code::Unimplemented, "{encoding}");
        let (code, _) = send(&server, BEGIN, &[("grpc-encoding", encoding)], frame(0, b"")).await;
        assert_eq!(code, Code::Unimplemented, "{encoding}");
    }
    // Compressed, without saying how.
    assert_ne!(send(&server, BEGIN, &[], frame(1, &packed)).await.0, Code::Ok);
    let accepted = [("grpc-accept-encoding", "gzip"), ("grpc-encoding", "identity")];
    assert_eq!(send(&server, CURRENT, &accepted, frame(0, b"")).await.0, Code::Ok);
    assert_eq!(server.list(tenant).await, []);
}

#[tokio::test]
async fn a68_a_message_has_at_most_4_mib() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    const LIMIT: usize = 4 << 20;
    let of_size = |size: usize| {
        let mut request = cacheroach_api::upload::BeginRequest {
            tenant: Some(tenant.into()),
            path: "/a".into(),
            committed: Some(cacheroach_api::upload::begin_request::Committed::Contents(vec![0; LIMIT - 100])),
            ..Default::default()
        };
        let rest = size - request.encoded_len();
        request.path = format!("/{}", "a".repeat(rest + 1));
        request.encode_to_vec()
    };
    let too_large = of_size(LIMIT + 1);
    let text = format!("grpc: received message larger than max ({} vs. {LIMIT})", LIMIT + 1);
    let answer = send(&server, BEGIN, &[], frame(0, &too_large)).await;
    assert_eq!(answer, (Code::ResourceExhausted, text));
    // Every service has the limit.
    for method in ["cacheroach.token.Tokens/Validate", "cacheroach.file.Files/List"] {
        assert_eq!(send(&server, method, &[], frame(0, &too_large)).await.0, Code::ResourceExhausted);
    }
    // A length that is not sent: refused by what it says.
    let mut claimed = vec![0, 0xff, 0xff, 0xff, 0xff];
    claimed.extend_from_slice(&[0; 100]);
    assert_eq!(send(&server, BEGIN, &[], claimed).await.0, Code::ResourceExhausted);
    assert_eq!(server.list(tenant).await, []);
    assert_eq!(send(&server, BEGIN, &[], frame(0, &of_size(LIMIT))).await.0, Code::Ok);
    assert_eq!(server.list(tenant).await.len(), 1);
}

#[tokio::test]
async fn a68_deadlines_are_kept_or_refused() {
    let server = Server::start().await;
    for (value, expected) in [
        ("0n", Code::DeadlineExceeded),
        ("0S", Code::DeadlineExceeded),
        ("1H", Code::Ok),
        ("99999999H", Code::Ok),
        ("20000m", Code::Ok),
        ("1000000000000000000S", Code::InvalidArgument),
        ("100000000S", Code::InvalidArgument),
        ("-1S", Code::InvalidArgument),
        ("S", Code::InvalidArgument),
        ("1", Code::InvalidArgument),
        ("1x", Code::InvalidArgument),
        ("", Code::InvalidArgument),
    ] {
        let (code, text) = send(&server, CURRENT, &[("grpc-timeout", value)], frame(0, b"")).await;
        assert_eq!(code, expected, "{value:?}: {text}");
    }
}

#[tokio::test]
async fn a68_calls_that_are_given_up_do_no_harm() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    let whole = cacheroach_api::upload::BeginRequest {
        tenant: Some(tenant.into()),
        path: "/a".into(),
        committed: Some(cacheroach_api::upload::begin_request::Committed::Contents(vec![1; 1 << 20])),
        ..Default::default()
    };
    for wait in 0..40 {
        let mut uploads = server.uploads(&server.super_token());
        let call = uploads.begin(whole.clone());
        let _ = tokio::time::timeout(Duration::from_micros(wait * 250), call).await;
    }
    // Each is whole or absent, and the server serves.
    for (path, _, size) in server.list(tenant).await {
        assert_eq!((path.as_str(), size), ("/a", 1 << 20));
    }
    assert_eq!(send(&server, CURRENT, &[], frame(0, b"")).await.0, Code::Ok);
}

#[tokio::test]
async fn a67_what_does_not_decode_is_the_callers_fault() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    // A path that is not UTF-8, a tag without a value, a wrong wire type, a length beyond the end, field number 0.
    for bytes in [&[0x12, 2, 0xff, 0xfe][..], &[0x12], &[0x10, 1], &[0x12, 0x7f, 0x41], &[2, 0], &[0xff; 12]]
    {
        let (code, text) = send(&server, "cacheroach.file.Files/Delete", &[], frame(0, bytes)).await;
        assert_eq!(code, Code::InvalidArgument, "{bytes:?}: {text}");
    }
    // Unknown fields are ignored.
    let mut request = cacheroach_api::file::ListRequest {
        tenant: Some(tenant.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    }
    .encode_to_vec();
    request.extend_from_slice(&[0xf8, 0x3f, 1, 0xfa, 0x3f, 1, 0x41]);
    assert_eq!(send(&server, "cacheroach.file.Files/List", &[], frame(0, &request)).await.0, Code::Ok);
    // An unknown value of an enumeration is still a field that nobody may send.
    let unknown_status = [0x0a, 3, 0xa0, 4, 99];
    let answer =
        send(&server, "cacheroach.principal.Principals/Ensure", &[], frame(0, &unknown_status)).await;
    assert_eq!(answer.0, Code::PermissionDenied);
}

/// Of two members of a oneof the last one counts, for the check as for the deed.
#[tokio::test]
async fn a67_of_two_members_of_a_oneof_the_last_is_checked_and_used() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    let mut request = cacheroach_api::upload::BeginRequest {
        tenant: Some(tenant.into()),
        path: "/a".into(),
        committed: None,
        ..Default::default()
    }
    .encode_to_vec();
    // contents = "x", then empty = true.
    request.extend_from_slice(&[0x1a, 1, b'x', 0x20, 1]);
    assert_eq!(send(&server, BEGIN, &[], frame(0, &request)).await.0, Code::Ok);
    assert_eq!(server.list(tenant).await, [("/a".into(), 1, 0)]);
}

#[tokio::test]
async fn a67_nesting_without_end_is_refused() {
    let server = Server::start().await;
    // Field 1 within field 1 within … of a message that has no such depth, and of unknown groups.
    let mut nested = Vec::new();
    for _ in 0..1_000 {
        let mut outer = vec![0x0a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend_from_slice(&nested);
        nested = outer;
    }
    for method in ["cacheroach.file.Files/List", "cacheroach.principal.Principals/Ensure"] {
        let (code, _) = send(&server, method, &[], frame(0, &nested)).await;
        assert_eq!(code, Code::InvalidArgument, "{method}");
    }
    let groups = [vec![0xfb; 1_000], vec![0x3f; 1_000]].concat();
    let (code, _) = send(&server, "cacheroach.file.Files/List", &[], frame(0, &groups)).await;
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(send(&server, CURRENT, &[], frame(0, b"")).await.0, Code::Ok);
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused() {
    let server = Server::start().await;
    for (what, body) in [
        ("nothing", Vec::new()),
        ("half a head", vec![0, 0, 0]),
        ("half a message", vec![0, 0, 0, 0, 9, 1]),
        ("an unknown flag", frame(7, b"")),
        ("text", b"hello, this is not gRPC at all".to_vec()),
    ] {
        let (code, text) = send(&server, CURRENT, &[], body).await;
        assert!(!matches!(code, Code::Ok | Code::Unknown), "{what}: {code:?} {text}");
    }
    assert_eq!(send(&server, CURRENT, &[], frame(0, b"")).await.0, Code::Ok);
}

/// Only HTTP/2 and outside `/_/`: everything else is the file server's.
#[tokio::test]
async fn grpc_over_http_1_is_no_grpc() {
    let server = Server::start().await;
    let path = format!("/{CURRENT}");
    let answer = server.http("POST", &path, &[("content-type", "application/grpc")], frame(0, b"")).await;
    assert_eq!(answer.status.as_u16(), 401);
    assert!(!answer.headers.contains_key("grpc-status"));
}

#[tokio::test]
async fn health_is_told_to_everybody() {
    let server = Server::start().await;
    let answer = send(&server, "grpc.health.v1.Health/Check", &[], frame(0, b"")).await;
    assert_eq!(answer, (Code::Ok, String::new()));
    let unknown = frame(0, &[0x0a, 3, b'a', b'.', b'B']);
    assert_eq!(send(&server, "grpc.health.v1.Health/Check", &[], unknown).await.0, Code::NotFound);
}
