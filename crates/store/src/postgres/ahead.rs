//! Rows of chunks that came with the files they begin, until somebody reads them: the first chunk of a file takes no round
//! trip of its own.
//!
//! Rows never change and their keys are never used twice, so what is taken here is what a look at the table would have
//! found then, and is verified like that.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Path, TenantId, Version};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::chunks::db::RowKey;

/// So many rows wait at the most, 16 MiB of them. Most are taken in the next moment; those of answers that needed no bytes
/// go when others come.
const WAITING: usize = 32;

#[derive(Clone)]
struct Weight;

impl Weighter<u64, usize> for Weight {
    fn weight(&self, _: &u64, length: &usize) -> u64 {
        (*length).max(1) as u64
    }
}

/// What came ahead, and what need not come again.
pub(super) struct Ahead {
    /// The oldest first. Each is taken once.
    rows: Mutex<VecDeque<(RowKey, Bytes)>>,
    /// What was asked for lately, hashed, with the length of its first chunk: that is remembered above, until about as much
    /// of others was read. Where this is wrong, it costs a round trip, or bytes for nothing.
    lately: Cache<u64, usize, Weight>,
    hasher: RandomState,
}

impl Ahead {
    /// Where so much is remembered of chunks that were read.
    pub(super) fn new(remembered_bytes: u64) -> Self {
        let items = usize::try_from(remembered_bytes / CHUNK_SIZE as u64).unwrap_or(usize::MAX).max(1);
        let lately = Cache::with_weighter(items, remembered_bytes, Weight);
        Ahead { rows: Mutex::default(), lately, hasher: RandomState::new() }
    }

    /// Whether the first chunk of a file is to come with it: the mark under which it then is known. Who asks for the same
    /// meanwhile waits for the one that comes. Nothing is known yet of its length: most files have no such chunk.
    pub(super) fn asks(&self, tenant: TenantId, path: &Path, version: Option<Version>) -> Option<u64> {
        let mark = self.hasher.hash_one((tenant, path, version));
        if self.lately.get(&mark).is_some() {
            return None;
        }
        self.lately.insert(mark, 0);
        Some(mark)
    }

    /// What came with a file, if anything did.
    pub(super) fn came(&self, mark: u64, row: Option<(RowKey, Bytes)>) {
        let Some(row) = row else {
            self.lately.remove(&mark);
            return;
        };
        self.lately.insert(mark, row.1.len());
        let mut rows = self.rows();
        if rows.len() >= WAITING {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// The bytes of a row, if they are here; from now on they are not.
    pub(super) fn take(&self, key: &RowKey) -> Option<Bytes> {
        let mut rows = self.rows();
        let at = rows.iter().position(|(row, _)| row == key)?;
        rows.remove(at).map(|(_, bytes)| bytes)
    }

    /// A row that is erased is found no more.
    pub(super) fn forget(&self, key: &RowKey) {
        self.rows().retain(|(row, _)| row != key);
    }

    fn rows(&self) -> MutexGuard<'_, VecDeque<(RowKey, Bytes)>> {
        // Each change is a single step.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cacheroach_model::Hash;

    use super::*;

    const TENANT: TenantId = TenantId::new([7; 16]);

    fn row(attempt: i64) -> (RowKey, Bytes) {
        let key = RowKey { tenant: TENANT, hash: Hash::new([1; 32]), generation: 1, attempt };
        (key, Bytes::from(attempt.to_string()))
    }

    fn path(number: usize) -> Path {
        Path::parse_file(&format!("/{number}")).unwrap()
    }

    #[test]
    fn what_was_brought_is_not_asked_for_again_until_as_much_came_as_is_remembered() {
        let ahead = Ahead::new(4 * CHUNK_SIZE as u64);
        let bytes = Bytes::from(vec![0; CHUNK_SIZE]);
        let bring = |number| {
            let mark = ahead.asks(TENANT, &path(number), None);
            mark.inspect(|mark| ahead.came(*mark, Some((row(0).0, bytes.clone()))));
            mark.is_some()
        };
        assert!(bring(0) && !bring(0));
        assert!(ahead.asks(TenantId::new([8; 16]), &path(0), None).is_some(), "another tenant's");
        assert!(ahead.asks(TENANT, &path(0), Some(Version(1))).is_some(), "another version");
        (1..100).for_each(|number| assert!(bring(number)));
        assert!(bring(0));
        // Where nothing is remembered, all is asked for each time.
        let ahead = Ahead::new(0);
        assert!((0..3).all(|_| ahead.asks(TENANT, &path(0), None).is_some()));
    }

    #[test]
    fn a_file_that_has_nothing_to_bring_takes_no_room() {
        let ahead = Ahead::new(1 << 30);
        let mark = ahead.asks(TENANT, &path(0), None).unwrap();
        ahead.came(mark, None);
        assert_eq!(ahead.lately.len(), 0);
    }

    #[test]
    fn rows_are_taken_once_and_the_oldest_go_first() {
        let ahead = Ahead::new(1 << 30);
        let more = i64::try_from(WAITING).unwrap();
        (0..=more).for_each(|attempt| ahead.came(0, Some(row(attempt))));
        assert_eq!(ahead.take(&row(0).0), None);
        assert_eq!(ahead.take(&row(1).0), Some(row(1).1));
        assert_eq!(ahead.take(&row(1).0), None);
        ahead.forget(&row(2).0);
        assert_eq!(ahead.take(&row(2).0), None);
        let others = RowKey { tenant: TenantId::new([8; 16]), ..row(3).0 };
        assert_eq!(ahead.take(&others), None, "p3: equal bytes of another tenant have keys of their own");
    }
}
