//! A way between a home and a server on which bytes are counted, and which can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;

use super::{CONFIG, Home, Server};

/// The way.
pub(crate) struct Way {
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Watch {
    /// How many bytes went to the server.
    sent: AtomicU64,
    /// How many more may go there before the connection is cut; 0: as many as there are.
    cut_after: AtomicU64,
}

impl Way {
    /// The one that a home's commands take from now on.
    pub(crate) fn lay(server: &Server, home: &Home) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut config = home.config(CONFIG);
        config["Host"] = json!(listener.local_addr().unwrap().to_string());
        home.write(CONFIG, config.to_string());
        let (watch, to) = (Arc::new(Watch::default()), server.host().to_owned());
        let watching = Arc::clone(&watch);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let watching = Arc::clone(&watching);
                thread::spawn(move || pass(client, forth, |bytes| watching.passes(bytes)));
                thread::spawn(move || pass(server, back, |_| true));
            }
        });
        Way { watch }
    }

    /// How many bytes a command sends.
    pub(crate) fn count(&self, run: impl FnOnce()) -> u64 {
        self.watch.sent.store(0, Ordering::SeqCst);
        run();
        self.watch.sent.load(Ordering::SeqCst)
    }

    /// After so many bytes the connection is cut, once.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.watch.cut_after.store(bytes, Ordering::SeqCst);
    }

    /// Whether it was.
    pub(crate) fn is_cut(&self) -> bool {
        self.watch.cut_after.load(Ordering::SeqCst) == 0
    }
}

impl Watch {
    fn passes(&self, bytes: u64) -> bool {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
        let left = self.cut_after.load(Ordering::SeqCst);
        self.cut_after.store(left.saturating_sub(bytes), Ordering::SeqCst);
        left == 0 || left > bytes
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(u64) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !passes(length as u64) {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
