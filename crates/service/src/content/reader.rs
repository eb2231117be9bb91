//! Contents on their way out.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cacheroach_hash::hash;
use cacheroach_model::{File, Hash, RopeId, TenantId};
use cacheroach_store::chunks::KeptChunk;
use cacheroach_store::files::{Kept, Piece};
use cacheroach_store::{Error as StoreError, Store};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::Found;
use super::driven::driven;
use crate::still::Still;
use crate::{Error, Result, Stream};

/// How many chunks are read before they are asked for.
const READ_AHEAD: usize = 2;

/// A version of a file that was opened: whichever range is read, whenever, the bytes are those of that version.
pub struct Content {
    store: Store,
    tenant: TenantId,
    found: Arc<Found>,
    /// Who reads it, if that takes more than one look at the store.
    reader: Option<Still>,
}

impl Content {
    pub(crate) fn new(store: Store, tenant: TenantId, found: Arc<Found>, reader: Option<Still>) -> Self {
        Content { store, tenant, found, reader }
    }

    /// What is known of the file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.found.file
    }

    /// What a front end makes of that, made once for as long as the file is remembered as it is. It must depend on nothing
    /// else: other callers get the same. The first kind that is asked for is kept; another is made anew each time.
    #[must_use]
    pub fn derived<T: Any + Send + Sync>(&self, make: impl Fn(&File) -> T) -> Arc<T> {
        let made = || Arc::new(make(self.file()));
        let kept: Arc<dyn Any + Send + Sync> = self.found.derived.get_or_init(|| made()).clone();
        kept.downcast().unwrap_or_else(|_| made())
    }

    /// The bytes of a range that is within the size, verified before they are given out.
    ///
    /// # Errors
    /// Damage, before the first byte or in the stream, which ends there; as it does when the reader may read no more.
    #[must_use]
    pub fn read(&self, range: Range<u64>) -> Stream<Bytes> {
        if let Some(part) = self.at_hand(&range) {
            return Box::pin(stream::once(std::future::ready(Ok(part))));
        }
        let (store, tenant, rope, end) = (self.store.clone(), self.tenant, self.found.file.rope, range.end);
        let chunks = self
            .pieces(range.start, end)
            .try_take_while(move |piece| std::future::ready(Ok(piece.at < end)))
            .map(move |piece| driven(fetch(store.clone(), tenant, rope, piece)))
            .buffered(READ_AHEAD);
        // Pieces are contiguous and reach to the end of the range, or something is missing.
        let start = (Box::pin(chunks), self.reader.clone(), range.start);
        Box::pin(stream::try_unfold(start, move |(mut chunks, mut reader, next)| async move {
            if next >= end {
                return Ok(None);
            }
            let Some((at, bytes)) = chunks.try_next().await? else {
                return Err(damaged("a rope that ends too early"));
            };
            if let Some(reader) = &mut reader {
                reader.must().await?;
            }
            let part = part(at, &bytes, next, end).ok_or_else(|| damaged("a rope with a hole"))?;
            let next = next + part.len() as u64;
            Ok(Some((part, (chunks, reader, next))))
        }))
    }

    /// What [`Content::read`] gives, if that is here already; to somebody who needs no second look.
    #[must_use]
    pub fn at_hand(&self, range: &Range<u64>) -> Option<Bytes> {
        let whole = self.found.whole.as_ref().filter(|_| self.reader.is_none() && !range.is_empty())?;
        part(0, whole, range.start, range.end).filter(|part| part.len() as u64 == range.end - range.start)
    }

    /// Pieces in order from the one that holds the byte `from` to the one before `end`, a page at a time.
    fn pieces(&self, from: u64, end: u64) -> impl futures::Stream<Item = Result<Piece>> + Send + 'static {
        let (store, tenant, rope) = (self.store.clone(), self.tenant, self.found.file.rope);
        // What was found with the file will do, unless the range begins behind it.
        let known = &self.found.pieces;
        let covered = known.last().map_or(0, |piece| piece.at + u64::from(piece.length));
        let first = if from < covered { known.clone() } else { Vec::new() };
        let state = (first, from, false);
        let pages = stream::try_unfold(state, move |(page, from, over)| {
            let store = store.clone();
            async move {
                let (Some(rope), false) = (rope, over) else { return Ok(None) };
                let page = if page.is_empty() {
                    driven(async move { Ok(store.metadata.list_pieces(tenant, rope, from..end).await?) })
                        .await?
                } else {
                    page
                };
                let Some(last) = page.last() else { return Ok(None) };
                let next = last.at + u64::from(last.length);
                // A page that does not lead on would be asked for for ever.
                let over = next <= from || next >= end;
                Ok::<_, Error>(Some((stream::iter(page.into_iter().map(Ok)), (Vec::new(), next, over))))
            }
        });
        pages
            .try_flatten()
            .try_skip_while(move |piece| std::future::ready(Ok(piece.at + u64::from(piece.length) <= from)))
    }
}

/// Of the bytes that begin `at`, those from `next` on and before `end`; none if `next` is not among them.
fn part(at: u64, bytes: &Bytes, next: u64, end: u64) -> Option<Bytes> {
    let from = usize::try_from(next.checked_sub(at)?).ok()?;
    let to = usize::try_from(end.checked_sub(at)?).unwrap_or(usize::MAX).min(bytes.len());
    (from < to).then(|| bytes.slice(from..to))
}

/// The bytes of a piece. Where they are gone, it is asked for anew: they may have been brought home meanwhile.
async fn fetch(
    store: Store,
    tenant: TenantId,
    rope: Option<RopeId>,
    piece: Result<Piece>,
) -> Result<(u64, Bytes)> {
    let mut piece = piece?;
    loop {
        let error = match read(&store, tenant, (piece.chunk, piece.length), &piece.kept).await {
            Ok(bytes) => return Ok((piece.at, bytes)),
            Err(error) => error,
        };
        let now = match (&error, rope) {
            (StoreError::Damaged(_), Some(rope)) => find_moved(&store, tenant, rope, &piece).await?,
            _ => None,
        };
        piece = now.ok_or(error)?;
    }
}

/// The bytes of a chunk (hash, length), verified.
pub(super) async fn read(
    store: &Store,
    tenant: TenantId,
    (chunk, length): (Hash, u32),
    kept: &Kept,
) -> Result<Bytes, StoreError> {
    let bytes = match kept {
        // A database says nothing of the bytes it keeps.
        Kept::Here(bytes) if hash(bytes) == chunk => bytes.clone(),
        Kept::Here(_) => return Err(StoreError::Damaged("a chunk in the database".into())),
        Kept::At(place) => {
            let kept = KeptChunk { tenant, hash: chunk, length, place: place.clone() };
            store.chunks.read(&kept).await?
        }
    };
    if bytes.len() as u64 == u64::from(length) {
        Ok(bytes)
    } else {
        Err(StoreError::Damaged("a chunk of another length".into()))
    }
}

/// The same piece, if its bytes are in another place by now. No place is given out twice, so this comes to an end.
async fn find_moved(
    store: &Store,
    tenant: TenantId,
    rope: RopeId,
    piece: &Piece,
) -> Result<Option<Piece>, StoreError> {
    let bytes = piece.at..piece.at + u64::from(piece.length);
    let page = store.metadata.list_pieces(tenant, rope, bytes).await?;
    let is_elsewhere = |now: &Piece| {
        now.at == piece.at
            && now.chunk == piece.chunk
            && matches!((&now.kept, &piece.kept), (Kept::At(now), Kept::At(before)) if now != before)
    };
    Ok(page.into_iter().next().filter(is_elsewhere))
}

fn damaged(what: &str) -> Error {
    StoreError::Damaged(what.into()).into()
}
