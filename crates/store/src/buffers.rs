//! Memory for chunks on their way in and out.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// How many are kept when nobody uses them.
const IDLE: usize = 32;

/// Buffers that are used again and again: half a MiB from the system costs as much as receiving it. A fresh one takes only
/// as much memory as is filled of it.
#[derive(Clone, Debug)]
pub struct Buffers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    capacity: usize,
    idle: Mutex<Vec<Vec<u8>>>,
}

/// A buffer with bytes in it; it goes back when the last part of it is let go.
struct Full {
    bytes: Vec<u8>,
    buffers: Buffers,
}

impl Buffers {
    /// With room for so many bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Buffers(Arc::new(Pool { capacity, idle: Mutex::default() }))
    }

    /// An empty one.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let idle = self.idle().pop();
        idle.unwrap_or_else(|| Vec::with_capacity(self.0.capacity))
    }

    /// What was filled in, without a copy.
    #[must_use]
    pub fn freeze(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Full { bytes, buffers: self.clone() })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        if idle.len() < IDLE && bytes.capacity() == self.buffers.0.capacity {
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
        let buffers = Buffers::new(1000);
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
        let buffers = Buffers::new(1000);
        let many: Vec<_> = (0..IDLE + 5).map(|_| buffers.freeze(buffers.take())).collect();
        drop(many);
        drop(buffers.freeze(b"small".to_vec()));
        assert_eq!(buffers.idle().len(), IDLE);
    }
}
