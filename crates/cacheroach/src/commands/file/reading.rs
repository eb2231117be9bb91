//! A local file on its way up: read by position, and hashed while it is read, on threads that do not talk to the server.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cacheroach_api::upload::OfferedChunk;
use cacheroach_hash::{Whole, prove};
use cacheroach_model::{CHUNK_SIZE, Hash, UploadId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::course::Step;
use super::record::Stamp;
use crate::error::Error;

/// How many pieces of a chunk's size are read ahead of a stream.
const PIECES: usize = 4;

/// A local file that must stay as it is while it is read.
pub(super) struct Source {
    file: Arc<File>,
    pub(super) stamp: Stamp,
}

/// What a step says.
#[derive(Debug)]
pub(super) enum Prepared {
    Offer(Vec<OfferedChunk>),
    Send(Vec<u8>),
    Stream,
}

/// Reads pieces ahead of a stream; they end where it can't.
pub(super) struct Reading(JoinHandle<io::Result<()>>);

/// A step that is prepared while another one is on its way.
pub(super) struct Ahead {
    offset: u64,
    step: Step,
    work: JoinHandle<io::Result<Prepared>>,
}

impl Source {
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let open = move || {
            let file = File::open(path)?;
            let found = file.metadata()?;
            Ok((file, found))
        };
        let (file, found) = done(tokio::task::spawn_blocking(open)).await?;
        if !found.is_file() {
            return Err(Error::new("not a regular file"));
        }
        Ok(Source { file: Arc::new(file), stamp: Stamp::from(&found) })
    }

    /// All of a small file.
    pub(super) async fn all(&self) -> Result<Vec<u8>, Error> {
        let size = usize::try_from(self.stamp.size).map_err(|_| changed())?;
        let contents = self.piece(0, size).await?;
        self.check().await?;
        Ok(contents)
    }

    /// Bytes of it.
    pub(super) async fn piece(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let file = Arc::clone(&self.file);
        done(tokio::task::spawn_blocking(move || read(&file, offset, length))).await
    }

    /// The SHA-256 of all of it.
    pub(super) async fn hash(&self) -> Result<Hash, Error> {
        let (file, size) = (Arc::clone(&self.file), self.stamp.size);
        let hashing = move || {
            let (mut whole, mut buffer, mut at) = (Whole::default(), vec![0; CHUNK_SIZE], 0);
            while at < size {
                let length = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK_SIZE);
                file.read_exact_at(&mut buffer[..length], at)?;
                whole.update(&buffer[..length]);
                at += length as u64;
            }
            Ok(whole.finish())
        };
        let hash = done(tokio::task::spawn_blocking(hashing)).await?;
        self.check().await?;
        Ok(hash)
    }

    /// Begins to prepare a step of an upload.
    pub(super) fn prepare(&self, upload: UploadId, offset: u64, step: Step) -> Ahead {
        let (file, size) = (Arc::clone(&self.file), self.stamp.size);
        let work = tokio::task::spawn_blocking(move || match step {
            // Streams read as they go.
            Step::Stream(_) => Ok(Prepared::Stream),
            Step::Send(length) => read(&file, offset, length).map(Prepared::Send),
            Step::Offer(chunks) => show(&file, size, upload, offset, chunks).map(Prepared::Offer),
        });
        Ahead { offset, step, work }
    }

    /// Reads it from one offset to another, some pieces ahead.
    pub(super) fn read_ahead(&self, from: u64, to: u64) -> (mpsc::Receiver<Bytes>, Reading) {
        let (file, (sender, pieces)) = (Arc::clone(&self.file), mpsc::channel(PIECES));
        let reading = move || {
            let mut at = from;
            while at < to {
                let length = usize::try_from(to - at).unwrap_or(usize::MAX).min(CHUNK_SIZE);
                if sender.blocking_send(read(&file, at, length)?.into()).is_err() {
                    break;
                }
                at += length as u64;
            }
            Ok(())
        };
        (pieces, Reading(tokio::task::spawn_blocking(reading)))
    }

    /// Whether all that was read belongs together.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let file = Arc::clone(&self.file);
        let found = done(tokio::task::spawn_blocking(move || file.metadata())).await?;
        if Stamp::from(&found) == self.stamp { Ok(()) } else { Err(changed()) }
    }
}

impl Reading {
    /// Whether it ended, one way or another.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    /// Whether all could be read.
    pub(super) async fn outcome(self) -> Result<(), Error> {
        done(self.0).await
    }
}

impl Ahead {
    /// Whether it is the step that comes next.
    pub(super) fn is(&self, offset: u64, step: Step) -> bool {
        (self.offset, self.step) == (offset, step)
    }

    pub(super) async fn ready(self) -> Result<Prepared, Error> {
        done(self.work).await
    }
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut data = vec![0; length];
    file.read_exact_at(&mut data, offset)?;
    Ok(data)
}

/// So many chunks, and that we have them.
fn show(
    file: &File,
    size: u64,
    upload: UploadId,
    offset: u64,
    chunks: usize,
) -> io::Result<Vec<OfferedChunk>> {
    let (mut shown, mut buffer, mut at) = (Vec::with_capacity(chunks), vec![0; CHUNK_SIZE], offset);
    for _ in 0..chunks {
        let length = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX).min(CHUNK_SIZE);
        file.read_exact_at(&mut buffer[..length], at)?;
        let proven = prove(upload, &buffer[..length]);
        let (hash, proof) = (proven.hash.as_bytes().to_vec(), proven.proof.as_bytes().to_vec());
        shown.push(OfferedChunk { hash, proof });
        at += length as u64;
    }
    Ok(shown)
}

async fn done<T>(work: JoinHandle<io::Result<T>>) -> Result<T, Error> {
    match work.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(changed()),
        Ok(Err(error)) => Err(Error::because("cannot be read", error)),
        Err(error) => Err(Error::because("cannot be read", error)),
    }
}

fn changed() -> Error {
    Error::new("changed while it was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a88_a_file_that_changes_while_it_is_read_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before").unwrap();
        let source = Source::open(file.path()).await.unwrap();
        assert_eq!(source.piece(2, 4).await.unwrap(), b"fore");
        assert_eq!(source.hash().await.unwrap(), cacheroach_hash::hash(b"before"));
        std::fs::write(file.path(), "longer than before").unwrap();
        assert_eq!(source.check().await.unwrap_err().text(), "changed while it was read");
        assert!(source.all().await.is_err() && source.hash().await.is_err());
        std::fs::write(file.path(), "x").unwrap();
        assert!(source.piece(0, 6).await.is_err());
        let ahead = source.prepare(UploadId::new([1; 16]), 0, Step::Offer(1));
        assert_eq!(ahead.ready().await.unwrap_err().text(), "changed while it was read");
    }

    #[tokio::test]
    async fn a_step_is_prepared_from_where_it_begins() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> =
            (0..CHUNK_SIZE + 10).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        std::fs::write(file.path(), &content).unwrap();
        let source = Source::open(file.path()).await.unwrap();
        let upload = UploadId::new([1; 16]);
        let ahead = source.prepare(upload, 0, Step::Offer(2));
        assert!(ahead.is(0, Step::Offer(2)) && !ahead.is(0, Step::Offer(1)) && !ahead.is(1, Step::Offer(2)));
        let Prepared::Offer(shown) = ahead.ready().await.unwrap() else { panic!("an offer") };
        for (shown, chunk) in shown.iter().zip(content.chunks(CHUNK_SIZE)) {
            let proven = prove(upload, chunk);
            assert_eq!(
                (&shown.hash[..], &shown.proof[..]),
                (&proven.hash.as_bytes()[..], &proven.proof.as_bytes()[..])
            );
        }
        assert_eq!(shown.len(), 2);
        let sent = source.prepare(upload, CHUNK_SIZE as u64, Step::Send(10)).ready().await.unwrap();
        assert!(matches!(sent, Prepared::Send(data) if data == content[CHUNK_SIZE..]));
    }
}
