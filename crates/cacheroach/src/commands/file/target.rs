//! Where downloads go. The server is not trusted with names: what it lists lands inside the target or nowhere.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// The local name of a listed path, as seen from the directory that was asked for.
pub(super) fn relative(listed: &str, dir: &str) -> Result<PathBuf, Error> {
    let refused = || Error::new("the server listed a name that is not below the directory");
    let file_itself = listed == dir;
    let below = match dir {
        "/" => listed.strip_prefix('/'),
        _ if file_itself => listed.rsplit('/').next(),
        _ => listed.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')),
    };
    let below = below.ok_or_else(refused)?;
    let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control);
    if below.split('/').all(plain) { Ok(below.into()) } else { Err(refused()) }
}

/// Makes the directories between `root` and a file below it, and answers the file's place. Nothing on the way may be
/// a symbolic link, which could lead out again; nor may the place be taken by anything but a file.
pub(super) fn place(root: &Path, below: &Path) -> Result<PathBuf, Error> {
    let failed = |at: &Path, e| Error::because(format!("cannot write {}", at.display()), e);
    let mut at = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() };
    fs::create_dir_all(&at).map_err(|e| failed(&at, e))?;
    let mut names = below.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else {
            return Err(Error::new("the name leads out of the target"));
        };
        at.push(name);
        let last = names.peek().is_none();
        match look(&at).map_err(|e| failed(&at, e))? {
            None if last => {}
            None => make(&at).map_err(|e| failed(&at, e))?,
            Some(found) if found.is_symlink() => {
                return Err(Error::new(format!("{} is a symbolic link", at.display())));
            }
            Some(found) if last && found.is_file() || !last && found.is_dir() => {}
            Some(_) => return Err(Error::new(format!("{} is in the way", at.display()))),
        }
    }
    Ok(at)
}

fn look(at: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(at) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another download may have been faster; what it made is a directory.
fn make(at: &Path) -> io::Result<()> {
    match fs::create_dir(at) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(at)?.is_dir() => {
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_listed_path_is_seen_from_its_directory() {
        for (listed, dir, below) in
            [("/a/b/c", "/a", "b/c"), ("/a/b", "/", "a/b"), ("/a/b", "/a/b", "b"), ("/a/...", "/a", "...")]
        {
            assert_eq!(relative(listed, dir).unwrap(), Path::new(below), "{listed}");
        }
    }

    #[test]
    fn a86_a_hostile_listing_is_refused() {
        for (listed, dir) in [
            ("../x", "/"),
            ("/etc/x", "/a"),
            ("/a/../../x", "/a"),
            ("/a/./x", "/a"),
            ("/a//etc/x", "/a"),
            ("//etc/x", "/"),
            ("/a/", "/a"),
            ("/ab", "/a"),
            ("/a/x\n", "/a"),
            ("/..", "/.."),
            ("", "/"),
        ] {
            assert!(relative(listed, dir).is_err(), "{listed:?}");
        }
    }

    #[test]
    fn a86_nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        assert_eq!(place(&root, Path::new("a/b/c")).unwrap(), root.join("a/b/c"));
        assert!(root.join("a/b").is_dir());
        symlink(&outside, root.join("link")).unwrap();
        symlink(outside.join("file"), root.join("filelink")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for below in ["link/x", "link", "filelink", "a", "file/x", "../x", "/etc/x", "a/../../x"] {
            assert!(place(&root, Path::new(below)).is_err(), "{below}");
        }
        assert!(place(&root, Path::new("file")).is_ok());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
