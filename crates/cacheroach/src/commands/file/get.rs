//! `file get`: downloading files and trees, some at a time.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use cacheroach_model::Path as RemotePath;
use clap::Args;
use futures::stream::{self, BoxStream, Stream};
use futures::{StreamExt as _, TryStreamExt as _};

use super::download::{Downloader, Wish};
use super::target::{place, relative};
use super::{Site, Tally, absolute, parallelism, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::Table;
use crate::progress::Progress;

/// Download files.
///
/// A file has its name only once it is complete and its hash is what the server says.
#[derive(Args)]
pub(super) struct Get {
    /// Which files; with --recurse directories.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Where to: a directory, the name for a single file, or `-` for standard output.
    #[arg(short, long, default_value = ".")]
    out: String,
    /// How many files at a time.
    #[arg(short, long, value_name = "N", default_value_t = parallelism())]
    parallelism: NonZeroUsize,
    /// Download all below the paths, with the directories it is in.
    #[arg(short, long)]
    recurse: bool,
    /// Not the current version, but this one.
    #[arg(long, value_name = "N", value_parser = version(), conflicts_with = "recurse")]
    version: Option<i64>,
}

/// A file to download, and its place if it can have one: a directory of the user's and a name below it.
pub(super) struct Wanted {
    remote: String,
    pub(super) target: Result<(PathBuf, PathBuf), Error>,
}

impl Get {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let progress = Progress::new(context.bars);
        let downloader = Downloader::new(site, &progress)?;
        if self.out == "-" {
            return match self.paths.as_slice() {
                [path] if !self.recurse => {
                    downloader.to_stdout(Wish { path, version: self.version.unwrap_or_default() }).await
                }
                _ => Err(Error::new("only one file fits on standard output")),
            };
        }
        let wanted = if self.recurse { self.trees(site).boxed() } else { self.files()? };
        let mut table = Table::new(context.format, &["Remote", "Local", "Status"]);
        let mut tally = Tally::default();
        let version = self.version.unwrap_or_default();
        let downloads = wanted.map(|wanted| one(&downloader, wanted, version));
        let mut outcomes = downloads.buffered(self.parallelism.get());
        while let Some((remote, local, outcome)) = outcomes.next().await {
            let status = tally.count(&remote, outcome);
            let local = local.to_string_lossy().into_owned();
            progress.aside(|| table.row([remote.into(), local.into(), status.into()]))?;
        }
        table.finish()?;
        tally.outcome()
    }

    /// The files named, each by its last name in the directory, or a single one under the name given.
    fn files(&self) -> Result<BoxStream<'_, Wanted>, Error> {
        let out = Path::new(&self.out);
        if let [path] = self.paths.as_slice()
            && !out.is_dir()
            && !self.out.ends_with('/')
        {
            let target = match (out.parent(), out.file_name()) {
                (Some(dir), Some(name)) => Ok((dir.to_owned(), PathBuf::from(name))),
                _ => Err(Error::new("not a name for a file")),
            };
            return Ok(stream::iter([Wanted { remote: path.clone(), target }]).boxed());
        }
        if out.exists() && !out.is_dir() {
            return Err(Error::new("multiple files requested, but --out is not a directory"));
        }
        let mut taken = HashSet::new();
        let wanted = self.paths.iter().map(move |path| {
            let target = last_name(path).and_then(|name| match taken.insert(name.clone()) {
                true => Ok((out.to_owned(), name)),
                false => Err(Error::new("another file is called the same")),
            });
            Wanted { remote: path.clone(), target }
        });
        Ok(stream::iter(wanted).boxed())
    }

    /// All that is listed below the paths, while it is listed.
    fn trees<'a>(&'a self, site: &'a Site) -> impl Stream<Item = Wanted> + 'a {
        stream::iter(&self.paths).flat_map(move |path| tree(site, path, Path::new(&self.out)))
    }
}

/// What is listed at and below a path; if that is nothing, a failure, since there are no directories without files.
pub(super) fn tree<'a>(site: &'a Site, path: &'a str, out: &'a Path) -> BoxStream<'a, Wanted> {
    let failed = |e| Wanted { remote: path.to_owned(), target: Err(e) };
    let dir = match RemotePath::parse(&absolute(path)) {
        Ok(dir) => dir.to_string(),
        Err(error) => return stream::iter([failed(Error::because("not a path", error))]).boxed(),
    };
    let asked = if path.ends_with('/') && dir != "/" { format!("{dir}/") } else { dir.clone() };
    let listed = site.list(asked).map_ok(move |file| {
        let target = relative(&file.path, &dir).map(|below| (out.to_owned(), below));
        Wanted { remote: file.path, target }
    });
    let listed = listed.map(move |wanted| wanted.unwrap_or_else(failed));
    let mut any = false;
    let nothing = move || failed(Error::new("there are no such files"));
    let ended = listed.map(Some).chain(stream::once(async { None }));
    let told = ended.filter_map(move |wanted| {
        let wanted = wanted.or_else(|| (!any).then(&nothing));
        any = true;
        async { wanted }
    });
    told.boxed()
}

fn last_name(path: &str) -> Result<PathBuf, Error> {
    let path =
        RemotePath::parse_file(&absolute(path)).map_err(|e| Error::because("not a path of a file", e))?;
    Ok(path.name().into())
}

async fn one(
    downloader: &Downloader<'_>,
    wanted: Wanted,
    version: i64,
) -> (String, PathBuf, Result<(), Error>) {
    let (root, below) = match wanted.target {
        Ok(target) => target,
        Err(error) => return (wanted.remote, PathBuf::new(), Err(error)),
    };
    let local = root.join(&below);
    let outcome = match place(&root, &below) {
        Ok(place) => downloader.to_file(Wish { path: &wanted.remote, version }, &place).await,
        Err(error) => Err(error),
    };
    (wanted.remote, local, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn targets(out: &str, paths: &[&str]) -> Vec<Option<PathBuf>> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let get = Get { paths, out: out.into(), parallelism: parallelism(), recurse: false, version: None };
        let wanted = get.files().unwrap();
        wanted.map(|wanted| wanted.target.ok().map(|(root, below)| root.join(below))).collect().await
    }

    #[tokio::test]
    async fn c26_files_go_where_they_were_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("a/b");
        std::fs::create_dir_all(&nested).unwrap();
        let out = nested.to_str().unwrap();
        assert_eq!(targets(out, &["/x/y"]).await, [Some(nested.join("y"))]);
        assert_eq!(targets(&format!("{out}/z"), &["/x/y"]).await, [Some(nested.join("z"))]);
        assert_eq!(targets(&format!("{out}/z/"), &["/x/y"]).await, [Some(nested.join("z/y"))]);
        assert_eq!(
            targets(out, &["/x/y", "z", "/q/y", "/.."]).await,
            [Some(nested.join("y")), Some(nested.join("z")), None, None]
        );
    }
}
