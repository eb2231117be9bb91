//! From URLs to a store: the one place that names all engines and tiers.

use std::path::PathBuf;
use std::sync::Arc;

use cacheroach_model::{Clock, Region};

use crate::chunks::Chunks;
use crate::chunks::disk::{Disk, DiskSettings};
use crate::chunks::memory::Memory;
use crate::sqlite::Sqlite;
use crate::{Error, Result, Store};

/// Where something is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A SQLite database in a folder, which must exist: `sqlite:DIR`.
    Sqlite(PathBuf),
    /// Pack files in a folder: `disk:DIR`.
    Disk(PathBuf),
    /// The memory of this process, for tests: `memory:`.
    Memory,
}

impl Location {
    /// From a URL.
    ///
    /// # Errors
    /// A scheme that this program has no engine for: which.
    pub fn parse(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", dir)) if !dir.is_empty() => Ok(Location::Sqlite(dir.into())),
            Some(("disk", dir)) if !dir.is_empty() => Ok(Location::Disk(dir.into())),
            Some(("memory", "")) => Ok(Location::Memory),
            Some((scheme, _)) => Err(scheme.to_owned()),
            None => Err(url.to_owned()),
        }
    }
}

/// Where a store is and how it is used.
///
/// [`Settings::new`] makes the usual ones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The metadata engine.
    pub metadata: Location,
    /// The chunk tier.
    pub chunks: Location,
    /// Of the pack files.
    pub disk: DiskSettings,
    /// Where this server is: new tenants are at home there unless they are told otherwise.
    pub region: Region,
}

impl Settings {
    /// With everything else as usual.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new(metadata: Location, chunks: Location) -> Self {
        let region = Region::parse("local").expect("lower-case letters");
        Settings { metadata, chunks, disk: DiskSettings::default(), region }
    }
}

/// Opens a store; makes or migrates what is missing.
///
/// # Errors
/// The engine's; a location that does not fit its purpose.
pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Store> {
    let Location::Sqlite(dir) = &settings.metadata else {
        return Err(Error::Failed("no metadata engine for this location".into()));
    };
    let metadata = Arc::new(Sqlite::open(dir, settings.region.clone(), clock)?);
    let chunks: Arc<dyn Chunks> = match &settings.chunks {
        Location::Disk(dir) => Arc::new(Disk::open(dir, settings.disk)?),
        Location::Memory => Arc::new(Memory::default()),
        Location::Sqlite(_) => return Err(Error::Failed("no chunk tier for this location".into())),
    };
    Ok(Store { metadata, chunks })
}
