//! How far interrupted uploads had come: a small file for each, from the first piece until the commit.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_api::upload::TransferState;
use cacheroach_model::TenantId;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What tells one content of a local file from another without reading it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Stamp {
    pub(super) size: u64,
    modified_seconds: i64,
    modified_nanos: i64,
}

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        Stamp { size: of.len(), modified_seconds: of.mtime(), modified_nanos: of.mtime_nsec() }
    }
}

/// How far an upload has come, on the server's word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Begun {
    pub(super) state: TransferState,
    /// Pieces of the size they always had: one that was sent, but not answered, can be sent again.
    pub(super) piece: usize,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    stamp: Stamp,
    piece: usize,
    state: String,
}

/// The record of one upload. Failing to keep it costs nothing but the chance to go on later, so failures are only logged.
#[derive(Debug)]
pub(super) struct Record {
    /// Locked: two uploads of the same file do not share it, the second keeps none.
    file: Option<File>,
    path: PathBuf,
}

impl Record {
    /// The record, in `dir`, of uploading a local file to a path of a tenant on a server.
    pub(super) fn open(dir: &Path, server: &str, tenant: TenantId, remote: &str, local: &Path) -> Self {
        let absolute = std::path::absolute(local).unwrap_or_else(|_| local.to_owned());
        let mut hash = Sha256::new();
        for part in [server, &tenant.to_string(), remote, &absolute.to_string_lossy()] {
            hash.update(part);
            hash.update([0]);
        }
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = dir.join(format!("{name}.json"));
        let file =
            lock(dir, &path).inspect_err(|error| tracing::info!("no record of the upload: {error}")).ok();
        Record { file, path }
    }

    /// How far it had come, if the local file is still the same.
    pub(super) fn load(&mut self, stamp: Stamp) -> Option<Begun> {
        let mut text = String::new();
        self.file.as_mut()?.read_to_string(&mut text).ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        let state = TransferState::decode(STANDARD.decode(stored.state).ok()?.as_slice()).ok()?;
        (stored.stamp == stamp && stored.piece > 0).then_some(Begun { state, piece: stored.piece })
    }

    /// How far it has come now.
    pub(super) fn save(&mut self, stamp: Stamp, begun: &Begun) {
        let Some(file) = &mut self.file else { return };
        let state = STANDARD.encode(begun.state.encode_to_vec());
        let stored = Stored { stamp, piece: begun.piece, state };
        let written = serde_json::to_vec(&stored).map_err(io::Error::from).and_then(|text| {
            // What a crash leaves half written does not parse, and the upload begins anew.
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        });
        if let Err(error) = written {
            tracing::info!("the record of the upload was not written: {error}");
        }
    }

    /// There is nothing to go on with.
    pub(super) fn remove(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(dir: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { size: 7, modified_seconds: 1, modified_nanos: 2 };

    fn open(dir: &Path) -> Record {
        Record::open(dir, "https://h:443", TenantId::SCRATCHPAD, "/up/x", Path::new("x"))
    }

    fn begun() -> Begun {
        Begun { state: TransferState { offset: 5, data: vec![1, 2], ..Default::default() }, piece: 3 }
    }

    #[test]
    fn an_interrupted_upload_is_remembered_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = open(dir.path());
        assert_eq!(record.load(STAMP), None);
        record.save(STAMP, &Begun { piece: 1_000_000, ..begun() });
        record.save(STAMP, &begun());
        drop(record);
        assert_eq!(open(dir.path()).load(STAMP), Some(begun()));
        assert_eq!(open(dir.path()).load(Stamp { size: 8, ..STAMP }), None);
        let mode = fs::metadata(&open(dir.path()).path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_committed_upload_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = open(dir.path());
        record.save(STAMP, &begun());
        record.remove();
        assert!(!record.path.exists());
    }

    #[test]
    fn two_uploads_do_not_share_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = open(dir.path());
        first.save(STAMP, &begun());
        let mut second = open(dir.path());
        assert_eq!(second.load(STAMP), None);
        second.remove();
        assert!(first.path.exists());
    }
}
