//! A way to a database on which it is counted how often a call waits, and what comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cacheroach_testing::{Database, Server};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::open;

pub(crate) const CALLS: u32 = 20;
/// What asks for TLS, in place of a protocol's version.
const TLS: u32 = 80_877_103;

/// How often each connection waited until now, and how many bytes came on all of them.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<BTreeMap<u16, u32>>>, Arc<AtomicUsize>);

impl Waits {
    /// What came until now.
    pub(crate) fn bytes(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    /// Of the connection that waited most during some work. Those on which the server hears of time and changes wait less.
    pub(crate) async fn during(&self, work: impl AsyncFn(u32)) -> u32 {
        let before = self.0.lock().unwrap().clone();
        for call in 0..CALLS {
            work(call).await;
        }
        let after = self.0.lock().unwrap();
        let grown = after.iter().map(|(port, count)| count - before.get(port).unwrap_or(&0));
        grown.max().unwrap_or_default()
    }
}

/// What a client says, message by message. Everything that is answered at once ends with a Sync or is a simple query.
async fn count(
    waits: Waits,
    mut client: impl AsyncRead + Unpin,
    server: &mut (impl AsyncWrite + Unpin),
    port: u16,
) {
    let mut greeted = false;
    let mut buffer = Vec::new();
    while client.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
        let mut rest = &buffer[..];
        loop {
            // At first messages have no kind.
            let kind = usize::from(greeted);
            let Some(length) = rest.get(kind..).and_then(|rest| rest.first_chunk()) else { break };
            let end = kind + usize::try_from(u32::from_be_bytes(*length)).unwrap();
            let Some(message) = rest.get(..end) else { break };
            if greeted && matches!(message[0], b'S' | b'Q') {
                *waits.0.lock().unwrap().entry(port).or_default() += 1;
            }
            greeted = greeted || message[4..8] != TLS.to_be_bytes();
            server.write_all(message).await.unwrap();
            rest = &rest[end..];
        }
        buffer = rest.to_vec();
    }
}

/// What a server answers.
async fn measure(waits: &Waits, mut server: impl AsyncRead + Unpin, client: &mut (impl AsyncWrite + Unpin)) {
    let mut buffer = Vec::with_capacity(64 << 10);
    while server.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
        waits.1.fetch_add(buffer.len(), Ordering::SeqCst);
        client.write_all(&buffer).await.unwrap();
        buffer.clear();
    }
}

/// A database, and the way to it that is counted on.
pub(crate) async fn counted() -> (Database, String, Waits) {
    let database = Server::postgres().migrated(async |url| drop(open(&url).await.unwrap())).await;
    let url = database.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let (user, server) = authority.rsplit_once('@').map_or(("", authority), |(user, server)| (user, server));
    let (listener, server) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), server.to_owned());
    let at = listener.local_addr().unwrap();
    let waits = Waits::default();
    let counted = waits.clone();
    tokio::spawn(async move {
        while let Ok((client, peer)) = listener.accept().await {
            let (waits, server) = (counted.clone(), TcpStream::connect(&server).await.unwrap());
            // Each message is passed on by itself: none waits until the one before is acknowledged.
            server.set_nodelay(true).unwrap();
            client.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let ((asks, mut hears), (answers, mut asked)) = (client.into_split(), server.into_split());
                tokio::select! {
                    () = count(waits.clone(), asks, &mut asked, peer.port()) => {}
                    () = measure(&waits, answers, &mut hears) => {}
                }
            });
        }
    });
    (database, format!("{scheme}://{user}@{at}/{path}"), waits)
}
