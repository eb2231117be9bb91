//! `file`: contents in and out.

mod download;
mod drop;
mod fetch;
mod get;
mod links;
mod ls;
mod put;
mod record;
mod rm;
mod sign;
mod source;
mod target;
#[cfg(test)]
mod tests;
mod unlink;
mod upload;

use std::num::NonZeroUsize;

use cacheroach_api::file::{Cursor, ListRequest, Meta};
use cacheroach_model::TenantId;
use clap::{Args, Subcommand};
use futures::{Stream, TryStreamExt as _, stream};

use super::Context;
use crate::client::Client;
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
    Drop(drop::Drop),
    Fetch(fetch::Fetch),
    Get(get::Get),
    Links(links::Links),
    Ls(ls::Ls),
    Put(put::Put),
    Rm(rm::Rm),
    Sign(sign::Sign),
    Unlink(unlink::Unlink),
}

impl File {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let site = || Site::open(context, self.tenant.as_deref());
        match self.command {
            Command::Drop(drop) => drop.run(context, &site().await?).await,
            Command::Fetch(fetch) => fetch.check()?.run(context, &site().await?).await,
            Command::Get(get) => get.run(context, &site().await?).await,
            Command::Links(links) => links.run(context, &site().await?).await,
            Command::Ls(ls) => ls.run(context, &site().await?).await,
            // Wrong arguments are told before a server is asked for.
            Command::Put(put) => put.check()?.run(context, &site().await?).await,
            Command::Rm(rm) => rm.run(context, &site().await?).await,
            Command::Sign(sign) => sign.run(context, &site().await?).await,
            Command::Unlink(unlink) => unlink.check()?.run(context, &site().await?).await,
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
        let start = Some((path, None::<Cursor>));
        let pages = stream::try_unfold(start, move |next| async move {
            let Some((path, cursor)) = next else { return Ok(None) };
            let request = ListRequest {
                tenant: Some(self.tenant.into()),
                path: path.clone(),
                cursor,
                ..Default::default()
            };
            let page = insist(|| {
                let (mut files, request) = (self.client.files(), request.clone());
                async move { files.list(request).await }
            });
            let page = page.await?;
            let next =
                page.cursor.filter(|cursor| !cursor.after.is_empty()).map(|cursor| (path, Some(cursor)));
            Ok::<_, Error>(Some((stream::iter(page.files.into_iter().map(Ok)), next)))
        });
        pages.try_flatten()
    }
}

/// How many files of a batch have failed.
#[derive(Default)]
struct Tally {
    files: usize,
    failed: usize,
    last: Option<String>,
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
                self.last = Some(format!("{name}: {status}"));
                status
            }
        }
    }

    /// The last failure, if there was any.
    fn outcome(self) -> Result<(), Error> {
        match self.last {
            None => Ok(()),
            Some(last) if self.files == 1 => Err(Error::new(last)),
            Some(last) => {
                Err(Error::new(format!("{} of {} files failed, the last: {last}", self.failed, self.files)))
            }
        }
    }
}

/// The paths of files begin with a slash, given or not.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn parallelism() -> NonZeroUsize {
    const { NonZeroUsize::new(4).expect("four is not zero") }
}
