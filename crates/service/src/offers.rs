//! Chunks of an upload that need not be sent: the caller shows to have them, and the tenant has them already. They are
//! appended as if their bytes had come, only that these are read here.
//!
//! What a caller does not show to have it learns nothing of: whether the tenant has it, too, makes no difference.

use std::sync::Arc;

use bytes::Bytes;
use cacheroach_api::method::uploads;
use cacheroach_api::upload::{OfferRequest, OfferResponse, OfferedChunk};
use cacheroach_hash::{Whole, hash};
use cacheroach_model::{CHUNK_SIZE, Hash};
use cacheroach_store::failpoint::{Step as Failpoint, hit};
use cacheroach_store::uploads::{NewPiece, Progress, Step};
use futures::TryStreamExt as _;

use crate::content::{Shelf, Shown, digest, resume};
use crate::door::Ask;
use crate::uploads::{TRIES, must_be_few, not_the_latest, offset_of};
use crate::{Caller, Error, Result, Service};

/// How many chunks may be offered in one call.
const MOST: usize = 64;

impl Ask for uploads::Offer {
    type Answer = OfferResponse;

    async fn answer(service: &Service, caller: &Caller, request: OfferRequest) -> Result<OfferResponse> {
        let state = request.state.unwrap_or_default();
        let id = service.open(&state)?;
        let offered = parse(&request.chunks)?;
        let from = offset_of(&state)?;
        for _ in 0..TRIES {
            let progress = service.unfinished(caller, id, &state).await?;
            if progress.upload.offset != from {
                return service.offered_before(&progress, from, &offered).await;
            }
            if !from.is_multiple_of(CHUNK_SIZE as u64) || !progress.tail.is_empty() {
                return Err(Error::State("chunks are offered at multiples of 512 KiB".into()));
            }
            // As a content that comes: many of them must not be read at once.
            let _room = service.room.try_acquire().map_err(|_| Error::Busy)?;
            let Taken { step, length } = service.take(&progress, &offered).await?;
            let mut upload = progress.upload;
            if length == 0 {
                return Ok(OfferResponse { state: Some(service.seal(&upload)), taken: 0 });
            }
            let taken = step.pieces.len() + usize::from(!step.tail.is_empty());
            if service.step(&upload, &step).await? {
                upload.offset += length;
                return Ok(OfferResponse { state: Some(service.seal(&upload)), taken: count(taken) });
            }
        }
        Err(Error::Busy)
    }
}

fn parse(chunks: &[OfferedChunk]) -> Result<Vec<Shown>> {
    if chunks.is_empty() || chunks.len() > MOST {
        return Err(Error::invalid("chunks", format_args!("1 to {MOST} of them")));
    }
    let hash = |field: &str, bytes: &[u8]| {
        Hash::try_from(bytes).map_err(|_| Error::invalid(&format!("chunks.{field}"), "32 bytes"))
    };
    chunks
        .iter()
        .map(|one| Ok(Shown { chunk: hash("hash", &one.hash)?, proof: hash("proof", &one.proof)? }))
        .collect()
}

fn count(chunks: usize) -> i32 {
    i32::try_from(chunks).expect("at most 64")
}

/// What an offer comes to.
struct Taken {
    step: Step,
    /// In bytes.
    length: u64,
}

/// Chunks that are there and shown, from the first one on.
struct Found {
    /// The hash of the whole content, before the first chunk and behind each of them.
    hashed: Vec<Whole>,
    /// The last one, if it is shorter than a chunk in the middle.
    tail: Bytes,
}

impl Found {
    fn full(&self) -> usize {
        self.hashed.len() - 1 - usize::from(!self.tail.is_empty())
    }
}

impl Service {
    /// Leases what is there and shown, from the first chunk on without a gap.
    async fn take(&self, progress: &Progress, offered: &[Shown]) -> Result<Taken> {
        let upload = &progress.upload;
        must_be_few(upload)?;
        let mut found = self.find(progress, offered.to_vec()).await?;
        let length = u32::try_from(CHUNK_SIZE).expect("512 KiB");
        let names: Vec<_> = offered[..found.full()].iter().map(|one| (one.chunk, length)).collect();
        let mut pieces = Vec::with_capacity(names.len());
        if !names.is_empty() {
            let leases = self.store.metadata.lease_chunks(upload.id, &names).await?;
            hit(Failpoint::UploadAfterLease);
            // One that a collector took since it was read must be sent, like all behind it.
            let safe = names.into_iter().zip(leases).take_while(|(_, lease)| !lease.needs_bytes);
            pieces.extend(safe.map(|((chunk, length), _)| NewPiece { chunk, length, wrote: None }));
        }
        if pieces.len() < found.full() {
            found.tail = Bytes::new();
        }
        let Found { mut hashed, tail } = found;
        let taken = pieces.len() + usize::from(!tail.is_empty());
        let length = (pieces.len() * CHUNK_SIZE + tail.len()) as u64;
        let digest = digest_of(offered, pieces.len(), !tail.is_empty());
        let step = Step {
            from_tail: 0,
            pieces,
            tail,
            hash_state: hashed.swap_remove(taken).save().to_vec(),
            digest: digest.as_bytes().to_vec(),
            extend: None,
        };
        Ok(Taken { step, length })
    }

    /// Reads and hashes what is there and shown. Not all of it is in memory at once.
    async fn find(&self, progress: &Progress, offered: Vec<Shown>) -> Result<Found> {
        let (store, spoilt) = (self.store.clone(), Arc::clone(&self.spoilt));
        let (tenant, upload) = (progress.upload.tenant, progress.upload.id);
        let mut chunks = Shelf { store, tenant, upload, spoilt }.find_all(offered);
        let mut whole = resume(&progress.hash_state)?;
        let mut found = Found { hashed: vec![whole.clone()], tail: Bytes::new() };
        while let Some(bytes) = chunks.try_next().await? {
            let hashing = tokio::task::spawn_blocking(move || {
                whole.update(&bytes);
                (whole, bytes)
            });
            let bytes;
            (whole, bytes) = hashing.await.map_err(Error::internal)?;
            found.hashed.push(whole.clone());
            if bytes.len() < CHUNK_SIZE {
                // Only what ends a content is shorter: as bytes that came it waits for what may follow.
                found.tail = bytes;
                break;
            }
        }
        Ok(found)
    }

    /// The answer to an offer of all that came since, by whichever calls; anything else that is not the next one is refused.
    async fn offered_before(
        &self,
        progress: &Progress,
        from: u64,
        offered: &[Shown],
    ) -> Result<OfferResponse> {
        let (upload, tail) = (&progress.upload, &progress.tail);
        let length = upload.offset.saturating_sub(from);
        let full = usize::try_from(length / CHUNK_SIZE as u64).unwrap_or(usize::MAX);
        let last = offered.get(full).filter(|_| !tail.is_empty());
        let are_all_offered = full <= offered.len() && (tail.is_empty() || last.is_some());
        if length == 0 || !from.is_multiple_of(CHUNK_SIZE as u64) || !are_all_offered {
            return Err(not_the_latest());
        }
        let hashes: Vec<_> = offered[..full].iter().map(|one| one.chunk).collect();
        if !self.has(upload, from, &hashes).await? || last.is_some_and(|one| one.chunk != hash(tail)) {
            return Err(not_the_latest());
        }
        let taken = count(full + usize::from(!tail.is_empty()));
        Ok(OfferResponse { state: Some(self.seal(upload)), taken })
    }
}

/// As of a transfer of these bytes: so many full chunks, and maybe a shorter one.
fn digest_of(offered: &[Shown], full: usize, has_tail: bool) -> Hash {
    let last = if has_tail { offered[full].chunk } else { Hash::EMPTY };
    digest(offered[..full].iter().map(|one| one.chunk).chain([last]))
}
