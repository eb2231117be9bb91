//! `file`: contents in and out.

mod course;
mod cp;
mod describe;
mod download;
mod drop;
mod edit;
mod fetch;
mod get;
mod links;
mod ls;
mod mv;
mod put;
mod reading;
mod record;
mod restore;
mod rm;
mod sign;
mod sink;
mod source;
mod stat;
mod streaming;
mod sync;
mod target;
#[cfg(test)]
mod tests;
mod unlink;
mod upload;
mod versions;

use std::num::NonZeroUsize;

use cacheroach_api::file::files_client::FilesClient;
use cacheroach_api::file::{Cursor, ListRequest, Meta, StatRequest};
use cacheroach_model::TenantId;
use clap::{Args, Subcommand};
use futures::{Stream, TryStreamExt as _, future, stream};
use tonic::{Code, Response, Status};

use super::Context;
use crate::client::{Authorized, Client};
use crate::error::Error;
use crate::ids;
use crate::retry::insist;

/// Work with the files of a tenant.
#[derive(Args)]
pub(crate) struct File {
    /// Whose files [default: the default tenant, else that of the session].
    #[arg(short, long, global = true, value_name = "ID")]
    tenant: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Cp(cp::Cp),
    Drop(drop::Drop),
    Edit(edit::Edit),
    Fetch(fetch::Fetch),
    Get(get::Get),
    Links(links::Links),
    Ls(ls::Ls),
    Mv(mv::Mv),
    Put(put::Put),
    Restore(restore::Restore),
    Rm(rm::Rm),
    Sign(sign::Sign),
    Stat(stat::Stat),
    Sync(sync::Sync),
    Unlink(unlink::Unlink),
    Versions(versions::Versions),
}

impl File {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let site = || Site::open(context, self.tenant.as_deref());
        match self.command {
            // Wrong arguments are told before a server is asked for.
            Command::Cp(cp) => cp.check()?.run(context, &site().await?).await,
            Command::Drop(drop) => drop.run(context, &site().await?).await,
            Command::Edit(edit) => edit.run(context, &site().await?).await,
            Command::Fetch(fetch) => fetch.check()?.run(context, &site().await?).await,
            Command::Get(get) => get.run(context, &site().await?).await,
            Command::Links(links) => links.run(context, &site().await?).await,
            Command::Ls(ls) => ls.run(context, &site().await?).await,
            Command::Mv(mv) => mv.check()?.run(context, &site().await?).await,
            Command::Put(put) => put.check()?.run(context, &site().await?).await,
            Command::Restore(restore) => restore.run(context, &site().await?).await,
            Command::Rm(rm) => rm.run(context, &site().await?).await,
            Command::Sign(sign) => sign.run(context, &site().await?).await,
            Command::Stat(stat) => stat.run(context, &site().await?).await,
            Command::Sync(sync) => sync.check()?.run(context, &site().await?).await,
            Command::Unlink(unlink) => unlink.check()?.run(context, &site().await?).await,
            Command::Versions(versions) => versions.run(context, &site().await?).await,
        }
    }
}

/// The files of a tenant on a server.
struct Site {
    client: Client,
    tenant: TenantId,
}

impl Site {
    async fn open(context: &Context, tenant: Option<&str>) -> Result<Self, Error> {
        let config = context.config()?;
        let tenant = tenant.map(ids::parse::<TenantId>).transpose().map_err(Error::new)?;
        let tenant = config.tenant(tenant)?;
        Ok(Site { client: Client::connect(&config).await?, tenant })
    }

    /// Everything at and below a path, a page in memory at a time.
    fn list(&self, path: String) -> impl Stream<Item = Result<Meta, Error>> + '_ {
        let files = self.entries(ListRequest { path, ..Default::default() });
        files.try_filter_map(|entry| match entry {
            Entry::File(meta) => future::ok(Some(*meta)),
            Entry::Directory(_) => future::ok(None),
        })
    }

    /// What is asked for of the tenant, a page in memory at a time.
    fn entries(&self, request: ListRequest) -> impl Stream<Item = Result<Entry, Error>> + '_ {
        let first = ListRequest { tenant: Some(self.tenant.into()), ..request };
        let pages = stream::try_unfold(Some(first), move |next| async move {
            let Some(request) = next else { return Ok(None) };
            let page = insist(|| {
                let (mut files, request) = (self.client.files(), request.clone());
                async move { files.list(request).await }
            });
            let page = page.await?;
            let mut entries: Vec<_> = page.files.into_iter().map(Box::new).map(Entry::File).collect();
            if !page.prefixes.is_empty() {
                entries.extend(page.prefixes.into_iter().map(Entry::Directory));
                entries.sort_by(|one, other| one.path().cmp(other.path()));
            }
            let cursor = page.cursor.filter(|cursor: &Cursor| !cursor.after.is_empty());
            let next = cursor.map(|cursor| ListRequest { cursor: Some(cursor), ..request });
            Ok::<_, Error>(Some((stream::iter(entries.into_iter().map(Ok)), next)))
        });
        pages.try_flatten()
    }

    /// Asks what servers of old cannot answer. Only for what may be repeated.
    async fn ask<Q, A, F>(
        &self,
        request: &Q,
        call: impl Fn(FilesClient<Authorized>, Q) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        insist(|| call(self.client.files(), request.clone())).await.map_err(too_old)
    }

    /// Refuses a server of old: it would not notice what is asked for beyond what it knows, and do something else.
    async fn must_be_new(&self) -> Result<(), Error> {
        // No path is none of a file: servers that know of such a question refuse it.
        let no_file = StatRequest::default();
        let asked = self.ask(&no_file, |mut files, request| async move { files.stat(request).await });
        match asked.await {
            Err(Error::Rpc(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What there is in a listing.
enum Entry {
    /// A directory, with its last slash.
    Directory(String),
    /// A file.
    File(Box<Meta>),
}

impl Entry {
    fn path(&self) -> &str {
        match self {
            Entry::Directory(path) => path,
            Entry::File(meta) => &meta.path,
        }
    }
}

/// Servers of old say that they do not know the method.
fn too_old(error: Error) -> Error {
    match error {
        Error::Rpc(status) if status.code() == Code::Unimplemented => {
            Error::new("the server is too old for this")
        }
        error => error,
    }
}

/// What the current version must be, as servers understand it: with nothing there, this.
const NOTHING: i64 = -1;

/// A version of a file on the command line.
fn version() -> clap::builder::RangedI64ValueParser {
    clap::value_parser!(i64).range(1..)
}

/// How many files of a batch have failed.
#[derive(Default)]
struct Tally {
    files: usize,
    failed: usize,
    /// The last failure, and what may help.
    last: Option<(String, Option<String>)>,
}

impl Tally {
    /// Counts one, and tells its status.
    fn count(&mut self, name: &str, outcome: Result<(), Error>) -> String {
        self.files += 1;
        match outcome {
            Ok(()) => "OK".into(),
            Err(error) => {
                self.failed += 1;
                let status = error.text();
                self.last = Some((format!("{name}: {status}"), error.hint()));
                status
            }
        }
    }

    /// The last failure, if there was any.
    fn outcome(self) -> Result<(), Error> {
        let Some((last, hint)) = self.last else { return Ok(()) };
        let what = match self.files {
            1 => last,
            files => format!("{} of {files} files failed, the last: {last}", self.failed),
        };
        Err(Error::Batch { what, hint })
    }
}

/// The paths of files begin with a slash, given or not.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn parallelism() -> NonZeroUsize {
    const { NonZeroUsize::new(4).expect("four is not zero") }
}
