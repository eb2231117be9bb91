//! `file put`: uploading files and trees, some at a time.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cacheroach_model::Path;
use clap::Args;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::describe::Description;
use super::source::{Found, Walk};
use super::upload::{Terms, Uploader};
use super::{NOTHING, Site, Tally, parallelism};
use crate::commands::Context;
use crate::config;
use crate::error::Error;
use crate::output::Table;
use crate::progress::Progress;

/// How far the walk may be ahead of the uploads.
const AHEAD: usize = 64;

/// Upload files.
///
/// A large file whose upload breaks off is taken further by the next `put` of the same, unchanged file.
#[derive(Args)]
pub(super) struct Put {
    /// Where to: a directory on the server, with a last slash.
    dir: String,
    /// Files and patterns; with --recurse directories too.
    #[arg(required = true)]
    local: Vec<String>,
    /// How many files at a time.
    #[arg(short, long, value_name = "N", default_value_t = parallelism())]
    parallelism: NonZeroUsize,
    /// Upload what is in directories.
    #[arg(short, long)]
    recurse: bool,
    #[command(flatten)]
    description: Description,
    /// Only where there is no file yet; what is there stays, and counts as a failure.
    #[arg(long)]
    no_overwrite: bool,
}

/// One whose arguments make sense.
pub(super) struct Checked {
    dir: Path,
    put: Put,
}

impl Put {
    pub(super) fn check(self) -> Result<Checked, Error> {
        Ok(Checked { dir: directory(&self.dir)?, put: self })
    }
}

/// Where files are to go: a directory, and unmistakably so.
pub(super) fn directory(text: &str) -> Result<Path, Error> {
    if !text.starts_with('/') {
        return Err(Error::new("the remote path must start with /"));
    }
    if !text.ends_with('/') {
        return Err(Error::new("the target for an upload must end in a / to avoid ambiguous behavior"));
    }
    Path::parse(text).map_err(|e| Error::because(text.to_owned(), e))
}

/// A row of the table to be.
type Outcome = (PathBuf, String, Result<(), Error>);

impl Checked {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let Put { description, no_overwrite, .. } = &self.put;
        if *no_overwrite || !description.is_empty() {
            site.must_be_new().await?;
        }
        let terms = Terms {
            meta: description.meta(),
            content_type: description.content_type(),
            expected: if *no_overwrite { NOTHING } else { 0 },
            changed: false,
        };
        let progress = Progress::new(context.bars);
        let uploader = Uploader::new(site, &progress, records());
        let mut table = Table::new(context.format, &["Local", "Remote", "Status"]);
        let mut tally = Tally::default();
        {
            let uploads = self.found().map(|found| one(&uploader, &progress, &terms, found));
            let mut outcomes = std::pin::pin!(uploads.buffer_unordered(self.put.parallelism.get()));
            while let Some(outcome) = outcomes.next().await {
                let Some((local, remote, outcome)) = outcome else { continue };
                let local = local.to_string_lossy().into_owned();
                let status = tally.count(&local, outcome);
                progress.aside(|| table.row([local.into(), remote.into(), status.into()]))?;
            }
        }
        table.finish()?;
        tally.outcome()
    }

    fn found(&self) -> impl stream::Stream<Item = Found> + use<> {
        found(&self.dir, self.put.recurse, self.put.local.clone())
    }
}

/// What a walk comes across, while it walks.
pub(super) fn found(
    dir: &Path,
    recurse: bool,
    sources: Vec<String>,
) -> impl stream::Stream<Item = Found> + use<> {
    let (to, mut from) = mpsc::channel(AHEAD);
    let walk = Walk::new(dir, recurse, to);
    tokio::task::spawn_blocking(move || walk.run(&sources));
    stream::poll_fn(move |context| from.poll_recv(context))
}

/// Where it is kept how far uploads have come.
pub(super) fn records() -> PathBuf {
    config::directory().unwrap_or_default().join("uploads")
}

async fn one(uploader: &Uploader<'_>, progress: &Progress, terms: &Terms, found: Found) -> Option<Outcome> {
    match found {
        Found::File(local, remote) => {
            let outcome = uploader.put(&local, &remote, terms).await;
            Some((local, remote, outcome))
        }
        Found::Failed(local, error) => Some((local, String::new(), Err(error))),
        Found::Skipped(local, why) => {
            progress.say(&format!("skipped {}: {why}", local.display()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_a_directory() {
        let check = |dir: &str| {
            let put = Put {
                dir: dir.into(),
                local: Vec::new(),
                parallelism: parallelism(),
                recurse: false,
                description: Description::default(),
                no_overwrite: false,
            };
            put.check().map(|checked| checked.dir.prefix()).map_err(|e| e.text())
        };
        assert_eq!(check("/a//b/").unwrap(), "/a/b/");
        assert_eq!(check("/").unwrap(), "/");
        assert_eq!(check("a/").unwrap_err(), "the remote path must start with /");
        assert!(check("/a").unwrap_err().starts_with("the target for an upload must end in a /"));
    }
}
