//! Bytes on their way into chunks.

use std::mem;

use bytes::{Buf as _, Bytes};
use cacheroach_model::CHUNK_SIZE;
use cacheroach_store::buffers::{Buffer, Buffers};

/// How many chunks are hashed and written together at most; as many gather while [`AT_ONCE`](super::AT_ONCE) groups are on
/// their way.
pub(crate) const GROUP: usize = 8;

/// Gathers full chunks while those before are on their way.
pub(crate) struct Gathering {
    buffers: Buffers,
    /// Whether it is worth a buffer to gather in.
    is_large: bool,
    /// All bytes, as long as it is not.
    small: Vec<u8>,
    /// Those of a chunk that is not full.
    filling: Option<Buffer>,
    /// Full chunks that nobody works on yet.
    full: Vec<Bytes>,
}

impl Gathering {
    /// Of contents that may well be small.
    pub(crate) fn new(buffers: Buffers) -> Self {
        Gathering { buffers, is_large: false, small: Vec::new(), filling: None, full: Vec::new() }
    }

    /// More will come than a small content has.
    pub(crate) fn expect_much(&mut self) {
        self.is_large = true;
        let mut small = Bytes::from(mem::take(&mut self.small));
        self.take(&mut small);
    }

    /// Takes bytes, up to the end of a chunk at most.
    pub(crate) fn take(&mut self, bytes: &mut Bytes) {
        if !self.is_large {
            self.small.extend_from_slice(&mem::take(bytes));
        } else if self.filling.is_none() && bytes.len() >= CHUNK_SIZE {
            self.full.push(bytes.split_to(CHUNK_SIZE));
        } else if !bytes.is_empty() {
            let filling = self.filling.get_or_insert_with(|| self.buffers.take());
            bytes.advance(filling.fill(bytes));
            if filling.is_full() {
                self.full.extend(self.filling.take().map(Buffer::freeze));
            }
        }
    }

    /// How many full chunks wait.
    pub(crate) fn full(&self) -> usize {
        self.full.len()
    }

    /// How many bytes there are of a content that is small so far.
    pub(crate) fn small(&self) -> usize {
        self.small.len()
    }

    /// The first full chunks, at most so many, to be worked on.
    pub(crate) fn take_full(&mut self, most: usize) -> Vec<Bytes> {
        self.full.drain(..most.min(self.full.len())).collect()
    }

    /// What came behind the last full chunk, once nothing more comes.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        match self.filling.take() {
            Some(filling) => filling.freeze(),
            None => mem::take(&mut self.small).into(),
        }
    }
}
