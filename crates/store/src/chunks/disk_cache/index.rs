//! What a disk cache has, and in which order it was used.

use std::collections::{BTreeMap, HashMap};

/// The first half of a hash, which is plenty.
pub(super) type Name = [u8; 16];

/// As files are called.
pub(super) fn text(name: &Name) -> String {
    format!("{:032x}", u128::from_be_bytes(*name))
}

/// `None` for what no file of ours is called.
pub(super) fn parse(written: &str) -> Option<Name> {
    let name = u128::from_str_radix(written, 16).ok()?.to_be_bytes();
    (text(&name) == written).then_some(name)
}

#[derive(Default)]
pub(super) struct Index {
    entries: HashMap<Name, Entry>,
    by_use: BTreeMap<u64, Name>,
    /// Files that are being written, and whether they are wanted still.
    unfinished: HashMap<Name, bool>,
    size: u64,
    last_use: u64,
    /// It was said that the disk makes trouble.
    pub(super) complained: bool,
}

struct Entry {
    size: u64,
    used: u64,
}

impl Index {
    /// Of all files.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is the caller who writes this file: it is not there, and nobody is at it.
    pub(super) fn begin(&mut self, name: &Name) -> bool {
        let is_free = !self.entries.contains_key(name) && !self.unfinished.contains_key(name);
        if is_free {
            self.unfinished.insert(*name, true);
        }
        is_free
    }

    /// A file that was begun is done or given up; tells whether it is wanted still.
    pub(super) fn end(&mut self, name: &Name) -> bool {
        self.unfinished.remove(name).unwrap_or(false)
    }

    /// Moves an entry to the front; tells whether there is one.
    pub(super) fn touch(&mut self, name: &Name) -> bool {
        self.last_use += 1;
        let Some(entry) = self.entries.get_mut(name) else { return false };
        self.by_use.remove(&entry.used);
        entry.used = self.last_use;
        self.by_use.insert(entry.used, *name);
        true
    }

    pub(super) fn add(&mut self, name: Name, size: u64) {
        self.forget(&name);
        self.last_use += 1;
        self.size += size;
        self.by_use.insert(self.last_use, name);
        self.entries.insert(name, Entry { size, used: self.last_use });
    }

    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(is_wanted) = self.unfinished.get_mut(name) {
            *is_wanted = false;
        }
        if let Some(entry) = self.entries.remove(name) {
            self.by_use.remove(&entry.used);
            self.size -= entry.size;
        }
    }

    /// The entry that was not used for longest.
    pub(super) fn oldest(&mut self) -> Option<Name> {
        let name = self.by_use.first_key_value().map(|(_, name)| *name)?;
        self.forget(&name);
        Some(name)
    }
}
