//! One pack that is written to: records are appended by many at once, and share syncs.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::files::PackFile;
use super::record::{self, BLOCK, Spot};
use super::records::{GROUP, Records};
use super::walk::timestamp;
use crate::buffers::Aligned;
use crate::chunks::{NewChunk, Place};
use crate::{Error, Result};

/// Where a writer waits for its places.
pub(super) type Answer = oneshot::Sender<Result<Vec<Place>>>;

/// A pack, by the process that created it.
pub(super) struct Pack {
    pub(super) number: u32,
    file: Arc<dyn PackFile>,
    /// Random and secret: chunk bytes that a stranger made up to look like a record never pass for one.
    seed: u64,
    state: Mutex<State>,
}

/// What the writers of a pack share.
#[derive(Default)]
struct State {
    /// Their bytes are written, and wait for a sync that has yet to begin.
    waiting: Vec<Written>,
    /// Somebody syncs, and will go on until nobody waits.
    syncing: bool,
    /// Something was acknowledged.
    kept: bool,
    /// A write or a sync failed. What the kernel still holds of the pack is unknown from then on (after a failed sync it
    /// drops dirty pages and reports success the next time), so nothing more is promised here.
    broken: Option<io::Error>,
}

/// A region of a pack, handed out once.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A batch whose bytes are written but not yet synced.
struct Written {
    places: Vec<Place>,
    region: Region,
    answer: Answer,
}

impl Pack {
    /// A pack whose first block is written to a new file.
    pub(super) fn begin(number: u32, file: Arc<dyn PackFile>, seed: u64) -> io::Result<Self> {
        let header = record::pack_header(number, seed);
        let mut block = Aligned::zeroed(header.len());
        block.copy_from_slice(&header);
        file.write(0, &mut [IoSlice::new(&block)])?;
        Ok(Pack { number, file, seed, state: Mutex::default() })
    }

    /// Whether more may be appended.
    pub(super) fn is_whole(&self) -> bool {
        self.state().broken.is_none()
    }

    /// Whether it is broken and nothing in it was ever acknowledged, nor is about to be.
    pub(super) fn is_void(&self) -> bool {
        let state = self.state();
        state.broken.is_some() && !state.kept && !state.syncing
    }

    /// How many batches wait for a sync that has yet to begin.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Writes chunks into a region that was reserved for them, by way of memory with room for [`GROUP`] records.
    pub(super) fn append(
        &self,
        region: Region,
        chunks: &[NewChunk],
        memory: &mut [u8],
    ) -> io::Result<Vec<Place>> {
        let written_at = timestamp(now());
        let mut places = Vec::with_capacity(chunks.len());
        let mut at = region.offset;
        for group in chunks.chunks(GROUP) {
            let mut records = Records::new(memory);
            let mut end = at;
            for chunk in group {
                let (header, checksum) = record::header(chunk, written_at, self.seed);
                let length = u32::try_from(chunk.bytes.len()).map_err(io::Error::other)?;
                let block = u32::try_from(end / BLOCK).map_err(io::Error::other)?;
                places.push(Spot { pack: self.number, block, length, checksum }.place());
                end += records.add(&header, &chunk.bytes) as u64;
            }
            self.file.write(at, &mut records.parts()).inspect_err(|error| {
                self.abandon(error);
                self.discard(region);
            })?;
            at = end;
        }
        Ok(places)
    }

    /// Answers once the places survive the loss of power: after a sync that begins after this was called. One writer
    /// syncs for all that gathered while the sync before theirs ran.
    pub(super) fn keep(&self, places: Vec<Place>, region: Region, answer: Answer) {
        let written = Written { places, region, answer };
        {
            let mut state = self.state();
            if let Some(error) = &state.broken {
                let error = copy(error);
                drop(state);
                return self.fail(vec![written], &error);
            }
            state.waiting.push(written);
            if state.syncing {
                return;
            }
            state.syncing = true;
        }
        while let Some(group) = self.next_group() {
            if let Err(error) = self.file.sync() {
                self.state().syncing = false;
                self.abandon(&error);
                return self.fail(group, &error);
            }
            self.state().kept = true;
            for written in group {
                // Whoever does not wait any more left its bytes to the sweep.
                let _ = written.answer.send(Ok(written.places));
            }
        }
    }

    /// Those to sync for now; when there are none, whoever comes next syncs.
    fn next_group(&self) -> Option<Vec<Written>> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.syncing = false;
            return None;
        }
        Some(std::mem::take(&mut state.waiting))
    }

    /// Nothing is appended, synced or acknowledged after this, but for a sync that is running already.
    fn abandon(&self, error: &io::Error) {
        let waiting = {
            let mut state = self.state();
            state.broken.get_or_insert_with(|| copy(error));
            std::mem::take(&mut state.waiting)
        };
        tracing::error!(pack = self.number, %error, "a pack is abandoned");
        self.fail(waiting, error);
    }

    fn fail(&self, group: Vec<Written>, error: &io::Error) {
        for written in group {
            self.discard(written.region);
            let _ = written.answer.send(Err(Error::from(copy(error))));
        }
    }

    /// Gives back the room of what will never be acknowledged. The region stays handed out, and if this fails too, the
    /// sweep finds it.
    fn discard(&self, region: Region) {
        let _ = self.file.punch(region.offset, region.length);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file system would note.
#[expect(
    clippy::disallowed_methods,
    reason = "packs are their own keeper: this is their file system's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The same error for the next in line.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
