//! Memory for chunks on their way in and out.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;

/// How many are kept when nobody uses them, 32 MiB: of some fast uploads. Twice as many made four of them no cheaper.
const IDLE: usize = 64;
/// What disks and file systems ask of memory that they read into and write from, and of offsets and lengths.
pub(crate) const ALIGNMENT: usize = 4096;
/// The room ahead of a chunk's bytes, for what a pack has there.
pub(crate) const HEAD: usize = 128;

/// Buffers that are used again and again: half a MiB from the system costs as much as receiving it. A fresh one takes only
/// as much memory as is filled of it.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Aligned>>>);

/// Room for the bytes of a chunk, which lie where a pack can take them to the disk from, and a pack's record can be read
/// to. The memory goes back to where it came from when the last part of it is let go.
#[derive(Debug)]
pub struct Buffer {
    memory: Aligned,
    length: usize,
    /// None: it is not for a full chunk, and for nobody else.
    buffers: Option<Buffers>,
}

impl Buffers {
    /// An empty one, for a full chunk.
    #[must_use]
    pub fn take(&self) -> Buffer {
        let idle = self.idle().pop();
        let memory = idle.unwrap_or_else(|| Aligned::zeroed(HEAD + CHUNK_SIZE));
        Buffer { memory, length: 0, buffers: Some(self.clone()) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Aligned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// An empty one for so many bytes at most: who keeps a small chunk must not keep the room of a large one.
    pub(crate) fn small(most: usize) -> Self {
        Buffer { memory: Aligned::zeroed(HEAD + most), length: 0, buffers: None }
    }

    /// Takes the first of these bytes, as many as it has room for; answers how many those are.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.memory[HEAD + self.length..][..CHUNK_SIZE - self.length];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        taken
    }

    /// Whether there is room for no more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.length == CHUNK_SIZE
    }

    /// All of its memory, aligned, in whole blocks: [`HEAD`] bytes, then the chunk's.
    pub(crate) fn record(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// The first so many bytes behind the head, without a copy.
    pub(crate) fn freeze_to(mut self, length: usize) -> Bytes {
        self.length = length;
        self.freeze()
    }

    /// What was filled in, without a copy.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[HEAD..][..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(buffers) = &self.buffers else { return };
        let mut idle = buffers.idle();
        if idle.len() < IDLE {
            idle.push(mem::take(&mut self.memory));
        }
    }
}

/// Memory in whole blocks that begins where a disk can write from.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    memory: Box<[u8]>,
    start: usize,
}

impl Aligned {
    /// At least so many zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let memory = vec![0; length.next_multiple_of(ALIGNMENT) + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Aligned { memory, start }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.memory.len() - ALIGNMENT]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        let length = self.memory.len() - ALIGNMENT;
        &mut self.memory[self.start..][..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_last_part_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        assert_eq!(buffer.fill(b"content"), 7);
        let all = buffer.freeze();
        let (at, part) = (all.as_ptr(), all.slice(3..));
        drop(all);
        assert_eq!(&part[..], b"tent");
        assert_ne!(buffers.take().freeze_to(1).as_ptr(), at);
        drop(part);
        let again = buffers.take();
        assert!(again.as_ref().is_empty());
        assert_eq!(again.freeze_to(1).as_ptr(), at);
    }

    #[test]
    fn it_takes_what_it_has_room_for() {
        let mut buffer = Buffers::default().take();
        assert_eq!(buffer.fill(&vec![1; CHUNK_SIZE - 1]), CHUNK_SIZE - 1);
        assert!(!buffer.is_full());
        assert_eq!((buffer.fill(&[2, 3]), buffer.is_full(), buffer.fill(&[4])), (1, true, 0));
        assert_eq!(buffer.freeze()[CHUNK_SIZE - 2..], [1, 2]);
    }

    #[test]
    fn no_more_are_kept_than_are_worth_it() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..IDLE + 5).map(|_| buffers.take().freeze()).collect();
        drop(many);
        assert_eq!(buffers.idle().len(), IDLE);
    }

    #[test]
    fn memory_is_aligned_and_in_whole_blocks() {
        for (length, whole) in [(1, 4096), (4096, 4096), (HEAD + CHUNK_SIZE, CHUNK_SIZE + 4096)] {
            let memory = Aligned::zeroed(length);
            assert_eq!((memory.len(), memory.as_ptr().align_offset(ALIGNMENT)), (whole, 0));
        }
    }
}
