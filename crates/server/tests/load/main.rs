//! Two hundred clients at once, each of which knows what it must be answered: reads, writes, lists, copies, strangers'
//! files, and sessions that end. Any other answer is a failure. A few seconds by default; `CACHEROACH_TEST_FULL=1` makes
//! it two minutes.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cacheroach_api::{file, token};
use cacheroach_model::{Capabilities, PrincipalId, TenantId};
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use support::{Server, on_tenant};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Code;

const CLIENTS: u64 = 200;

/// Numbers that look random and are the same in each run: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// One client, its session, and what it knows of its directory.
struct Client {
    number: u64,
    server: Arc<Server>,
    tenant: TenantId,
    host: String,
    principal: PrincipalId,
    token: String,
    connection: SendRequest<Full<Bytes>>,
    numbers: Numbers,
    files: BTreeMap<String, Bytes>,
    written: u64,
}

impl Client {
    async fn new(number: u64, server: &Arc<Server>, tenant: TenantId) -> Self {
        let stream = TcpStream::connect(server.addr()).await.unwrap();
        let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        let mut client = Client {
            number,
            server: Arc::clone(server),
            tenant,
            host: format!("{tenant}.example"),
            principal: server.principal().await,
            token: String::new(),
            connection,
            numbers: Numbers(number),
            files: BTreeMap::new(),
            written: 0,
        };
        client.log_in().await;
        client
    }

    async fn log_in(&mut self) {
        let both = Capabilities::READ | Capabilities::WRITE;
        let scope = format!("/{}/*", self.number);
        let template = on_tenant(self.principal, both, self.tenant, &scope);
        self.token = self.server.issue(&template).await;
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: Bytes,
    ) -> (StatusCode, Bytes) {
        let mut request = http::Request::builder().method(method).uri(path).header("host", &self.host);
        request = request.header("authorization", format!("Bearer {}", self.token));
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        self.connection.ready().await.expect("the connection stays");
        let answer = self.connection.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a whole body").to_bytes())
    }

    fn path(&mut self) -> String {
        format!("/{}/{}", self.number, self.numbers.next(6))
    }

    /// Mostly small, sometimes of several chunks; no two alike.
    fn content(&mut self) -> Bytes {
        self.written += 1;
        let size = match self.numbers.next(20) {
            0 => 700 * 1024,
            1..5 => 70 * 1024,
            _ => self.numbers.next(5000),
        };
        let line = format!("{} {}\n", self.number, self.written);
        let size = usize::try_from(size).unwrap();
        line.bytes().cycle().take(size).collect::<Vec<_>>().into()
    }

    async fn step(&mut self) {
        let path = self.path();
        match self.numbers.next(100) {
            0..35 => self.read(&path).await,
            35..60 => self.write(&path).await,
            60..68 => self.list().await,
            68..75 => self.delete(&path).await,
            75..83 => self.copy(&path).await,
            83..90 => self.write_if_absent(&path).await,
            90..95 => self.look_elsewhere().await,
            _ => self.log_out().await,
        }
    }

    async fn read(&mut self, path: &str) {
        let (status, body) = self.ask("GET", path, &[], Bytes::new()).await;
        match self.files.get(path) {
            Some(content) => {
                assert_eq!(status, 200, "{path}");
                assert!(body == content, "{path}: p4: what was acknowledged last");
            }
            None => assert_eq!(status, 404, "{path}"),
        }
    }

    async fn write(&mut self, path: &str) {
        let content = self.content();
        assert_eq!(self.ask("PUT", path, &[], content.clone()).await.0, 202, "{path}");
        self.files.insert(path.into(), content);
    }

    async fn write_if_absent(&mut self, path: &str) {
        let content = self.content();
        let (status, _) = self.ask("PUT", path, &[("if-none-match", "*")], content.clone()).await;
        if self.files.contains_key(path) {
            assert_eq!(status, 412, "{path}");
        } else {
            assert_eq!(status, 202, "{path}");
            self.files.insert(path.into(), content);
        }
    }

    async fn delete(&mut self, path: &str) {
        assert_eq!(self.ask("DELETE", path, &[], Bytes::new()).await.0, 200, "{path}");
        self.files.remove(path);
    }

    async fn copy(&mut self, from: &str) {
        let to = self.path();
        if to == from {
            return;
        }
        let method = if self.numbers.next(2) == 0 { "COPY" } else { "MOVE" };
        let (status, _) = self.ask(method, from, &[("destination", &to)], Bytes::new()).await;
        let Some(content) = self.files.get(from).cloned() else {
            assert_eq!(status, 404, "{method} {from} {to}");
            return;
        };
        assert_eq!(status, 200, "{method} {from} {to}");
        self.files.insert(to, content);
        if method == "MOVE" {
            self.files.remove(from);
        }
    }

    async fn list(&mut self) {
        let path = format!("/{}/", self.number);
        let request = file::ListRequest { tenant: Some(self.tenant.into()), path, ..Default::default() };
        let page = self.server.files(&self.token).list(request).await.unwrap().into_inner();
        let listed: Vec<_> = page.files.iter().map(|meta| (&meta.path, meta.size)).collect();
        let known = self.files.iter().map(|(path, content)| (path, i64::try_from(content.len()).unwrap()));
        assert_eq!(listed, known.collect::<Vec<_>>());
    }

    /// Neither reads nor writes what is another client's.
    async fn look_elsewhere(&mut self) {
        let other = (self.number + 1 + self.numbers.next(CLIENTS - 1)) % CLIENTS;
        let path = format!("/{other}/{}", self.numbers.next(6));
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(self.ask(method, &path, &[], Bytes::new()).await.0, 404, "{method} {path}");
        }
    }

    /// The session ends, and nothing works with it from then on; then there is another one.
    async fn log_out(&mut self) {
        let kind = Some(token::invalidate_request::Kind::Current(true));
        self.server.tokens(&self.token).invalidate(token::InvalidateRequest { kind }).await.unwrap();
        let path = self.path();
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(self.ask(method, &path, &[], Bytes::new()).await.0, 401, "p10: {method} {path}");
        }
        let refused = self.server.tokens(&self.token).current(()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        self.log_in().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_are_answered_what_they_must_be() {
    let full = std::env::var_os("CACHEROACH_TEST_FULL").is_some();
    let length = Duration::from_secs(if full { 120 } else { 5 });
    let server = Arc::new(Server::start().await);
    let tenant = server.tenant().await;
    server.vhost(&format!("{tenant}.example"), tenant).await;
    let steps = Arc::new(AtomicU64::new(0));
    let made = (0..CLIENTS).map(|number| Client::new(number, &server, tenant));
    let made = futures::future::join_all(made).await;
    let end = Instant::now() + length;
    let mut clients = tokio::task::JoinSet::new();
    for mut client in made {
        let steps = Arc::clone(&steps);
        clients.spawn(async move {
            // At least a few, however slow the machine is.
            let mut done = 0;
            while done < 5 || Instant::now() < end {
                client.step().await;
                done += 1;
            }
            client.list().await;
            steps.fetch_add(done, Ordering::Relaxed);
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    println!("{CLIENTS} clients, {} steps, every answer as predicted", steps.load(Ordering::Relaxed));
}
