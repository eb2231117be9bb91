//! There like here: what the local directory has, the server gets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cacheroach_api::file::Meta;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::same::is_same;
use super::{Action, Checked, Done, Report, Way, tells_hashes};
use crate::commands::file::put::found;
use crate::commands::file::source::Found;
use crate::commands::file::upload::{Terms, Uploader};
use crate::commands::file::{NOTHING, Site};
use crate::error::Error;

/// What became of what the walk came across.
enum Met {
    Same,
    Sent(Done),
    Skipped(PathBuf, &'static str),
    Unknown(PathBuf, Error),
}

impl Checked {
    pub(super) async fn up(
        &self,
        site: &Site,
        records: PathBuf,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let uploader = Uploader::new(site, report.progress, records);
        let mut there = self.listed(site).await?;
        // With --delete nothing is, unless it is certain what is here.
        let (mut spared, mut certain, mut any) = (Vec::new(), true, false);
        {
            let walk = found(&self.remote, true, vec![self.root()]);
            let uploads = walk.map(|found| {
                let meta = if let Found::File(_, remote) = &found { there.remove(remote) } else { None };
                self.meet(&uploader, found, meta)
            });
            let mut met = std::pin::pin!(uploads.buffer_unordered(self.parallelism));
            while let Some(met) = met.next().await {
                any = true;
                match met {
                    Met::Same => {}
                    Met::Sent(done) => report.tell(done)?,
                    Met::Skipped(local, why) => {
                        report.progress.say(&format!("skipped {}: {why}", local.display()));
                        spared.push(self.remote_name(&local));
                    }
                    Met::Unknown(local, error) => {
                        certain = false;
                        let name = self.below(&local).to_string_lossy().into_owned();
                        report.tell(Done { action: Action::Upload, name, outcome: Err(error) })?;
                    }
                }
            }
        }
        if !self.delete {
            return Ok(());
        }
        if !certain {
            report.progress.say("nothing is deleted: not all of the source could be listed");
            return Ok(());
        }
        if !any && !there.is_empty() {
            // More likely a disk that is not mounted than a wish.
            return Err(Error::new(
                "the local directory is empty: to delete all that is there, use `file rm -r`",
            ));
        }
        there.retain(|path, _| !spared.iter().any(|spared| is_at_or_below(path, spared)));
        self.delete_there(site, there, report).await
    }

    /// All that is there. A listing that breaks off is none.
    async fn listed(&self, site: &Site) -> Result<HashMap<String, Meta>, Error> {
        let prefix = self.remote.prefix();
        let files = site.list(prefix.clone());
        let below = files.try_filter(|meta| futures::future::ready(meta.path.starts_with(&prefix)));
        below.map_ok(|meta| (meta.path.clone(), meta)).try_collect().await
    }

    async fn meet(&self, uploader: &Uploader<'_>, found: Found, meta: Option<Meta>) -> Met {
        let (local, remote) = match found {
            Found::File(local, remote) => (local, remote),
            Found::Skipped(local, why) => return Met::Skipped(local, why),
            Found::Failed(local, error) => return Met::Unknown(local, error),
        };
        let outcome = match self.upload(uploader, &local, &remote, meta).await {
            Ok(false) => return Met::Same,
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        Met::Sent(Done { action: Action::Upload, name: self.name(&remote).to_owned(), outcome })
    }

    /// Tells whether there was anything to do. How a file is described outlives its content.
    async fn upload(
        &self,
        uploader: &Uploader<'_>,
        local: &Path,
        remote: &str,
        meta: Option<Meta>,
    ) -> Result<bool, Error> {
        let terms = match meta {
            None => Terms { expected: NOTHING, ..Terms::default() },
            Some(meta) if is_same(&Way::Up, local, &meta).await? => return Ok(false),
            Some(meta) => Terms {
                changed: tells_hashes(&meta),
                meta: meta.meta,
                content_type: meta.content_type,
                expected: meta.version,
            },
        };
        if !self.dry_run {
            uploader.put(local, remote, &terms).await?;
        }
        Ok(true)
    }

    /// What was listed, if it is still as it was listed.
    async fn delete_there(
        &self,
        site: &Site,
        surplus: HashMap<String, Meta>,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let mut surplus: Vec<_> = surplus.into_values().collect();
        surplus.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let deletions = stream::iter(surplus).map(|meta| async move {
            let name = self.name(&meta.path).to_owned();
            let outcome = match self.dry_run {
                true => Ok(()),
                false => site.delete(meta.path, false, meta.version).await,
            };
            Done { action: Action::Delete, name, outcome }
        });
        let mut deletions = std::pin::pin!(deletions.buffered(self.parallelism));
        while let Some(done) = deletions.next().await {
            report.tell(done)?;
        }
        Ok(())
    }

    fn below<'a>(&self, local: &'a Path) -> &'a Path {
        local.strip_prefix(&self.local).unwrap_or(local)
    }

    /// What would be called like this. A name that the server cannot know is called like nothing there.
    fn remote_name(&self, local: &Path) -> String {
        format!("{}{}", self.remote.prefix(), self.below(local).to_string_lossy())
    }
}

fn is_at_or_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
