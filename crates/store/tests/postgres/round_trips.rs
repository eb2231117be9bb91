//! How often a call waits for the database: what goes to it comes by a counter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cacheroach_model::{Expected, Hash, Metadata, Path, Tenant, TenantId};
use cacheroach_store::chunks::db::{ChunkRows as _, RowKey};
use cacheroach_store::files::{Files as _, NewFile};
use cacheroach_store::postgres::Postgres;
use cacheroach_store::tenants::Tenants as _;
use cacheroach_testing::{Database, Server};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::open;

const CALLS: u32 = 20;
/// What asks for TLS, in place of a protocol's version.
const TLS: u32 = 80_877_103;

/// How often each connection waited until now.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<BTreeMap<u16, u32>>>);

impl Waits {
    /// Of the connection that waited most during some work. Those on which the server hears of time and changes wait less.
    async fn during(&self, work: impl AsyncFn(u32)) -> u32 {
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

/// A store whose connections are counted on.
async fn counted() -> (Database, Postgres, Waits) {
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
            tokio::spawn(async move {
                let ((asks, mut hears), (mut answers, mut asked)) =
                    (client.into_split(), server.into_split());
                tokio::select! {
                    () = count(waits, asks, &mut asked, peer.port()) => {}
                    _ = copy(&mut answers, &mut hears) => {}
                }
            });
        }
    });
    let store = open(&format!("{scheme}://{user}@{at}/{path}")).await.unwrap();
    (database, store, waits)
}

fn hash(bytes: &Bytes) -> Hash {
    Hash::new(Sha256::digest(bytes).into())
}

const TENANT: TenantId = TenantId::new([7; 16]);

pub(crate) async fn a_small_file_takes_one_to_be_put_and_one_to_be_opened() {
    let (_database, store, waits) = counted().await;
    let tenant = Tenant { id: TENANT, label: "a tenant".into(), ..Default::default() };
    store.ensure_tenant(&tenant).await.unwrap();
    let path = |call: u32| Path::parse_file(&format!("/{call}")).unwrap();
    let put = async |call: u32| {
        let content = Bytes::from(call.to_string());
        let file = NewFile {
            tenant: TENANT,
            path: path(call),
            hash: hash(&content),
            content_type: String::new(),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        };
        store.put_file(&file, content).await.unwrap();
    };
    let find = async |call: u32| assert!(store.open_file(TENANT, &path(call), None).await.unwrap().is_some());
    // Statements are prepared once on each connection.
    put(CALLS).await;
    find(CALLS).await;
    assert_eq!(waits.during(put).await, CALLS);
    assert_eq!(waits.during(find).await, CALLS);
}

pub(crate) async fn a_chunk_takes_one_to_be_written_and_one_to_be_read() {
    let (_database, store, waits) = counted().await;
    let bytes = Bytes::from(vec![7; 512 << 10]);
    let key = |call: u32| RowKey { tenant: TENANT, hash: hash(&bytes), generation: 1, attempt: call.into() };
    let write = async |call: u32| store.write_chunks(vec![(key(call), bytes.clone())]).await.unwrap();
    let read = async |call: u32| assert!(store.read_chunk(&key(call)).await.unwrap().is_some());
    write(CALLS).await;
    read(CALLS).await;
    assert_eq!(waits.during(write).await, CALLS);
    assert_eq!(waits.during(read).await, CALLS);
}
