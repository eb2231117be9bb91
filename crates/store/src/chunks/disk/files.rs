//! What packs need of a file system, so that tests can put a failing one in its place; and the real one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, pread};

/// What a pack is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Read,
    /// Punching holes needs it too.
    Write,
}

/// What disks and file systems ask of memory that they write from, and of offsets and lengths.
pub(super) const ALIGNMENT: usize = 4096;

/// Memory that begins where a disk can write from.
pub(super) struct Aligned {
    memory: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn zeroed(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Aligned { memory, start, length }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
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
    /// As many bytes as there are, at most this many, into an empty buffer.
    fn read_into(&self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()>;
    /// The same into a buffer of its own.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        self.read_into(offset, length, &mut bytes)?;
        Ok(bytes)
    }
    /// All of the bytes. Whole blocks in aligned memory may go to the disk without a copy in the kernel.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
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
        // write together. A file system that can't says so, here or at the first write.
        let _ = fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::DIRECT);
        Ok(Arc::new(file))
    }

    fn open(&self, number: u32, access: Access) -> io::Result<Arc<dyn PackFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(self.path(number))?;
        Ok(Arc::new(file))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl PackFile for File {
    fn read_into(&self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        // Into memory that was not zeroed first: half a MiB of zeros costs as much as the read.
        bytes.reserve(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match pread(self, spare_capacity(bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let flags = fcntl_getfl(self)?;
        match self.write_all_at(bytes, offset) {
            // The memory, or the file system, is not made for it.
            Err(error)
                if flags.contains(OFlags::DIRECT) && Errno::from_io_error(&error) == Some(Errno::INVAL) =>
            {
                fcntl_setfl(self, flags - OFlags::DIRECT)?;
                self.write_all_at(bytes, offset)
            }
            answer => answer,
        }
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
        let file = Folder::open(scratch.path()).unwrap().create(1).unwrap();
        let mut whole = Aligned::zeroed(8192);
        whole.fill(1);
        file.write(0, &whole).unwrap();
        file.write(8192, &whole[1..]).unwrap();
        file.write(16383, &[2]).unwrap();
        let read = file.read(0, 20_000).unwrap();
        assert_eq!(read, [[1].repeat(16383), vec![2]].concat());
    }

    #[test]
    fn memory_is_aligned() {
        for length in [0, 4096, 1 << 21] {
            let memory = Aligned::zeroed(length);
            assert_eq!((memory.len(), memory.as_ptr().align_offset(ALIGNMENT)), (length, 0));
        }
    }
}
