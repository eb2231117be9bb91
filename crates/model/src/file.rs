//! Files and what is known of them.

use std::collections::BTreeMap;

use crate::{Hash, Path, RopeId, Timestamp};

/// Counts the contents a file had, from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub i64);

/// A version of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Where.
    pub path: Path,
    /// Which.
    pub version: Version,
    /// The content; none when it is empty.
    pub rope: Option<RopeId>,
    /// Of the content.
    pub hash: Hash,
    /// In bytes.
    pub size: u64,
    /// As given by the writer; empty: to be told by name or content.
    pub content_type: String,
    /// When the path came into being.
    pub created_at: Timestamp,
    /// When this version did.
    pub modified_at: Timestamp,
    /// Free pairs of the writer.
    pub metadata: Metadata,
}

/// A version of a file that may be deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PastFile {
    /// The version.
    pub file: File,
    /// Since when it is deleted, if it is.
    pub deleted_at: Option<Timestamp>,
}

/// What must be at a path for a change of it to be made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expected {
    /// Whatever there is, or nothing.
    #[default]
    Anything,
    /// No file. One that was deleted is none.
    Nothing,
    /// A file in this version.
    Version(Version),
}

impl Expected {
    /// Whether what is there, if anything, is what was expected.
    #[must_use]
    pub fn is_met_by(self, current: Option<Version>) -> bool {
        match self {
            Expected::Anything => true,
            Expected::Nothing => current.is_none(),
            Expected::Version(version) => current == Some(version),
        }
    }
}

/// What a directory shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A file right in it.
    File(File),
    /// A directory, by name: something is below it.
    Directory(String),
}

impl Entry {
    /// The name in its directory.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Entry::File(file) => file.path.name(),
            Entry::Directory(name) => name,
        }
    }
}

/// The user's own pairs beside a content: at most 64, at most 8 KiB together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata(BTreeMap<String, String>);

/// Metadata beyond the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MetadataError {
    /// More than 64.
    #[error("at most 64 pairs of metadata")]
    TooMany,
    /// More than 8 KiB.
    #[error("at most 8192 bytes of metadata")]
    TooLarge,
    /// A key without a letter.
    #[error("an empty key of metadata")]
    EmptyKey,
}

impl Metadata {
    const MAX_PAIRS: usize = 64;
    const MAX_BYTES: usize = 8 * 1024;

    /// From pairs.
    ///
    /// # Errors
    /// Too many, too large, or without a key.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, MetadataError> {
        let pairs: BTreeMap<_, _> = pairs.into_iter().collect();
        if pairs.len() > Self::MAX_PAIRS {
            return Err(MetadataError::TooMany);
        }
        if pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > Self::MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        if pairs.contains_key("") { Err(MetadataError::EmptyKey) } else { Ok(Metadata(pairs)) }
    }

    /// The pairs, by key.
    #[must_use]
    pub fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}
