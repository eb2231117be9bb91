//! The store of a running server, copied, changed behind its back, and served by another server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_auth::Keys;
use cacheroach_model::{Clock, Random, Timestamp};
use cacheroach_service::Service;
use cacheroach_store::{Location, Settings, Tier};
use http::HeaderMap;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::Server;
use crate::wire::{Reply, exchange_open, replies};

/// A server over a changed copy; stops when dropped.
pub(crate) struct Reopened {
    addr: SocketAddr,
    _stop: oneshot::Sender<()>,
    _dir: TempDir,
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Kernel;

impl Random for Kernel {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }
}

impl Reopened {
    /// Over the store of a server on which nothing is under way.
    pub(crate) async fn over(server: &Server, change: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(server.dir(), dir.path());
        change(dir.path());
        let clock = Arc::new(Still(server.now()));
        let settings =
            Settings::new(Location::Sqlite(dir.path().to_owned()), Tier::Disk(dir.path().join("chunks")));
        let store = cacheroach_store::open(&settings, clock.clone()).await.unwrap();
        let keys = Keys::parse(&[STANDARD.encode(server.key())]).unwrap();
        let service = Arc::new(Service::new(store, keys, clock, Arc::new(Kernel), Default::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(cacheroach_server::serve(listener, service, Default::default(), async {
            let _: Result<(), _> = stopped.await;
        }));
        Reopened { addr, _stop: stop, _dir: dir }
    }

    /// The answer to a GET; an empty range is none. Status 0 if the server closed without a word.
    pub(crate) async fn get(&self, token: &str, path: &str, range: &str) -> Reply {
        let range = if range.is_empty() { String::new() } else { format!("Range: {range}\r\n") };
        let head = crate::site::head(token, "GET", path);
        let answer = exchange_open(self.addr, format!("{head}{range}Connection: close\r\n\r\n")).await;
        let silence = Reply { status: 0, headers: HeaderMap::new(), body: Vec::new(), whole: false };
        replies(&answer).pop().unwrap_or(silence)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Changes one bit of what the packs of a store hold, which must be there exactly once.
pub(crate) fn flip(store: &Path, held: &[u8]) {
    let mut hits = 0;
    for path in packs(store) {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(place) = bytes.windows(held.len()).position(|window| window == held) {
            bytes[place] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            hits += 1;
        }
    }
    assert_eq!(hits, 1, "the bytes are in one pack");
}

/// The pack files of a store.
pub(crate) fn packs(store: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(store.join("chunks")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let packs: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect();
    assert!(!packs.is_empty());
    packs
}
