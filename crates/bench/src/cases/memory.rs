//! How much memory a server holds: doing nothing, and for many who do next to nothing.

use std::time::{Duration, Instant};

use http::header;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Bench;
use super::traffic::{GET_64M, Paths};
use crate::Result;
use crate::load::{Outcome, Target};
use crate::report::{Peer, Round, Unit};
use crate::servers::Server;

/// How long a server is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(5);
/// Readers, and as many writers.
const SLOW: usize = 1_000;
/// How long they stay, less than a server's patience.
const STAY: Duration = Duration::from_secs(20);
const READ: usize = 16 * 1024;
const SENT: usize = 100 * 1024;
const ANNOUNCED: usize = 1024 * 1024;
/// Connections on both sides, and what else a server has open.
const DESCRIPTORS: u64 = 4 * SLOW as u64;

/// What is held after a rest; the CPU is that of starting and resting.
pub(super) async fn idle(bench: &mut Bench) -> Result<()> {
    let store = bench.cacheroach.empty_store().await?;
    let server = store.start().await?;
    let held = server.held_bytes()?;
    tokio::time::sleep(REST).await;
    let outcome = Outcome { wall: REST, body_bytes: 0, latencies: vec![REST] };
    let round =
        Round::new(&outcome, server.usage()?, server.database_usage()?, held.max(server.held_bytes()?));
    bench.report.add("memory-idle", Peer::Cacheroach, Unit::Start, round);
    Ok(())
}

/// Readers who take a little of a large file and then nothing, and writers who send a little of what they announced.
pub(super) async fn slow(bench: &mut Bench) -> Result<()> {
    if !allow_descriptors(DESCRIPTORS) {
        bench.report.note("memory-slow needs 4000 open files (ulimit -n), so it is left out");
        return Ok(());
    }
    let store = bench.cacheroach.empty_store().await?;
    let server = store.start().await?;
    GET_64M.files.write(&store.superuser(&server)?, &Paths::Plain).await?;
    // What the upload left in memory is not what is measured.
    drop(server);
    let server = store.start().await?;
    let superuser = store.superuser(&server)?;
    bench.measure("memory-slow", Unit::Start, &server, crowd(&server, &superuser)).await
}

async fn crowd(server: &Server, superuser: &Target) -> Result<Outcome> {
    let begun = Instant::now();
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for index in 0..SLOW {
        readers.push(reader(server, index as u64).await?);
        writers.push(writer(server, superuser, index).await?);
    }
    tokio::time::sleep(STAY.saturating_sub(begun.elapsed())).await;
    // Whoever was let go costs nothing.
    let gone = writers.iter().filter(|stream| !is_waiting(stream)).count();
    if gone > 0 {
        return Err(format!("{gone} of {SLOW} slow writers were let go").into());
    }
    let (wall, body_bytes) = (begun.elapsed(), (SLOW * (READ + SENT)) as u64);
    Ok(Outcome { wall, body_bytes, latencies: vec![wall] })
}

async fn reader(server: &Server, index: u64) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address).await?;
    let path = GET_64M.files.path(index % GET_64M.files.count);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes()).await?;
    let mut taken = vec![0; READ];
    stream.read_exact(&mut taken).await?;
    if !taken.starts_with(b"HTTP/1.1 200") {
        return Err("a slow reader was refused".into());
    }
    Ok(stream)
}

async fn writer(server: &Server, superuser: &Target, index: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address).await?;
    let bearer = superuser.authorization.as_ref().ok_or("a superuser has a token")?.to_str()?;
    let head = format!(
        "PUT /slow/{index:04} HTTP/1.1\r\nHost: {}\r\n{}: {bearer}\r\nContent-Length: {ANNOUNCED}\r\n\r\n",
        server.address,
        header::AUTHORIZATION,
    );
    stream.write_all(head.as_bytes()).await?;
    // Never the same, so that nothing is there already.
    let body = crate::load::Content::new(1 << 63 | index as u64, SENT);
    stream.write_all(&body.bytes()).await?;
    Ok(stream)
}

/// Neither answered nor cut off.
fn is_waiting(stream: &TcpStream) -> bool {
    let seen = stream.try_read(&mut [0; 1]);
    seen.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Servers that are started later may have as many.
fn allow_descriptors(wanted: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    is_enough(current)
        || is_enough(maximum)
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok()
}
