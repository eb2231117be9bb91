//! Where a store is: what the server and the commands that look after a store share.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cacheroach_model::Region;
use cacheroach_store::chunks::disk::DiskSettings;
use cacheroach_store::{Location, Settings, Store};
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
    /// Metadata engine: sqlite:DIR. Default: SQLite in the data folder.
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// Chunk tier: disk:DIR, or memory: for trials. Default: pack files in the data folder.
    #[arg(long, value_name = "URL")]
    chunks: Option<String>,
    /// Chunk writes and reads at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    chunk_concurrency: u16,
    /// Where this server is: new tenants are at home there unless they are told otherwise.
    #[arg(long, value_name = "NAME", default_value = "local")]
    region: Region,
}

impl Place {
    /// Opens the store; makes or migrates what is missing.
    pub(crate) async fn open(&self) -> Result<Store, Error> {
        let settings = self.settings()?;
        if let Location::Sqlite(dir) = &settings.metadata {
            make_private_dir(dir)?;
        }
        cacheroach_store::open(&settings, Arc::new(SystemClock))
            .await
            .map_err(|e| Error::because("cannot open the store", e))
    }

    fn settings(&self) -> Result<Settings, Error> {
        let locate = |flag: &str, url: &Option<String>, default: Location| match url {
            None => Ok(default),
            Some(url) => Location::parse(url)
                .map_err(|scheme| Error::new(format!("{flag}: this release has no engine for {scheme}"))),
        };
        let metadata = locate("--connect", &self.connect, Location::Sqlite(self.data_dir.clone()))?;
        let chunks = locate("--chunks", &self.chunks, Location::Disk(self.data_dir.join("chunks")))?;
        let disk = DiskSettings { concurrency: self.chunk_concurrency.into(), ..DiskSettings::default() };
        Ok(Settings { disk, region: self.region.clone(), ..Settings::new(metadata, chunks) })
    }
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
