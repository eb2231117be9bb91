//! One upload: nothing of it if it is there already, whole if it is small, else step by step: chunks that the server has are
//! shown, the others sent. Each step may be repeated. `streaming.rs` sends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::upload::{
    self, BeginRequest, BeginResponse, CommitRequest, OfferRequest, OfferedChunk, TransferState,
};
use tonic::Code;

use super::course::{Course, Step};
use super::reading::{Ahead, Prepared, Source};
use super::record::{Begun, Record};
use super::{NOTHING, Site};
use crate::error::Error;
use crate::progress::{Progress, Transfer};
use crate::retry::insist;

/// What is smaller goes with the first request.
const LEAST_FOR_TRANSFER: u64 = 1 << 20;
/// What is smaller is sent at once: to ask whether it is there would cost as much.
const LEAST_TO_ASK: u64 = 64 << 10;
/// Pieces of the size servers announce; together with the rest of the request it must stay below 4 MiB.
const LARGEST_PIECE: usize = 2 << 20;

/// Uploads files to a site.
pub(super) struct Uploader<'a> {
    pub(super) site: &'a Site,
    progress: &'a Progress,
    records: PathBuf,
    /// Whether the server has not yet shown to know of no offers.
    offers: AtomicBool,
    /// The same of streams.
    pub(super) streams: AtomicBool,
}

/// What an upload says besides the contents.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) meta: HashMap<String, String>,
    /// Empty: told by the name or the content.
    pub(super) content_type: String,
    /// The version that must be the current one; -1: none; 0: whichever.
    pub(super) expected: i64,
    /// Whether it is known that what is there is something else.
    pub(super) changed: bool,
}

/// Where an upload goes.
#[derive(Clone, Copy)]
struct To<'a> {
    remote: &'a str,
    terms: &'a Terms,
}

impl<'a> Uploader<'a> {
    /// `records` is where it is kept how far uploads have come.
    pub(super) fn new(site: &'a Site, progress: &'a Progress, records: PathBuf) -> Self {
        let (offers, streams) = (AtomicBool::new(true), AtomicBool::new(true));
        Uploader { site, progress, records, offers, streams }
    }

    /// Uploads a file. Once this succeeds, the server has it.
    pub(super) async fn put(&self, local: &Path, remote: &str, terms: &Terms) -> Result<(), Error> {
        let to = To { remote, terms };
        let source = Source::open(local).await?;
        let transfer = self.progress.start(&local.to_string_lossy(), source.stamp.size);
        if self.is_there(&source, to).await? {
            transfer.reach(source.stamp.size);
        } else if source.stamp.size < LEAST_FOR_TRANSFER {
            self.put_whole(&source, to, &transfer).await?;
        } else {
            self.put_pieces(&source, local, to, &transfer).await?;
        }
        transfer.finish();
        Ok(())
    }

    /// Whether the server has this very content there, and has made it the next version without its bytes. Only whoever may
    /// read what is there is told; servers of old are not asked.
    async fn is_there(&self, source: &Source, to: To<'_>) -> Result<bool, Error> {
        let is_hopeless = to.terms.expected == NOTHING || to.terms.changed;
        if source.stamp.size < LEAST_TO_ASK || is_hopeless || !self.offers.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let Ok(meta) = self.site.stat(to.remote.to_owned(), 0).await else { return Ok(false) };
        if u64::try_from(meta.size) != Ok(source.stamp.size) || meta.hash.is_empty() {
            return Ok(false);
        }
        let hash = source.hash().await?.as_bytes().to_vec();
        if hash != meta.hash {
            return Ok(false);
        }
        match self.begin(to, Some(Committed::Same(hash))).await {
            Ok(answer) => Ok(answer.committed),
            // A server of old, to which these are not all contents.
            Err(error) if error.is_refusal() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put_whole(&self, source: &Source, to: To<'_>, transfer: &Transfer) -> Result<(), Error> {
        let contents = source.all().await?;
        let whole = if contents.is_empty() { Committed::Empty(true) } else { Committed::Contents(contents) };
        let answer = self.begin(to, Some(whole)).await?;
        if !answer.committed {
            let begun = begun(answer)?;
            let course = self.course(source, &begun);
            return self.carry_on(source, begun, course, &mut None, to, transfer).await;
        }
        transfer.reach(source.stamp.size);
        Ok(())
    }

    async fn put_pieces(
        &self,
        source: &Source,
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
            let course = self.course(source, &earlier).resumed();
            match self.carry_on(source, earlier, course, &mut record, to, transfer).await {
                Err(error) if error.is_refusal() => tracing::info!("beginning anew: {}", error.text()),
                outcome => return outcome,
            }
            transfer.resume(0);
        }
        let begun = begun(self.begin(to, None).await?)?;
        let course = self.course(source, &begun);
        self.carry_on(source, begun, course, &mut record, to, transfer).await
    }

    fn course(&self, source: &Source, begun: &Begun) -> Course {
        let [offers, streams] = [&self.offers, &self.streams].map(|known| known.load(Ordering::Relaxed));
        Course::new(source.stamp.size, begun.piece, offers, streams)
    }

    /// Takes the steps that are left and commits. The same state with the same chunks or bytes, and a commit, may be sent again.
    /// While a step is on its way, the next one is prepared.
    async fn carry_on(
        &self,
        source: &Source,
        mut begun: Begun,
        mut course: Course,
        record: &mut Option<Record>,
        to: To<'_>,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        let upload = upload::Id::parse(begun.state.id.as_ref());
        if upload.is_none() {
            course.give_up_offers();
        }
        let upload = upload.unwrap_or_default();
        let mut ahead: Option<Ahead> = None;
        let mut offset = offset_of(&begun.state, source.stamp.size)?;
        while let Some(step) = course.next(offset) {
            let prepared = ahead.take().filter(|ahead| ahead.is(offset, step));
            let prepared = prepared.unwrap_or_else(|| source.prepare(upload, offset, step)).ready().await?;
            ahead = course.foresee(offset, step).map(|(at, step)| source.prepare(upload, at, step));
            let (state, reached) = match prepared {
                Prepared::Stream => {
                    let end = offset + course.length(offset, step);
                    if self.stream(source, &mut begun, end, record, transfer).await? {
                        course.sent(usize::try_from(end - offset).unwrap_or(usize::MAX));
                    } else {
                        course.give_up_streams();
                    }
                    offset = offset_of(&begun.state, source.stamp.size)?;
                    continue;
                }
                Prepared::Send(data) => {
                    let length = data.len();
                    course.sent(length);
                    (self.send(&begun.state, data).await?, offset + length as u64)
                }
                Prepared::Offer(chunks) => {
                    let count = chunks.len();
                    let Some((state, taken)) = self.offer(&begun.state, chunks).await? else {
                        course.give_up_offers();
                        continue;
                    };
                    course.offered(count, taken);
                    (state, offset + course.length(offset, Step::Offer(taken.min(count))))
                }
            };
            offset = offset_of(&state, source.stamp.size)?;
            if offset != reached {
                return Err(confused());
            }
            begun.state = state;
            if let Some(record) = record {
                record.save(source.stamp, &begun);
            }
            transfer.reach(offset);
        }
        self.commit(source, begun, record, to).await
    }

    /// The state behind the chunks that the server took, and how many that were; none if it knows of no offers.
    async fn offer(
        &self,
        state: &TransferState,
        chunks: Vec<OfferedChunk>,
    ) -> Result<Option<(TransferState, usize)>, Error> {
        let request = OfferRequest { state: Some(state.clone()), chunks };
        let answer = insist(|| {
            let (mut uploads, request) = (self.site.client.uploads(), request.clone());
            async move { uploads.offer(request).await }
        });
        match answer.await {
            Ok(answer) => {
                let taken = usize::try_from(answer.taken).map_err(|_| confused())?;
                Ok(Some((answer.state.ok_or_else(confused)?, taken)))
            }
            Err(Error::Rpc(status)) if status.code() == Code::Unimplemented => {
                self.offers.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn commit(
        &self,
        source: &Source,
        begun: Begun,
        record: &mut Option<Record>,
        to: To<'_>,
    ) -> Result<(), Error> {
        if let Err(error) = source.check().await {
            record.iter_mut().for_each(Record::remove);
            return Err(error);
        }
        let Terms { meta, content_type, expected, .. } = to.terms.clone();
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
        let Terms { meta, content_type, expected, .. } = terms.unwrap_or_default();
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

/// How far a state says it has come, in a file of a size.
pub(super) fn offset_of(state: &TransferState, size: u64) -> Result<u64, Error> {
    let offset = u64::try_from(state.offset).ok().filter(|offset| *offset <= size);
    offset.ok_or_else(confused)
}

pub(super) fn confused() -> Error {
    Error::new("the server's answer makes no sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_within_its_file() {
        let at = |offset| TransferState { offset, ..Default::default() };
        assert_eq!(offset_of(&at(0), 10).unwrap(), 0);
        assert_eq!(offset_of(&at(10), 10).unwrap(), 10);
        assert!(offset_of(&at(11), 10).is_err() && offset_of(&at(-1), 10).is_err());
    }
}
