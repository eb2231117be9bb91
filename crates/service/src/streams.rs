//! Contents of an upload that come in one call: while groups of chunks are hashed and written, the next one comes. They are
//! hashed and appended one after the other, but written beside each other. Whenever more is safe the caller is told, and can go on
//! from there whatever happens.
//!
//! Not all that was told arrives. So a stream may begin behind where the upload stands: it brings the same bytes once more,
//! and they are compared with what is there.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cacheroach_api::method::uploads;
use cacheroach_api::upload::{StreamRequest, StreamResponse, TransferState};
use cacheroach_hash::hash;
use cacheroach_model::{CHUNK_SIZE, Capabilities, Hash, Upload};
use cacheroach_store::uploads::{Progress, rope_of};
use futures::TryStreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::content::{self, AT_ONCE, Cut, GROUP, Gathering, link};
use crate::door::{Exchange, Stream};
use crate::still::Still;
use crate::uploads::{TRIES, must_fit, not_the_latest, offset_of, want};
use crate::{Caller, Error, Result, Service};

const CHUNK: u64 = CHUNK_SIZE as u64;

/// How far the group before will bring the upload, and how far it has.
type Before = content::Before<Progress, Progress>;
type After = content::After<Progress, Progress>;

impl Exchange for uploads::Stream {
    async fn answer(
        service: &Arc<Service>,
        caller: &Caller,
        first: StreamRequest,
        rest: Stream<StreamRequest>,
    ) -> Result<Stream<StreamResponse>> {
        let state = first.state.unwrap_or_default();
        let id = service.open(&state)?;
        let from = offset_of(&state)?;
        let progress = service.unfinished(caller, id, &state).await?;
        let begun = begun_chunk(&progress, from)?;
        // As a content over HTTP.
        let room = Arc::clone(&service.room).try_acquire_owned().map_err(|_| Error::Busy)?;
        let mut gathering = Gathering::new(service.buffers.clone());
        gathering.expect_much();
        let at = from - begun.len() as u64;
        gathering.take(&mut begun.clone());
        let write = vec![(Capabilities::WRITE, want(&progress.upload))];
        let mut coming = Coming {
            service: Arc::clone(service),
            still: Still::able(&service.callers, caller, write),
            state,
            rest,
            has_ended: false,
            gathering,
            at,
            came: from,
            upload: progress.upload.clone(),
            before: Some(Before::known(progress.clone(), progress)),
            working: VecDeque::new(),
            told: None,
            room: Arc::new(room),
        };
        if !first.data.is_empty() {
            coming.take(first.data).await?;
        }
        Ok(Box::pin(futures::stream::try_unfold(coming, |mut coming| async move {
            let state = coming.next().await?;
            Ok(state.map(|state| (StreamResponse { state: Some(state) }, coming)))
        })))
    }
}

/// The bytes from the beginning of a chunk up to where a stream begins: not in the stream, but in the upload's tail.
fn begun_chunk(progress: &Progress, from: u64) -> Result<Bytes> {
    let (offset, tail) = (progress.upload.offset, &progress.tail);
    let begun = usize::try_from(from % CHUNK).expect("less than a chunk");
    if from > offset || begun > 0 && from - begun as u64 != offset - tail.len() as u64 {
        return Err(not_the_latest());
    }
    Ok(tail.slice(..begun))
}

/// A stream under way. It is worked on as answers are asked for.
struct Coming {
    service: Arc<Service>,
    still: Still,
    /// Where it began.
    state: TransferState,
    rest: Stream<StreamRequest>,
    has_ended: bool,
    gathering: Gathering,
    /// Where the first chunk begins that nobody works on yet.
    at: u64,
    /// Where the bytes end that came.
    came: u64,
    /// As it was found.
    upload: Upload,
    /// What comes before the next group.
    before: Option<Before>,
    /// The groups that are on their way, and where they end.
    working: VecDeque<(u64, JoinHandle<Result<()>>)>,
    /// How far the caller was told it to be safe.
    told: Option<u64>,
    room: Arc<OwnedSemaphorePermit>,
}

impl Coming {
    /// The next state to tell; none at the end.
    async fn next(&mut self) -> Result<Option<TransferState>> {
        loop {
            self.send_on();
            let has_room = self.gathering.full() < GROUP;
            let (takes_more, is_working) = (!self.has_ended && has_room, !self.working.is_empty());
            let Coming { rest, working, .. } = self;
            tokio::select! {
                biased;
                end = worked(working), if is_working => return end.map(|end| Some(self.tell(end))),
                part = rest.try_next(), if takes_more => match part? {
                    Some(StreamRequest { state: None, data }) => self.take(data).await?,
                    Some(_) => return Err(Error::invalid("state", "it comes first, and once")),
                    None => self.has_ended = true,
                },
                else => break,
            }
        }
        // If nothing came, it stands where it stood.
        Ok(self.told.is_none().then(|| self.tell(self.came)))
    }

    async fn take(&mut self, mut data: Bytes) -> Result<()> {
        must_fit(&data)?;
        self.still.must_anew().await?;
        self.came += data.len() as u64;
        while !data.is_empty() {
            self.gathering.take(&mut data);
        }
        Ok(())
    }

    /// Sends full chunks on their way, in the end also what is none. A slow sender's go one by one as they come; a fast one's
    /// gather while others are on their way.
    fn send_on(&mut self) {
        while self.working.len() < AT_ONCE {
            let is_last = self.has_ended && self.gathering.full() <= GROUP;
            let full = self.gathering.full().min(GROUP);
            let end = if is_last { self.came } else { self.at + full as u64 * CHUNK };
            let is_worth_it = self.has_ended || self.working.is_empty() || full == GROUP;
            if end == self.at || !is_worth_it {
                return;
            }
            let Some(before) = self.before.take() else { return };
            let chunks = self.gathering.take_full(full);
            let rest = if is_last { self.gathering.take_rest() } else { Bytes::new() };
            let group = Group { at: self.at, chunks, rest };
            let (after, then) = link();
            let (service, caller) = (Arc::clone(&self.service), self.still.caller().clone());
            let state = self.state.clone();
            let room = Arc::clone(&self.room);
            let adding = async move {
                let _until_it_is_done = room;
                service.add_behind(&caller, &state, before, group, after).await
            };
            self.working.push_back((end, tokio::spawn(adding)));
            (self.before, self.at) = (Some(then), end);
        }
    }

    fn tell(&mut self, end: u64) -> TransferState {
        self.told = Some(end);
        self.service.seal(&Upload { offset: end, ..self.upload.clone() })
    }
}

/// How far the first of the groups that are on their way has brought the upload.
async fn worked(working: &mut VecDeque<(u64, JoinHandle<Result<()>>)>) -> Result<u64> {
    let Some((end, work)) = working.front_mut() else { return std::future::pending().await };
    let (end, worked) = (*end, work.await);
    working.pop_front();
    worked.map_err(Error::internal)?.map(|()| end)
}

/// Bytes from the beginning of a chunk on.
#[derive(Clone)]
struct Group {
    at: u64,
    chunks: Vec<Bytes>,
    rest: Bytes,
}

impl Service {
    /// Adds a group behind another one that may still be on its way.
    async fn add_behind(
        &self,
        caller: &Caller,
        state: &TransferState,
        mut before: Before,
        group: Group,
        mut after: After,
    ) -> Result<()> {
        let planned = before.planned().await?;
        let Some(cut) = self.without_known(&planned, group.clone()).await? else {
            after.plan(planned);
            after.reach(before.reached().await?);
            return Ok(());
        };
        let (chunks, next) = self.plan(&planned, cut).await?;
        after.plan(next.clone());
        let pieces = self.keep_chunks(&planned.upload, chunks).await?;
        let from = before.reached().await?;
        let is_as_planned = from.upload.offset == planned.upload.offset;
        let reached = if is_as_planned && self.go_on(&from, pieces, &next).await? {
            next
        } else {
            // Another call went on from here. What was written is the sweep's, unless that one wrote the same.
            let latest = self.unfinished(caller, from.upload.id, state).await?;
            self.add(caller, state, latest, group).await?
        };
        after.reach(reached);
        Ok(())
    }

    /// Adds to an upload what it does not have of a group yet, and answers how far it is then: maybe further than the group.
    async fn add(
        &self,
        caller: &Caller,
        state: &TransferState,
        mut progress: Progress,
        group: Group,
    ) -> Result<Progress> {
        for _ in 0..TRIES {
            let Some(cut) = self.without_known(&progress, group.clone()).await? else { return Ok(progress) };
            if let Some(further) = self.append(&progress, cut).await? {
                return Ok(further);
            }
            // Another call went on from here: one with the same bytes, or this one has lost.
            progress = self.unfinished(caller, progress.upload.id, state).await?;
        }
        Err(Error::Busy)
    }

    /// What the upload does not have of a group; none: it has all of it.
    async fn without_known(&self, progress: &Progress, group: Group) -> Result<Option<Cut>> {
        let Group { mut at, mut chunks, rest } = group;
        let (upload, tail) = (&progress.upload, &progress.tail);
        let full_to = upload.offset - tail.len() as u64;
        let known = usize::try_from(full_to.saturating_sub(at) / CHUNK).unwrap_or(usize::MAX);
        let known: Vec<_> = chunks.drain(..known.min(chunks.len())).collect();
        if !known.is_empty() {
            let from = at;
            at += known.len() as u64 * CHUNK;
            let hashing = move || known.iter().map(|chunk| hash(chunk)).collect::<Vec<_>>();
            let hashes = tokio::task::spawn_blocking(hashing).await.map_err(Error::internal)?;
            if !self.has(upload, from, &hashes).await? {
                return Err(not_the_latest());
            }
        }
        let next = chunks.first().unwrap_or(&rest);
        if next.is_empty() {
            return Ok(None);
        }
        let both = next.len().min(tail.len());
        if at != full_to || next[..both] != tail[..both] {
            return Err(not_the_latest());
        }
        let is_new = next.len() > tail.len();
        Ok(is_new.then(|| Cut { known: tail.len(), chunks, rest }))
    }

    /// Whether the chunks of an upload from the beginning of one on are these.
    pub(crate) async fn has(&self, upload: &Upload, mut from: u64, mut chunks: &[Hash]) -> Result<bool> {
        while !chunks.is_empty() {
            let page =
                self.store.metadata.list_pieces(upload.tenant, rope_of(upload.id), from..u64::MAX).await?;
            let count = page.len().min(chunks.len());
            let (these, others) = chunks.split_at(count);
            let are_these =
                page.iter().zip(these).all(|(piece, chunk)| piece.at >= from && piece.chunk == *chunk);
            if count == 0 || !are_these {
                return Ok(false);
            }
            (from, chunks) = (from + count as u64 * CHUNK, others);
        }
        Ok(true)
    }
}
