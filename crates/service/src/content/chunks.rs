//! Chunks on their way into the store: lease, write, and after they were appended the bytes that nobody needs.

use std::collections::HashSet;

use bytes::Bytes;
use cacheroach_model::{Hash, TenantId, UploadId};
use cacheroach_store::Store;
use cacheroach_store::chunks::checksum::checksum;
use cacheroach_store::chunks::{KeptChunk, NewChunk};
use cacheroach_store::failpoint::{Step as Failpoint, hit};
use cacheroach_store::files::{INLINE_SIZE, Kept};
use cacheroach_store::uploads::NewPiece;

use crate::Result;

/// A chunk, with what is made of its bytes while they are at hand.
pub(crate) struct Hashed {
    pub(crate) hash: Hash,
    pub(crate) bytes: Bytes,
    checksum: u64,
}

impl Hashed {
    /// Of bytes that were just hashed.
    pub(crate) fn new(hash: Hash, bytes: Bytes) -> Self {
        Hashed { hash, checksum: checksum(&hash, &bytes), bytes }
    }
}

/// Leases chunks for an upload and keeps the bytes of those that the tenant has not yet. They are safe when this
/// answers, and appended to the upload in the next step.
pub(crate) async fn keep(
    store: &Store,
    tenant: TenantId,
    upload: UploadId,
    chunks: Vec<Hashed>,
) -> Result<Vec<NewPiece>> {
    let length = |bytes: &Bytes| u32::try_from(bytes.len()).expect("a chunk is small");
    let names: Vec<_> = chunks.iter().map(|chunk| (chunk.hash, length(&chunk.bytes))).collect();
    let leases = store.metadata.lease_chunks(upload, &names).await?;
    hit(Failpoint::UploadAfterLease);
    let mut pieces = Vec::with_capacity(chunks.len());
    let mut seen = HashSet::new();
    let (mut new, mut waiting) = (Vec::new(), Vec::new());
    for (Hashed { hash, bytes, checksum }, lease) in chunks.into_iter().zip(leases) {
        let mut piece = NewPiece { chunk: hash, length: length(&bytes), wrote: None };
        // The same bytes twice in a row are written once.
        if lease.needs_bytes && seen.insert(hash) {
            if bytes.len() <= INLINE_SIZE {
                piece.wrote = Some((lease.generation, Kept::Here(bytes)));
            } else {
                waiting.push((pieces.len(), lease.generation));
                let (generation, checksum) = (lease.generation, Some(checksum));
                new.push(NewChunk { tenant, hash, generation, bytes, checksum });
            }
        }
        pieces.push(piece);
    }
    if !new.is_empty() {
        let places = store.chunks.write(new).await?;
        for ((at, generation), place) in waiting.into_iter().zip(places) {
            pieces[at].wrote = Some((generation, Kept::At(place)));
        }
        hit(Failpoint::UploadAfterBytes);
    }
    Ok(pieces)
}

/// Erases what was written for nothing: another upload brought the same chunks a moment before.
pub(crate) async fn discard(store: &Store, tenant: TenantId, pieces: &[NewPiece], beaten: &[usize]) {
    for piece in beaten.iter().filter_map(|index| pieces.get(*index)) {
        let Some((_, Kept::At(place))) = &piece.wrote else { continue };
        let chunk = KeptChunk { tenant, hash: piece.chunk, length: piece.length, place: place.clone() };
        if let Err(error) = store.chunks.erase(&chunk).await {
            // No row names these bytes: they cost room, nothing else.
            tracing::warn!(%error, "bytes written for nothing stay");
        }
    }
}
