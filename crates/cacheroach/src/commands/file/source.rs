//! Which local files a `put` means, and what they are to be called. Trees are walked as they are uploaded, never held.

use std::fs::{self, FileType, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use cacheroach_model::{Path as RemotePath, canonical};
use tokio::sync::mpsc;

use crate::error::Error;

/// What was come across.
#[derive(Debug)]
pub(super) enum Found {
    /// A file to upload, and where to.
    File(PathBuf, String),
    /// Something else, and what.
    Skipped(PathBuf, &'static str),
    /// What can't be read or named.
    Failed(PathBuf, Error),
}

/// Nobody wants to know any more.
struct Unwanted;

/// Walks local names and patterns.
pub(super) struct Walk {
    /// Where to, as a prefix with a last slash.
    prefix: String,
    recurse: bool,
    to: mpsc::Sender<Found>,
}

impl Walk {
    /// For uploads below `dir`.
    pub(super) fn new(dir: &RemotePath, recurse: bool, to: mpsc::Sender<Found>) -> Self {
        Walk { prefix: dir.prefix(), recurse, to }
    }

    /// Walks them all. Blocks.
    pub(super) fn run(&self, sources: &[String]) {
        for source in sources {
            if self.source(source).is_err() {
                return;
            }
        }
    }

    /// A name that exists is that name, even if it could be a pattern. A pattern may match nothing.
    fn source(&self, source: &str) -> Result<(), Unwanted> {
        if !source.contains(['*', '?', '[']) || fs::symlink_metadata(source).is_ok() {
            return self.argument(PathBuf::from(source));
        }
        match glob::glob(source) {
            Ok(matches) => matches.into_iter().try_for_each(|found| match found {
                Ok(path) => self.argument(path),
                Err(error) => {
                    let path = error.path().to_owned();
                    self.tell(Found::Failed(path, unreadable(error.into())))
                }
            }),
            Err(error) => self.tell(Found::Failed(source.into(), Error::because("not a pattern", error))),
        }
    }

    /// A file is called as it was given; what is in a directory, as seen from there.
    fn argument(&self, path: PathBuf) -> Result<(), Unwanted> {
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_dir() => self.entry(path.clone(), &path, found.file_type()),
            Ok(_) if self.recurse => self.tree(&path),
            Ok(_) => Ok(()),
            Err(error) => self.tell(Found::Failed(path, unreadable(error))),
        }
    }

    fn tree(&self, root: &Path) -> Result<(), Unwanted> {
        let mut open: Vec<(PathBuf, ReadDir)> = Vec::new();
        self.enter(root.to_owned(), &mut open)?;
        while let Some((dir, entries)) = open.last_mut() {
            let entry = match entries.next() {
                None => {
                    open.pop();
                    continue;
                }
                Some(entry) => entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))),
            };
            match entry {
                Ok((path, kind)) if kind.is_dir() => self.enter(path, &mut open)?,
                Ok((path, kind)) => {
                    let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
                    self.entry(path, &name, kind)?;
                }
                Err(error) => self.tell(Found::Failed(dir.clone(), unreadable(error)))?,
            }
        }
        Ok(())
    }

    fn enter(&self, dir: PathBuf, open: &mut Vec<(PathBuf, ReadDir)>) -> Result<(), Unwanted> {
        match fs::read_dir(&dir) {
            Ok(entries) => open.push((dir, entries)),
            Err(error) => self.tell(Found::Failed(dir, unreadable(error)))?,
        }
        Ok(())
    }

    /// Links to files are followed; links to directories could lead anywhere, also round in circles.
    fn entry(&self, path: PathBuf, name: &Path, kind: FileType) -> Result<(), Unwanted> {
        let kind = if kind.is_symlink() {
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => {
                    return self.tell(Found::Skipped(path, "a symbolic link to a directory"));
                }
                Ok(found) => found.file_type(),
                Err(error) => return self.tell(Found::Failed(path, unreadable(error))),
            }
        } else {
            kind
        };
        if !kind.is_file() {
            return self.tell(Found::Skipped(path, "not a regular file"));
        }
        match remote(&self.prefix, name) {
            Ok(remote) => self.tell(Found::File(path, remote)),
            Err(error) => self.tell(Found::Failed(path, error)),
        }
    }

    fn tell(&self, found: Found) -> Result<(), Unwanted> {
        self.to.blocking_send(found).map_err(|_| Unwanted)
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::because("cannot be read", error)
}

/// The remote name of a local one: below the prefix, however many `..` it has.
fn remote(prefix: &str, name: &Path) -> Result<String, Error> {
    let name = name.to_str().ok_or_else(|| Error::new("the name is not UTF-8"))?;
    let below = canonical(&format!("/{name}"));
    let remote = RemotePath::parse_file(&format!("{prefix}{}", &below[1..]))
        .map_err(|e| Error::because("not a name for a file", e))?;
    Ok(remote.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn c24_a_name_stays_below_the_target() {
        for (prefix, name, path) in [
            ("/up/", "a", "/up/a"),
            ("/up/", "d/a", "/up/d/a"),
            ("/up/", "./d//a", "/up/d/a"),
            ("/up/", "../a", "/up/a"),
            ("/up/", "../../../a/../b", "/up/b"),
            ("/up/", "/tmp/a", "/up/tmp/a"),
            ("/", "a", "/a"),
        ] {
            assert_eq!(remote(prefix, Path::new(name)).unwrap(), path, "{name}");
        }
        for name in ["a\nb", "\u{1b}"] {
            assert!(remote("/up/", Path::new(name)).is_err(), "{name:?}");
        }
    }

    fn walk(recurse: bool, sources: &[String]) -> Vec<String> {
        let (to, mut from) = mpsc::channel(100);
        Walk::new(&RemotePath::parse("/up/").unwrap(), recurse, to).run(sources);
        let mut seen = Vec::new();
        while let Ok(found) = from.try_recv() {
            seen.push(match found {
                Found::File(_, remote) => remote,
                Found::Skipped(path, why) => format!("{}: {why}", path.file_name().unwrap().display()),
                Found::Failed(path, _) => format!("{}: failed", path.file_name().unwrap().display()),
            });
        }
        seen.sort();
        seen
    }

    #[test]
    fn a88_a_tree_gives_its_files_and_those_linked_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("d/sub")).unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/secret"), "s").unwrap();
        fs::write(at("d/a"), "a").unwrap();
        fs::write(at("d/sub/b"), "b").unwrap();
        symlink(at("d/a"), at("d/link")).unwrap();
        symlink(at("outside"), at("d/dirlink")).unwrap();
        symlink("nowhere", at("d/broken")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("d/socket")).unwrap();

        let root = at("d").to_str().unwrap().to_owned();
        let tree = std::slice::from_ref(&root);
        let expected = [
            "/up/a",
            "/up/link",
            "/up/sub/b",
            "broken: failed",
            "dirlink: a symbolic link to a directory",
            "socket: not a regular file",
        ];
        assert_eq!(walk(true, tree), expected);
        assert_eq!(walk(false, tree), [""; 0]);
        assert_eq!(walk(false, &[format!("{root}/none")]), ["none: failed"]);
        assert_eq!(walk(false, &[format!("{root}/none*")]), [""; 0]);
        assert_eq!(walk(false, &[format!("{root}/[a]")]), [format!("/up{root}/a")]);
    }
}
