//! What a failing disk does, and what is left when the power is.

use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::faulty::{Faults, Faulty};
use super::*;

struct Rig {
    dir: TempDir,
    faults: Arc<Faults>,
    disk: Arc<Disk>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let faults = Arc::<Faults>::default();
        let disk = Disk::over(Box::new(Faulty::open(dir.path(), &faults)), DiskSettings::default()).unwrap();
        Rig { dir, faults, disk: Arc::new(disk) }
    }

    async fn put(&self, number: usize) -> crate::Result<KeptChunk> {
        put(&self.disk, &[chunk(number, 9000)]).await.map(|mut kept| kept.remove(0))
    }

    async fn holds(&self, number: usize, kept: &KeptChunk) -> bool {
        self.disk.read(kept).await.is_ok_and(|bytes| bytes == chunk(number, 9000).bytes)
    }

    fn syncs(&self) -> usize {
        self.faults.syncs.load(Ordering::SeqCst)
    }

    /// A writer whose sync stands at the gate, and more that wait for the next one.
    async fn writers_at_the_gate(&self, more: usize) -> JoinSet<(usize, crate::Result<KeptChunk>)> {
        self.faults.gate(true);
        let mut writers = JoinSet::new();
        for number in 0..=more {
            let disk = self.disk.clone();
            writers.spawn(async move {
                (number, put(&disk, &[chunk(number, 9000)]).await.map(|mut kept| kept.remove(0)))
            });
            while number == 0 && self.faults.at_gate.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        }
        self.all_wait(more).await;
        writers
    }

    async fn all_wait(&self, many: usize) {
        while self.disk.packs.waiting() < many {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn writers_that_gather_during_a_sync_share_the_next() {
    let rig = Rig::new();
    let writers = rig.writers_at_the_gate(200).await;
    assert_eq!(rig.syncs(), 1);
    rig.faults.gate(false);
    for (number, kept) in writers.join_all().await {
        assert!(rig.holds(number, &kept.unwrap()).await);
    }
    assert_eq!(rig.syncs(), 2);
}

#[tokio::test]
async fn f04_what_was_answered_survives_the_loss_of_power() {
    let rig = Rig::new();
    let first = rig.put(1000).await.unwrap();
    let mut writers = rig.writers_at_the_gate(5).await;
    assert!(writers.try_join_next().is_none(), "nobody is answered before the sync");
    rig.faults.lose_power(rig.dir.path());
    let after = disk(&rig.dir);
    assert_eq!(after.read(&first).await.unwrap(), chunk(1000, 9000).bytes);
    let next = put(&after, &[chunk(2000, 9000)]).await.unwrap().remove(0);
    assert_eq!((spot(&first).pack, spot(&next).pack), (1, 2));
    rig.faults.gate(false);
    writers.join_all().await;
}

#[tokio::test]
async fn f04_a_name_that_was_not_synced_holds_nothing_that_was_answered() {
    let rig = Rig::new();
    let kept = rig.put(1).await.unwrap();
    rig.faults.lose_power(rig.dir.path());
    assert_eq!(disk(&rig.dir).read(&kept).await.unwrap(), chunk(1, 9000).bytes);
}

#[tokio::test]
async fn f07_a_full_disk_is_written_to_again_once_there_is_room() {
    let rig = Rig::new();
    let before = rig.put(1).await.unwrap();
    *rig.faults.room.lock().unwrap() = Some(5000);
    for number in 2..20 {
        assert!(matches!(rig.put(number).await, Err(Error::Full(_))));
        assert!(rig.holds(1, &before).await, "reads go on");
    }
    // Room for a pack's first block, but for no record.
    for number in 20..30 {
        *rig.faults.room.lock().unwrap() = Some(5000);
        assert!(matches!(rig.put(number).await, Err(Error::Full(_))));
    }
    assert!(names(&rig.dir).len() <= 3, "failures leave no files behind: {:?}", names(&rig.dir));
    *rig.faults.room.lock().unwrap() = None;
    let after = rig.put(40).await.unwrap();
    assert!(rig.holds(1, &before).await && rig.holds(40, &after).await);
    assert!(spot(&after).pack > spot(&before).pack);
    assert_eq!(names(&rig.dir).len(), 2);
    assert_eq!(rig.faults.touched_after_failure.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn f07_a_batch_that_did_not_fit_is_not_kept_at_all() {
    let rig = Rig::new();
    rig.put(1).await.unwrap();
    *rig.faults.room.lock().unwrap() = Some(15_000);
    let batch = [chunk(2, 9000), chunk(3, 9000)];
    assert!(matches!(put(&rig.disk, &batch).await, Err(Error::Full(_))));
    *rig.faults.room.lock().unwrap() = None;
    let after = rig.put(4).await.unwrap();
    assert_eq!((spot(&after).pack, spot(&after).offset()), (2, 4096));
}

#[tokio::test]
async fn f07_a_sync_that_finds_the_disk_full_says_so() {
    let rig = Rig::new();
    *rig.faults.fail_sync.lock().unwrap() = Some(Errno::NOSPC);
    assert!(matches!(rig.put(1).await, Err(Error::Full(_))));
    *rig.faults.fail_sync.lock().unwrap() = None;
    let after = rig.put(2).await.unwrap();
    assert!(rig.holds(2, &after).await);
}

#[tokio::test]
async fn f08_a_failed_sync_is_not_acknowledged_and_its_pack_is_abandoned() {
    let rig = Rig::new();
    let before = rig.put(1000).await.unwrap();
    let writers = rig.writers_at_the_gate(5).await;
    *rig.faults.fail_sync.lock().unwrap() = Some(Errno::IO);
    rig.faults.gate(false);
    for (_, kept) in writers.join_all().await {
        assert!(matches!(kept, Err(Error::Failed(_))));
    }
    assert_eq!(
        rig.syncs(),
        2,
        "a failed sync is not tried again, not for those that waited behind it either"
    );
    *rig.faults.fail_sync.lock().unwrap() = None;
    let after = rig.put(2000).await.unwrap();
    assert_eq!((spot(&before).pack, spot(&after).pack), (1, 2));
    assert!(rig.holds(1000, &before).await && rig.holds(2000, &after).await);
    assert_eq!(rig.faults.touched_after_failure.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn f08_a_failed_write_fails_those_that_wait_but_not_those_being_synced() {
    let rig = Rig::new();
    let writers = rig.writers_at_the_gate(5).await;
    *rig.faults.fail_write.lock().unwrap() = Some(Errno::IO);
    assert!(matches!(rig.put(1000).await, Err(Error::Failed(_))));
    *rig.faults.fail_write.lock().unwrap() = None;
    let after = rig.disk.clone();
    let after = tokio::spawn(async move { put(&after, &[chunk(2000, 9000)]).await });
    rig.faults.gate(false);
    for (number, kept) in writers.join_all().await {
        assert_eq!(kept.is_ok(), number == 0, "writer {number}");
        if let Ok(kept) = kept {
            assert!(rig.holds(number, &kept).await);
        }
    }
    let after = after.await.unwrap().unwrap().remove(0);
    assert_eq!(spot(&after).pack, 2);
    assert!(rig.holds(2000, &after).await);
}

#[tokio::test]
async fn f08_numbers_of_packs_that_held_nothing_are_not_used_again() {
    let rig = Rig::new();
    *rig.faults.fail_sync.lock().unwrap() = Some(Errno::IO);
    for number in 0..3 {
        assert!(rig.put(number).await.is_err());
    }
    assert_eq!(
        names(&rig.dir),
        ["0000000003.pack"],
        "the highest stays, so that a restart counts on from it"
    );
    let after = put(&disk(&rig.dir), &[chunk(9, 10)]).await.unwrap().remove(0);
    assert_eq!(spot(&after).pack, 4);
}

#[tokio::test]
async fn f09_no_file_descriptors_left_is_a_passing_state() {
    let rig = Rig::new();
    let kept = rig.put(1).await.unwrap();
    *rig.faults.fail_open.lock().unwrap() = Some(Errno::MFILE);
    assert!(matches!(rig.disk.read(&kept).await, Err(Error::Busy(_))));
    assert!(matches!(rig.disk.erase(&kept).await, Err(Error::Busy(_))));
    *rig.faults.fail_open.lock().unwrap() = None;
    assert!(rig.holds(1, &kept).await);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_trace() {
    let rig = Rig::new();
    let mut writers = rig.writers_at_the_gate(50).await;
    writers.abort_all();
    while writers.join_next().await.is_some() {}
    rig.faults.gate(false);
    let kept = rig.put(1000).await.unwrap();
    assert!(rig.holds(1000, &kept).await);
    let all = DiskSettings::default().concurrency;
    assert_eq!(
        rig.disk.writes.clone().acquire_many_owned(u32::try_from(all).unwrap()).await.unwrap().num_permits(),
        all
    );
}

#[tokio::test]
async fn packs_are_opened_once_for_many_reads() {
    let rig = Rig::new();
    let kept = rig.put(1).await.unwrap();
    for _ in 0..10 {
        assert!(rig.holds(1, &kept).await);
    }
    // Past the kernel's cache, and by way of it.
    assert_eq!(rig.faults.opens.load(Ordering::SeqCst), 2);
}
