//! Bytes on their way into chunks.

use std::mem;

use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;
use cacheroach_store::buffers::Buffers;

/// How many chunks are hashed and written together at most; twice as many are in memory at most.
pub(crate) const GROUP: usize = 8;

/// Gathers full chunks while those before are on their way.
pub(crate) struct Gathering {
    buffers: Buffers,
    /// Whether it is worth a buffer to gather in.
    is_large: bool,
    /// Bytes of a chunk that is not full.
    filling: Vec<u8>,
    /// Full chunks that nobody works on yet.
    full: Vec<Bytes>,
}

impl Gathering {
    /// Of contents that may well be small.
    pub(crate) fn new(buffers: Buffers) -> Self {
        Gathering { buffers, is_large: false, filling: Vec::new(), full: Vec::new() }
    }

    /// More will come than a small content has.
    pub(crate) fn expect_much(&mut self) {
        self.is_large = true;
    }

    /// Takes bytes, up to the end of a chunk at most.
    pub(crate) fn take(&mut self, bytes: &mut Bytes) {
        if self.filling.is_empty() && bytes.len() >= CHUNK_SIZE {
            self.full.push(bytes.split_to(CHUNK_SIZE));
            return;
        }
        if self.is_large && self.filling.capacity() < CHUNK_SIZE {
            let begun = mem::replace(&mut self.filling, self.buffers.take());
            self.filling.extend_from_slice(&begun);
        }
        let room = CHUNK_SIZE - self.filling.len();
        self.filling.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        if self.filling.len() == CHUNK_SIZE {
            self.full.push(self.buffers.freeze(mem::take(&mut self.filling)));
        }
    }

    /// How many full chunks wait.
    pub(crate) fn full(&self) -> usize {
        self.full.len()
    }

    /// The bytes of a chunk that is not full.
    pub(crate) fn filling(&self) -> &[u8] {
        &self.filling
    }

    /// The first full chunks, at most so many, to be worked on.
    pub(crate) fn take_full(&mut self, most: usize) -> Vec<Bytes> {
        self.full.drain(..most.min(self.full.len())).collect()
    }

    /// What came behind the last full chunk, once nothing more comes.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        self.buffers.freeze(mem::take(&mut self.filling))
    }
}
