//! Packs on a real directory; what a failing disk does to them is in [`faults`].

mod faults;
mod faulty;

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Hash, TenantId};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::record::Spot;
use super::{Disk, DiskSettings};
use crate::Error;
use crate::buffers::Buffers;
use crate::chunks::checksum::checksum;
use crate::chunks::{Chunks, KeptChunk, NewChunk, Place};

/// A chunk that no other number makes. Its hash is only a name here: packs never compute it.
fn chunk(number: usize, length: usize) -> NewChunk {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let bytes =
        (0..length).map(|at| u8::try_from((at * 31 + number * 7 + 1) % 251).unwrap()).collect::<Vec<u8>>();
    NewChunk {
        tenant: TenantId::SCRATCHPAD,
        hash: Hash::new(hash),
        generation: 5,
        bytes: Bytes::from(bytes),
        checksum: None,
    }
}

fn kept(chunk: &NewChunk, place: &Place) -> KeptChunk {
    let length = u32::try_from(chunk.bytes.len()).unwrap();
    KeptChunk { tenant: chunk.tenant, hash: chunk.hash, length, place: place.clone() }
}

fn spot(kept: &KeptChunk) -> Spot {
    Spot::parse(&kept.place).unwrap()
}

async fn put(disk: &Disk, chunks: &[NewChunk]) -> crate::Result<Vec<KeptChunk>> {
    let places = disk.write(chunks.to_vec()).await?;
    Ok(chunks.iter().zip(&places).map(|(chunk, place)| kept(chunk, place)).collect())
}

fn is_damaged<T>(result: &crate::Result<T>) -> bool {
    matches!(result, Err(Error::Damaged(_)))
}

fn disk(dir: &TempDir) -> Disk {
    Disk::open(dir.path(), DiskSettings::default()).unwrap()
}

fn pack(dir: &TempDir, kept: &KeptChunk) -> PathBuf {
    dir.path().join(format!("{:010}.pack", spot(kept).pack))
}

fn overwrite(dir: &TempDir, kept: &KeptChunk, at: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(pack(dir, kept)).unwrap();
    file.write_all_at(bytes, spot(kept).offset() + at).unwrap();
}

fn names(dir: &TempDir) -> Vec<String> {
    let mut names = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    names.sort();
    names
}

#[tokio::test]
async fn p7_a_checksum_that_was_made_before_is_held_against_the_bytes() {
    let dir = TempDir::new().unwrap();
    let disk = disk(&dir);
    let plain = chunk(1, 100_000);
    let sum = checksum(&plain.hash, &plain.bytes);
    let own = put(&disk, std::slice::from_ref(&plain)).await.unwrap().remove(0);
    let given = NewChunk { checksum: Some(sum), ..plain.clone() };
    let given = put(&disk, &[given]).await.unwrap().remove(0);
    assert_eq!(spot(&given).checksum, spot(&own).checksum);
    assert_eq!(disk.read(&given).await.unwrap(), plain.bytes);
    // The bytes changed between the one who made it and the disk.
    let other = NewChunk { checksum: Some(sum ^ 1), ..plain };
    let other = put(&disk, &[other]).await.unwrap().remove(0);
    assert!(is_damaged(&disk.read(&other).await));
}

#[tokio::test]
async fn what_is_put_is_got() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let lengths = [0, 1, 3967, 3968, 3969, 4096, 70_000, CHUNK_SIZE - 1, CHUNK_SIZE];
    for (number, length) in lengths.into_iter().enumerate() {
        let new = chunk(number, length);
        // The same from memory that lies as records do, which is not copied.
        let mut buffer = Buffers::default().take();
        buffer.fill(&new.bytes);
        let straight = NewChunk { bytes: buffer.freeze(), ..new.clone() };
        let places = disk.write(vec![new.clone(), straight, new.clone()]).await.unwrap();
        for place in &places {
            // Past the kernel's cache, by way of it, and out of it.
            for _ in 0..3 {
                assert_eq!(disk.read(&kept(&new, place)).await.unwrap(), new.bytes, "{length} bytes");
            }
        }
    }
    assert!(disk.write(Vec::new()).await.unwrap().is_empty());
    assert!(disk.write(vec![chunk(1, CHUNK_SIZE + 1)]).await.is_err());
}

#[tokio::test]
async fn a_batch_is_kept_in_order_and_in_one_piece() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let new = (0..40).map(|number| chunk(number, 5000 + number * 200)).collect::<Vec<_>>();
    let kept = put(&disk, &new).await.unwrap();
    for (kept, new) in kept.iter().zip(&new) {
        assert_eq!(disk.read(kept).await.unwrap(), new.bytes);
    }
    for pair in kept.windows(2) {
        let end = spot(&pair[0]).offset() + super::record::room(pair[0].length);
        assert_eq!(spot(&pair[1]).offset(), end);
    }
}

#[tokio::test]
async fn many_writers_get_regions_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(disk(&dir));
    let mut writers = JoinSet::new();
    for number in 0..64 {
        let disk = disk.clone();
        writers.spawn(async move {
            let new = chunk(number, 4000 + number * 100);
            (new.clone(), put(&disk, &[new]).await.unwrap().remove(0))
        });
    }
    let mut offsets = HashSet::new();
    for (new, kept) in writers.join_all().await {
        assert_eq!(disk.read(&kept).await.unwrap(), new.bytes);
        assert!(offsets.insert((spot(&kept).pack, spot(&kept).offset())));
    }
}

#[tokio::test]
async fn a_reopened_directory_is_read_and_no_pack_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for life in 1..=3 {
        let disk = disk(&dir);
        let unused = Disk::open(dir.path(), DiskSettings::default()).unwrap();
        drop(unused);
        let new = chunk(life, 1000);
        let kept = put(&disk, std::slice::from_ref(&new)).await.unwrap().remove(0);
        assert_eq!(spot(&kept).pack, u32::try_from(life).unwrap());
        seen.push((new, kept));
        for (new, kept) in &seen {
            assert_eq!(disk.read(kept).await.unwrap(), new.bytes);
        }
    }
}

#[tokio::test]
async fn two_processes_on_one_directory_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (disk(&dir), disk(&dir));
    let a = put(&one, &[chunk(1, 100)]).await.unwrap().remove(0);
    let b = put(&two, &[chunk(2, 100)]).await.unwrap().remove(0);
    assert_ne!(spot(&a).pack, spot(&b).pack);
    assert_eq!(one.read(&b).await.unwrap(), chunk(2, 100).bytes);
    assert_eq!(two.read(&a).await.unwrap(), chunk(1, 100).bytes);
}

#[tokio::test]
async fn a_full_pack_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let settings = DiskSettings { pack_size_bytes: 10_000, open_packs: 2, ..DiskSettings::default() };
    let disk = Disk::open(dir.path(), settings).unwrap();
    let mut all = Vec::new();
    for number in 0..9 {
        all.extend(put(&disk, &[chunk(number, 3000)]).await.unwrap());
    }
    let packs = all.iter().map(|kept| spot(kept).pack).collect::<Vec<_>>();
    assert_eq!(packs, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    for (number, kept) in all.iter().enumerate() {
        assert_eq!(disk.read(kept).await.unwrap(), chunk(number, 3000).bytes);
    }
}

#[tokio::test]
async fn f05_a_torn_pack_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let kept = put(&disk, &[chunk(1, 9000), chunk(2, 9000), chunk(3, 9000)]).await.unwrap();
    let path = pack(&dir, &kept[0]);
    overwrite(&dir, &kept[1], 4096, &[0; 4096]);
    assert!(is_damaged(&disk.read(&kept[1]).await));
    overwrite(&dir, &kept[1], 0, &[0; 12_288]);
    assert!(is_damaged(&disk.read(&kept[1]).await));
    assert_eq!(disk.read(&kept[2]).await.unwrap(), chunk(3, 9000).bytes);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(spot(&kept[2]).offset() + 9000).unwrap();
    assert!(is_damaged(&disk.read(&kept[2]).await));
    assert_eq!(disk.read(&kept[0]).await.unwrap(), chunk(1, 9000).bytes);
    fs::remove_file(&path).unwrap();
    let reopened = Disk::open(dir.path(), DiskSettings::default()).unwrap();
    assert!(is_damaged(&reopened.read(&kept[0]).await));
    reopened.erase(&kept[0]).await.unwrap();
}

#[tokio::test]
async fn f06_one_flipped_bit_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let new = chunk(1, 9000);
    let kept = put(&disk, std::slice::from_ref(&new)).await.unwrap().remove(0);
    for at in [0, 1, 4000, 8999] {
        let byte = new.bytes[at];
        overwrite(&dir, &kept, 128 + at as u64, &[byte ^ 0x10]);
        let error = disk.read(&kept).await.unwrap_err().to_string();
        assert!(error.contains("pack 1, offset 4096") && error.contains(&new.hash.to_string()), "{error}");
        overwrite(&dir, &kept, 128 + at as u64, &[byte]);
    }
    assert_eq!(disk.read(&kept).await.unwrap(), new.bytes);
    let healed = put(&disk, std::slice::from_ref(&new)).await.unwrap().remove(0);
    overwrite(&dir, &kept, 96, &[0xff]);
    assert!(is_damaged(&disk.read(&kept).await));
    assert_eq!(disk.read(&healed).await.unwrap(), new.bytes);
}

#[tokio::test]
async fn a_place_of_something_else_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let all = put(&disk, &[chunk(1, 9000), chunk(2, 9000)]).await.unwrap();
    let good = &all[0];
    let mut wrong = vec![
        KeptChunk { place: all[1].place.clone(), ..good.clone() },
        KeptChunk { length: 8999, ..good.clone() },
        KeptChunk { tenant: TenantId::new([1; 16]), ..good.clone() },
        KeptChunk { hash: Hash::EMPTY, ..good.clone() },
    ];
    let shifted = Spot { block: spot(good).block + 1, ..spot(good) };
    wrong.push(KeptChunk { place: shifted.place(), ..good.clone() });
    for wrong in &wrong {
        assert!(is_damaged(&disk.read(wrong).await), "{wrong:?}");
        assert!(is_damaged(&disk.erase(wrong).await), "{wrong:?}");
    }
    // What no tier of this kind gave out is another's: nothing says that the bytes are lost.
    for place in [vec![], vec![1; 21], vec![0xff; 21], vec![0; 8], good.place.0[..20].to_vec()] {
        let other = KeptChunk { place: Place(place), ..good.clone() };
        assert!(matches!(disk.read(&other).await, Err(Error::Failed(_))), "{other:?}");
        assert!(matches!(disk.erase(&other).await, Err(Error::Failed(_))), "{other:?}");
    }
    assert_eq!(disk.read(good).await.unwrap(), chunk(1, 9000).bytes);
    assert_eq!(disk.read(&all[1]).await.unwrap(), chunk(2, 9000).bytes);
}

#[tokio::test]
async fn erasing_leaves_the_neighbours_whole_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(&dir);
    let new = (0..3).map(|number| chunk(number, CHUNK_SIZE)).collect::<Vec<_>>();
    let kept = put(&disk, &new).await.unwrap();
    let blocks = || std::os::unix::fs::MetadataExt::blocks(&fs::metadata(pack(&dir, &kept[0])).unwrap());
    let before = blocks();
    disk.erase(&kept[1]).await.unwrap();
    disk.erase(&kept[1]).await.unwrap();
    assert!(blocks() <= before);
    assert!(is_damaged(&disk.read(&kept[1]).await));
    assert_eq!(disk.read(&kept[0]).await.unwrap(), new[0].bytes);
    assert_eq!(disk.read(&kept[2]).await.unwrap(), new[2].bytes);
    let mut hole = vec![1; CHUNK_SIZE + 4096];
    let file = fs::File::open(pack(&dir, &kept[0])).unwrap();
    file.read_exact_at(&mut hole, spot(&kept[1]).offset()).unwrap();
    assert!(hole.iter().all(|byte| *byte == 0));
    let again = put(&disk, &new[1..2]).await.unwrap().remove(0);
    assert_ne!(again.place, kept[1].place);
    disk.erase(&kept[1]).await.unwrap();
    assert_eq!(disk.read(&again).await.unwrap(), new[1].bytes);
    assert_eq!(names(&dir), ["0000000001.pack"]);
}
