//! One upload: whole if it is small, else piece by piece, each of which may be repeated.

use std::collections::HashMap;
use std::io::{ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};

use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::upload::{BeginRequest, BeginResponse, CommitRequest, TransferRequest};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::record::{Begun, Record, Stamp};
use super::{NOTHING, Site};
use crate::error::Error;
use crate::progress::{Progress, Transfer};
use crate::retry::insist;

/// What is smaller goes with the first request.
const LEAST_FOR_TRANSFER: u64 = 1 << 20;
/// Pieces of the size servers announce; together with the rest of the request it must stay below 4 MiB.
const LARGEST_PIECE: usize = 2 << 20;

/// Uploads files to a site.
pub(super) struct Uploader<'a> {
    site: &'a Site,
    progress: &'a Progress,
    records: PathBuf,
}

/// What an upload says besides the contents.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) meta: HashMap<String, String>,
    /// Empty: told by the name or the content.
    pub(super) content_type: String,
    /// The version that must be the current one; -1: none; 0: whichever.
    pub(super) expected: i64,
}

/// Where an upload goes.
#[derive(Clone, Copy)]
struct To<'a> {
    remote: &'a str,
    terms: &'a Terms,
}

/// A local file that must stay as it is while it is read.
struct Source {
    file: File,
    stamp: Stamp,
}

impl<'a> Uploader<'a> {
    /// `records` is where it is kept how far uploads have come.
    pub(super) fn new(site: &'a Site, progress: &'a Progress, records: PathBuf) -> Self {
        Uploader { site, progress, records }
    }

    /// Uploads a file. Once this succeeds, the server has it.
    pub(super) async fn put(&self, local: &Path, remote: &str, terms: &Terms) -> Result<(), Error> {
        let to = To { remote, terms };
        let mut source = Source::open(local).await?;
        let transfer = self.progress.start(&local.to_string_lossy(), source.stamp.size);
        if source.stamp.size < LEAST_FOR_TRANSFER {
            self.put_whole(&mut source, to, &transfer).await?;
        } else {
            self.put_pieces(&mut source, local, to, &transfer).await?;
        }
        transfer.finish();
        Ok(())
    }

    async fn put_whole(&self, source: &mut Source, to: To<'_>, transfer: &Transfer) -> Result<(), Error> {
        let contents = source.all().await?;
        let whole = if contents.is_empty() { Committed::Empty(true) } else { Committed::Contents(contents) };
        let answer = self.begin(to, Some(whole)).await?;
        if !answer.committed {
            let mut record = None;
            return self.carry_on(source, begun(answer)?, &mut record, to, transfer).await;
        }
        transfer.reach(source.stamp.size);
        Ok(())
    }

    async fn put_pieces(
        &self,
        source: &mut Source,
        local: &Path,
        to: To<'_>,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        // The commit would find it out as well, but only once all of it was sent. Servers of old do not answer.
        if to.terms.expected == NOTHING && self.site.stat(to.remote.to_owned(), 0).await.is_ok() {
            return Err(Error::new("there is a file already"));
        }
        let server = self.site.client.base();
        let mut record = Some(Record::open(&self.records, server, self.site.tenant, to.remote, local));
        if let Some(earlier) = record.as_mut().and_then(|record| record.load(source.stamp)) {
            tracing::info!("going on with {} from byte {}", local.display(), earlier.state.offset);
            transfer.resume(u64::try_from(earlier.state.offset).unwrap_or(0));
            match self.carry_on(source, earlier, &mut record, to, transfer).await {
                Err(error) if error.is_refusal() => tracing::info!("beginning anew: {}", error.text()),
                outcome => return outcome,
            }
            transfer.resume(0);
        }
        let begun = begun(self.begin(to, None).await?)?;
        self.carry_on(source, begun, &mut record, to, transfer).await
    }

    /// Sends what is missing and commits. The same state with the same bytes, and a commit, may be sent again.
    async fn carry_on(
        &self,
        source: &mut Source,
        mut begun: Begun,
        record: &mut Option<Record>,
        to: To<'_>,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        while let Some((offset, length)) = next_piece(&begun, source.stamp.size)? {
            let data = source.piece(offset, length).await?;
            let request = TransferRequest { state: Some(begun.state), data };
            let answer = insist(|| {
                let (mut uploads, request) = (self.site.client.uploads(), request.clone());
                async move { uploads.transfer(request).await }
            });
            let state = answer.await?.state.ok_or_else(confused)?;
            let done = offset + length as u64;
            if u64::try_from(state.offset) != Ok(done) {
                return Err(confused());
            }
            begun.state = state;
            if let Some(record) = record {
                record.save(source.stamp, &begun);
            }
            transfer.reach(done);
        }
        if let Err(error) = source.check().await {
            record.iter_mut().for_each(Record::remove);
            return Err(error);
        }
        let Terms { meta, content_type, expected } = to.terms.clone();
        let request =
            CommitRequest { state: Some(begun.state), meta, content_type, expected_version: expected };
        let answer = insist(|| {
            let (mut uploads, request) = (self.site.client.uploads(), request.clone());
            async move { uploads.commit(request).await }
        });
        answer.await?;
        record.iter_mut().for_each(Record::remove);
        Ok(())
    }

    /// Repeated after a lost answer, this may make a second version of the same content: better than none.
    async fn begin(&self, to: To<'_>, committed: Option<Committed>) -> Result<BeginResponse, Error> {
        // What comes in pieces is described when it is committed.
        let terms = committed.is_some().then(|| to.terms.clone());
        let Terms { meta, content_type, expected } = terms.unwrap_or_default();
        let request = BeginRequest {
            tenant: Some(self.site.tenant.into()),
            path: to.remote.to_owned(),
            committed,
            meta,
            content_type,
            expected_version: expected,
        };
        let answer = insist(|| {
            let (mut uploads, request) = (self.site.client.uploads(), request.clone());
            async move { uploads.begin(request).await }
        });
        answer.await
    }
}

fn begun(answer: BeginResponse) -> Result<Begun, Error> {
    let piece = usize::try_from(answer.max_chunk_size).unwrap_or(0).min(LARGEST_PIECE);
    match answer.state {
        Some(state) if piece > 0 => Ok(Begun { state, piece }),
        _ => Err(confused()),
    }
}

/// Where the next piece starts and how long it is, if there is one.
fn next_piece(begun: &Begun, size: u64) -> Result<Option<(u64, usize)>, Error> {
    let offset = u64::try_from(begun.state.offset).map_err(|_| confused())?;
    let left = size.checked_sub(offset).ok_or_else(confused)?;
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(begun.piece);
    Ok((length > 0).then_some((offset, length)))
}

fn confused() -> Error {
    Error::new("the server's answer makes no sense")
}

impl Source {
    async fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |e| Error::because("cannot be read", e);
        let file = File::open(path).await.map_err(unreadable)?;
        let found = file.metadata().await.map_err(unreadable)?;
        if !found.is_file() {
            return Err(Error::new("not a regular file"));
        }
        Ok(Source { file, stamp: Stamp::from(&found) })
    }

    /// All of a small file.
    async fn all(&mut self) -> Result<Vec<u8>, Error> {
        let mut contents = Vec::new();
        let mut limited = (&mut self.file).take(self.stamp.size + 1);
        limited.read_to_end(&mut contents).await.map_err(|e| Error::because("cannot be read", e))?;
        if contents.len() as u64 != self.stamp.size {
            return Err(changed());
        }
        self.check().await?;
        Ok(contents)
    }

    async fn piece(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut data = vec![0; length];
        let read = async {
            self.file.seek(SeekFrom::Start(offset)).await?;
            self.file.read_exact(&mut data).await
        };
        match read.await {
            Ok(_) => Ok(data),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(changed()),
            Err(error) => Err(Error::because("cannot be read", error)),
        }
    }

    /// Whether all that was read belongs together.
    async fn check(&self) -> Result<(), Error> {
        let found = self.file.metadata().await.map_err(|e| Error::because("cannot be read", e))?;
        if Stamp::from(&found) == self.stamp { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> Error {
    Error::new("changed while it was read")
}

#[cfg(test)]
mod tests {
    use cacheroach_api::upload::TransferState;

    use super::*;

    #[test]
    fn pieces_follow_the_servers_offset() {
        let at = |offset| Begun { state: TransferState { offset, ..Default::default() }, piece: 4 };
        assert_eq!(next_piece(&at(0), 10).unwrap(), Some((0, 4)));
        assert_eq!(next_piece(&at(8), 10).unwrap(), Some((8, 2)));
        assert_eq!(next_piece(&at(10), 10).unwrap(), None);
        assert!(next_piece(&at(11), 10).is_err());
        assert!(next_piece(&at(-1), 10).is_err());
    }

    #[tokio::test]
    async fn a88_a_file_that_changes_while_it_is_read_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before").unwrap();
        let mut source = Source::open(file.path()).await.unwrap();
        assert_eq!(source.piece(2, 4).await.unwrap(), b"fore");
        std::fs::write(file.path(), "longer than before").unwrap();
        assert_eq!(source.check().await.unwrap_err().text(), "changed while it was read");
        assert!(source.all().await.is_err());
        std::fs::write(file.path(), "x").unwrap();
        assert!(source.piece(0, 6).await.is_err());
    }
}
