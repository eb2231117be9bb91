//! What a case gets: an empty store, a clock to shift, and shorthands.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{
    Capabilities, Clock, Expected, Hash, Location, Metadata, Path, Pattern, Principal, PrincipalId, Region,
    Scope, Session, SessionId, Tenant, TenantId, Timestamp, UploadId, Version,
};
use cacheroach_store::chunks::disk_cache::CacheKey;
use cacheroach_store::chunks::faulty::{Faults, Faulty};
use cacheroach_store::chunks::packed::Compression;
use cacheroach_store::chunks::verified::Verified;
use cacheroach_store::chunks::{KeptChunk, NewChunk};
use cacheroach_store::files::{INLINE_SIZE, Kept, NewFile, Piece};
use cacheroach_store::sessions::Origin;
use cacheroach_store::uploads::{NewPiece, NewUpload, Step, Stepped};
use cacheroach_store::{CacheSettings, Location as Where, Settings, Store, Tier as At};
use cacheroach_testing::{Database, Server};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// What chunks are kept in.
#[derive(Clone, Copy)]
pub(crate) enum Tier {
    Disk,
    Memory,
    Db,
    /// An object store that is a folder.
    Folder,
    /// An object store that is a folder, with both caches before it, and compressed.
    Cached,
    /// Disk, in the end, under a tier that would fail if it were told to.
    Faulty,
    /// Where tenants are at home, the rest on disk; compressed.
    Regions,
    /// A real S3 server: its URL with a bucket, to which each subject adds a prefix of its own.
    S3,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Metadatabase {
    Sqlite,
    Postgres,
    Cockroach,
}

impl Tier {
    /// As the flag has it.
    fn flag(self, dir: &std::path::Path, id: &str) -> String {
        let dir = dir.display();
        match self {
            Tier::Disk | Tier::Faulty => format!("disk:{dir}/chunks"),
            Tier::Memory => "memory:".into(),
            Tier::Db => "db".into(),
            Tier::Folder | Tier::Cached => format!("file://{dir}/objects"),
            Tier::Regions => format!("local=db,elsewhere=file://{dir}/objects,default=disk:{dir}/chunks"),
            Tier::S3 => {
                let url = std::env::var(S3_URL).unwrap();
                let (bucket, query) = url.split_once('?').unwrap_or((&url, ""));
                format!("{bucket}/{id}?{query}")
            }
        }
    }
}

/// Says where a real S3 server is; the keys are in the usual variables.
pub(crate) const S3_URL: &str = "CACHEROACH_TEST_S3";

pub(crate) struct Subject {
    tier: Tier,
    dir: TempDir,
    engine: Metadatabase,
    /// On a server that cases share, each has one of its own.
    database: OnceCell<Database>,
    clock: Arc<Shifted>,
    store: Mutex<Option<Store>>,
    last: AtomicU64,
}

/// Stands still until it is told to go on.
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Hash::new(Sha256::digest(bytes).into())
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse_file(text).unwrap()
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// An empty database with the tables of today.
pub(crate) async fn migrated(server: &'static Server) -> Database {
    let migrate = async |url: String| {
        let settings = Settings::new(Where::parse(&url).unwrap(), At::Memory);
        let clock = Arc::new(Shifted(AtomicI64::new(0)));
        cacheroach_store::open(&settings, clock).await.unwrap();
    };
    server.migrated(migrate).await
}

impl Subject {
    pub(crate) fn new(engine: Metadatabase, tier: Tier) -> Self {
        let clock = Arc::new(Shifted(AtomicI64::new(1_700_000_000_000_000)));
        Subject {
            tier,
            dir: TempDir::new().unwrap(),
            engine,
            database: OnceCell::new(),
            clock,
            store: Mutex::new(None),
            last: AtomicU64::new(0),
        }
    }

    /// Opens the store, after closing it if it was open: only what is on disk survives that.
    pub(crate) async fn open(&self) {
        self.store.lock().unwrap().take();
        let dir = self.dir.path();
        // The name of the folder is random.
        let id = dir.file_name().unwrap().to_string_lossy().replace('.', "");
        let chunks = At::parse(&self.tier.flag(dir, &id)).unwrap();
        let cache = match self.tier {
            Tier::Cached => {
                let sealed = !matches!(self.engine, Metadatabase::Sqlite);
                let key = sealed.then(|| CacheKey::parse(&format!("{}=", "A".repeat(43))).unwrap());
                CacheSettings { dir: Some(dir.join("cache")), key, ..CacheSettings::default() }
            }
            _ => CacheSettings::NONE,
        };
        let metadata = self.metadata().await;
        // Whatever the database thinks where it is.
        let region = Some(Region::parse("local").unwrap());
        let compression = match self.tier {
            Tier::Cached | Tier::Regions => Compression::Zstd(1),
            _ => Compression::None,
        };
        let settings =
            Settings { cache, region, compression, database_time: false, ..Settings::new(metadata, chunks) };
        let mut store =
            cacheroach_store::open(&settings, Arc::clone(&self.clock) as Arc<dyn Clock>).await.unwrap();
        if matches!(self.tier, Tier::Faulty) {
            store.chunks = Arc::new(Verified::new(Arc::new(Faulty::new(store.chunks, Faults::none()))));
        }
        *self.store.lock().unwrap() = Some(store);
    }

    /// An empty store of the same kind beside this one.
    pub(crate) async fn another(&self) -> Subject {
        let other = Subject::new(self.engine, self.tier);
        other.open().await;
        other
    }

    async fn metadata(&self) -> Where {
        let server = match self.engine {
            Metadatabase::Sqlite => return Where::Sqlite(self.dir.path().to_owned()),
            Metadatabase::Postgres => Server::postgres(),
            Metadatabase::Cockroach => Server::cockroach(),
        };
        let database = self.database.get_or_init(|| migrated(server)).await;
        Where::parse(&database.url()).unwrap()
    }

    /// Whether larger chunks survive a restart.
    pub(crate) fn keeps_chunks(&self) -> bool {
        !matches!(self.tier, Tier::Memory)
    }

    pub(crate) fn store(&self) -> Store {
        self.store.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Never the same twice, always the same in the next run.
    pub(crate) fn id(&self) -> [u8; 16] {
        let mut id = [7; 16];
        id[8..].copy_from_slice(&self.last.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        id
    }

    pub(crate) async fn tenant(&self) -> TenantId {
        let tenant = Tenant {
            id: TenantId::new(self.id()),
            label: "a tenant".into(),
            version: 0,
            ..Default::default()
        };
        self.store().metadata.ensure_tenant(&tenant).await.unwrap().id
    }

    pub(crate) async fn principal(&self, email: Option<&str>, domain: Option<&str>) -> PrincipalId {
        let principal = Principal {
            id: PrincipalId::new(self.id()),
            label: "a principal".into(),
            version: 0,
            claims: Some("{}".into()),
            email: email.map(Into::into),
            email_domain: domain.map(Into::into),
        };
        self.store().metadata.ensure_principal(&principal).await.unwrap().id
    }

    pub(crate) fn session(&self, principal: PrincipalId, tenant: TenantId, name: &str) -> Session {
        Session {
            id: Some(SessionId::new(self.id())),
            principal: Some(principal),
            capabilities: Capabilities::READ | Capabilities::DELEGATE,
            scope: Some(Scope::Location(Location { tenant, pattern: Pattern::everything(), version: None })),
            expires_at: Some(self.now().after(HOUR)),
            name: name.into(),
            note: "a note".into(),
        }
    }

    pub(crate) async fn add_session(
        &self,
        principal: PrincipalId,
        tenant: TenantId,
        name: &str,
    ) -> SessionId {
        let session = self.session(principal, tenant, name);
        self.store().metadata.add_session(&session, Origin::default()).await.unwrap();
        session.id.unwrap()
    }

    pub(crate) fn file(&self, tenant: TenantId, at: &str, content: &[u8]) -> NewFile {
        NewFile {
            tenant,
            path: path(at),
            hash: hash(content),
            content_type: "text/x".into(),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        }
    }

    pub(crate) async fn put(&self, tenant: TenantId, at: &str, content: &[u8]) -> Version {
        let file = self.file(tenant, at, content);
        self.store().metadata.put_file(&file, Bytes::copy_from_slice(content)).await.unwrap()
    }

    pub(crate) async fn begin(&self, tenant: TenantId, at: &str) -> UploadId {
        let new = NewUpload { id: UploadId::new(self.id()), tenant, path: path(at), timeout: HOUR };
        self.store().metadata.begin_upload(&new).await.unwrap().id
    }

    /// The steps before an advance: leases, and the bytes where they are needed.
    pub(crate) async fn keep(&self, tenant: TenantId, upload: UploadId, chunks: &[&[u8]]) -> Vec<NewPiece> {
        let store = self.store();
        let names: Vec<_> =
            chunks.iter().map(|bytes| (hash(bytes), u32::try_from(bytes.len()).unwrap())).collect();
        let leases = store.metadata.lease_chunks(upload, &names).await.unwrap();
        let mut pieces = Vec::new();
        for ((bytes, (chunk, length)), lease) in chunks.iter().zip(names).zip(leases) {
            let bytes = Bytes::copy_from_slice(bytes);
            let kept = if !lease.needs_bytes {
                None
            } else if bytes.len() <= INLINE_SIZE {
                Some(Kept::Here(bytes))
            } else {
                let new =
                    NewChunk { tenant, hash: chunk, generation: lease.generation, bytes, checksum: None };
                Some(Kept::At(store.chunks.write(vec![new]).await.unwrap().remove(0)))
            };
            pieces.push(NewPiece { chunk, length, wrote: kept.map(|kept| (lease.generation, kept)) });
        }
        pieces
    }

    pub(crate) async fn append(
        &self,
        tenant: TenantId,
        upload: UploadId,
        from: u64,
        chunks: &[&[u8]],
    ) -> Stepped {
        let step = Step { pieces: self.keep(tenant, upload, chunks).await, ..Step::default() };
        self.store().metadata.advance_upload(upload, from, &step).await.unwrap()
    }

    /// A whole upload of these chunks.
    pub(crate) async fn upload(&self, tenant: TenantId, at: &str, chunks: &[&[u8]]) -> Version {
        let upload = self.begin(tenant, at).await;
        self.append(tenant, upload, 0, chunks).await;
        let content = chunks.concat();
        let file = self.file(tenant, at, &content);
        self.store().metadata.commit_upload(upload, content.len() as u64, &file).await.unwrap()
    }

    pub(crate) async fn bytes_of(&self, tenant: TenantId, piece: &Piece) -> Bytes {
        match &piece.kept {
            Kept::Here(bytes) => bytes.clone(),
            Kept::At(place) => {
                let chunk =
                    KeptChunk { tenant, hash: piece.chunk, length: piece.length, place: place.clone() };
                self.store().chunks.read(&chunk).await.unwrap()
            }
        }
    }

    /// The whole content of a file, if there is one, with every piece checked to follow the one before.
    pub(crate) async fn read(&self, tenant: TenantId, at: &str, version: Option<Version>) -> Option<Vec<u8>> {
        let (file, mut pieces) =
            self.store().metadata.open_file(tenant, &path(at), version).await.unwrap()?;
        let mut content = Vec::new();
        while !pieces.is_empty() {
            for piece in &pieces {
                assert_eq!(piece.at, content.len() as u64, "a hole");
                let bytes = self.bytes_of(tenant, piece).await;
                assert_eq!(hash(&bytes), piece.chunk);
                content.extend_from_slice(&bytes);
            }
            if content.len() as u64 >= file.size {
                break;
            }
            let next = content.len() as u64;
            pieces =
                self.store().metadata.list_pieces(tenant, file.rope.unwrap(), next..file.size).await.unwrap();
        }
        assert_eq!(content.len() as u64, file.size);
        assert_eq!(hash(&content), file.hash);
        Some(content)
    }
}
