//! `store purge`, and how the purge is set up.

use std::time::Duration;

use cacheroach_api::store::PurgeResponse;
use cacheroach_model::{Clock as _, Retention};
use cacheroach_service::{PurgeSettings, purge_all};
use cacheroach_store::purge::Limits;
use clap::Args;

use super::super::Context;
use super::super::beside::Beside;
use super::super::bootstrap::{decode_key, mint};
use super::super::start::ADDRESS_FILE;
use super::place::Place;
use crate::client::{Client, authority, server};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::duration;
use crate::error::Error;
use crate::output::{Cell, facts};
use crate::random::SystemRandom;

/// What is kept, and for how long.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct PurgeFlags {
    /// How long deleted files are kept; 0: for ever [default: 168h].
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    purge_duration: Option<Duration>,
    /// Rows in one step of the purge at most; 0: nothing is ever purged.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(..=100_000))]
    purge_limit: u32,
    /// How many versions of a file are kept, its current one among them; 0: all. Tenants may have a rule of their own.
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_versions: u32,
    /// How long versions are kept after they were overwritten; 0: for ever. Tenants may have a rule of their own.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::parse)]
    keep_versions_for: Duration,
    /// Bytes in the chunk tier that nothing refers to are left over when they are as old as this: as long as a backup of the
    /// database that knows them may still be put back.
    #[arg(long, value_name = "DURATION", default_value = "168h", value_parser = duration::parse)]
    left_after: Duration,
}

impl PurgeFlags {
    pub(crate) fn settings(&self) -> PurgeSettings {
        let usual = PurgeSettings::default().limits.deleted_for;
        let deleted_for = self.purge_duration.or(usual).filter(|length| !length.is_zero());
        let retention = Retention { versions: Some(self.keep_versions), age: Some(self.keep_versions_for) };
        let batch = usize::try_from(self.purge_limit).unwrap_or(usize::MAX);
        PurgeSettings {
            limits: Limits { deleted_for, retention },
            batch,
            left_after: self.left_after,
            ..PurgeSettings::default()
        }
    }
}

/// Purge a store to the end: all that is past its time, and the bytes that nothing needs any more.
///
/// If a server has the embedded store open, it is asked to do so, with its own settings and the key in the data folder.
#[derive(Args)]
pub(crate) struct Purge {
    /// Not when the server finds the time, but now.
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    flags: PurgeFlags,
}

impl Purge {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        if !self.now {
            return Err(Error::new("servers purge by themselves; --now purges now"));
        }
        if self.flags.purge_duration.is_none() && self.place.is_shared()? {
            let problem = "servers that share a store may keep deleted files for longer: say --purgeDuration as they have it";
            return Err(Error::new(problem));
        }
        let gone: PurgeResponse = match self.place.open().await {
            Ok(store) => {
                let settings = self.flags.settings();
                if settings.batch == 0 {
                    return Err(Error::new("--purgeLimit 0: nothing is ever purged"));
                }
                let gone = purge_all(&store, &SystemRandom, &settings).await;
                gone.map_err(|e| Error::because("cannot purge the store", e))?
            }
            // Most likely because a server has it open, which says where it listens.
            Err(_) if self.place.data_dir.join(ADDRESS_FILE).exists() => self.ask(context).await?,
            Err(error) => return Err(error),
        };
        show(context, &gone)
    }

    /// The server that has the store open.
    async fn ask(&self, context: &Context) -> Result<PurgeResponse, Error> {
        let beside = Beside { data_dir: self.place.data_dir.clone() };
        let (url, insecure) = server(&beside.address().await?)?;
        let mut config = context.config()?;
        // A server with a key of its own knows the session that is configured.
        if let Ok(key) = beside.key() {
            let token = mint(&decode_key(&key)?, SystemClock.now().seconds())?;
            config = Config { host: authority(&url)?, insecure, token, ..config };
        }
        let client = Client::connect(&config).await?;
        Ok(client.stores().purge(()).await?.into_inner())
    }
}

fn show(context: &Context, gone: &PurgeResponse) -> Result<(), Error> {
    let count = |count: u64| Cell::new(count.to_string(), count.into());
    let rows = vec![
        ("Sessions", count(gone.sessions)),
        ("Links", count(gone.links)),
        ("Uploads", count(gone.uploads)),
        ("Tenants", count(gone.tenants)),
        ("Deleted", count(gone.deleted)),
        ("Overwritten", count(gone.overwritten)),
        ("Ropes", count(gone.ropes)),
        ("Chunks", count(gone.chunks)),
        ("Bytes", count(gone.bytes)),
        ("Left", count(gone.left)),
        ("Left bytes", count(gone.left_bytes)),
        ("Failed", count(gone.failed)),
    ];
    facts(context.format, rows)?;
    match gone.failed {
        0 => Ok(()),
        failed => Err(Error::new(format!("{failed} chunks could not be erased; the next purge tries again"))),
    }
}
