//! All packs of a directory: which is written to, and the handles that read.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;
use quick_cache::sync::Cache;
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use super::files::{Access, Files, PackFile};
use super::pack::{Answer, Pack, Region};
use super::record::{self, BLOCK, HEADER, Spot, room};
use super::records::GROUP;
use super::walk;
use crate::buffers::{ALIGNMENT, Aligned, Buffer, Buffers};
use crate::chunks::{Cursor, KeptChunk, NewChunk, Page, elsewhere};
use crate::{Error, Result};

const _: () = assert!(ALIGNMENT as u64 == BLOCK, "records fill whole blocks");
/// How much memory for records is kept when nobody writes.
const IDLE_MEMORIES: usize = 2;
/// Of how many chunks that were read once it is known, in 32 GiB.
const READ_ONCE: usize = 1 << 16;

/// The packs. Everything here blocks.
pub(super) struct Packs {
    files: Box<dyn Files>,
    /// A pack of this size or more is closed.
    full_at: u64,
    writing: Mutex<Writing>,
    handles: Handles,
    /// The same for reading past the kernel's cache.
    past_cache: Handles,
    /// Records, by pack and block, that were read past that cache.
    read_once: Cache<(u32, u32), ()>,
    /// Each with room for [`GROUP`] records, and anything in it.
    memories: Mutex<Vec<Aligned>>,
    reading: Buffers,
}

/// Where the next record goes.
struct Writing {
    pack: Option<Open>,
    /// The highest number that a pack was ever seen to have, or was tried for one.
    highest: u32,
    /// A broken pack that holds nothing. Its file goes once a higher number is there, so that no number comes again.
    void: Option<u32>,
}

struct Open {
    pack: Arc<Pack>,
    /// Where nothing was handed out yet.
    end: u64,
}

/// Open files by the number of their pack, the last used at the back.
struct Handles {
    most: usize,
    open: Mutex<VecDeque<(u32, Arc<dyn PackFile>)>>,
}

impl Packs {
    pub(super) fn open(files: Box<dyn Files>, full_at: u64, most_handles: usize) -> Result<Self> {
        let highest = files.highest()?;
        let writing = Mutex::new(Writing { pack: None, highest, void: None });
        let handles = || Handles { most: most_handles.max(1), open: Mutex::default() };
        Ok(Packs {
            files,
            full_at,
            writing,
            handles: handles(),
            past_cache: handles(),
            read_once: Cache::new(READ_ONCE),
            memories: Mutex::default(),
            reading: Buffers::default(),
        })
    }

    /// Writes a batch. Its caller is answered when it is synced, the permit goes when it is written: syncs are shared
    /// by more writers than may write at once.
    pub(super) fn write(&self, chunks: Vec<NewChunk>, permit: OwnedSemaphorePermit, answer: Answer) {
        let appended = self.append(&chunks);
        drop((chunks, permit));
        match appended {
            Ok((pack, region, places)) => pack.keep(places, region, answer),
            Err(error) => {
                let _ = answer.send(Err(error));
            }
        }
    }

    fn append(&self, chunks: &[NewChunk]) -> Result<(Arc<Pack>, Region, Vec<super::Place>)> {
        let mut length = 0;
        for chunk in chunks {
            match u32::try_from(chunk.bytes.len()) {
                Ok(bytes) if bytes as usize <= CHUNK_SIZE => length += room(bytes),
                _ => return Err(Error::Failed(format!("a chunk of {} bytes", chunk.bytes.len()).into())),
            }
        }
        let (pack, region) = self.reserve(length).map_err(classify)?;
        let idle = lock(&self.memories).pop();
        let mut memory = idle.unwrap_or_else(|| Aligned::zeroed(GROUP * (HEADER + CHUNK_SIZE + ALIGNMENT)));
        let places = pack.append(region, chunks, &mut memory).map_err(classify);
        let mut idle = lock(&self.memories);
        if idle.len() < IDLE_MEMORIES {
            idle.push(memory);
        }
        Ok((pack, region, places?))
    }

    /// A region that nobody else ever gets.
    fn reserve(&self, length: u64) -> io::Result<(Arc<Pack>, Region)> {
        let mut writing = lock(&self.writing);
        let open = match writing.pack.take() {
            Some(open) if open.end < self.full_at && open.pack.is_whole() => open,
            before => self.begin(&mut writing, before)?,
        };
        let open = writing.pack.insert(open);
        let region = Region { offset: open.end, length };
        open.end += length;
        Ok((open.pack.clone(), region))
    }

    /// A new pack, while other writers wait. Its first block is synced with the first records.
    fn begin(&self, writing: &mut Writing, before: Option<Open>) -> io::Result<Open> {
        if let Some(before) = before
            && before.pack.is_void()
        {
            writing.void = Some(before.pack.number);
        }
        let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let (number, file) = loop {
            writing.highest = writing.highest.checked_add(1).ok_or(io::ErrorKind::StorageFull)?;
            match self.files.create(writing.highest) {
                // Another process writes to the same directory: fine, but each into packs of its own.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => break (writing.highest, created?),
            }
        };
        let begun = Pack::begin(number, file, seed).and_then(|pack| self.files.sync_names().map(|()| pack));
        let pack = begun.inspect_err(|_| {
            // Nothing of it was ever handed out.
            let _ = self.files.remove(number);
        })?;
        if let Some(void) = writing.void.take() {
            let _ = self.files.remove(void);
        }
        Ok(Open { pack: Arc::new(pack), end: BLOCK })
    }

    /// A chunk's bytes, compared with the checksum in their place.
    pub(super) fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let spot = parse(chunk)?;
        let damaged = |what| damaged(spot, chunk, what);
        let file = self.handle(spot).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("the pack is missing"),
            _ => classify(error),
        })?;
        let length = spot.length as usize;
        let is_full = length == CHUNK_SIZE;
        let mut buffer = if is_full { self.reading.take() } else { Buffer::small(length) };
        let read = file.read_into(spot.offset(), buffer.record()).map_err(classify)?;
        let Some(record) = buffer.record()[..read].get(..HEADER + length) else {
            return Err(damaged("the pack is cut off"));
        };
        if !record::names(record, chunk) {
            return Err(damaged("the header is not the chunk's"));
        }
        if record::checksum(record) != spot.checksum {
            return Err(damaged("the checksum differs"));
        }
        Ok(buffer.freeze_to(length))
    }

    /// Makes a hole of a chunk's record. Not synced: what comes back after a loss of power is the sweep's.
    pub(super) fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let spot = parse(chunk)?;
        let file = match self.files.open(spot.pack, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(classify)?,
        };
        let header = file.read(spot.offset(), HEADER).map_err(classify)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if !record::names(&header, chunk) {
            return Err(damaged(spot, chunk, "the header is not the chunk's, so it is not erased"));
        }
        file.punch(spot.offset(), room(spot.length)).map_err(classify)
    }

    /// Records of one pack, from where the walk stands.
    pub(super) fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let (number, block) = after.map_or(Ok((0, 0)), walk::parse)?;
        // Either on in a pack, or from the beginning of the one after it.
        let number = match block {
            0 => self.files.next(number).map_err(classify)?,
            _ => Some(number),
        };
        let Some(number) = number else { return Ok(Page::default()) };
        let file = match self.files.open(number, Access::Read) {
            // A void pack went, or somebody took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Page { chunks: Vec::new(), next: Some(walk::cursor(number, 0)) });
            }
            opened => opened.map_err(classify)?,
        };
        walk::page(number, &*file, block, limit.max(1)).map_err(classify)
    }

    /// The first time a record is read past the kernel's cache: what is not read again soon should push nothing out of it,
    /// and the copy from there costs more than all else. From the second time on by way of the cache.
    fn handle(&self, spot: Spot) -> io::Result<Arc<dyn PackFile>> {
        let record = (spot.pack, spot.block);
        let (handles, access) = if self.read_once.get(&record).is_some() {
            (&self.handles, Access::Read)
        } else {
            self.read_once.insert(record, ());
            (&self.past_cache, Access::ReadPast)
        };
        if let Some(file) = handles.find(spot.pack) {
            return Ok(file);
        }
        let file = self.files.open(spot.pack, access)?;
        handles.add(spot.pack, file.clone());
        Ok(file)
    }

    /// How many batches wait for a sync of the current pack that has yet to begin.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.writing).pack.as_ref().map_or(0, |open| open.pack.waiting())
    }
}

impl Handles {
    fn find(&self, number: u32) -> Option<Arc<dyn PackFile>> {
        let mut open = lock(&self.open);
        // From the back, where the busy ones are.
        let at = open.iter().rposition(|(other, _)| *other == number)?;
        let found = open.remove(at)?;
        let file = found.1.clone();
        open.push_back(found);
        Some(file)
    }

    /// Two readers that missed at once may both add it; the older entry ages out.
    fn add(&self, number: u32, file: Arc<dyn PackFile>) {
        let mut open = lock(&self.open);
        if open.len() >= self.most {
            open.pop_front();
        }
        open.push_back((number, file));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing behind these is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse(chunk: &KeptChunk) -> Result<Spot> {
    match Spot::parse(&chunk.place) {
        Some(spot) if spot.length == chunk.length => Ok(spot),
        Some(spot) => Err(damaged(spot, chunk, "the lengths differ")),
        None => Err(elsewhere(chunk, "a record in a pack")),
    }
}

fn damaged(spot: Spot, chunk: &KeptChunk, what: &str) -> Error {
    let (pack, offset) = (spot.pack, spot.offset());
    Error::Damaged(format!("pack {pack}, offset {offset}, chunk {}: {what}", chunk.hash))
}

/// No file descriptors left is a passing state, not a failure of the disk.
fn classify(error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE) => Error::Busy(error.into()),
        _ => Error::from(error),
    }
}
