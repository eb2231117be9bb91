//! The wrappers: what each adds to the tier inside, and what the worst tier does to it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Clock, Hash, Region, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::by_region::{ByRegion, Fallback, Homes, region_of};
use super::cached::Cached;
use super::db::Db;
use super::faulty::{Call, Fault, Faults, Faulty};
use super::memory::Memory;
use super::object::{Address, Object, ObjectSettings};
use super::verified::Verified;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::sqlite::Sqlite;
use crate::{Error, Result};

fn chunk(tenant: TenantId, number: u8) -> NewChunk {
    let bytes = Bytes::from(vec![number; 100_000]);
    let hash = Hash::new(Sha256::digest(&bytes).into());
    NewChunk { tenant, hash, generation: 1, bytes, checksum: None }
}

pub(super) async fn put(tier: &dyn Chunks, number: u8) -> Result<KeptChunk> {
    put_of(tier, TenantId::SCRATCHPAD, number).await
}

pub(super) async fn put_of(tier: &dyn Chunks, tenant: TenantId, number: u8) -> Result<KeptChunk> {
    let new = chunk(tenant, number);
    let place = tier.write(vec![new.clone()]).await?.remove(0);
    Ok(KeptChunk { tenant, hash: new.hash, length: 100_000, place })
}

pub(super) fn bytes(number: u8) -> Bytes {
    chunk(TenantId::SCRATCHPAD, number).bytes
}

pub(super) fn is_damaged<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Damaged(_)))
}

/// Counts reads, and makes each take a while.
pub(super) struct Counted {
    inner: Arc<dyn Chunks>,
    reads: AtomicUsize,
}

impl Counted {
    pub(super) fn new(inner: Arc<dyn Chunks>) -> Arc<Self> {
        Arc::new(Counted { inner, reads: AtomicUsize::new(0) })
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Chunks for Counted {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        self.inner.write(chunks).await
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.inner.read(chunk).await
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        self.inner.erase(chunk).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.inner.list(after, limit).await
    }

    fn whereabouts(&self, place: &Place) -> Whereabouts {
        self.inner.whereabouts(place)
    }

    fn by_region(&self) -> Option<&ByRegion> {
        self.inner.by_region()
    }
}

#[tokio::test]
async fn a_chunk_that_many_ask_for_is_read_once() {
    let tier = Counted::new(Arc::new(Memory::new()));
    let cached = Cached::new(tier.clone(), 1 << 20);
    let kept = put(&cached, 1).await.unwrap();
    for answer in futures::future::join_all((0..50).map(|_| cached.read(&kept))).await {
        assert_eq!(answer.unwrap(), bytes(1));
    }
    assert_eq!(cached.read(&kept).await.unwrap(), bytes(1));
    assert_eq!(tier.reads(), 1);
    cached.erase(&kept).await.unwrap();
    assert!(is_damaged(&cached.read(&kept).await));
}

#[tokio::test]
async fn a_cache_takes_no_more_than_it_may_and_keeps_tenants_apart() {
    let tier = Counted::new(Arc::new(Memory::new()));
    let cached = Cached::new(tier.clone(), 1 << 20);
    let mut kept = Vec::new();
    for number in 0..40 {
        kept.push(put(&cached, number).await.unwrap());
        cached.read(&kept[usize::from(number)]).await.unwrap();
    }
    let before = tier.reads();
    for (number, kept) in (0..).zip(&kept) {
        assert_eq!(cached.read(kept).await.unwrap(), bytes(number));
    }
    // 10 of them fit.
    assert!(tier.reads() - before >= 30);
    // Another tenant with a place that is not its own learns nothing.
    let stolen = KeptChunk { tenant: TenantId::new([9; 16]), ..kept[39].clone() };
    assert!(is_damaged(&cached.read(&stolen).await));
}

#[tokio::test]
async fn a_failure_is_everybodys_who_waited_and_is_not_remembered() {
    let faults = Faults::none();
    let tier = Counted::new(Arc::new(Faulty::new(Arc::new(Memory::new()), faults.clone())));
    let cached = Cached::new(tier.clone(), 1 << 20);
    let kept = put(&cached, 1).await.unwrap();
    faults.next(Call::Read, Fault::Busy);
    let answers = futures::future::join_all((0..10).map(|_| cached.read(&kept))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Busy(_)))));
    assert_eq!(tier.reads(), 1);
    assert_eq!(cached.read(&kept).await.unwrap(), bytes(1));
    // A reader that goes away leaves nothing that the next would wait for.
    let other = put(&cached, 2).await.unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(1), cached.read(&other)).await;
    assert!(gone.is_err());
    assert_eq!(cached.read(&other).await.unwrap(), bytes(2));
}

#[tokio::test]
async fn f28_f06_what_is_not_what_was_written_never_leaves_nor_stays_in_a_cache() {
    let faults = Faults::none();
    let faulty = Faulty::new(Arc::new(Memory::new()), faults.clone());
    let tier = Cached::new(Arc::new(Verified::new(Arc::new(faulty))), 1 << 20);
    for fault in [Fault::Lose, Fault::Shorten, Fault::Swap] {
        faults.next(Call::Write, fault);
        let kept = put(&tier, 1).await.unwrap();
        assert!(is_damaged(&tier.read(&kept).await), "{fault:?}");
        // Again: what was damage once is not remembered as good.
        assert!(is_damaged(&tier.read(&kept).await), "{fault:?}");
    }
    let kept = put(&tier, 2).await.unwrap();
    for fault in [Fault::Lose, Fault::Shorten, Fault::Swap] {
        faults.next(Call::Read, fault);
        assert!(is_damaged(&tier.read(&kept).await), "{fault:?}");
    }
    assert_eq!(tier.read(&kept).await.unwrap(), bytes(2));
    faults.next(Call::Erase, Fault::Keep);
    tier.erase(&kept).await.unwrap();
    assert!(tier.list(None, 100).await.unwrap().chunks.iter().any(|found| found.chunk == kept));
    faults.next(Call::Write, Fault::Full);
    assert!(matches!(put(&tier, 3).await, Err(Error::Full(_))));
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
}

#[tokio::test]
async fn f06_one_flipped_bit_in_a_row_is_damage() {
    let dir = TempDir::new().unwrap();
    let engine = Sqlite::open(dir.path(), region("local"), Arc::new(Fixed)).unwrap();
    let tier = Verified::new(Arc::new(Db::new(Arc::new(engine))));
    let kept = put(&tier, 1).await.unwrap();
    let healthy = put(&tier, 2).await.unwrap();
    let database = rusqlite::Connection::open(dir.path().join("metadata.sqlite")).unwrap();
    let mut wrong = bytes(1).to_vec();
    wrong[77] ^= 0x80;
    for wrong in [&wrong[..], &wrong[..99_999], &[]] {
        let changed = database.execute(
            "UPDATE chunk_data SET data = ? WHERE chunk = ?",
            rusqlite::params![wrong, kept.hash.as_bytes()],
        );
        assert_eq!(changed.unwrap(), 1);
        assert!(is_damaged(&tier.read(&kept).await));
    }
    assert_eq!(tier.read(&healthy).await.unwrap(), bytes(2));
    tier.erase(&kept).await.unwrap();
    let healed = put(&tier, 1).await.unwrap();
    assert_eq!(tier.read(&healed).await.unwrap(), bytes(1));
    for place in [vec![], vec![1; 15], vec![0; 17]] {
        let wrong = KeptChunk { place: Place(place), ..healed.clone() };
        assert!(matches!(tier.read(&wrong).await, Err(Error::Failed(_))));
        assert!(matches!(tier.erase(&wrong).await, Err(Error::Failed(_))));
    }
}

#[tokio::test]
async fn f06_f05_one_flipped_bit_or_a_torn_end_in_a_folder_of_objects_is_damage() {
    let dir = TempDir::new().unwrap();
    let address = Address::parse(&format!("file://{}", dir.path().join("objects").display())).unwrap();
    let tier = Verified::new(Arc::new(Object::open(&address, ObjectSettings::default()).unwrap()));
    let kept = put(&tier, 1).await.unwrap();
    let (mut file, whole) = (dir.path().join("objects"), bytes(1).to_vec());
    while file.is_dir() {
        file = fs::read_dir(file).unwrap().next().unwrap().unwrap().path();
    }
    assert_eq!(fs::read(&file).unwrap(), whole);
    let mut flipped = whole.clone();
    flipped[99_999] ^= 1;
    for wrong in [&flipped[..], &whole[..5], &[]] {
        fs::write(&file, wrong).unwrap();
        assert!(is_damaged(&tier.read(&kept).await));
    }
    fs::remove_file(&file).unwrap();
    assert!(is_damaged(&tier.read(&kept).await));
    tier.erase(&kept).await.unwrap();
}

#[tokio::test]
async fn a_seed_makes_the_same_faults_again() {
    let faults = Faults::none();
    let mut runs = Vec::new();
    for _ in 0..2 {
        faults.seed(7, &[(Call::Read, Fault::Busy, 300)]);
        let tier = Faulty::new(Arc::new(Memory::new()), faults.clone());
        let kept = put(&tier, 1).await.unwrap();
        let mut run = Vec::new();
        for _ in 0..1000 {
            run.push(tier.read(&kept).await.is_ok());
        }
        runs.push(run);
    }
    let failed = runs[0].iter().filter(|ok| !**ok).count();
    assert!((200..400).contains(&failed), "{failed}");
    assert_eq!(runs[0], runs[1]);
    faults.stop();
}

/// Homes that move when they are told to.
#[derive(Default)]
struct Atlas(Mutex<BTreeMap<TenantId, Region>>);

#[async_trait]
impl Homes for Atlas {
    async fn home_of(&self, tenant: TenantId) -> Result<Option<Region>> {
        Ok(self.0.lock().unwrap().get(&tenant).cloned())
    }
}

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

#[tokio::test]
async fn bytes_go_where_their_tenant_is_at_home_and_stay_readable_when_it_moves() {
    let (eu, us, rest) = (Arc::new(Memory::new()), Arc::new(Memory::new()), Arc::new(Memory::new()));
    let homes = Arc::new(Atlas::default());
    let tiers: BTreeMap<Region, Arc<dyn Chunks>> =
        [(region("eu"), eu.clone() as Arc<dyn Chunks>), (region("us"), us.clone())].into();
    let tier = ByRegion::new(tiers.clone(), Fallback::Tier(rest.clone()), homes.clone()).unwrap().forgetful();
    let tenant = TenantId::new([4; 16]);
    let settle = |name: &str| homes.0.lock().unwrap().insert(tenant, region(name));
    settle("eu");
    let first = put_of(&tier, tenant, 1).await.unwrap();
    assert_eq!(region_of(&first.place), Some(region("eu")));
    settle("us");
    let second = put_of(&tier, tenant, 2).await.unwrap();
    assert_eq!(region_of(&second.place), Some(region("us")));
    settle("moon");
    let third = put_of(&tier, tenant, 3).await.unwrap();
    assert_eq!(region_of(&third.place), None);
    for home in ["eu", "us", "moon"] {
        settle(home);
        for (kept, of) in [(&first, "eu"), (&second, "us"), (&third, "moon")] {
            assert_eq!(tier.at_home(tenant).await.unwrap()(&kept.place), of == home, "{of}, {home}");
        }
    }
    // Wrapped as it is when it serves.
    let outer = Verified::new(Arc::new(
        ByRegion::new(tiers.clone(), Fallback::Tier(rest.clone()), homes.clone()).unwrap(),
    ));
    assert!(outer.by_region().is_some() && eu.by_region().is_none());
    for (kept, home) in [(&first, Some("eu")), (&second, Some("us")), (&third, None)] {
        let told = outer.whereabouts(&kept.place);
        assert_eq!((told.region, told.tier.as_str()), (home.map(region), "memory"));
    }
    let count = async |tier: &Memory| tier.list(None, 100).await.unwrap().chunks.len();
    assert_eq!((count(&eu).await, count(&us).await, count(&rest).await), (1, 1, 1));
    for (number, kept) in [(1, &first), (2, &second), (3, &third)] {
        assert_eq!(tier.read(kept).await.unwrap(), bytes(number));
    }
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = tier.list(after.as_ref(), 1).await.unwrap();
        listed.extend(page.chunks.into_iter().map(|found| found.chunk));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, [third.clone(), first.clone(), second.clone()]);
    tier.erase(&first).await.unwrap();
    assert_eq!(count(&eu).await, 0);
    // A server that lacks a region does not take its bytes for lost.
    let less =
        ByRegion::new([(region("eu"), eu as _)].into(), Fallback::Region(region("eu")), homes).unwrap();
    assert!(matches!(less.read(&second).await, Err(Error::Failed(_))));
    assert!(matches!(less.read(&third).await, Err(Error::Failed(_))));
}

#[tokio::test]
async fn one_tier_becomes_several_by_being_the_default() {
    let one = Arc::new(Memory::new());
    let before = put(&*one, 1).await.unwrap();
    let tiers = [(region("eu"), Arc::new(Memory::new()) as Arc<dyn Chunks>)].into();
    let tier = ByRegion::new(tiers, Fallback::Tier(one), Arc::new(Atlas::default())).unwrap();
    assert_eq!(tier.read(&before).await.unwrap(), bytes(1));
    assert_eq!(tier.list(None, 10).await.unwrap().chunks[0].chunk, before);
    let missing = ByRegion::new(BTreeMap::new(), Fallback::Region(region("eu")), Arc::new(Atlas::default()));
    assert!(missing.is_err());
}
