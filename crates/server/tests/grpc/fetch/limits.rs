//! What remotes, and callers, can't have of us: time, room, connections.

use std::fmt::Write as _;
use std::time::Duration;

use cacheroach_api::upload::FetchRequest;
use cacheroach_model::Capabilities;
use cacheroach_service::FetchSettings;
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tonic::Code;

use super::remote::{Remote, gone, say, whole};
use super::{Site, content, stored};
use crate::support::loopback;

const MIB: u64 = 1 << 20;

/// Small enough that no test has to wait, large enough that nothing else is cut off.
const SOON: Duration = Duration::from_millis(300);

async fn refused(site: &Site, remote: &Remote) -> Code {
    let (code, message) = site.refused(site.request(&remote.url("/?token=hidden"))).await;
    assert!(message.starts_with("remote_url: ") && !message.contains("hidden"), "{message}");
    site.has_nothing().await;
    code
}

#[tokio::test]
async fn a54_a_body_is_taken_up_to_the_limit() {
    let site = Site::with(FetchSettings { max_size: MIB, ..loopback() }).await;
    let size = usize::try_from(MIB).unwrap();
    // One that tells its length is not even begun with.
    let large = Remote::saying(whole("200 OK", "", &content(size + 1))).await;
    assert_eq!(refused(&site, &large).await, Code::ResourceExhausted);
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nx", i64::MAX);
    assert_eq!(refused(&site, &Remote::saying(huge).await).await, Code::ResourceExhausted);
    let mut untold = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    untold.extend(content(size + 1));
    assert_eq!(refused(&site, &Remote::saying(untold.clone()).await).await, Code::ResourceExhausted);
    untold.pop();
    let exact = Remote::saying(untold).await;
    assert_eq!(site.fetch(site.request(&exact.url("/"))).await.unwrap(), stored());
    assert_eq!(site.list().await, [("/file".into(), 1, i64::try_from(size).unwrap())]);
}

#[tokio::test]
async fn a54_an_endless_body_is_ended() {
    let site = Site::with(FetchSettings { max_size: 3 * MIB, ..loopback() }).await;
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
        let chunked = head.contains("chunked");
        let remote = Remote::start(move |_, mut stream| async move {
            let (piece, mut at) = (content(64 * 1024), 0_u32);
            stream.write_all(head.as_bytes()).await.unwrap();
            loop {
                // No two pieces are the same.
                let mark = at.to_be_bytes();
                at += 1;
                let size = if chunked { format!("{:x}\r\n", piece.len() + 4) } else { String::new() };
                let end = if chunked { "\r\n" } else { "" };
                let bytes = [size.as_bytes(), &mark, &piece, end.as_bytes()].concat();
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        })
        .await;
        assert_eq!(refused(&site, &remote).await, Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn a54_a_silent_remote_is_given_up() {
    let site =
        Site::with(FetchSettings { idle_timeout: SOON, connect_timeout: 3 * SOON, ..loopback() }).await;
    for beginning in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let remote = Remote::start(move |_, mut stream| async move {
            stream.write_all(beginning.as_bytes()).await.unwrap();
            gone(&mut stream).await;
        })
        .await;
        assert_eq!(refused(&site, &remote).await, Code::DeadlineExceeded, "{beginning:?}");
    }
}

#[tokio::test]
async fn a54_a_slow_remote_gets_so_much_time_and_no_more() {
    // Never silent for long, and never done.
    let site = Site::with(FetchSettings { max_time: SOON, ..loopback() }).await;
    for (head, drop) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nx: ", "x"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "x"),
    ] {
        let remote = Remote::start(move |_, mut stream| async move {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(drop.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(refused(&site, &remote).await, Code::DeadlineExceeded, "{head:?}");
    }
}

#[tokio::test]
async fn a54_a_body_that_breaks_off_is_none() {
    let site = Site::new().await;
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdefg",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc",
        "HTTP/1.1 200",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\0\0\0\0",
        "",
    ] {
        let remote = Remote::saying(answer).await;
        assert_eq!(refused(&site, &remote).await, Code::Unavailable, "{answer:?}");
    }
    // More than one chunk of it is stored already, and given up.
    let mut long = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n".to_vec();
    long.extend(content(5_000_000));
    assert_eq!(refused(&site, &Remote::saying(long).await).await, Code::Unavailable);
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_told_by_its_host_alone() {
    let site = Site::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let request = site.request(&format!("http://127.0.0.1:{port}/secret?token=hidden"));
    let (code, message) = site.refused(request).await;
    assert_eq!((code, message.as_str()), (Code::Unavailable, "remote_url: 127.0.0.1 cannot be reached"));
    // Plain text where TLS should be: there is a server, which is not told.
    let plain = Remote::saying(whole("200 OK", "", b"x")).await;
    let request = site.request(&format!("https://127.0.0.1:{}/", plain.port()));
    assert_eq!(site.refused(request).await, (code, message));
}

#[tokio::test]
async fn a54_header_bombs_are_not_read() {
    let site = Site::new().await;
    let mut many = "HTTP/1.1 200 OK\r\n".to_owned();
    for at in 0..101 {
        write!(many, "x-{at}: y\r\n").unwrap();
    }
    many += "content-length: 1\r\n\r\nx";
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 1\r\n\r\nx", "y".repeat(33 * 1024));
    for bomb in [many, large] {
        let code = refused(&site, &Remote::saying(bomb).await).await;
        assert!(matches!(code, Code::ResourceExhausted | Code::Unavailable), "{code}");
    }
    let endless = Remote::start(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(&[b'y'; 64 * 1024]).await.is_ok() {}
    })
    .await;
    let code = refused(&site, &endless).await;
    assert!(matches!(code, Code::ResourceExhausted | Code::Unavailable), "{code}");
    let most = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 1\r\n\r\nx", "y".repeat(31 * 1024));
    let most = Remote::saying(most).await;
    assert_eq!(site.fetch(site.request(&most.url("/"))).await.unwrap(), stored());
}

#[tokio::test]
async fn a54_a_compressed_bomb_is_not_opened() {
    let site = Site::new().await;
    for encoding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip"] {
        let remote =
            Remote::saying(whole("200 OK", &format!("content-encoding: {encoding}\r\n"), b"\x1f\x8b\x08"))
                .await;
        assert_eq!(refused(&site, &remote).await, Code::InvalidArgument, "{encoding}");
    }
    // A file that is an archive is a file like any other.
    let archive =
        Remote::saying(whole("200 OK", "content-type: application/gzip\r\n", b"\x1f\x8b\x08")).await;
    assert_eq!(site.fetch(site.request(&archive.url("/"))).await.unwrap(), stored());
    assert_eq!(site.get().await.body.as_deref(), Some(&b"\x1f\x8b\x08"[..]));
}

#[tokio::test]
async fn requests_are_limited_too() {
    let site = Site::new().await;
    let long = site.request(&format!("http://127.0.0.1/{}", "x".repeat(9_000)));
    let many = |count: usize, length: usize| FetchRequest {
        remote_headers: (0..count).map(|at| (format!("x-{at}"), "y".repeat(length))).collect(),
        ..site.request("http://127.0.0.1/")
    };
    for request in [long, many(51, 1), many(2, 9_000)] {
        assert_eq!(site.refused(request).await.0, Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn a56_fetches_at_once_are_limited_for_a_session_and_for_all() {
    let site = Site::with(FetchSettings { per_session: 2, at_once: 3, ..loopback() }).await;
    let (go, wait) = watch::channel(false);
    let remote = Remote::start(move |_, stream| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await.unwrap();
            say(stream, &whole("200 OK", "", b"x")).await;
        }
    })
    .await;
    let rights = Capabilities::WRITE | Capabilities::FETCH;
    let tokens = [site.session(rights).await, site.session(rights).await, site.session(rights).await];
    let to = |path: &str| FetchRequest { path: path.into(), ..site.request(&remote.url("/")) };
    let reached = async |count: usize| {
        while remote.seen().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let first =
        async { tokio::join!(site.fetch_as(&tokens[0], to("/a")), site.fetch_as(&tokens[0], to("/b"))) };
    let second = async {
        reached(2).await;
        let mut uploads = site.server.uploads(&tokens[0]);
        let third = uploads.fetch(to("/c")).await.unwrap_err();
        assert_eq!(third.code(), Code::ResourceExhausted);
        assert_eq!(third.message(), "too many fetches at once: 2 for each session");
        assert_eq!(uploads.fetch_progress(to("/c")).await.unwrap_err().code(), Code::ResourceExhausted);
        tokio::join!(site.fetch_as(&tokens[1], to("/d")), async {
            reached(3).await;
            let other = site.fetch_as(&tokens[2], to("/e")).await.unwrap_err();
            assert_eq!(other.code(), Code::ResourceExhausted);
            go.send(true).unwrap();
        })
        .0
    };
    let ((a, b), d) = tokio::join!(first, second);
    for outcome in [a, b, d] {
        assert_eq!(outcome.unwrap(), stored());
    }
    assert_eq!(site.fetch_as(&tokens[2], to("/e")).await.unwrap(), stored(), "there is room again");
}

#[tokio::test]
async fn a56_a_fetch_of_the_servers_own_fetch_ends() {
    let site = Site::new().await;
    let request = FetchRequest {
        remote_method: "POST".into(),
        remote_headers: [
            ("content-type", "application/grpc"),
            ("authorization", &format!("Bearer {}", site.token)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..site.request(&format!("{}/cacheroach.upload.Uploads/Fetch", site.server.url()))
    };
    // For the front end that takes it, it is a POST of nothing, by the authority that the caller gave it.
    let answer = site.fetch(request).await.unwrap();
    assert_eq!(answer.remote_http_code, 202);
    assert!(site.list().await.iter().all(|(path, ..)| path != "/file"));
}

/// A caller of the progress that takes none of it, however long it stays.
#[tokio::test]
async fn a56_a_caller_who_does_not_listen_holds_no_place() {
    let site = Site::with(FetchSettings { per_session: 1, ..loopback() }).await;
    let remote = Remote::saying(whole("200 OK", "", b"x")).await;
    let socket = tokio::net::TcpStream::connect(site.server.addr()).await.unwrap();
    let (mut client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, bytes::Bytes>(socket).await.unwrap();
    tokio::spawn(connection);
    let message = site.request(&remote.url("/")).encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let request =
        http::Request::post(format!("{}/cacheroach.upload.Uploads/FetchProgress", site.server.url()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", site.token))
            .body(())
            .unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    body.send_data(framed.into(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let again = async {
        while site
            .fetch(FetchRequest { path: "/other".into(), ..site.request(&remote.url("/")) })
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, again).await.expect("room for another");
    drop(answer);
}
