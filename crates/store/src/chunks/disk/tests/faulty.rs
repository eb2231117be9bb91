//! A directory of packs that fails on demand, and whose machine can lose power.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;

use rustix::io::Errno;

use crate::chunks::disk::files::{Access, Files, Folder, PackFile};

/// What goes wrong, and what went on.
#[derive(Default)]
pub(super) struct Faults {
    /// How many bytes still fit; then a write is cut short.
    pub(super) room: Mutex<Option<usize>>,
    pub(super) fail_write: Mutex<Option<Errno>>,
    pub(super) fail_sync: Mutex<Option<Errno>>,
    pub(super) fail_open: Mutex<Option<Errno>>,
    pub(super) syncs: AtomicUsize,
    pub(super) opens: AtomicUsize,
    /// Writes and syncs of a pack after one of it had failed.
    pub(super) touched_after_failure: AtomicUsize,
    /// While closed, a sync waits in the middle.
    closed: Mutex<bool>,
    opened: Condvar,
    /// A sync stands at the closed gate.
    pub(super) at_gate: AtomicUsize,
    /// Written, but not synced. Power loss is to drop this.
    unsynced: Mutex<HashMap<u32, Vec<Write>>>,
    unsynced_names: Mutex<Vec<u32>>,
}

impl Faults {
    pub(super) fn gate(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    /// Everything that was not synced is gone.
    pub(super) fn lose_power(&self, dir: &Path) {
        self.unsynced.lock().unwrap().clear();
        for number in self.unsynced_names.lock().unwrap().drain(..) {
            Folder::open(dir).unwrap().remove(number).unwrap();
        }
    }
}

fn failing(fault: &Mutex<Option<Errno>>) -> io::Result<()> {
    fault.lock().unwrap().map_or(Ok(()), |errno| Err(errno.into()))
}

/// Bytes, and where in their pack.
type Write = (u64, Vec<u8>);

/// The directory.
pub(super) struct Faulty {
    inner: Folder,
    faults: Arc<Faults>,
}

struct FaultyPack {
    number: u32,
    inner: Arc<dyn PackFile>,
    faults: Arc<Faults>,
    failed: Mutex<bool>,
}

impl Faulty {
    pub(super) fn open(dir: &Path, faults: &Arc<Faults>) -> Self {
        Faulty { inner: Folder::open(dir).unwrap(), faults: faults.clone() }
    }

    fn pack(&self, number: u32, inner: Arc<dyn PackFile>) -> Arc<dyn PackFile> {
        Arc::new(FaultyPack { number, inner, faults: self.faults.clone(), failed: Mutex::default() })
    }
}

impl Files for Faulty {
    fn highest(&self) -> io::Result<u32> {
        self.inner.highest()
    }

    fn next(&self, after: u32) -> io::Result<Option<u32>> {
        self.inner.next(after)
    }

    fn create(&self, number: u32) -> io::Result<Arc<dyn PackFile>> {
        failing(&self.faults.fail_open)?;
        let file = self.inner.create(number)?;
        self.faults.unsynced_names.lock().unwrap().push(number);
        Ok(self.pack(number, file))
    }

    fn open(&self, number: u32, access: Access) -> io::Result<Arc<dyn PackFile>> {
        failing(&self.faults.fail_open)?;
        self.faults.opens.fetch_add(1, Ordering::SeqCst);
        Ok(self.pack(number, self.inner.open(number, access)?))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        self.faults.unsynced_names.lock().unwrap().retain(|other| *other != number);
        self.inner.remove(number)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.faults.unsynced_names.lock().unwrap().clear();
        self.inner.sync_names()
    }
}

impl FaultyPack {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let mut failed = self.failed.lock().unwrap();
        if *failed {
            self.faults.touched_after_failure.fetch_add(1, Ordering::SeqCst);
        }
        *failed |= result.is_err();
        result
    }
}

impl PackFile for FaultyPack {
    fn read_into(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = self.inner.read_into(offset, bytes)?;
        for (at, written) in self.faults.unsynced.lock().unwrap().get(&self.number).into_iter().flatten() {
            for (at, byte) in (*at..).zip(written).filter(|(at, _)| *at >= offset) {
                let at = usize::try_from(at - offset).unwrap();
                if at < bytes.len() {
                    read = read.max(at + 1);
                    bytes[at] = *byte;
                }
            }
        }
        Ok(read)
    }

    fn write(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.note(failing(&self.faults.fail_write))?;
        let mut bytes = parts.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>();
        let mut cut = false;
        if let Some(room) = self.faults.room.lock().unwrap().as_mut() {
            cut = bytes.len() > *room;
            bytes.truncate(*room);
            *room -= bytes.len();
        }
        self.faults.unsynced.lock().unwrap().entry(self.number).or_default().push((offset, bytes));
        self.note(if cut { Err(Errno::NOSPC.into()) } else { Ok(()) })
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        // What is written after a sync began is not part of it.
        let written = self.faults.unsynced.lock().unwrap().remove(&self.number).unwrap_or_default();
        let mut closed = self.faults.closed.lock().unwrap();
        while *closed {
            self.faults.at_gate.store(1, Ordering::SeqCst);
            closed = self.faults.opened.wait(closed).unwrap();
        }
        drop(closed);
        self.note(failing(&self.faults.fail_sync))?;
        for (offset, bytes) in written {
            self.inner.write(offset, &mut [IoSlice::new(&bytes)])?;
        }
        self.inner.sync()
    }

    fn extent(&self) -> io::Result<(u64, SystemTime)> {
        self.inner.extent()
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        if let Some(written) = self.faults.unsynced.lock().unwrap().get_mut(&self.number) {
            written.retain(|(at, _)| *at < offset || *at >= offset + length);
        }
        self.inner.punch(offset, length)
    }
}
