//! Servers that are told to stop while many ask them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cacheroach_api::file::files_client::FilesClient;
use cacheroach_api::file::{ListRequest, ListResponse};
use cacheroach_faults::upload::{channel, scratchpad, with};
use cacheroach_faults::{Launch, Wire, is_unserved};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use super::{block_on, site};

#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    asked: AtomicU64,
}

impl Load {
    fn goes_on(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// A connection, as soon as there is somebody to connect to.
async fn connect(address: &str) -> BufReader<TcpStream> {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            stream.set_nodelay(true).unwrap();
            return BufReader::new(stream);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// HTTP/1.1, one request after the other on a connection, until the server says that it is over.
async fn keep_alive(load: Arc<Load>, address: String) -> Result<(), String> {
    while load.goes_on() {
        let mut stream = connect(&address).await;
        let mut stays = true;
        while stays && load.goes_on() {
            stays = get(&mut stream).await.map_err(|error| format!("HTTP/1.1: {error}"))?;
        }
    }
    Ok(())
}

/// Tells whether the connection stays.
async fn get(stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let (mut length, mut stays, mut line) = (0, true, String::new());
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(std::io::Error::other(format!("{line:?}")));
    }
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        stays &= lower.trim() != "connection: close";
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(stays)
}

async fn http2(load: Arc<Load>, url: String) -> Result<(), String> {
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    while load.goes_on() {
        match client.get(format!("{url}/")).send().await {
            Ok(answer) if answer.status() == 200 => {
                drop(answer.bytes().await.map_err(|e| format!("HTTP/2: {e:?}"))?);
            }
            Ok(answer) => return Err(format!("HTTP/2: {}", answer.status())),
            Err(error) if is_unserved(&error) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(format!("HTTP/2: {error:?}")),
        }
    }
    Ok(())
}

pub(crate) async fn list(channel: Channel, token: &str) -> Result<ListResponse, tonic::Status> {
    let request = ListRequest { tenant: Some(scratchpad()), path: "/".into(), ..Default::default() };
    FilesClient::new(channel).list(with(token, request)).await.map(tonic::Response::into_inner)
}

async fn grpc(load: Arc<Load>, url: String, token: String) -> Result<(), String> {
    let channel = channel(&url);
    while load.goes_on() {
        match list(channel.clone(), &token).await {
            Ok(_) => {}
            Err(error) if is_unserved(&error) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(format!("gRPC: {error:?}")),
        }
    }
    Ok(())
}

#[test]
fn f38_no_request_fails_while_the_server_is_restarted() {
    let mut site = site();
    let token = site.token();
    block_on(async {
        let load = Arc::new(Load::default());
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..4 {
            clients.spawn(keep_alive(Arc::clone(&load), site.address(0)));
            clients.spawn(http2(Arc::clone(&load), site.url(0)));
            clients.spawn(grpc(Arc::clone(&load), site.url(0), token.clone()));
        }
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| {
                site.stop(0);
                site.start(0, &Launch::default());
            });
        }
        load.is_over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        while let Some(client) = clients.join_next().await {
            failed.extend(client.unwrap().err());
        }
        assert!(failed.is_empty(), "of {} requests: {failed:#?}", load.asked.load(Ordering::Relaxed));
    });
}

/// A long transfer gets its grace period.
#[test]
fn f38_a_download_under_way_is_finished() {
    let mut site = site();
    let wire = Wire::new(&site.token());
    let content = cacheroach_faults::Random::new(1).bytes(8 << 20);
    block_on(async {
        let url = format!("{}/large", site.url(0));
        assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202);
        let mut answer = wire.request("GET", &url).send().await.unwrap();
        let mut got = answer.chunk().await.unwrap().unwrap().to_vec();
        site.signal(0, rustix::process::Signal::TERM);
        while let Some(part) = answer.chunk().await.unwrap() {
            got.extend_from_slice(&part);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(got == content);
    });
    assert_eq!(site.ended(0).code(), Some(0));
}
