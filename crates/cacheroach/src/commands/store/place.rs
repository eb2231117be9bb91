//! Where a store is: what the server and the commands that look after a store share.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cacheroach_model::Region;
use cacheroach_store::chunks::disk::DiskSettings;
use cacheroach_store::chunks::object::ObjectSettings;
use cacheroach_store::chunks::packed::Compression;
use cacheroach_store::{CacheSettings, Location, Settings, Store, Tier};
use clap::Args;

use crate::clock::SystemClock;
use crate::error::Error;

/// Where the embedded store is unless somebody says otherwise.
pub(crate) const DATA_DIR: &str = "./cacheroach-data";

/// Where a store is.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct Place {
    /// Folder of the embedded store, its key and its address.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// Metadata engine: postgres://… (PostgreSQL or CockroachDB, which servers share), or sqlite:DIR. Default: SQLite in
    /// the data folder.
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// Chunk tier: disk:DIR, db (rows beside the metadata), s3://BUCKET/PREFIX, gs://…, az://…, file:///DIR, or one for
    /// each region (eu=s3://a,us=gs://b,default=db); keys come from the environment. Default: pack files in the data
    /// folder, or with a database that servers share, db.
    #[arg(long, value_name = "URL")]
    chunks: Option<String>,
    /// Chunk writes and reads at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    chunk_concurrency: u16,
    /// How chunks above 64 KiB are compressed where that pays: none, zstd, or zstd:LEVEL (1 fast, 19 small). What was stored
    /// in another way stays readable.
    #[arg(long, value_name = "HOW", default_value = "zstd")]
    compression: Compression,
    /// Where this server is: new tenants are at home there unless they are told otherwise. Default: the region of the
    /// CockroachDB node that it asks, and with another database local.
    #[arg(long, value_name = "NAME")]
    region: Option<Region>,
}

impl Place {
    /// Opens the store; makes or migrates what is missing. Every chunk comes from the tier itself.
    pub(crate) async fn open(&self) -> Result<Store, Error> {
        self.open_cached(CacheSettings::NONE).await
    }

    /// The same with caches before the chunk tier.
    pub(crate) async fn open_cached(&self, cache: CacheSettings) -> Result<Store, Error> {
        open(&Settings { cache, ..self.settings()? }).await
    }

    /// Opens the store to read, also beside a server that has it open; it must be there.
    pub(crate) async fn open_to_read(&self) -> Result<Store, Error> {
        open_to_read(&self.settings()?).await
    }

    /// Whether other servers may use the same store.
    pub(crate) fn is_shared(&self) -> Result<bool, Error> {
        Ok(matches!(self.settings()?.metadata, Location::Postgres(_)))
    }

    fn settings(&self) -> Result<Settings, Error> {
        let metadata = match &self.connect {
            None => Location::Sqlite(self.data_dir.clone()),
            Some(url) => locate("--connect", url)?,
        };
        let chunks = match &self.chunks {
            Some(text) => tier("--chunks", text)?,
            None => self.usual_tier(&metadata),
        };
        let concurrency = self.chunk_concurrency.into();
        Ok(Settings {
            disk: DiskSettings { concurrency, ..DiskSettings::default() },
            objects: ObjectSettings { concurrency, ..ObjectSettings::default() },
            region: self.region.clone(),
            compression: self.compression,
            ..Settings::new(metadata, chunks)
        })
    }

    /// Bytes go where the metadata goes: beside it in the folder, or beside it in the database.
    fn usual_tier(&self, metadata: &Location) -> Tier {
        match metadata {
            Location::Sqlite(_) => Tier::Disk(self.data_dir.join("chunks")),
            Location::Postgres(_) => Tier::Db,
        }
    }
}

/// Opens a store; makes or migrates what is missing.
pub(super) async fn open(settings: &Settings) -> Result<Store, Error> {
    if let Location::Sqlite(dir) = &settings.metadata {
        make_private_dir(dir)?;
    }
    cacheroach_store::open(settings, Arc::new(SystemClock))
        .await
        .map_err(|e| Error::because("cannot open the store", e))
}

/// Opens a store to read.
pub(super) async fn open_to_read(settings: &Settings) -> Result<Store, Error> {
    cacheroach_store::open_to_read(settings, Arc::new(SystemClock))
        .await
        .map_err(|e| Error::because("cannot open the store", e))
}

/// The metadata engine that a flag names.
pub(super) fn locate(flag: &str, url: &str) -> Result<Location, Error> {
    Location::parse(url).map_err(|problem| Error::new(format!("{flag}: {problem}")))
}

/// The chunk tier that a flag names.
pub(super) fn tier(flag: &str, text: &str) -> Result<Tier, Error> {
    Tier::parse(text).map_err(|problem| Error::because(flag, problem))
}

/// Makes a folder and those above it that are missing, and sees to it that they survive the loss of power.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), Error> {
    let make = |dir: &Path| {
        DirBuilder::new().mode(0o700).create(dir)?;
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()
    };
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    for dir in missing.iter().rev() {
        make(dir).map_err(|e| Error::because(format!("cannot make the folder {}", dir.display()), e))?;
    }
    Ok(())
}
