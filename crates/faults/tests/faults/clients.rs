//! Clients that are slow, or gone.

use std::time::{Duration, Instant};

use cacheroach_faults::site::until;
use cacheroach_faults::{Launch, Place, Random, Site, Wire};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{PROGRAM, block_on, site};

/// A client that takes little at a time: else the kernel would take whole files in its place, and run out of memory.
async fn begin_slowly(address: &str, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Sends some bytes.
async fn begin(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

fn put(token: &str, path: &str, length: usize) -> String {
    format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn get(token: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
}

#[test]
fn f25_what_a_client_held_that_is_gone_is_free_within_five_seconds() {
    let mut site = site();
    let token = site.token();
    let wire = Wire::new(&token);
    let content = Random::new(1).bytes(8 << 20);
    block_on(async {
        let url = format!("{}/large", site.url(0));
        assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202);
        let before = site.descriptors(0);
        let mut gone = Vec::new();
        for number in 0..20 {
            let mut sender =
                begin(&site.address(0), put(&token, &format!("/{number}"), 8 << 20).as_bytes()).await;
            sender.write_all(&content[..1 << 20]).await.unwrap();
            let mut taker = begin(&site.address(0), get(&token, "/large").as_bytes()).await;
            taker.read_exact(&mut [0; 100_000]).await.unwrap();
            gone.extend([sender, taker]);
        }
        assert!(site.descriptors(0) >= before + 40);
        drop(gone);
        let begun = Instant::now();
        tokio::task::block_in_place(|| {
            until("all of it free", Duration::from_secs(5), || {
                (site.descriptors(0) <= before + 2).then_some(())
            });
        });
        println!("free after {:?}", begun.elapsed());
        for number in 0..20 {
            let half = wire.ask("GET", &format!("{}/{number}", site.url(0))).await.unwrap();
            assert_eq!(half.status, 404, "half a content is none");
        }
    });
    site.stop(0);
}

#[test]
fn f24_a_thousand_slow_readers_and_a_thousand_slow_senders_leave_room_for_others() {
    let most = getrlimit(Resource::Nofile).maximum;
    assert!(
        most.is_none_or(|most| most >= 8192),
        "of {most:?} file descriptors one can't make 2,000 connections"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(8192), maximum: most }).unwrap();
    let mut site = Site::new(PROGRAM, &Place::sqlite(), 1);
    site.start(0, &Launch { before: "ulimit -n 8192;".into(), ..Launch::default() });
    let token = site.token();
    let wire = Wire::new(&token);
    block_on(async {
        let url = format!("{}/large", site.url(0));
        let content = Random::new(1).bytes(8 << 20);
        assert_eq!(wire.put(&url, content).await.unwrap().status, 202);
        let before = site.memory(0, "VmRSS");
        let mut slow = Vec::new();
        for number in 0..1000 {
            let path = format!("/slow/{number}");
            slow.push(begin_slowly(&site.address(0), put(&token, &path, 1 << 20).as_bytes()).await);
            slow.push(begin_slowly(&site.address(0), get(&token, "/large").as_bytes()).await);
        }
        // A byte a second, each of them.
        for _ in 0..3 {
            for pair in slow.chunks_mut(2) {
                pair[0].write_all(b"x").await.unwrap();
                pair[1].read_exact(&mut [0]).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let begun = Instant::now();
            assert_eq!(wire.put(&format!("{}/quick", site.url(0)), "x").await.unwrap().status, 202);
            assert_eq!(wire.ask("GET", &url).await.unwrap().body.len(), 8 << 20);
            println!("a quick client was served in {:?}", begun.elapsed());
        }
        let more = site.memory(0, "VmRSS") - before;
        println!("{} MiB more for 2,000 slow clients", more / 1024);
        // Not even a chunk each.
        assert!(more < 512 * 1024, "{more} KiB");
    });
}
