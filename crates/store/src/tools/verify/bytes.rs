//! Rows without bytes, and bytes without rows.

use futures::{StreamExt as _, stream};

use super::{MOST_REMEMBERED, PAGE, Problem, Touches, Verify, Wrong, is_damage, text};
use crate::chunks::{FoundChunk, Page};
use crate::inspect::{CHUNKS, Key, Row, Value};
use crate::purge::list_left;
use crate::tools::LiveChunk;
use crate::{Error, Result};

/// Rows of chunks on a page, which may hold 64 KiB each.
const CHUNKS_PAGE: usize = 64;

impl<F: FnMut(super::Finding) + Send> Verify<'_, F> {
    /// Reads every live chunk.
    pub(super) async fn chunks(&mut self) -> Result<()> {
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.metadata.list_rows(&CHUNKS, after.as_ref(), CHUNKS_PAGE).await?;
            let is_last = page.len() < CHUNKS_PAGE;
            after = page.last().map(Row::key);
            let live = page.iter().map(LiveChunk::parse).collect::<Result<Vec<_>>>()?;
            let store = self.store;
            let reads = stream::iter(live.into_iter().flatten())
                .map(|chunk| async move { (chunk.read(store).await.map(|bytes| bytes.len() as u64), chunk) });
            let mut reads = reads.buffer_unordered(self.settings.concurrency.max(1));
            let mut bad = Vec::new();
            while let Some((read, chunk)) = reads.next().await {
                self.done.chunks += 1;
                match read {
                    Ok(bytes) => self.done.bytes += bytes,
                    Err(error) => bad.push((chunk, error)),
                }
            }
            drop(reads);
            for (chunk, error) in bad {
                self.bad_chunk(chunk, error).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn bad_chunk(&mut self, chunk: LiveChunk, mut error: Error) -> Result<()> {
        // It may have been purged, or healed, since its row was read.
        let key = vec![tenant(&chunk), Value::Bytes(chunk.hash.as_bytes().to_vec())];
        let row = self.store.metadata.find_row(&CHUNKS, &key).await?;
        let Some(chunk) = row.as_ref().map(LiveChunk::parse).transpose()?.flatten() else { return Ok(()) };
        match chunk.read(self.store).await {
            Ok(_) => return Ok(()),
            Err(again) => error = again_or(error, again),
        }
        let is_damage = is_damage(&error);
        let mut repaired = false;
        let mut detail = text(&error);
        if self.settings.repair && is_damage && !self.is_at_home(&chunk).await? {
            detail += "; nothing of this store is in that tier: is --chunks right?";
        } else if self.settings.repair && is_damage {
            let (metadata, generation) = (&self.store.metadata, chunk.generation);
            repaired = metadata.mark_damaged(chunk.tenant, chunk.hash, generation).await?;
            if let (true, Some(kept)) = (repaired, chunk.kept())
                && let Err(error) = self.store.chunks.erase(&kept).await
            {
                tracing::warn!(error = text(&error), "damaged bytes stay where they are");
            }
        }
        if self.told.len() < MOST_REMEMBERED {
            self.told.insert((chunk.tenant, chunk.hash));
        }
        let problem = if is_damage { Problem::DamagedBytes } else { Problem::UnreadableBytes };
        let (tenant, touches) = (chunk.tenant, Touches::Chunk(chunk.hash));
        self.found(Wrong { problem, tenant, detail, repaired, touches }).await
    }

    /// Whether anything of this store is where a chunk should be. If not, that is a tier of somebody else, or one that was
    /// not mounted: what was taken for lost there would be lost.
    async fn is_at_home(&mut self, chunk: &LiveChunk) -> Result<bool> {
        let Some(kept) = chunk.kept() else { return Ok(true) };
        let tier = self.store.chunks.whereabouts(&kept.place);
        if self.settings.lost || self.homes.contains(&tier) {
            return Ok(true);
        }
        let mut cursor = None;
        loop {
            let Page { mut chunks, next } = self.store.chunks.list(cursor.as_ref(), PAGE).await?;
            chunks.retain(|found| self.store.chunks.whereabouts(&found.chunk.place) == tier);
            let unnamed = self.store.metadata.list_unnamed(&chunks).await?;
            if unnamed.len() < chunks.len() {
                self.homes.insert(tier);
                return Ok(true);
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// Walks what the tier has and no row names.
    pub(super) async fn left_bytes(&mut self) -> Result<()> {
        let mut cursor = None;
        loop {
            let page = list_left(self.store, cursor.as_ref(), PAGE).await?;
            for found in page.chunks {
                self.left_chunk(found).await?;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn left_chunk(&mut self, found: FoundChunk) -> Result<()> {
        if !found.is_as_old_as(self.settings.left_after, self.now) {
            self.done.young += 1;
            return Ok(());
        }
        let mut repaired = false;
        if self.settings.repair {
            match self.store.chunks.erase(&found.chunk).await {
                Ok(()) => repaired = true,
                Err(error) => tracing::warn!(error = text(&error), "bytes that nobody needs stay"),
            }
        }
        let detail = format!("{} bytes of chunk {}", found.chunk.length, found.chunk.hash);
        let (tenant, touches) = (found.chunk.tenant, Touches::Nothing);
        self.found(Wrong { problem: Problem::LeftBytes, tenant, detail, repaired, touches }).await
    }
}

fn tenant(chunk: &LiveChunk) -> Value {
    Value::Bytes(chunk.tenant.as_bytes().to_vec())
}

/// Damage that is seen once is damage, whatever the second look brought.
fn again_or(first: Error, again: Error) -> Error {
    if is_damage(&again) && !is_damage(&first) { first } else { again }
}
