//! From URLs to a store: the one place that names all engines and tiers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cacheroach_model::{Clock, Region, TenantId};
use tokio::task::spawn_blocking;

use crate::chunks::Chunks;
use crate::chunks::by_region::{ByRegion, Fallback, Homes};
use crate::chunks::cached::Cached;
use crate::chunks::db::{ChunkRows, Db};
use crate::chunks::disk::{Disk, DiskSettings};
use crate::chunks::disk_cache::{CacheKey, DiskCache};
use crate::chunks::memory::Memory;
use crate::chunks::object::{Object, ObjectSettings};
use crate::chunks::packed::{Compression, Packed};
use crate::chunks::verified::Verified;
use crate::postgres::{Connect, Postgres};
use crate::regions::local;
use crate::sqlite::Sqlite;
use crate::{Error, Metadata, Result, Store, Tier};

/// Where metadata is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A SQLite database in a folder, which must exist: `sqlite:DIR`.
    Sqlite(PathBuf),
    /// A PostgreSQL or CockroachDB database that servers share: `postgres://…`, or `key=value` pairs.
    Postgres(Box<Connect>),
}

impl Location {
    /// From a URL.
    ///
    /// # Errors
    /// A scheme that this program has no engine for, or what is wrong with the rest; without any secret of it.
    pub fn parse(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", dir)) if !dir.is_empty() => Ok(Location::Sqlite(dir.into())),
            Some(("postgres" | "postgresql", _)) => Location::postgres(url),
            _ if is_pairs(url) => Location::postgres(url),
            Some((scheme, _)) if is_scheme(scheme) => Err(format!("this release has no engine for {scheme}")),
            Some(_) => Err("neither a URL nor key=value pairs".into()),
            None => Err("neither a URL nor key=value pairs".into()),
        }
    }

    fn postgres(url: &str) -> Result<Self, String> {
        Connect::parse(url)
            .map(|connect| Location::Postgres(Box::new(connect)))
            .map_err(|error| error.to_string())
    }
}

/// Whether it may be shown: what is before a colon is a scheme or, mistyped, part of a connect string with its password.
fn is_scheme(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte);
    (1..=16).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether it is a connect string of `key=value` pairs.
fn is_pairs(text: &str) -> bool {
    let key = text.split_once('=').map_or("", |(key, _)| key.trim());
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Where a store is and how it is used.
///
/// [`Settings::new`] makes the usual ones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The metadata engine.
    pub metadata: Location,
    /// The chunk tier.
    pub chunks: Tier,
    /// Of the pack files.
    pub disk: DiskSettings,
    /// Of object stores.
    pub objects: ObjectSettings,
    /// Of chunks in the tier.
    pub compression: Compression,
    /// Before the chunk tier.
    pub cache: CacheSettings,
    /// Where this server is: new tenants are at home there unless they are told otherwise. None: where the node of
    /// CockroachDB is that it asks, and with another engine `local`.
    pub region: Option<Region>,
    /// Whether a database that servers share tells the time, as it should: tests shift a clock of their own.
    pub database_time: bool,
}

/// What is remembered of chunks that were read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheSettings {
    /// In memory at most; it is taken as it is needed. 0: nothing.
    pub memory_bytes: u64,
    /// Files of chunks are kept in this folder, which nothing else uses.
    pub dir: Option<PathBuf>,
    /// In the folder at most.
    pub disk_bytes: u64,
    /// Seals what is in the folder; none: it is plain.
    pub key: Option<CacheKey>,
}

impl CacheSettings {
    /// Nothing.
    pub const NONE: CacheSettings = CacheSettings { memory_bytes: 0, dir: None, disk_bytes: 0, key: None };

    /// In memory and in the folder.
    fn remembered_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.dir.as_ref().map_or(0, |_| self.disk_bytes))
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings { memory_bytes: 128 << 20, dir: None, disk_bytes: 1 << 30, key: None }
    }
}

impl Settings {
    /// With everything else as usual.
    #[must_use]
    pub fn new(metadata: Location, chunks: Tier) -> Self {
        Settings {
            metadata,
            chunks,
            disk: DiskSettings::default(),
            objects: ObjectSettings::default(),
            compression: Compression::None,
            cache: CacheSettings::default(),
            region: None,
            database_time: true,
        }
    }
}

/// Opens a store; makes or migrates what is missing.
///
/// # Errors
/// The engine's; a tier that can't be reached as it is described.
pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Store> {
    let region = settings.region.clone();
    let (metadata, rows): (Arc<dyn Metadata>, Arc<dyn ChunkRows>) = match &settings.metadata {
        Location::Sqlite(dir) => {
            let engine = Arc::new(Sqlite::open(dir, region.unwrap_or_else(local), clock)?);
            (Arc::clone(&engine) as _, engine)
        }
        // Servers that share a store go by the time of the database.
        Location::Postgres(connect) => {
            let clock = (!settings.database_time).then_some(clock);
            let mut engine = Postgres::open(connect, region, clock).await?;
            if settings.chunks.has_rows() {
                engine.read_ahead(settings.cache.remembered_bytes());
            }
            let engine = Arc::new(engine);
            (Arc::clone(&engine) as _, engine)
        }
    };
    let chunks = open_tier(&settings.chunks, settings, &metadata, &rows)?;
    let chunks = if settings.chunks.is_lasting() { before(chunks, &settings.cache).await? } else { chunks };
    Ok(Store { metadata, chunks })
}

/// Opens a store for reading alone, also beside a server that has it open. Nothing is made or migrated, and every chunk
/// comes from the tier itself.
///
/// # Errors
/// As [`open`]; there is no store.
pub async fn open_to_read(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Store> {
    let (metadata, rows): (Arc<dyn Metadata>, Arc<dyn ChunkRows>) = match &settings.metadata {
        Location::Sqlite(dir) => {
            let region = settings.region.clone().unwrap_or_else(local);
            let engine = Arc::new(Sqlite::open_to_read(dir, region, clock)?);
            (Arc::clone(&engine) as _, engine)
        }
        // What others write meanwhile is the database's to keep apart.
        Location::Postgres(connect) => {
            let clock = (!settings.database_time).then_some(clock);
            let engine = Arc::new(Postgres::open_to_read(connect, settings.region.clone(), clock).await?);
            (Arc::clone(&engine) as _, engine)
        }
    };
    if let Tier::Disk(dir) = &settings.chunks
        && !dir.is_dir()
    {
        return Err(Error::Failed(format!("there are no chunks in {}", dir.display()).into()));
    }
    let chunks = open_tier(&settings.chunks, settings, &metadata, &rows)?;
    Ok(Store { metadata, chunks })
}

/// A tier whose answers are true.
fn open_tier(
    tier: &Tier,
    settings: &Settings,
    metadata: &Arc<dyn Metadata>,
    rows: &Arc<dyn ChunkRows>,
) -> Result<Arc<dyn Chunks>> {
    let packed = |tier: Arc<dyn Chunks>| Arc::new(Packed::new(tier, settings.compression));
    Ok(match tier {
        // These two compare what they read themselves.
        Tier::Disk(dir) => packed(Arc::new(Disk::open(dir, settings.disk)?)),
        Tier::Memory => packed(Arc::new(Memory::default())),
        Tier::Db => Arc::new(Verified::new(packed(Arc::new(Db::new(Arc::clone(rows)))))),
        Tier::Object(address) => {
            let object = packed(Arc::new(Object::open(address, settings.objects)?));
            Arc::new(Verified::new(object))
        }
        Tier::Regions { tiers, default } => {
            let mut opened = BTreeMap::new();
            for (region, tier) in tiers {
                opened.insert(region.clone(), open_tier(tier, settings, metadata, rows)?);
            }
            let fallback = match (default, tiers.first()) {
                (Some(tier), _) => Fallback::Tier(open_tier(tier, settings, metadata, rows)?),
                (None, Some((first, _))) => Fallback::Region(first.clone()),
                (None, None) => return Err(Error::Failed("no chunk tier for any region".into())),
            };
            Arc::new(ByRegion::new(opened, fallback, Arc::new(Tenancy(Arc::clone(metadata))))?)
        }
    })
}

/// Puts caches before a tier: memory before disk before what is far away.
async fn before(chunks: Arc<dyn Chunks>, cache: &CacheSettings) -> Result<Arc<dyn Chunks>> {
    let mut chunks = chunks;
    if let Some(dir) = cache.dir.clone()
        && cache.disk_bytes > 0
    {
        let (inner, size, key) = (Arc::clone(&chunks), cache.disk_bytes, cache.key.clone());
        let opened = spawn_blocking(move || DiskCache::open(inner, &dir, size, key.as_ref())).await;
        match opened.map_err(|gone| Error::Failed(gone.into()))? {
            Ok(cached) => chunks = Arc::new(cached),
            // It only makes things faster.
            Err(error) => tracing::warn!(%error, "there is no disk cache: its folder can't be used"),
        }
    }
    if cache.memory_bytes > 0 {
        chunks = Arc::new(Cached::new(chunks, cache.memory_bytes));
    }
    Ok(chunks)
}

/// Tenants' regions, from their rows.
struct Tenancy(Arc<dyn Metadata>);

#[async_trait]
impl Homes for Tenancy {
    async fn home_of(&self, tenant: TenantId) -> Result<Option<Region>> {
        Ok(self.0.find_tenant(tenant).await?.and_then(|tenant| tenant.region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p13_a_mistyped_connect_string_is_not_shown() {
        for text in
            ["PASSWORD=hunter2hunter2 host=127.0.0.1:1", "hunter2hunter2 :x", "Hunter2hunter2:x", "hunter2=:"]
        {
            if let Err(problem) = Location::parse(text) {
                assert!(!problem.to_lowercase().contains("hunter2"), "{problem}");
            }
        }
        assert!(Location::parse("mysql://x").unwrap_err().contains("mysql"));
        assert!(Location::parse("sqlite:./x").is_ok());
    }
}
