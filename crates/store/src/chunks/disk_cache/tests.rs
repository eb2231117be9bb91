//! What the disk cache keeps, what it gives back, and what of it a stranger can read or change.

use std::sync::Barrier;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_model::TenantId;
use tempfile::TempDir;

use super::*;
use crate::chunks::memory::Memory;
use crate::chunks::tests::{Counted, bytes, is_damaged, put, put_of};

/// The files of a disk cache.
fn files(dir: &Path) -> Vec<PathBuf> {
    let shelves = fs::read_dir(dir).unwrap().map(|shelf| shelf.unwrap().path());
    let mut files: Vec<_> = shelves
        .filter(|shelf| shelf.is_dir())
        .flat_map(|shelf| fs::read_dir(shelf).unwrap().map(|file| file.unwrap().path()))
        .collect();
    files.sort();
    files
}

/// The cache writes beside its callers: its files when it has written all that was read so far.
async fn settled(cache: &DiskCache, expected: usize) -> Vec<PathBuf> {
    let _ = cache.writers.acquire_many(WRITERS.try_into().unwrap()).await.unwrap();
    let is_ours =
        |file: &PathBuf| file.file_stem().and_then(OsStr::to_str).is_some_and(|name| parse(name).is_some());
    let files: Vec<_> = files(&cache.folder.dir).into_iter().filter(is_ours).collect();
    assert_eq!(files.len(), expected, "{files:?}");
    files
}

#[tokio::test]
async fn a_disk_cache_outlives_the_process_and_is_not_needed() {
    let dir = TempDir::new().unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let cache = DiskCache::open(tier.clone(), dir.path(), 1 << 20, None).unwrap();
    let kept = put(&cache, 1).await.unwrap();
    assert_eq!(cache.read(&kept).await.unwrap(), bytes(1));
    settled(&cache, 1).await;
    drop(cache);
    let cache = DiskCache::open(tier.clone(), dir.path(), 1 << 20, None).unwrap();
    assert_eq!(cache.read(&kept).await.unwrap(), bytes(1));
    assert_eq!(tier.reads(), 1);
    // Taken away from under it, and then what it is in, too.
    fs::remove_file(&files(dir.path())[0]).unwrap();
    assert_eq!(cache.read(&kept).await.unwrap(), bytes(1));
    settled(&cache, 1).await;
    cache.erase(&kept).await.unwrap();
    assert!(is_damaged(&cache.read(&kept).await));
    assert!(files(dir.path()).is_empty());
    fs::remove_dir_all(dir.path()).unwrap();
    fs::write(dir.path(), "a file where the folder was").unwrap();
    let kept = put(&cache, 2).await.unwrap();
    assert_eq!(cache.read(&kept).await.unwrap(), bytes(2));
    assert!(DiskCache::open(tier, dir.path(), 1 << 20, None).is_err());
    fs::remove_file(dir.path()).unwrap();
}

#[tokio::test]
async fn f05_f06_a_torn_entry_is_a_miss_and_goes() {
    let dir = TempDir::new().unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let cache = DiskCache::open(tier.clone(), dir.path(), 1 << 20, None).unwrap();
    let kept = put(&cache, 1).await.unwrap();
    let whole = bytes(1).to_vec();
    let mut flipped = whole.clone();
    flipped[50_000] ^= 1;
    let zeros = vec![0; whole.len()];
    let longer = [&whole[..], b"more"].concat();
    cache.read(&kept).await.unwrap();
    settled(&cache, 1).await;
    for torn in [flipped, zeros, whole[..4096].to_vec(), Vec::new(), longer] {
        let (file, reads) = (files(dir.path()).remove(0), tier.reads());
        fs::write(&file, torn).unwrap();
        assert_eq!(cache.read(&kept).await.unwrap(), whole);
        assert_eq!(tier.reads(), reads + 1, "it was taken for whole");
        // It comes back whole.
        settled(&cache, 1).await;
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[tokio::test]
async fn a_disk_cache_takes_no_more_than_it_may_and_only_what_is_its_own() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("ab")).unwrap();
    let (stranger, half) = (dir.path().join("ab/notes.txt"), dir.path().join(format!("ab/ab{:030x}.new", 1)));
    fs::write(&stranger, "not a chunk").unwrap();
    fs::write(&half, "half a chunk").unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let cache = DiskCache::open(tier.clone(), dir.path(), 350_000, None).unwrap();
    assert!(stranger.exists() && !half.exists());
    let size = || {
        let chunks = files(dir.path()).into_iter().filter(|file| file.extension().is_none());
        chunks.map(|file| fs::metadata(file).unwrap().len()).sum::<u64>()
    };
    for number in 0..3 {
        let kept = put(&cache, number).await.unwrap();
        cache.read(&kept).await.unwrap();
        settled(&cache, usize::from(number) + 1).await;
    }
    let last = put(&cache, 9).await.unwrap();
    cache.read(&last).await.unwrap();
    settled(&cache, 3).await;
    let reads = tier.reads();
    cache.read(&last).await.unwrap();
    assert_eq!(tier.reads(), reads, "the newest took the oldest's place");
    settled(&cache, 3).await;
    assert!(size() <= 350_000);
    drop(cache);
    // A smaller one than before gives room back when it starts.
    DiskCache::open(tier, dir.path(), 150_000, None).unwrap();
    assert!(size() <= 150_000 && stranger.exists());
}

/// A chunk that two readers missed at once is there when both have kept it, or it was erased meanwhile.
#[test]
fn a_chunk_that_two_keep_at_once_is_kept() {
    let dir = TempDir::new().unwrap();
    let cache = DiskCache::open(Arc::new(Memory::new()), dir.path(), 1 << 20, None).unwrap();
    let folder = &cache.folder;
    // Each in a shelf of its own, which is not there yet.
    for number in 0..=255 {
        let name = [number; 16];
        let gate = Barrier::new(2);
        let keep = || {
            gate.wait();
            folder.add(name, b"bytes");
        };
        thread::scope(|scope| {
            scope.spawn(keep);
            scope.spawn(keep);
        });
        assert!(folder.index().touch(&name), "{number}");
        assert_eq!(fs::read(folder.path(&name)).unwrap(), b"bytes", "{number}");
    }
    assert!(!folder.index().complained);

    let erased = [0; 16];
    folder.remove(&erased);
    assert!(folder.index().begin(&erased));
    folder.remove(&erased);
    assert!(!folder.index().begin(&erased), "its file is being written");
    folder.write(&erased, b"bytes").unwrap();
    folder.finish(&erased, Some(5));
    assert!(!folder.path(&erased).exists(), "what was erased while it was written comes back");
    folder.add(erased, b"bytes");
    assert!(folder.index().touch(&erased) && folder.path(&erased).exists());
}

fn key(byte: u8) -> CacheKey {
    CacheKey::parse(&STANDARD.encode([byte; 32])).unwrap()
}

fn sealed(tier: &Arc<Counted>, dir: &TempDir, key: &CacheKey) -> DiskCache {
    DiskCache::open(tier.clone(), dir.path(), 1 << 20, Some(key)).unwrap()
}

#[tokio::test]
async fn p7_a_sealed_cache_outlives_the_process_and_tells_nothing_without_its_key() {
    let dir = TempDir::new().unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let cache = sealed(&tier, &dir, &key(1));
    let kept = put(&cache, 7).await.unwrap();
    let of_another = put_of(&cache, TenantId::new([4; 16]), 7).await.unwrap();
    for kept in [&kept, &of_another] {
        assert_eq!(cache.read(kept).await.unwrap(), bytes(7));
    }
    let found = settled(&cache, 2).await;
    let contents: Vec<_> = found.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_ne!(contents[0], contents[1]);
    for contents in &contents {
        assert!(!contents.windows(8).any(|window| window == [7; 8]));
    }
    // Who knows tenant, content and place can't work out the names.
    let names: Vec<_> = found.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    for seal in [None, Some(Seal::new(&key(2)))] {
        let folder = Folder { dir: dir.path().into(), capacity: 0, seal, index: Mutex::default() };
        assert!(!names.contains(&text(&folder.name(&kept)).as_str()));
    }
    drop(cache);
    let (cache, reads) = (sealed(&tier, &dir, &key(1)), tier.reads());
    for kept in [&kept, &of_another] {
        assert_eq!(cache.read(kept).await.unwrap(), bytes(7));
    }
    assert_eq!(tier.reads(), reads, "nothing of it was used");
    cache.erase(&kept).await.unwrap();
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn p3_f05_f06_a_sealed_entry_that_was_changed_or_swapped_is_a_miss_and_goes() {
    let dir = TempDir::new().unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let cache = sealed(&tier, &dir, &key(1));
    let (kept, other) = (put(&cache, 1).await.unwrap(), put(&cache, 2).await.unwrap());
    cache.read(&kept).await.unwrap();
    let path = settled(&cache, 1).await.remove(0);
    cache.read(&other).await.unwrap();
    let both = settled(&cache, 2).await;
    let swapped = fs::read(both.iter().find(|file| **file != path).unwrap()).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut wrong = vec![swapped, bytes(1).to_vec(), Vec::new(), whole[..32].to_vec()];
    for at in [0, 32, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        wrong.push(flipped);
    }
    wrong.extend([whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat()]);
    for wrong in wrong {
        let reads = tier.reads();
        fs::write(&path, &wrong).unwrap();
        assert_eq!(cache.read(&kept).await.unwrap(), bytes(1));
        assert_eq!(tier.reads(), reads + 1, "it was taken for whole");
        // It comes back, sealed anew.
        let name = cache.folder.name(&kept);
        settled(&cache, 2).await;
        let file = fs::read(&path).unwrap();
        assert!(cache.folder.seal.as_ref().unwrap().open(&name, file).is_some());
    }
}

#[tokio::test]
async fn what_another_key_sealed_or_none_goes_when_a_cache_opens() {
    let dir = TempDir::new().unwrap();
    let tier = Counted::new(Arc::new(Memory::new()));
    let stranger = dir.path().join("ab/notes.txt");
    fs::create_dir(dir.path().join("ab")).unwrap();
    fs::write(&stranger, "not a chunk").unwrap();
    let kept = put(&*tier, 1).await.unwrap();
    let fresh = CacheKey::parse("random\n").unwrap();
    for key in [None, Some(key(1)), Some(key(2)), Some(fresh), Some(CacheKey::random().unwrap()), None] {
        let cache = DiskCache::open(tier.clone(), dir.path(), 1 << 20, key.as_ref()).unwrap();
        assert_eq!(files(dir.path()), std::slice::from_ref(&stranger));
        let reads = tier.reads();
        assert_eq!(cache.read(&kept).await.unwrap(), bytes(1));
        assert_eq!(tier.reads(), reads + 1);
        settled(&cache, 1).await;
    }
}
