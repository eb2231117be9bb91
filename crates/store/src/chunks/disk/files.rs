//! What packs need of a file system, so that tests can put a failing one in its place; and the real one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, pread, pwritev};

/// What a pack is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// By way of the kernel's cache.
    Read,
    /// Past that cache, where the file system can: for what is not read again soon. In whole blocks, to aligned memory.
    ReadPast,
    /// Punching holes needs it too.
    Write,
}

/// A directory of packs.
pub(super) trait Files: Send + Sync {
    /// The highest number of a pack, 0 without any.
    fn highest(&self) -> io::Result<u32>;
    /// The lowest number of a pack that is above one.
    fn next(&self, after: u32) -> io::Result<Option<u32>>;
    /// A pack that must not be there yet, for writing.
    fn create(&self, number: u32) -> io::Result<Arc<dyn PackFile>>;
    fn open(&self, number: u32, access: Access) -> io::Result<Arc<dyn PackFile>>;
    fn remove(&self, number: u32) -> io::Result<()>;
    /// Makes created names survive the loss of power.
    fn sync_names(&self) -> io::Result<()>;
}

/// One pack.
pub(super) trait PackFile: Send + Sync {
    /// Reads as much as there is, at most what there is room for; answers how much that is.
    fn read_into(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// The same into memory of its own.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.read_into(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
    /// All of the parts, one behind the other. Whole blocks in aligned memory go to the disk without a copy in the kernel.
    fn write(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Makes what was written survive the loss of power.
    fn sync(&self) -> io::Result<()>;
    /// How long it is, and when it was changed last.
    fn extent(&self) -> io::Result<(u64, SystemTime)>;
    /// Makes a region read as zeros, and gives its room back where the file system can.
    fn punch(&self, offset: u64, length: u64) -> io::Result<()>;
}

/// The real directory.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The directory, created if it is absent: readable for nobody else, and so that it survives the loss of power.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        // The parent of a relative name may be "", which cannot be opened.
        let dir = std::path::absolute(dir)?;
        let missing: Vec<&Path> = dir.ancestors().take_while(|at| !at.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        for created in missing {
            if let Some(parent) = created.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Folder(dir))
    }

    fn path(&self, number: u32) -> PathBuf {
        self.0.join(format!("{number:010}.pack"))
    }
}

/// `None` for what is no pack; a number that was not padded is still seen, so that it is never used again.
fn number(name: &Path) -> Option<u32> {
    if name.extension()? != "pack" {
        return None;
    }
    name.file_stem()?.to_str()?.parse().ok()
}

impl Files for Folder {
    fn highest(&self) -> io::Result<u32> {
        let mut highest = 0;
        for entry in fs::read_dir(&self.0)? {
            highest = highest.max(number(Path::new(&entry?.file_name())).unwrap_or(0));
        }
        Ok(highest)
    }

    fn next(&self, after: u32) -> io::Result<Option<u32>> {
        let mut lowest = None;
        for entry in fs::read_dir(&self.0)? {
            // One whose name is not padded is not opened by its number, and nothing of ours.
            let name = entry?.file_name();
            let padded = |number: &u32| self.path(*number).file_name() == Some(&name);
            if let Some(number) = number(Path::new(&name)).filter(padded).filter(|number| *number > after) {
                lowest = Some(lowest.map_or(number, |lowest: u32| lowest.min(number)));
            }
        }
        Ok(lowest)
    }

    fn create(&self, number: u32) -> io::Result<Arc<dyn PackFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path(number))?;
        // Nobody reads soon what was just written, and copying it to the kernel's cache is dearer than all else about a
        // write together.
        go_past_cache(&file)?;
        Ok(Arc::new(file))
    }

    fn open(&self, number: u32, access: Access) -> io::Result<Arc<dyn PackFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(self.path(number))?;
        if access == Access::ReadPast {
            go_past_cache(&file)?;
        }
        Ok(Arc::new(file))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// Past the kernel's cache from here on. A file system that can't says so, here or when it is read or written.
fn go_past_cache(file: &File) -> io::Result<()> {
    let _ = fcntl_setfl(file, fcntl_getfl(file)? | OFlags::DIRECT);
    Ok(())
}

/// By way of it again, if the error says that this file system, or this memory, is not made for going past it.
fn go_by_cache(file: &File, error: Errno) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    if error != Errno::INVAL || !flags.contains(OFlags::DIRECT) {
        return Err(error.into());
    }
    Ok(fcntl_setfl(file, flags - OFlags::DIRECT)?)
}

impl PackFile for File {
    fn read_into(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match pread(self, &mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(error) => go_by_cache(self, error)?,
            }
        }
        Ok(read)
    }

    fn write(&self, mut offset: u64, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !parts.is_empty() {
            match pwritev(self, parts, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => go_by_cache(self, error)?,
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn extent(&self) -> io::Result<(u64, SystemTime)> {
        let metadata = self.metadata()?;
        Ok((metadata.len(), metadata.modified()?))
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        match fallocate(self, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, length) {
            // Not every file system has holes. Then the room stays taken, but the bytes must go.
            Err(Errno::OPNOTSUPP) => {
                let mut zeros = Vec::new();
                io::repeat(0).take(length).read_to_end(&mut zeros)?;
                self.write_all_at(&zeros, offset)
            }
            answer => Ok(answer?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::buffers::Aligned;

    #[test]
    fn only_packs_have_numbers() {
        for (name, expected) in [
            ("0000000012.pack", Some(12)),
            ("12.pack", Some(12)),
            ("0000000012.tmp", None),
            ("x.pack", None),
            ("99999999999.pack", None),
            (".pack", None),
        ] {
            assert_eq!(number(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn nobody_else_may_look_at_packs() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("a/b");
        let folder = Folder::open(&dir).unwrap();
        folder.create(1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("0000000001.pack")), 0o600);
    }

    #[test]
    fn what_is_not_aligned_is_written_like_what_is() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let file = folder.create(1).unwrap();
        let mut whole = Aligned::zeroed(8192);
        whole.fill(1);
        file.write(0, &mut [IoSlice::new(&whole[..4096]), IoSlice::new(&whole[4096..])]).unwrap();
        file.write(8192, &mut [IoSlice::new(&whole[1..]), IoSlice::new(&[2])]).unwrap();
        let expected = [[1].repeat(16383), vec![2]].concat();
        assert_eq!(file.read(0, 20_000).unwrap(), expected);
        let past = folder.open(1, Access::ReadPast).unwrap();
        let mut memory = Aligned::zeroed(20_480);
        assert_eq!(past.read_into(0, &mut memory).unwrap(), 16384);
        assert_eq!(memory[..16384], expected);
        assert_eq!(past.read(1, 20_000).unwrap(), expected[1..]);
    }
}
