//! Uploads over gRPC: begin, transfer piece by piece, commit; `streams.rs` transfers many pieces in one call. The row of an
//! upload says how far it has come; the state that travels says the same, sealed, so that a call that is late, early or
//! repeated is known for what it is.

use std::collections::HashMap;

use bytes::Bytes;
use cacheroach_api::convert::{expected, from_timestamp, timestamp};
use cacheroach_api::method::uploads;
use cacheroach_api::upload::{
    self, BeginRequest, BeginResponse, CommitRequest, CommitResponse, TransferRequest, TransferResponse,
    TransferState, begin_request::Committed,
};
use cacheroach_api::{tenant, text};
use cacheroach_auth::{Purpose, Want};
use cacheroach_hash::hash;
use cacheroach_model::{Capabilities, Expected, Goal, Hash, Metadata, Path, TenantId, Upload, UploadId};
use cacheroach_store::failpoint::{Step as Failpoint, hit};
use cacheroach_store::uploads::{NewPiece, NewUpload, Progress, Step, Stepped};

use crate::content::{Brought, Cut, Hashed, Target, digest_again, discard, keep, resume};
use crate::door::Ask;
use crate::files::{canonical_file, parse_metadata, place};
use crate::versions::{check_type, may_read};
use crate::{Caller, Error, Result, Service};

/// How many bytes a transfer brings at most: four chunks. Clients learn it from `Begin`.
const MAX_TRANSFER: usize = 2 << 20;

/// How often a call that finds itself overtaken looks again.
pub(crate) const TRIES: usize = 3;

impl Ask for uploads::Begin {
    type Answer = BeginResponse;

    fn canonical(request: &mut BeginRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(service: &Service, caller: &Caller, request: BeginRequest) -> Result<BeginResponse> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let (contents, same) = match request.committed {
            Some(Committed::Contents(contents)) => (Some(Bytes::from(contents)), None),
            Some(Committed::Empty(true)) => (Some(Bytes::new()), None),
            Some(Committed::Same(hash)) => (None, Some(hash)),
            None | Some(Committed::Empty(false)) => (None, None),
        };
        let said = Said::of(request.meta, request.content_type, request.expected_version)?;
        if let Some(same) = same {
            let hash = Hash::try_from(&same[..]).map_err(|_| Error::invalid("same", "32 bytes"))?;
            let committed = service.repeat(caller, said.about(tenant, path), hash).await?;
            return Ok(BeginResponse { committed, ..BeginResponse::default() });
        }
        if let Some(contents) = contents {
            let mut writer = service.writer(said.about(tenant, path));
            writer.write(contents).await?;
            writer.finish().await?;
            return Ok(BeginResponse { committed: true, ..BeginResponse::default() });
        }
        if said != Said::default() {
            let problem =
                "meta, content_type and expected_version come with Commit, or with all contents at once";
            return Err(Error::invalid("contents", problem));
        }
        let id = UploadId::random(service.random.id());
        let new = NewUpload { id, tenant, path, timeout: service.settings.upload_timeout };
        let upload = service.store.metadata.begin_upload(&new).await?;
        hit(Failpoint::UploadAfterBegin);
        let max_chunk_size = i32::try_from(MAX_TRANSFER).expect("two MiB");
        Ok(BeginResponse { state: Some(service.seal(&upload)), max_chunk_size, committed: false })
    }
}

impl Ask for uploads::Transfer {
    type Answer = TransferResponse;

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: TransferRequest,
    ) -> Result<TransferResponse> {
        let state = request.state.unwrap_or_default();
        let data = Bytes::from(request.data);
        let id = service.open(&state)?;
        must_fit(&data)?;
        let from = offset_of(&state)?;
        for _ in 0..TRIES {
            let progress = service.unfinished(caller, id, &state).await?;
            if progress.upload.offset != from {
                return service.repeated(&progress, from, data).await;
            }
            let cut = Cut::new(&progress.tail, &data);
            if let Some(further) = service.append(&progress, cut).await? {
                return Ok(TransferResponse { state: Some(service.seal(&further.upload)) });
            }
        }
        Err(Error::Busy)
    }
}

impl Ask for uploads::Commit {
    type Answer = CommitResponse;

    async fn answer(service: &Service, caller: &Caller, request: CommitRequest) -> Result<CommitResponse> {
        let state = request.state.unwrap_or_default();
        let id = service.open(&state)?;
        let said = Said::of(request.meta, request.content_type, request.expected_version)?;
        for _ in 0..TRIES {
            let progress = service.progress(caller, id, &state).await?;
            if progress.upload.outcome.is_some() {
                return Ok(CommitResponse {});
            }
            if i64::try_from(progress.upload.offset) != Ok(state.offset) {
                return Err(not_the_latest());
            }
            let content = resume(&progress.hash_state)?.finish();
            let upload = progress.upload.clone();
            let file = said.clone().about(upload.tenant, upload.path).of(content);
            let commit = async {
                let flushed = progress.tail.is_empty() || service.flush(progress).await?;
                if flushed {
                    hit(Failpoint::UploadAfterHash);
                    service.store.metadata.commit_upload(id, upload.offset, &file).await?;
                    hit(Failpoint::UploadAfterCommit);
                }
                Ok(flushed)
            };
            match commit.await {
                Ok(true) => return Ok(CommitResponse {}),
                // Overtaken by another commit, or over: the next look tells which.
                Ok(false) | Err(Error::State(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::State(text::BAD_STATE.into()))
    }
}

/// What a client says of contents besides the contents.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Said {
    content_type: String,
    metadata: Metadata,
    expected: Expected,
}

impl Said {
    fn of(meta: HashMap<String, String>, content_type: String, expected_version: i64) -> Result<Self> {
        check_type(&content_type)?;
        let metadata = parse_metadata(meta)?;
        Ok(Said { content_type, metadata, expected: expected(expected_version)? })
    }

    fn about(self, tenant: TenantId, path: Path) -> Target {
        let Said { content_type, metadata, expected } = self;
        Target { tenant, path, content_type, metadata, expected }
    }
}

impl Service {
    /// Makes the content of a file its next version, for a caller who may read it; tells whether it was that. To others it
    /// never is: they would learn what is there.
    async fn repeat(&self, caller: &Caller, target: Target, hash: Hash) -> Result<bool> {
        if !may_read(caller, target.tenant, Goal::File(target.path.clone())) {
            return Ok(false);
        }
        let made = self.store.metadata.repeat_file(&target.of(hash)).await?;
        hit(Failpoint::PutAfterCommit);
        Ok(made.is_some())
    }

    /// The state of an upload as it travels.
    pub(crate) fn seal(&self, upload: &Upload) -> TransferState {
        let mut state = TransferState {
            id: Some(upload.id.into()),
            offset: i64::try_from(upload.offset).unwrap_or(i64::MAX),
            data: Vec::new(),
            deadline: Some(timestamp(upload.deadline)),
            tenant_id: Some(upload.tenant.into()),
            signature: Vec::new(),
        };
        state.signature = self.keys.sign(Purpose::UploadState, &parts(&state).each_ref().map(Vec::as_slice));
        state
    }

    /// Which upload a state is of, if it was sealed here and not changed since.
    pub(crate) fn open(&self, state: &TransferState) -> Result<UploadId> {
        let parts = parts(state);
        let parts = parts.each_ref().map(Vec::as_slice);
        let id = upload::Id::parse(state.id.as_ref());
        match id {
            Some(id) if self.keys.verify(Purpose::UploadState, &parts, &state.signature) => Ok(id),
            _ => Err(Error::exactly(text::BAD_STATE)),
        }
    }

    /// How far an upload has come, for a caller who may write where it goes: a state alone is no authority.
    pub(crate) async fn progress(
        &self,
        caller: &Caller,
        id: UploadId,
        state: &TransferState,
    ) -> Result<Progress> {
        let found = self.store.metadata.find_upload(id).await?;
        let deadline = state.deadline.map(from_timestamp).unwrap_or_default();
        let progress = found.ok_or_else(|| match deadline > self.now() {
            true => Error::NotFound("upload"),
            false => Error::State(text::BAD_STATE.into()),
        })?;
        self.must(caller, Capabilities::WRITE, &want(&progress.upload)).await?;
        Ok(progress)
    }

    /// The same of an upload that can go on.
    pub(crate) async fn unfinished(
        &self,
        caller: &Caller,
        id: UploadId,
        state: &TransferState,
    ) -> Result<Progress> {
        let progress = self.progress(caller, id, state).await?;
        match progress.upload.outcome {
            None => Ok(progress),
            Some(_) => Err(Error::State("the upload is committed".into())),
        }
    }

    /// The answer to a transfer that was made before; anything else that is not the next one is refused.
    async fn repeated(&self, progress: &Progress, from: u64, data: Bytes) -> Result<TransferResponse> {
        let hashing = tokio::task::spawn_blocking(move || digest_again(from, &data));
        let digest = hashing.await.map_err(Error::internal)?;
        if progress.last_from == from && progress.last_digest == digest.as_bytes() {
            Ok(TransferResponse { state: Some(self.seal(&progress.upload)) })
        } else {
            Err(not_the_latest())
        }
    }

    /// Appends what a call brought; none if somebody else was faster.
    pub(crate) async fn append(&self, from: &Progress, cut: Cut) -> Result<Option<Progress>> {
        let (chunks, next) = self.plan(from, cut).await?;
        let pieces = self.keep_chunks(&from.upload, chunks).await?;
        Ok(self.go_on(from, pieces, &next).await?.then_some(next))
    }

    /// Hashes what a call brought: its full chunks, and how far the upload will be with it.
    pub(crate) async fn plan(&self, from: &Progress, cut: Cut) -> Result<(Vec<Hashed>, Progress)> {
        let upload = &from.upload;
        must_be_few(upload)?;
        let whole = resume(&from.hash_state)?;
        let (offset, transfers) = (upload.offset + cut.new_bytes(), upload.transfers + 1);
        let hashing = tokio::task::spawn_blocking(move || Brought::new(whole, cut));
        let Brought { whole, chunks, tail, digest } = hashing.await.map_err(Error::internal)?;
        let next = Progress {
            upload: Upload { offset, transfers, ..upload.clone() },
            tail,
            hash_state: whole.save().to_vec(),
            last_from: upload.offset,
            last_digest: digest.as_bytes().to_vec(),
        };
        Ok((chunks, next))
    }

    /// Takes an upload to where it was planned to be, with chunks that are kept; tells whether nobody else was faster.
    pub(crate) async fn go_on(&self, from: &Progress, pieces: Vec<NewPiece>, to: &Progress) -> Result<bool> {
        let step = Step {
            from_tail: from.tail.len(),
            pieces,
            tail: to.tail.clone(),
            hash_state: to.hash_state.clone(),
            digest: to.last_digest.clone(),
            extend: None,
        };
        self.step(&from.upload, &step).await
    }

    /// Keeps chunks whose bytes came, also where those that are there are known to be damaged.
    pub(crate) async fn keep_chunks(&self, upload: &Upload, chunks: Vec<Hashed>) -> Result<Vec<NewPiece>> {
        self.spoilt.give_way(&self.store, upload.tenant, &chunks).await?;
        keep(&self.store, upload.tenant, upload.id, chunks).await
    }

    /// Makes the tail the last chunk; tells whether it still was the tail.
    async fn flush(&self, progress: Progress) -> Result<bool> {
        let Progress { upload, tail, hash_state, .. } = progress;
        let from_tail = tail.len();
        let pieces = self.keep_chunks(&upload, vec![Hashed::new(hash(&tail), tail)]).await?;
        let step = Step { from_tail, pieces, hash_state, ..Step::default() };
        self.step(&upload, &step).await
    }

    pub(crate) async fn step(&self, upload: &Upload, step: &Step) -> Result<bool> {
        let stepped = self.store.metadata.advance_upload(upload.id, upload.offset, step).await?;
        // Overtaken, all that was written is for nothing, unless the winner wrote the very same.
        let Stepped::Done(beaten) = stepped else { return Ok(false) };
        hit(Failpoint::UploadAfterRow);
        discard(&self.store, upload.tenant, &step.pieces, &beaten).await;
        Ok(true)
    }
}

/// Each call costs a transaction and rewrites the tail: a million calls of a byte each are not served.
pub(crate) fn must_be_few(upload: &Upload) -> Result<()> {
    if upload.transfers > 1_000 + upload.offset / (16 * 1024) {
        return Err(Error::TooLarge("too many small transfers: send more bytes in each".into()));
    }
    Ok(())
}

/// What whoever goes on with an upload must be able to write.
pub(crate) fn want(upload: &Upload) -> Want {
    Want::Path(upload.tenant, Goal::File(upload.path.clone()), None)
}

/// Where a state says that an upload stands.
pub(crate) fn offset_of(state: &TransferState) -> Result<u64> {
    u64::try_from(state.offset).map_err(|_| Error::exactly(text::BAD_STATE))
}

/// What comes at once has bytes, and not too many.
pub(crate) fn must_fit(data: &Bytes) -> Result<()> {
    match data.len() {
        0 => Err(Error::exactly(text::NO_DATA)),
        1..=MAX_TRANSFER => Ok(()),
        _ => Err(Error::exactly(text::REDUCE_CHUNK)),
    }
}

/// Somebody went on from there before, with something else.
pub(crate) fn not_the_latest() -> Error {
    Error::State("not the latest state of this upload".into())
}

/// What the seal of a state covers.
fn parts(state: &TransferState) -> [Vec<u8>; 5] {
    let id = |data: Option<&[u8]>| data.unwrap_or_default().to_vec();
    [
        id(state.id.as_ref().map(|id: &upload::Id| &id.data[..])),
        id(state.tenant_id.as_ref().map(|id: &tenant::Id| &id.data[..])),
        state.offset.to_be_bytes().to_vec(),
        state
            .deadline
            .map(|at| [at.seconds, at.nanos.into()].map(i64::to_be_bytes).concat())
            .unwrap_or_default(),
        state.data.clone(),
    ]
}
