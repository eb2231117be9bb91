//! Files that were opened lately, where the store can tell whether they changed since.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cacheroach_hash::hash;
use cacheroach_model::{File, Path, TenantId, Version};
use cacheroach_store::files::{Kept, PIECES_PAGE, Piece};
use cacheroach_store::stamps::Stamp;
use cacheroach_store::{Result, Store};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

/// What an entry is taken to have, to guess how many there will be; and what it has besides what is counted: a front end's
/// headers, too.
const USUAL_SIZE: u64 = 4 << 10;
const OVERHEAD: usize = 1024;

/// A file as it was found.
pub(crate) struct Found {
    pub(crate) file: File,
    /// Its first pieces, or none yet.
    pub(crate) pieces: Vec<Piece>,
    /// All of its bytes, verified, if they came with it.
    pub(crate) whole: Option<Bytes>,
    /// What a front end made of it.
    pub(crate) derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Found {
    pub(crate) fn new(file: File, pieces: Vec<Piece>) -> Self {
        let whole = match &pieces[..] {
            // A database says nothing of the bytes it keeps. What is not verified here is looked at when it is read.
            [Piece { at: 0, kept: Kept::Here(bytes), chunk, .. }]
                if bytes.len() as u64 == file.size && hash(bytes) == *chunk =>
            {
                Some(bytes.clone())
            }
            _ => None,
        };
        Found { file, pieces, whole, derived: OnceLock::new() }
    }

    /// Whether nothing of it is missing: a chunk that is missing may come back without a change to the file.
    fn is_whole(&self) -> bool {
        // None is missing between them, either.
        let end = self
            .pieces
            .iter()
            .try_fold(0, |end, piece| (piece.at == end).then_some(end + u64::from(piece.length)));
        let is_here = self.pieces.iter().any(|piece| matches!(piece.kept, Kept::Here(_)));
        let is_good = self.whole.is_some() || !is_here;
        is_good && end.is_some_and(|end| end == self.file.size || self.pieces.len() >= PIECES_PAGE)
    }

    fn weight(&self) -> usize {
        let described: usize =
            self.file.metadata.pairs().iter().map(|(key, value)| key.len() + value.len()).sum();
        // A piece shares its bytes with the whole.
        let pieces = self.pieces.len() * (size_of::<Piece>() + 32);
        let whole = self.whole.as_ref().map_or(0, Bytes::len);
        OVERHEAD
            + 2 * self.file.path.as_str().len()
            + 2 * self.file.content_type.len()
            + described
            + pieces
            + whole
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key(TenantId, Path);

/// The same, of somebody else's path.
#[derive(Hash)]
struct At<'a>(TenantId, &'a Path);

impl Equivalent<Key> for At<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && *self.1 == key.1
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, (Stamp, Arc<Found>)> for Weight {
    fn weight(&self, _: &Key, (_, found): &(Stamp, Arc<Found>)) -> u64 {
        found.weight() as u64
    }
}

/// A memory of opened files. It is exact: an entry counts only as long as the store says that its file is as it was.
pub(crate) struct Openings(Cache<Key, (Stamp, Arc<Found>), Weight>);

impl Openings {
    /// With so much memory at most.
    pub(crate) fn new(capacity_bytes: u64) -> Self {
        let items = usize::try_from(capacity_bytes / USUAL_SIZE).unwrap_or(usize::MAX).max(1);
        Openings(Cache::with_weighter(items, capacity_bytes, Weight))
    }

    /// Opens a file. One that hardly anybody will read comes without its bytes, unless they are remembered or will be.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(
        &self,
        store: &Store,
        tenant: TenantId,
        path: &Path,
        version: Option<Version>,
        unread: bool,
    ) -> Result<Option<Arc<Found>>> {
        // Before it is read: what changes meanwhile must count as a change.
        let stamp = version.is_none().then(|| store.metadata.stamp(tenant, path)).flatten();
        if let Some(stamp) = stamp
            && let Some((then, found)) = self.0.get(&At(tenant, path))
            && then == stamp
        {
            return Ok(Some(found));
        }
        if unread && stamp.is_none() {
            let file = store.metadata.find_file(tenant, path, version).await?;
            return Ok(file.map(|file| Arc::new(Found::new(file, Vec::new()))));
        }
        let Some((file, pieces)) = store.metadata.open_file(tenant, path, version).await? else {
            return Ok(None);
        };
        let found = Arc::new(Found::new(file, pieces));
        if let Some(stamp) = stamp.filter(|_| found.is_whole()) {
            self.0.insert(Key(tenant, path.clone()), (stamp, Arc::clone(&found)));
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use cacheroach_model::{Expected, Tenant};
    use cacheroach_store::files::NewFile;
    use cacheroach_store::{Location, Settings, Tier};
    use futures::TryStreamExt as _;

    use super::super::Content;
    use super::*;
    use crate::seams::Still;

    /// A store with a tenant, and nothing opened yet of a path.
    struct World {
        dir: tempfile::TempDir,
        store: Store,
        tenant: TenantId,
        openings: Openings,
        path: Path,
    }

    async fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(Location::Sqlite(dir.path().to_owned()), Tier::Memory);
        let store = cacheroach_store::open(&settings, Arc::new(Still)).await.unwrap();
        let tenant = tenant(&store, 1).await;
        World { dir, store, tenant, openings: Openings::new(1 << 20), path: Path::parse_file("/f").unwrap() }
    }

    async fn tenant(store: &Store, id: u8) -> TenantId {
        let new = Tenant { id: TenantId::new([id; 16]), label: "a tenant".into(), ..Tenant::default() };
        store.metadata.ensure_tenant(&new).await.unwrap().id
    }

    async fn put(store: &Store, tenant: TenantId, path: &Path, content: &str) {
        let content = Bytes::from(content.to_owned());
        let file = NewFile {
            tenant,
            path: path.clone(),
            hash: hash(&content),
            content_type: String::new(),
            metadata: cacheroach_model::Metadata::default(),
            expected: Expected::Anything,
        };
        store.metadata.put_file(&file, content).await.unwrap();
    }

    async fn read(openings: &Openings, store: &Store, tenant: TenantId, path: &Path) -> Option<String> {
        let found = openings.open(store, tenant, path, None, false).await.unwrap()?;
        Some(String::from_utf8(found.whole.as_ref().unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn p3_what_one_tenant_has_is_not_shown_to_another() {
        let World { dir: _dir, store, tenant: one, openings, path } = world().await;
        let other = tenant(&store, 2).await;
        put(&store, one, &path, "of one").await;
        for _ in 0..2 {
            assert_eq!(read(&openings, &store, one, &path).await.as_deref(), Some("of one"));
            assert_eq!(read(&openings, &store, other, &path).await, None);
        }
        let found = openings.open(&store, one, &path, None, false).await.unwrap().unwrap();
        let again = openings.open(&store, one, &path, None, false).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&found, &again), "it is remembered");
    }

    #[tokio::test]
    async fn p4_what_is_derived_of_a_file_is_made_once_and_anew_for_what_comes_after_it() {
        let World { dir: _dir, store, tenant, openings, path } = world().await;
        let made = AtomicU64::new(0);
        let size = |file: &File| {
            made.fetch_add(1, Ordering::SeqCst);
            file.size
        };
        for (content, times) in [("a", 1), ("bc", 2)] {
            put(&store, tenant, &path, content).await;
            for _ in 0..3 {
                let found = openings.open(&store, tenant, &path, None, false).await.unwrap().unwrap();
                let content = Content::new(store.clone(), tenant, found, None);
                assert_eq!(*content.derived(size), content.file().size);
                // Another front end's, which is not kept.
                assert_eq!(*content.derived(|file| file.path.to_string()), "/f");
            }
            assert_eq!(made.load(Ordering::SeqCst), times);
        }
    }

    #[tokio::test]
    async fn what_nobody_is_to_read_comes_alone_and_is_read_all_the_same() {
        let World { dir: _dir, store, tenant, openings, path } = world().await;
        put(&store, tenant, &path, "content").await;
        // Of a certain version nothing is remembered.
        let found = openings.open(&store, tenant, &path, Some(Version(1)), true).await.unwrap().unwrap();
        assert!(found.whole.is_none() && found.pieces.is_empty() && found.file.size == 7);
        let content = Content::new(store, tenant, found, None);
        assert_eq!(content.read(1..7).try_next().await.unwrap().unwrap(), "ontent");
    }

    /// One writes ever higher numbers, others delete elsewhere, and readers compare with what was acknowledged.
    #[tokio::test(flavor = "multi_thread")]
    async fn p4_what_is_shown_is_never_older_than_what_was_acknowledged() {
        let World { dir: _dir, store, tenant, openings, path } = world().await;
        put(&store, tenant, &path, "0").await;
        let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (remembered, mut reads) = (AtomicU64::new(0), 0);
        let write = async {
            for number in 1..300_u64 {
                put(&store, tenant, &path, &number.to_string()).await;
                acknowledged.store(number, Ordering::SeqCst);
                if number % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            over.store(true, Ordering::SeqCst);
        };
        let disturb = async {
            let elsewhere = Path::parse("/d/").unwrap();
            while !over.load(Ordering::SeqCst) {
                store.metadata.delete_files(tenant, &elsewhere, 10).await.unwrap();
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
        };
        let look = async {
            let mut last: Option<Arc<Found>> = None;
            while !over.load(Ordering::SeqCst) {
                let before = acknowledged.load(Ordering::SeqCst);
                let found = openings.open(&store, tenant, &path, None, false).await.unwrap().unwrap();
                let text = String::from_utf8(found.whole.as_ref().unwrap().to_vec()).unwrap();
                assert!(text.parse::<u64>().unwrap() >= before, "{text} after {before}");
                if last.replace(Arc::clone(&found)).is_some_and(|last| Arc::ptr_eq(&last, &found)) {
                    remembered.fetch_add(1, Ordering::SeqCst);
                }
                reads += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(write, disturb, look);
        assert!(remembered.load(Ordering::SeqCst) > 0 && reads > 300, "of {reads} reads none from memory");
    }

    /// What is damaged is looked at again each time: it may be healed without a new version.
    #[tokio::test]
    async fn p7_what_is_damaged_is_not_remembered() {
        let World { dir, store, tenant, openings, path } = world().await;
        put(&store, tenant, &path, "content").await;
        let database = rusqlite::Connection::open(dir.path().join("metadata.sqlite")).unwrap();
        let change =
            |bytes: &str| database.execute("UPDATE chunks SET data = ?", [bytes.as_bytes()]).unwrap();
        assert_eq!(change("c0ntent"), 1);
        let found = openings.open(&store, tenant, &path, None, false).await.unwrap().unwrap();
        assert!(found.whole.is_none());
        change("content");
        assert_eq!(read(&openings, &store, tenant, &path).await.as_deref(), Some("content"));
    }
}
