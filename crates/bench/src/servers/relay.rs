//! Between a server and its database: passes on what both say, and counts how often one waited for the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Result;

/// What is read at a time.
const BLOCK: usize = 64 * 1024;

/// On a loopback port; gone when this is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    trips: Arc<AtomicU64>,
    _connections: JoinSet<()>,
}

impl Relay {
    /// Leads to a TCP address.
    pub(crate) async fn to(database: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let trips = Arc::<AtomicU64>::default();
        let mut connections = JoinSet::new();
        let counter = Arc::clone(&trips);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                open.spawn(async move { drop(relay(client, database, &counter).await) });
                while open.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, trips, _connections: connections })
    }

    /// Leads to the database of a URL that names its host and port: the same URL, by way of this.
    pub(crate) async fn before(url: &str) -> Result<(Self, String)> {
        let strange = "a database without a host and a port";
        let (scheme, rest) = url.split_once("://").ok_or(strange)?;
        let (authority, path) = rest.split_once('/').ok_or(strange)?;
        let (user, host) = authority.rsplit_once('@').ok_or(strange)?;
        let database = tokio::net::lookup_host(host).await?.next().ok_or(strange)?;
        let relay = Self::to(database).await?;
        let way = format!("{scheme}://{user}@{}/{path}", relay.address);
        Ok((relay, way))
    }

    /// On all connections until now. One is counted each time that something is asked after something was answered:
    /// however much goes one way at once, it is waited for once.
    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Ordering::SeqCst)
    }
}

async fn relay(client: TcpStream, database: SocketAddr, trips: &AtomicU64) -> std::io::Result<()> {
    let server = TcpStream::connect(database).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((asks, hears), (answers, asked)) = (client.into_split(), server.into_split());
    let is_answered = AtomicBool::new(true);
    let ask = pass(asks, asked, || {
        if is_answered.swap(false, Ordering::SeqCst) {
            trips.fetch_add(1, Ordering::SeqCst);
        }
    });
    // Before it is passed on: what comes next may be asked because of it.
    let answer = pass(answers, hears, || is_answered.store(true, Ordering::SeqCst));
    tokio::select! {
        ended = ask => ended,
        ended = answer => ended,
    }
}

/// Until one of them ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, saw: impl Fn()) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let length = from.read(&mut block).await?;
        if length == 0 {
            return Ok(());
        }
        saw();
        to.write_all(&block[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each MiB with as much.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut message = vec![0; 1 << 20];
                    while stream.read_exact(&mut message).await.is_ok() {
                        stream.write_all(&message).await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn what_is_waited_for_is_counted_however_long_it_is() {
        let echo = echo().await;
        let (relay, way) = Relay::before(&format!("postgres://somebody@{echo}/database?a=b")).await.unwrap();
        assert_eq!(way, format!("postgres://somebody@{}/database?a=b", relay.address));
        let mut counts = Vec::new();
        for connections in 1..=2 {
            for _ in 0..connections {
                let mut stream = TcpStream::connect(relay.address).await.unwrap();
                let mut message = vec![7; 1 << 20];
                for _ in 0..3 {
                    stream.write_all(&message).await.unwrap();
                    stream.read_exact(&mut message).await.unwrap();
                    counts.push(relay.trips());
                }
            }
        }
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(Relay::before("postgres:///database?host=/run").await.is_err());
    }
}
