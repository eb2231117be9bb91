//! Here like there: what the server has, the local directory gets.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use cacheroach_api::file::Meta;
use futures::{StreamExt as _, future};

use super::same::is_same;
use super::{Action, Checked, Done, Report, Way};
use crate::commands::file::Site;
use crate::commands::file::download::{Downloader, Wish};
use crate::commands::file::put::found;
use crate::commands::file::source::Found;
use crate::commands::file::target::{place, relative};
use crate::error::Error;

impl Checked {
    pub(super) async fn down(&self, site: &Site, report: &mut Report<'_>) -> Result<(), Error> {
        let downloader = Downloader::new(site, report.progress)?;
        // With --delete nothing is, unless it is certain what is there.
        let (mut there, mut certain) = (HashSet::new(), true);
        {
            // Below the directory only, whatever servers of old make of its last slash.
            let below = |listed: &Result<Meta, Error>| {
                future::ready(listed.as_ref().map_or(true, |meta| meta.path != self.remote.as_str()))
            };
            let downloads = site.list(self.remote.prefix()).filter(below).map(|listed| {
                let wanted = listed.and_then(|meta| self.wanted(meta));
                match &wanted {
                    Ok((_, meta)) if self.delete => drop(there.insert(meta.path.clone())),
                    Ok(_) => {}
                    Err(_) => certain = false,
                }
                self.fetch(&downloader, wanted)
            });
            let (mut any, mut done) = (false, std::pin::pin!(downloads.buffered(self.parallelism)));
            while let Some(done) = done.next().await {
                any = true;
                if let Some(done) = done {
                    report.tell(done)?;
                }
            }
            // There are no directories without files; nor is one whose name was misspelt a reason to delete all.
            if !any {
                return Err(Error::new(format!("{}: there are no such files", self.remote)));
            }
        }
        if !self.delete || !self.local.is_dir() {
            return Ok(());
        }
        if !certain {
            report.progress.say("nothing is deleted: not all of the source could be listed");
            return Ok(());
        }
        self.delete_here(&there, report).await
    }

    /// The place of a listed file below the target, if it can have one.
    fn wanted(&self, meta: Meta) -> Result<(PathBuf, Meta), Error> {
        let below = relative(&meta.path, self.remote.as_str())?;
        Ok((below, meta))
    }

    async fn fetch(
        &self,
        downloader: &Downloader<'_>,
        wanted: Result<(PathBuf, Meta), Error>,
    ) -> Option<Done> {
        let (name, outcome) = match wanted {
            Ok((below, meta)) => {
                let local = self.local.join(&below);
                // What cannot be compared is transferred: if it cannot be written either, that is told then.
                if is_same(&Way::Down, &local, &meta).await.unwrap_or(false) {
                    return None;
                }
                let name = self.name(&meta.path).to_owned();
                (name, if self.dry_run { Ok(()) } else { self.download(downloader, &below, &meta).await })
            }
            Err(error) => (self.remote.to_string(), Err(error)),
        };
        Some(Done { action: Action::Download, name, outcome })
    }

    /// The very version that was listed.
    async fn download(&self, downloader: &Downloader<'_>, below: &Path, meta: &Meta) -> Result<(), Error> {
        let place = place(&self.local, below)?;
        downloader.to_file(Wish { path: &meta.path, version: meta.version }, &place).await
    }

    /// Files here, and links to files, that are not there.
    async fn delete_here(&self, there: &HashSet<String>, report: &mut Report<'_>) -> Result<(), Error> {
        let mut here = std::pin::pin!(found(&self.remote, true, vec![self.root()]));
        while let Some(found) = here.next().await {
            let (local, outcome) = match found {
                Found::File(_, remote) if there.contains(&remote) => continue,
                Found::File(local, _) if self.dry_run => (local, Ok(())),
                Found::File(local, _) => {
                    let outcome = fs::remove_file(&local);
                    (local, outcome.map_err(|e| Error::because("cannot be deleted", e)))
                }
                Found::Failed(local, error) => (local, Err(error)),
                Found::Skipped(local, why) => {
                    report.progress.say(&format!("skipped {}: {why}", local.display()));
                    continue;
                }
            };
            let name = local.strip_prefix(&self.local).unwrap_or(&local).to_string_lossy().into_owned();
            report.tell(Done { action: Action::Delete, name, outcome })?;
        }
        Ok(())
    }
}
