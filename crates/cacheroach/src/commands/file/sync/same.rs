//! Whether a file here and one on the server are the same, told without transferring any of it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cacheroach_api::file::Meta;
use sha2::{Digest as _, Sha256};

use super::{Way, tells_hashes};
use crate::commands::file::record::Stamp;
use crate::error::Error;

/// Whether nothing needs to be transferred.
pub(super) async fn is_same(way: &Way, local: &Path, meta: &Meta) -> Result<bool, Error> {
    let unreadable = |e| Error::because("cannot be read", e);
    let found = fs::metadata(local).map_err(unreadable)?;
    if !found.is_file() || i64::try_from(found.len()) != Ok(meta.size) {
        return Ok(false);
    }
    if !tells_hashes(meta) {
        return Ok(is_younger(way, &found, meta));
    }
    let (stamp, local) = (Stamp::from(&found), local.to_owned());
    let hashing = tokio::task::spawn_blocking(move || hash(&local, stamp));
    let hash = hashing.await.map_err(|e| Error::because("cannot be read", e))?.map_err(unreadable)?;
    Ok(hash.is_some_and(|hash| hash[..] == meta.hash[..]))
}

/// Of a file of this stamp; none if it changes while it is read.
fn hash(local: &Path, stamp: Stamp) -> io::Result<Option<[u8; 32]>> {
    let (mut file, mut hash) = (File::open(local)?, Sha256::new());
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    let unchanged = Stamp::from(&file.metadata()?) == stamp;
    Ok(unchanged.then(|| hash.finalize().into()))
}

/// Whether the target was written when the source was there already, as far as two clocks can tell.
fn is_younger(way: &Way, local: &Metadata, meta: &Meta) -> bool {
    let here = (local.mtime(), local.mtime_nsec());
    let there = meta.modified_at.as_ref().map(|time| (time.seconds, i64::from(time.nanos)));
    match way {
        Way::Up => there.is_some_and(|there| there >= here),
        Way::Down => there.is_some_and(|there| here >= there),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    async fn same(way: Way, meta: Meta) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        is_same(&way, file.path(), &meta).await.unwrap()
    }

    #[tokio::test]
    async fn the_hash_decides_between_files_of_one_size() {
        let hash = Sha256::digest("abc").to_vec();
        assert!(same(Way::Up, Meta { size: 3, hash: hash.clone(), ..Meta::default() }).await);
        assert!(!same(Way::Up, Meta { size: 4, hash, ..Meta::default() }).await);
        assert!(!same(Way::Up, Meta { size: 3, hash: vec![1; 32], ..Meta::default() }).await);
        assert!(is_same(&Way::Up, Path::new("/none/at/all"), &Meta::default()).await.is_err());
    }

    #[tokio::test]
    async fn without_hashes_the_times_decide() {
        let at =
            |seconds| Meta { size: 3, modified_at: Some(Timestamp { seconds, nanos: 0 }), ..Meta::default() };
        let (past, future) = (1_000, 9_000_000_000);
        assert!(same(Way::Up, at(future)).await && !same(Way::Up, at(past)).await);
        assert!(same(Way::Down, at(past)).await && !same(Way::Down, at(future)).await);
        assert!(!same(Way::Up, Meta { size: 3, ..Meta::default() }).await, "no time is no sign");
        assert!(!same(Way::Down, Meta { size: 4, ..at(past) }).await);
    }
}
