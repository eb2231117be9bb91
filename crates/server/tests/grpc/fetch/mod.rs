//! Fetching from remotes: what is stored of them, what they are told, and what they can't do to us.

mod limits;
mod reach;
mod remote;
mod sent;

use std::time::Duration;

use cacheroach_api::token;
use cacheroach_api::upload::{FetchProgress, FetchRequest, FetchResponse};
use cacheroach_model::{Capabilities, TenantId};
use cacheroach_service::FetchSettings;
use remote::{Remote, gone, say, whole};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Status};

use crate::refusal;
use crate::support::{Server, loopback, on_tenant};

/// What is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that may fetch from the loopback, and a token that may do all with files.
struct Site {
    server: Server,
    tenant: TenantId,
    token: String,
}

impl Site {
    async fn new() -> Self {
        Self::with(loopback()).await
    }

    async fn with(settings: FetchSettings) -> Self {
        let server = Server::start_fetching(settings).await;
        let tenant = server.tenant().await;
        let site = Site { server, tenant, token: String::new() };
        let token = site.session(Capabilities::READ | Capabilities::WRITE | Capabilities::FETCH).await;
        Site { token, ..site }
    }

    async fn session(&self, capabilities: Capabilities) -> String {
        let principal = self.server.principal().await;
        self.server.issue(&on_tenant(principal, capabilities, self.tenant, "/*")).await
    }

    fn request(&self, url: &str) -> FetchRequest {
        FetchRequest {
            tenant: Some(self.tenant.into()),
            path: "/file".into(),
            remote_url: url.into(),
            ..Default::default()
        }
    }

    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, Status> {
        self.fetch_as(&self.token, request).await
    }

    async fn fetch_as(&self, token: &str, request: FetchRequest) -> Result<FetchResponse, Status> {
        let mut uploads = self.server.uploads(token);
        let answer = tokio::time::timeout(PATIENCE, uploads.fetch(request)).await;
        answer.expect("an answer in time").map(tonic::Response::into_inner)
    }

    /// All that is told of the progress, the last of it with the outcome.
    async fn progress(&self, request: FetchRequest) -> Result<Vec<FetchProgress>, Status> {
        let listening = async {
            let mut stream = self.server.uploads(&self.token).fetch_progress(request).await?.into_inner();
            let mut parts = Vec::new();
            while let Some(part) = stream.message().await? {
                parts.push(part);
            }
            Ok(parts)
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("an end in time")
    }

    /// How both calls refuse a request: in the same way.
    async fn refused(&self, request: FetchRequest) -> (Code, String) {
        let told = |status: Status| (status.code(), status.message().to_owned());
        let fetched = self.fetch(request.clone()).await.map_err(told).expect_err("a refusal");
        let progress = self.progress(request.clone()).await.map_err(told).expect_err("a refusal");
        assert_eq!(fetched, progress, "{}", request.remote_url);
        fetched
    }

    async fn list(&self) -> Vec<(String, i64, i64)> {
        self.server.list(self.tenant).await
    }

    async fn get(&self) -> crate::support::Answer {
        self.server.http_as(&self.token, "GET", "/file", "localhost").await
    }

    /// Nothing is visible, and nothing keeps what came from being cleared away.
    async fn has_nothing(&self) {
        assert_eq!(self.list().await, []);
        assert_eq!(self.left_behind(), 0);
    }

    /// Uploads that are neither stored nor given up.
    fn left_behind(&self) -> i64 {
        let store = rusqlite::Connection::open(self.server.dir().join("metadata.sqlite")).unwrap();
        let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        count("SELECT count(*) FROM uploads WHERE outcome IS NULL") + count("SELECT count(*) FROM leases")
    }

    /// Waits for what happens soon after a caller has gone.
    async fn cleared(&self) {
        let looking = async {
            while self.left_behind() != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("nothing is left behind");
    }
}

fn stored() -> FetchResponse {
    FetchResponse { remote_http_code: 200, remote_http_message: String::new() }
}

/// Bytes that no two chunks of are equal.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 509) % 251).unwrap()).collect()
}

#[tokio::test]
async fn what_a_remote_has_becomes_the_next_version() {
    let site = Site::new().await;
    for (version, length) in [(1, 5), (2, 0), (3, 3 << 20)] {
        let body = content(length);
        let remote = Remote::saying(whole("200 OK", "content-type: text/x-test; a=b\r\n", &body)).await;
        assert_eq!(site.fetch(site.request(&remote.url("/x"))).await.unwrap(), stored());
        assert_eq!(site.list().await, [("/file".into(), version, i64::try_from(length).unwrap())]);
        let got = site.get().await;
        assert!(got.body.as_deref() == Some(&body[..]), "{length} bytes");
        assert_eq!(got.header("content-type"), "text/x-test; a=b");
    }
    assert_eq!(site.left_behind(), 0);
}

#[tokio::test]
async fn bodies_without_a_length_end_in_their_own_way() {
    let site = Site::new().await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for answer in
        [chunked, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde", "HTTP/1.0 200 OK\r\n\r\nabcde"]
    {
        let remote = Remote::saying(answer).await;
        assert_eq!(site.fetch(site.request(&remote.url("/"))).await.unwrap(), stored(), "{answer}");
        assert_eq!(site.get().await.text(), "abcde");
    }
}

#[tokio::test]
async fn anything_but_200_is_told_and_not_stored() {
    let site = Site::new().await;
    for (line, code, message) in [
        ("404 Not Found", 404, "404 Not Found"),
        ("404 <script>", 404, "404 Not Found"),
        ("201 Created", 201, "201 Created"),
        ("206 Partial Content", 206, "206 Partial Content"),
        ("301 Moved Permanently", 301, "301 Moved Permanently"),
        ("500 Internal Server Error", 500, "500 Internal Server Error"),
        ("599 Whatever", 599, "599"),
    ] {
        let remote = Remote::saying(whole(line, "", b"body")).await;
        let answer = site.fetch(site.request(&remote.url("/"))).await.unwrap();
        assert_eq!((answer.remote_http_code, answer.remote_http_message.as_str()), (code, message));
        let progress = site.progress(site.request(&remote.url("/"))).await.unwrap();
        assert_eq!(progress.last().unwrap().response.as_ref(), Some(&answer));
    }
    site.has_nothing().await;
}

#[tokio::test]
async fn a27_a_fetch_needs_write_and_fetch() {
    let site = Site::new().await;
    let remote = Remote::saying(whole("200 OK", "", b"x")).await;
    for capabilities in [Capabilities::WRITE, Capabilities::FETCH, Capabilities::READ | Capabilities::FETCH] {
        let token = site.session(capabilities).await;
        let expected = (Code::PermissionDenied, "inappropriate fields in request".to_owned());
        let request = site.request(&remote.url("/"));
        let mut uploads = site.server.uploads(&token);
        assert_eq!(refusal(uploads.fetch(request.clone()).await), expected, "{capabilities}");
        assert_eq!(refusal(uploads.fetch_progress(request).await), expected, "{capabilities}");
    }
    let token = site.session(Capabilities::WRITE | Capabilities::FETCH).await;
    let elsewhere =
        FetchRequest { tenant: Some(site.server.tenant().await.into()), ..site.request(&remote.url("/")) };
    assert_eq!(site.fetch_as(&token, elsewhere).await.unwrap_err().code(), Code::PermissionDenied);
    assert!(remote.seen().is_empty(), "nobody asked it");
    site.has_nothing().await;
    assert_eq!(site.fetch_as(&token, site.request(&remote.url("/"))).await.unwrap(), stored());
}

#[tokio::test]
async fn what_is_stored_already_is_not_fetched_again_unless_it_is_newer() {
    let site = Site::new().await;
    let remote = Remote::start(|head, stream| async move {
        let answer = match head.contains("\r\nif-modified-since: ") {
            true => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
            false => whole("200 OK", "", b"abc"),
        };
        say(stream, &answer).await;
    })
    .await;
    let request = site.request(&remote.url("/"));
    assert_eq!(site.fetch(request.clone()).await.unwrap(), stored());
    let unchanged = FetchResponse { remote_http_code: 304, remote_http_message: "304 Not Modified".into() };
    assert_eq!(site.fetch(request.clone()).await.unwrap(), unchanged);
    assert_eq!(site.list().await, [("/file".into(), 1, 3)]);
    // The clock of the tests.
    let dates = remote.seen();
    assert!(!dates[0].contains("if-modified-since"));
    assert!(dates[1].contains("\r\nif-modified-since: wed, 01 jul 2026 00:00:00 gmt\r\n"), "{}", dates[1]);

    let remote_headers =
        [("If-Modified-Since".to_owned(), "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())].into();
    site.fetch(FetchRequest { remote_headers, ..request.clone() }).await.unwrap();
    let own = remote.seen().pop().unwrap();
    assert_eq!(own.matches("if-modified-since").count(), 1, "{own}");
    assert!(own.contains("sun, 06 nov 1994"));

    // Who may not read the file does not learn by way of the remote that it is there, and since when.
    let writer = site.session(Capabilities::WRITE | Capabilities::FETCH).await;
    assert_eq!(site.fetch_as(&writer, request).await.unwrap(), stored());
    assert!(!remote.seen().pop().unwrap().contains("if-modified-since"));
}

#[tokio::test]
async fn progress_is_told_while_bytes_come() {
    let site = Site::new().await;
    let (go, wait) = oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let body = content(300_000);
    let (half, rest) = (body[..100_000].to_vec(), body[100_000..].to_vec());
    let remote = Remote::start(move |_, mut stream| {
        let (wait, half, rest) = (wait.lock().unwrap().take().unwrap(), half.clone(), rest.clone());
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n").await.unwrap();
            stream.write_all(&half).await.unwrap();
            // Only who has seen the half of it lets the rest come.
            wait.await.unwrap();
            say(stream, &rest).await;
        }
    })
    .await;
    let mut uploads = site.server.uploads(&site.token);
    let mut parts = uploads.fetch_progress(site.request(&remote.url("/"))).await.unwrap().into_inner();
    let (mut go, mut last) = (Some(go), FetchProgress::default());
    while let Some(part) = tokio::time::timeout(PATIENCE, parts.message()).await.unwrap().unwrap() {
        assert!(last.response.is_none() && part.received >= last.received, "{part:?} after {last:?}");
        if part.received == 100_000 {
            assert_eq!(part.total, 300_000);
            go.take().unwrap().send(()).unwrap();
        }
        last = part;
    }
    assert_eq!(last, FetchProgress { received: 300_000, total: 300_000, response: Some(stored()) });
    assert!(site.get().await.body.as_deref() == Some(&body[..]));
}

/// A remote that begins to send and then waits; told when the other side has closed.
async fn stalling() -> (Remote, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let remote = Remote::start(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n").await.unwrap();
            stream.write_all(&content(1_500_000)).await.unwrap();
            let _ = tell.send("sent");
            gone(&mut stream).await;
            let _ = tell.send("closed");
        }
    })
    .await;
    (remote, told)
}

#[tokio::test]
async fn f25_a_caller_who_goes_away_ends_the_fetch() {
    let site = Site::with(FetchSettings { per_session: 1, ..loopback() }).await;
    let (remote, mut told) = stalling().await;
    for streamed in [false, true] {
        let (mut uploads, request) = (site.server.uploads(&site.token), site.request(&remote.url("/")));
        let waiting = tokio::spawn(async move {
            if streamed {
                let mut parts = uploads.fetch_progress(request).await.unwrap().into_inner();
                while parts.message().await.unwrap().is_some() {}
            } else {
                let _ = uploads.fetch(request).await;
            }
        });
        assert_eq!(told.recv().await, Some("sent"));
        waiting.abort();
        let closed = tokio::time::timeout(PATIENCE, told.recv()).await.expect("the remote is let go");
        assert_eq!(closed, Some("closed"));
        site.cleared().await;
        site.has_nothing().await;
        // Nor does it count any more.
        let quick = Remote::saying(whole("404 Not Found", "", b"")).await;
        let again = async {
            while site.fetch(site.request(&quick.url("/"))).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("room for another");
    }
}

#[tokio::test]
async fn a37_a_session_that_ends_meanwhile_stores_nothing() {
    let site = Site::new().await;
    let (go, wait) = oneshot::channel::<()>();
    let (arrive, arrived) = oneshot::channel::<()>();
    let both = std::sync::Mutex::new(Some((arrive, wait)));
    let remote = Remote::start(move |_, mut stream| {
        let (arrive, wait) = both.lock().unwrap().take().unwrap();
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc").await.unwrap();
            arrive.send(()).unwrap();
            wait.await.unwrap();
            say(stream, b"def").await;
        }
    })
    .await;
    let fetch = site.fetch(site.request(&remote.url("/")));
    let revoke = async {
        arrived.await.unwrap();
        let mut tokens = site.server.tokens(&site.token);
        let current = token::invalidate_request::Kind::Current(true);
        tokens.invalidate(token::InvalidateRequest { kind: Some(current) }).await.unwrap();
        go.send(()).unwrap();
    };
    let (outcome, ()) = tokio::join!(fetch, revoke);
    assert_eq!(outcome.unwrap_err().code(), Code::Unauthenticated);
    site.has_nothing().await;
}
