//! Memory for chunks on their way in.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;

/// How many are kept when nobody uses them.
const IDLE: usize = 32;

/// Buffers that are used again and again: half a MiB from the system costs as much as receiving it. A fresh one takes only
/// as much memory as is filled of it.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer with bytes in it; it goes back when the last part of it is let go.
struct Full {
    bytes: Vec<u8>,
    buffers: Buffers,
}

impl Buffers {
    /// An empty one, with room for a chunk.
    pub(crate) fn take(&self) -> Vec<u8> {
        let idle = self.idle().pop();
        idle.unwrap_or_else(|| Vec::with_capacity(CHUNK_SIZE))
    }

    /// What was filled in, without a copy.
    pub(crate) fn freeze(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Full { bytes, buffers: self.clone() })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Full {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        let mut idle = self.buffers.idle();
        if idle.len() < IDLE && bytes.capacity() == CHUNK_SIZE {
            bytes.clear();
            idle.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_last_part_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend(b"content");
        let at = buffer.as_ptr();
        let part = buffers.freeze(buffer).slice(3..);
        assert_eq!(&part[..], b"tent");
        let other = buffers.take();
        assert_ne!(other.as_ptr(), at);
        drop(part);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn no_more_are_kept_than_are_worth_it() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..IDLE + 5).map(|_| buffers.freeze(buffers.take())).collect();
        drop(many);
        drop(buffers.freeze(b"small".to_vec()));
        assert_eq!(buffers.idle().len(), IDLE);
    }
}
