//! Whether a store that grows stays as fast: what files and chunks cost to add, a page to list and a batch to purge, at
//! each tenth of the way. The engine is measured by itself, without the bytes of chunks and without HTTP.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Expected, Hash, Path, Retention, Tenant, TenantId, UploadId};
use cacheroach_store::chunks::Place;
use cacheroach_store::files::{Kept, Listing, Moment, NewFile};
use cacheroach_store::purge::{Kind, Limits};
use cacheroach_store::uploads::{NewPiece, NewUpload, Step};
use cacheroach_store::{Location, Settings, Store, Tier};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::Result;
use crate::clock::SystemClock;
use crate::servers::{self, cpu_of};

pub(crate) const HELP: &str = "\
Whether a store that grows stays as fast.

Usage: cargo xtask bench growth [--connect URL] [--files N] [--chunks N]

  --connect URL  the metadata engine (default: SQLite in a folder of its own)
  --files N      small files to load (default 1000000)
  --chunks N     chunks to load, in files of 16 (default 200000)

CPU is that of this process, which is the engine when it is SQLite; otherwise also of every process called postgres.
";

/// How many writes are under way at once.
const AT_ONCE: usize = 64;
const PIECES: u64 = 16;
const STEPS: u64 = 10;
const PAGE: usize = 1000;
/// Rows of each kind that a batch of the purge takes.
const BATCH: usize = 1000;
/// How many batches' worth of versions are overwritten before one of them is purged: the rest waits, more of it each time.
const OVERWRITTEN: u64 = 2;
/// How many pages are listed for one figure.
const PAGES: u64 = 20;
/// Names in a directory.
const NAMES: u64 = 1000;

/// What to load, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    connect: Option<String>,
    files: u64,
    chunks: u64,
}

impl Options {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self { connect: None, files: 1_000_000, chunks: 200_000 };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            if matches!(flag.as_str(), "-h" | "--help" | "help") {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value, see --help"))?;
            match flag.as_str() {
                "--connect" => options.connect = Some(value),
                "--files" => options.files = value.parse()?,
                "--chunks" => options.chunks = value.parse()?,
                _ => return Err(format!("unknown argument {flag}, see --help").into()),
            }
        }
        Ok(Some(options))
    }
}

/// A store that is being filled.
struct Growth {
    store: Store,
    tenant: TenantId,
    /// Whether there are processes of a database.
    is_served: bool,
    /// Never the same twice within a run.
    last: AtomicU64,
}

/// What some operations cost, each.
struct Cost {
    wall: Duration,
    cpu: Duration,
    operations: u64,
}

impl Cost {
    fn shown(&self) -> String {
        let each = |length: Duration| length.as_secs_f64() * 1e6 / self.operations.max(1) as f64;
        format!("{:>9.1} {:>9.1}", each(self.wall), each(self.cpu))
    }
}

/// Different for each number, and alike in nothing else.
fn hash(number: u64) -> Hash {
    let mut bytes = [0; 32];
    let mut z = number;
    for part in bytes.chunks_exact_mut(8) {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        part.copy_from_slice(&(mixed ^ (mixed >> 27)).to_be_bytes());
    }
    Hash::new(bytes)
}

impl Growth {
    async fn open(options: &Options, dir: PathBuf) -> Result<Self> {
        let metadata = match &options.connect {
            Some(url) => Location::parse(url)?,
            None => Location::Sqlite(dir),
        };
        let is_served = matches!(metadata, Location::Postgres(_));
        let settings = Settings::new(metadata, Tier::Memory);
        let store = cacheroach_store::open(&settings, Arc::new(SystemClock)).await?;
        let tenant = Tenant {
            id: TenantId::random(hash(u64::from(std::process::id())).as_bytes()[..16].try_into()?),
            label: "growth".into(),
            ..Default::default()
        };
        let tenant = store.metadata.ensure_tenant(&tenant).await?.id;
        Ok(Growth { store, tenant, is_served, last: AtomicU64::new(0) })
    }

    /// Of this process and of the database's, if there are any.
    fn cpu(&self) -> Result<Duration> {
        let mut sum = cpu_of(std::process::id())?;
        if self.is_served {
            for process in servers::processes_called("postgres")? {
                // One that ended meanwhile costs nothing from now on.
                sum += cpu_of(process).unwrap_or_default();
            }
        }
        Ok(sum)
    }

    async fn cost(&self, operations: u64, work: impl Future<Output = Result<()>>) -> Result<Cost> {
        let (cpu, begun) = (self.cpu()?, Instant::now());
        work.await?;
        Ok(Cost { wall: begun.elapsed(), cpu: self.cpu()?.saturating_sub(cpu), operations })
    }

    fn file(&self, path: &str, hash: Hash) -> Result<NewFile> {
        Ok(NewFile {
            tenant: self.tenant,
            path: Path::parse_file(path)?,
            hash,
            content_type: "application/octet-stream".into(),
            metadata: Default::default(),
            expected: Expected::Anything,
        })
    }

    /// Where a small file is: directories of a thousand, filled in no order.
    fn name(index: u64) -> String {
        let scattered = index.wrapping_mul(7_919) % 1_000_003;
        format!("/d{:05}/f{:03}-{index}", scattered / NAMES, scattered % NAMES)
    }

    /// For the first time, or over what is there.
    async fn put(&self, index: u64, time: u64) -> Result<()> {
        let content = Bytes::from(format!("the content of file {index}, {time}"));
        let file = self.file(&Self::name(index), hash(index | time << 40))?;
        self.store.metadata.put_file(&file, content).await?;
        Ok(())
    }

    /// A file of many chunks, without their bytes.
    async fn upload(&self, index: u64) -> Result<()> {
        let metadata = &self.store.metadata;
        let id = UploadId::random(hash(index ^ 1 << 63).as_bytes()[..16].try_into()?);
        let path = Path::parse_file(&format!("/large/{index}"))?;
        let timeout = Duration::from_secs(3600);
        metadata.begin_upload(&NewUpload { id, tenant: self.tenant, path, timeout }).await?;
        let length = u32::try_from(CHUNK_SIZE)?;
        let names: Vec<_> =
            (0..PIECES).map(|piece| (hash((index * PIECES + piece) | 1 << 62), length)).collect();
        let leases = metadata.lease_chunks(id, &names).await?;
        let place = || Place(self.last.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec());
        let pieces = names.iter().zip(leases).map(|((chunk, length), lease)| NewPiece {
            chunk: *chunk,
            length: *length,
            wrote: lease.needs_bytes.then(|| (lease.generation, Kept::At(place()))),
        });
        let step = Step { pieces: pieces.collect(), ..Step::default() };
        metadata.advance_upload(id, 0, &step).await?;
        let file = self.file(&format!("/large/{index}"), hash(index | 1 << 61))?;
        metadata.commit_upload(id, PIECES * u64::from(length), &file).await?;
        Ok(())
    }

    /// A batch of old versions with all that goes with them: their ropes, and the chunks of those.
    async fn purge(&self) -> Result<()> {
        let purge = &self.store.metadata;
        let retention = Retention { versions: Some(1), age: None };
        let limits = Limits { deleted_for: None, retention };
        if purge.remove(Kind::Overwritten, &limits, BATCH).await?.rows == 0 {
            return Err("nothing to purge: that measures nothing".into());
        }
        purge.remove(Kind::Ropes, &limits, BATCH).await?;
        let condemned = purge.condemn(Hash::EMPTY, Duration::from_secs(3600), BATCH).await?;
        purge.drop_chunks(&condemned.chunks).await?;
        Ok(())
    }

    /// Pages from places all over the tenant.
    async fn list(&self, files: u64) -> Result<()> {
        for page in 0..PAGES {
            let listing = Listing {
                tenant: self.tenant,
                exactly: None,
                below: Some(Path::parse("/")?),
                after: Some(Path::parse_file(&Self::name(page * files.max(PAGES) / PAGES))?),
                at: Moment::Now,
                limit: PAGE,
            };
            self.store.metadata.list_files(&listing).await?;
        }
        Ok(())
    }
}

async fn many<F: Future<Output = Result<()>>>(
    indexes: std::ops::Range<u64>,
    work: impl Fn(u64) -> F,
) -> Result<()> {
    stream::iter(indexes.map(work)).buffer_unordered(AT_ONCE).try_collect().await
}

/// Loads, measures and prints.
pub(crate) async fn run(options: Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growth = Growth::open(&options, dir.path().to_owned()).await?;
    println!("microseconds each, wall and CPU\n");
    println!(
        "{:>9} {:>19} {:>9} {:>19} {:>19} {:>19}",
        "files", "put", "chunks", "add a chunk", "list 1,000", "purge 1,000"
    );
    let (files, uploads) = (options.files / STEPS, options.chunks / PIECES / STEPS);
    for step in 0..STEPS {
        let range = step * files..(step + 1) * files;
        let put = growth.cost(files, many(range, |index| growth.put(index, 0))).await?;
        let range = step * uploads..(step + 1) * uploads;
        let chunks = growth.cost(uploads * PIECES, many(range, |index| growth.upload(index))).await?;
        let list = growth.cost(PAGES, growth.list((step + 1) * files)).await?;
        let over = (OVERWRITTEN * BATCH as u64).min(files);
        let range = step * files..step * files + over;
        many(range, |index| growth.put(index, 1)).await?;
        let purge = growth.cost(1, growth.purge()).await?;
        println!(
            "{:>9} {} {:>9} {} {} {}",
            (step + 1) * files,
            put.shown(),
            (step + 1) * uploads * PIECES,
            chunks.shown(),
            list.shown(),
            purge.shown()
        );
    }
    Ok(())
}
