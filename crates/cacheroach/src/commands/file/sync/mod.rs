//! `file sync`: making one directory like another, here and on the server, by transferring what differs.

mod down;
mod same;
mod up;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cacheroach_api::file::Meta;
use cacheroach_model::Path;
use clap::Args;

use super::put::records;
use super::{Site, Tally, parallelism};
use crate::commands::Context;
use crate::error::Error;
use crate::output::Table;
use crate::progress::Progress;

/// What marks the side that is on the server.
const REMOTE: &str = "cr:";

/// Make a directory like another one: there like here, or here like there.
///
/// The directory on the server is written with `cr:` before its path, so that it cannot be taken for one of this
/// machine: `sync ./docs cr:/docs/` uploads, `sync cr:/docs/ ./docs` downloads. A directory here whose name begins
/// like that is written `./cr:…`.
///
/// What has the same size and the same content stays; the rest is transferred, and found under its name only once it is
/// complete. Interrupted, it is taken further by the same command again. What changes on the server meanwhile is
/// neither overwritten nor deleted, but counts as a failure. Links to directories, and what is no file, are left alone.
///
/// Servers of old tell no hashes: there a file is the same if its size is and it was written after the one it is to be
/// like; and they do not notice such changes.
#[derive(Args)]
pub(super) struct Sync {
    /// The directory as it should be.
    pub(super) from: String,
    /// The directory to make like it.
    pub(super) to: String,
    /// Delete what is not in FROM. Nothing is deleted unless all of FROM could be listed.
    #[arg(long)]
    pub(super) delete: bool,
    /// Only show what would be done.
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// How many files at a time.
    #[arg(short, long, value_name = "N", default_value_t = parallelism())]
    pub(super) parallelism: NonZeroUsize,
}

/// Which way.
#[derive(Debug, PartialEq)]
enum Way {
    Up,
    Down,
}

/// One whose arguments make sense.
pub(super) struct Checked {
    way: Way,
    local: PathBuf,
    remote: Path,
    delete: bool,
    dry_run: bool,
    parallelism: usize,
}

/// What is done to a file.
#[derive(Clone, Copy)]
enum Action {
    Upload,
    Download,
    Delete,
}

/// A row of the table to be: the file is named as seen from the directories.
struct Done {
    action: Action,
    name: String,
    outcome: Result<(), Error>,
}

impl Sync {
    pub(super) fn check(self) -> Result<Checked, Error> {
        let (way, local, remote) = match (self.from.strip_prefix(REMOTE), self.to.strip_prefix(REMOTE)) {
            (None, Some(remote)) => (Way::Up, &self.from, remote),
            (Some(remote), None) => (Way::Down, &self.to, remote),
            _ => return Err(Error::new("one of the two is on the server, written as cr:/path/")),
        };
        if !remote.starts_with('/') {
            return Err(Error::new("the path after cr: must start with /"));
        }
        if local.is_empty() {
            return Err(Error::new("no name for a directory"));
        }
        let remote = Path::parse(remote).map_err(|e| Error::because(remote.to_owned(), e))?;
        let (local, parallelism) = (PathBuf::from(local), self.parallelism.get());
        // A source that is not there is no empty one.
        if way == Way::Up && !local.is_dir() {
            return Err(Error::new(format!("{} is not a directory", local.display())));
        }
        Ok(Checked { way, local, remote, delete: self.delete, dry_run: self.dry_run, parallelism })
    }
}

impl Checked {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        self.run_keeping(records(), context, site).await
    }

    /// Keeps in `records` how far uploads have come.
    pub(super) async fn run_keeping(
        self,
        records: PathBuf,
        context: &Context,
        site: &Site,
    ) -> Result<(), Error> {
        let progress = Progress::new(context.bars);
        let table = Table::new(context.format, &["Action", "Path", "Status"]);
        let mut report =
            Report { progress: &progress, table, tally: Tally::default(), dry_run: self.dry_run };
        match self.way {
            Way::Up => self.up(site, records, &mut report).await?,
            Way::Down => self.down(site, &mut report).await?,
        }
        report.table.finish()?;
        report.tally.outcome()
    }

    /// The name of a path of the server, as seen from the directory.
    fn name<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.remote.prefix()).unwrap_or(path)
    }

    /// The local directory, even if it is named by a link.
    fn root(&self) -> String {
        format!("{}/", self.local.to_string_lossy())
    }
}

/// What the user hears.
struct Report<'a> {
    progress: &'a Progress,
    table: Table,
    tally: Tally,
    dry_run: bool,
}

impl Report<'_> {
    fn tell(&mut self, done: Done) -> Result<(), Error> {
        let intended = self.dry_run && done.outcome.is_ok();
        let status = self.tally.count(&done.name, done.outcome);
        let status = if intended { "dry run".into() } else { status };
        let action = match done.action {
            Action::Upload => "upload",
            Action::Download => "download",
            Action::Delete => "delete",
        };
        self.progress.aside(|| self.table.row([action.into(), done.name.into(), status.into()]))
    }
}

/// Whether a server tells hashes, as those of old do not.
fn tells_hashes(meta: &Meta) -> bool {
    !meta.hash.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str) -> Result<(Way, String), String> {
        let sync = Sync {
            from: from.into(),
            to: to.into(),
            delete: false,
            dry_run: false,
            parallelism: parallelism(),
        };
        sync.check().map(|checked| (checked.way, checked.remote.prefix())).map_err(|error| error.text())
    }

    #[test]
    fn exactly_one_side_is_on_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().to_str().unwrap();
        assert_eq!(check(here, "cr:/a/"), Ok((Way::Up, "/a/".into())));
        assert_eq!(check("cr:/a", here), Ok((Way::Down, "/a/".into())));
        assert_eq!(check("cr:/", "./none"), Ok((Way::Down, "/".into())));
        for (from, to) in [
            (here, here),
            ("cr:/a/", "cr:/b/"),
            (here, "cr:a/"),
            (here, "cr:"),
            ("cr:/a/", ""),
            ("./none", "cr:/a/"),
            (here, "cr:/a\n/"),
        ] {
            assert!(check(from, to).is_err(), "{from} {to}");
        }
    }
}
