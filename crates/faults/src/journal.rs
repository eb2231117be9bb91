//! What was acknowledged. It is on disk before anybody goes on, so that it outlives whatever is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// Something that was asked of a server, or acknowledged by one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Entry {
    /// This content was acknowledged as this version of a path.
    Written {
        /// Where.
        path: String,
        /// Which.
        version: i64,
        /// The SHA-256 of the content.
        content: String,
    },
    /// From now on a path may be deleted, whether or not anybody is told so.
    Deleting {
        /// Where.
        path: String,
    },
    /// From now on a path may hold this content, whether or not anybody is told so.
    Writing {
        /// Where.
        path: String,
        /// The SHA-256 of the content; empty if it is that of another path, which only the server knows.
        content: String,
    },
}

/// A file of entries, one a line.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// What is visible of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Visible {
    /// Its current version.
    pub version: i64,
    /// The SHA-256 of its content.
    pub content: String,
}

#[derive(Default)]
struct Known {
    /// The highest version that was acknowledged, and its content.
    last: Option<(i64, String)>,
    /// Whether somebody has tried to delete it since.
    may_be_gone: bool,
    /// What it may hold by now besides.
    maybe: Vec<String>,
    /// All it was ever acknowledged to hold.
    versions: BTreeMap<i64, String>,
}

impl Journal {
    /// A new one.
    #[must_use]
    pub fn create(path: &Path) -> Self {
        let file = File::options().append(true).create_new(true).open(path).unwrap();
        Journal { path: path.to_owned(), file: Mutex::new(file) }
    }

    /// Adds a line; it is synced when this answers.
    pub fn note(&self, entry: &Entry) {
        let line = serde_json::to_string(entry).unwrap() + "\n";
        let mut file = self.file.lock().unwrap();
        file.write_all(line.as_bytes()).unwrap();
        file.sync_data().unwrap();
    }

    /// All lines.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Compares it with all that is visible in the end.
    ///
    /// # Errors
    /// What was acknowledged and is gone or another, and what is there that nobody put there.
    pub fn check(&self, visible: &BTreeMap<String, Visible>) -> Result<(), String> {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for entry in self.entries() {
            match entry {
                Entry::Writing { path, content } => known.entry(path).or_default().maybe.push(content),
                Entry::Deleting { path } => known.entry(path).or_default().may_be_gone = true,
                Entry::Written { path, version, content } => {
                    let known = known.entry(path).or_default();
                    known.versions.insert(version, content.clone());
                    if known.last.as_ref().is_none_or(|(last, _)| *last < version) {
                        known.last = Some((version, content));
                    }
                }
            }
        }
        let mut wrong = Vec::new();
        for path in visible.keys().filter(|path| !known.contains_key(*path)) {
            wrong.push(format!("{path}: nobody put it there"));
        }
        for (path, known) in &known {
            wrong.extend(known.problem(visible.get(path)).map(|problem| format!("{path}: {problem}")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

impl Known {
    fn problem(&self, visible: Option<&Visible>) -> Option<String> {
        let Some(Visible { version, content }) = visible else {
            let (version, _) = self.last.as_ref().filter(|_| !self.may_be_gone)?;
            return Some(format!("version {version} was acknowledged, and is lost"));
        };
        if let Some((last, _)) = self.last.as_ref().filter(|(last, _)| last > version) {
            return Some(format!("version {last} was acknowledged, and version {version} is there"));
        }
        match self.versions.get(version) {
            Some(known) if known == content => None,
            Some(known) => Some(format!("version {version} was acknowledged as {known}, and is {content}")),
            None if self.maybe.iter().any(|maybe| maybe.is_empty() || maybe == content) => None,
            None => Some(format!("nobody wrote {content}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(dir: &Path, entries: &[Entry]) -> Journal {
        let journal = Journal::create(&dir.join("journal"));
        entries.iter().for_each(|entry| journal.note(entry));
        journal
    }

    fn written(version: i64, content: &str) -> Entry {
        Entry::Written { path: "/a".into(), version, content: content.into() }
    }

    #[test]
    fn what_is_lost_older_or_another_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path(), &[written(1, "x"), written(2, "y")]);
        let check = |path: &str, version, content: &str| {
            journal.check(&[(path.to_owned(), Visible { version, content: content.into() })].into())
        };
        check("/a", 2, "y").unwrap();
        for (path, version, content) in [("/a", 1, "x"), ("/a", 2, "x"), ("/a", 3, "z"), ("/b", 1, "x")] {
            assert!(check(path, version, content).is_err(), "{path} {version} {content}");
        }
        assert!(journal.check(&BTreeMap::new()).is_err(), "lost");
    }

    #[test]
    fn what_nobody_was_told_of_may_be_there_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = || "/a".to_owned();
        let maybe = Entry::Writing { path: path(), content: "z".into() };
        let journal = journal(dir.path(), &[written(1, "x"), maybe, Entry::Deleting { path: path() }]);
        let check = |version, content: &str| {
            journal.check(&[(path(), Visible { version, content: content.into() })].into())
        };
        check(1, "x").unwrap();
        check(2, "z").unwrap();
        assert!(check(2, "x").is_err());
        journal.check(&BTreeMap::new()).unwrap();
    }
}
