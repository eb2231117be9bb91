//! Where a download goes: bytes are written and hashed on a thread of their own, while more of them come.

use std::fs::File;
use std::io::{self, Write as _};

use bytes::{Bytes, BytesMut};
use cacheroach_hash::Whole;
use cacheroach_model::Hash;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// So many bytes go to the thread at once: parts as they come are small, and each would wake it.
const BLOCK: usize = 256 << 10;
/// So many blocks wait for it at most.
const WAITING: usize = 8;

/// A file that is being written.
pub(super) struct Sink {
    gathered: BytesMut,
    to: mpsc::Sender<Bytes>,
    work: JoinHandle<(File, io::Result<Hash>)>,
}

impl Sink {
    /// Goes on where the file stands.
    pub(super) fn new(mut file: File) -> Self {
        let (to, mut from) = mpsc::channel::<Bytes>(WAITING);
        let work = tokio::task::spawn_blocking(move || {
            let mut whole = Whole::default();
            while let Some(bytes) = from.blocking_recv() {
                if let Err(error) = file.write_all(&bytes) {
                    return (file, Err(error));
                }
                whole.update(&bytes);
            }
            let flushed = file.flush();
            (file, flushed.map(|()| whole.finish()))
        });
        Sink { gathered: BytesMut::new(), to, work }
    }

    /// Takes more bytes. False: it could not write what came before, and [`Sink::end`] tells why.
    pub(super) async fn take(&mut self, bytes: &[u8]) -> bool {
        self.gathered.extend_from_slice(bytes);
        self.gathered.len() < BLOCK || self.pass_on().await
    }

    async fn pass_on(&mut self) -> bool {
        let block = self.gathered.split().freeze();
        self.to.send(block).await.is_ok()
    }

    /// The file, and the hash of all that went there.
    pub(super) async fn end(mut self) -> io::Result<(File, io::Result<Hash>)> {
        // If it fails, the thread has ended, and says why.
        let _ = self.pass_on().await;
        let Sink { to, work, .. } = self;
        drop(to);
        Ok(work.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[tokio::test]
    async fn what_comes_in_parts_is_written_and_hashed() {
        let content: Vec<u8> = (0..3 * BLOCK + 5).map(|at| at.to_le_bytes()[0]).collect();
        let mut sink = Sink::new(tempfile::tempfile().unwrap());
        for part in content.chunks(7_001) {
            assert!(sink.take(part).await);
        }
        let (mut file, hash) = sink.end().await.unwrap();
        assert_eq!(hash.unwrap(), cacheroach_hash::hash(&content));
        let mut written = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut written).unwrap();
        assert!(written == content);
    }

    #[tokio::test]
    async fn f07_what_cannot_be_written_is_told() {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink::new(full());
        let block = vec![0; BLOCK];
        let mut took = 0;
        while took < 100 && sink.take(&block).await {
            took += 1;
        }
        assert!(took < 100, "it ends");
        assert!(sink.end().await.unwrap().1.is_err());
        let mut small = Sink::new(full());
        assert!(small.take(b"x").await, "nothing was written yet");
        assert!(small.end().await.unwrap().1.is_err());
    }
}
