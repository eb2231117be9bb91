//! SIGKILL at each step of what a server does. Each step is taken by one scenario here, or there is no such step.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use cacheroach_faults::site::{MOMENT, until};
use cacheroach_faults::wire::sha256;
use cacheroach_faults::{Launch, Place, Random, Site, Wire};
use cacheroach_store::failpoint::Step;

use super::{PROGRAM, block_on};

const START: &[Step] = &[
    Step::StartAfterStore,
    Step::StartAfterKey,
    Step::StartAfterPrincipal,
    Step::StartAfterTenant,
    Step::StartAfterSessions,
    Step::MigrateAfterFile,
];
const UPLOAD: &[Step] = &[
    Step::UploadAfterBegin,
    Step::UploadAfterLease,
    Step::UploadAfterBytes,
    Step::UploadAfterRow,
    Step::UploadAfterHash,
    Step::UploadAfterCommit,
    Step::PutAfterCommit,
    Step::GroupBeforeCommit,
    Step::GroupAfterCommit,
];
const CHANGE: &[Step] = &[Step::DeleteAfterCommit, Step::CopyAfterCommit];
const PURGE: &[Step] = &[Step::PurgeAfterCondemn, Step::PurgeAfterErase, Step::PurgeAfterDrop];
const MOVE: &[Step] = &[Step::MoveAfterLease, Step::MoveAfterBytes, Step::MoveAfterRows];
/// Taken by `panics.rs`.
const REQUEST: &[Step] = &[Step::RequestPanic];

const SIGKILL: i32 = 9;

/// The tenant that every new store begins with.
const SCRATCHPAD: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";

/// Several chunks, the last of them small; and one that takes a single transaction.
const LARGE: usize = 3 * 512 * 1024 + 1000;
const SMALL: usize = 1000;

#[test]
fn every_step_has_a_scenario() {
    let known = [START, UPLOAD, CHANGE, REQUEST, PURGE, MOVE].concat();
    for step in Step::ALL {
        assert_eq!(known.iter().filter(|one| *one == step).count(), 1, "{step:?}");
    }
}

/// A site whose only server dies at a step.
fn fragile(step: Step, nth: u64) -> (Site, Wire) {
    let mut site = Site::started(PROGRAM, &Place::sqlite(), 1);
    let wire = Wire::new(&site.token());
    site.kill(0);
    site.start(0, &Launch::killed_at(step, nth));
    (site, wire)
}

fn dies_at(site: &mut Site, step: Step) {
    assert_eq!(site.ended(0).signal(), Some(SIGKILL), "{step:?}: {}", site.stderr(0));
}

/// Nothing, or all that was sent; afterwards the same call makes it whole, once.
fn killed_while_it_writes(step: Step, nth: u64, size: usize) {
    let (mut site, wire) = fragile(step, nth);
    let url = format!("{}/dir/file", site.url(0));
    let (old, new) = (Random::new(1).bytes(700 * 1024), Random::new(nth + 2).bytes(size));
    block_on(async {
        let what = format!("{step:?}, the {nth}. time, {size} bytes");
        wire.put(&url, new.clone()).await.expect_err(&what);
        dies_at(&mut site, step);
        site.start(0, &Launch::default());
        let read = wire.ask("GET", &url).await.unwrap();
        match read.status {
            404 => {}
            200 => assert!(read.body == new && read.tag == Some(sha256(&new)), "{what}: all of it"),
            status => panic!("{what}: {status}"),
        }
        let again = wire.put(&url, new.clone()).await.unwrap();
        assert_eq!((again.status, again.tag), (202, Some(sha256(&new))), "{what}");
        assert!(wire.ask("GET", &url).await.unwrap().body == new, "{what}");
        // The store goes on as if nothing had been.
        assert_eq!(wire.put(&url, old.clone()).await.unwrap().status, 202, "{what}");
        assert!(wire.ask("GET", &url).await.unwrap().body == old, "{what}");
    });
    site.stop(0);
}

#[test]
fn f01_killed_at_each_step_of_an_upload_there_is_all_or_nothing() {
    for step in UPLOAD {
        match step {
            Step::PutAfterCommit => killed_while_it_writes(*step, 1, SMALL),
            Step::GroupBeforeCommit | Step::GroupAfterCommit => {
                killed_while_it_writes(*step, 1, SMALL);
                // Begin, lease, advance, commit: each is a commit of its own.
                (1..5).for_each(|nth| killed_while_it_writes(*step, nth, LARGE));
            }
            step => killed_while_it_writes(*step, 1, LARGE),
        }
    }
}

#[test]
fn f01_what_was_committed_before_the_kill_is_there_although_nobody_was_told() {
    for (step, size) in [(Step::UploadAfterCommit, LARGE), (Step::PutAfterCommit, SMALL)] {
        let (mut site, wire) = fragile(step, 1);
        let (url, content) = (format!("{}/file", site.url(0)), Random::new(1).bytes(size));
        block_on(async {
            wire.put(&url, content.clone()).await.unwrap_err();
            dies_at(&mut site, step);
            site.start(0, &Launch::default());
            let read = wire.ask("GET", &url).await.unwrap();
            assert_eq!((read.status, read.version), (200, Some(1)), "{step:?}");
            assert!(read.body == content, "{step:?}");
        });
    }
}

#[test]
fn f02_killed_after_a_delete_it_is_deleted_and_the_copy_is_there() {
    let content = Random::new(1).bytes(LARGE);
    for (step, method) in [(Step::DeleteAfterCommit, "DELETE"), (Step::CopyAfterCommit, "MOVE")] {
        let mut site = Site::started(PROGRAM, &Place::sqlite(), 1);
        let wire = Wire::new(&site.token());
        let (url, other) = (format!("{}/file", site.url(0)), format!("{}/other", site.url(0)));
        block_on(async {
            assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202);
            site.kill(0);
            site.start(0, &Launch::killed_at(step, 1));
            let request = || wire.request(method, &url).header("destination", "/other");
            Wire::send(request()).await.unwrap_err();
            dies_at(&mut site, step);
            site.start(0, &Launch::default());
            assert_eq!(wire.ask("GET", &url).await.unwrap().status, 404, "{method}");
            let moved = wire.ask("GET", &other).await.unwrap();
            if method == "MOVE" {
                assert!(moved.status == 200 && moved.body == content);
            } else {
                assert_eq!(moved.status, 404);
                // Once more it is deleted already.
                assert_eq!(Wire::send(request()).await.unwrap().status, 200);
            }
        });
        site.stop(0);
    }
}

#[test]
fn f02_killed_at_each_step_of_a_purge_the_next_one_finishes_it() {
    let (shared, own) = (Random::new(1).bytes(512 * 1024), Random::new(2).bytes(LARGE));
    for step in PURGE {
        let mut site = Site::started(PROGRAM, &Place::sqlite(), 1);
        let wire = Wire::new(&site.token());
        let url = |name: &str| format!("{}/{name}", site.url(0));
        let (gone, stays) = (url("gone"), url("stays"));
        let content = [&shared[..], &own[..]].concat();
        block_on(async {
            assert_eq!(wire.put(&gone, content.clone()).await.unwrap().status, 202);
            assert_eq!(wire.put(&stays, shared.clone()).await.unwrap().status, 202);
            assert_eq!(wire.ask("DELETE", &gone).await.unwrap().status, 200);
        });
        site.kill(0);
        let flags = ["--purgeInterval", "100ms", "--purgeDuration", "1ms"].map(str::to_owned).to_vec();
        site.start(0, &Launch { flags, ..Launch::killed_at(*step, 1) });
        dies_at(&mut site, *step);
        site.start(0, &Launch::default());
        block_on(async {
            assert!(wire.ask("GET", &stays).await.unwrap().body == shared, "{step:?}");
            // The same content comes again while the purge is half done.
            assert_eq!(wire.put(&gone, content.clone()).await.unwrap().status, 202, "{step:?}");
            assert!(wire.ask("GET", &gone).await.unwrap().body == content, "{step:?}");
        });
        site.stop(0);
        site.command(&["store", "purge", "--now", "--purgeDuration", "1ms"], true).unwrap();
        site.start(0, &Launch::default());
        block_on(async {
            assert!(wire.ask("GET", &gone).await.unwrap().body == content, "{step:?}");
            assert!(wire.ask("GET", &stays).await.unwrap().body == shared, "{step:?}");
        });
    }
}

/// How many files are below a folder.
fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[test]
fn f02_killed_at_each_step_of_a_move_the_next_server_brings_the_bytes_home() {
    let content = Random::new(1).bytes(LARGE);
    for step in MOVE {
        let dir = tempfile::tempdir().unwrap();
        let (before, home) = (dir.path().join("before"), dir.path().join("home"));
        let chunks = format!("local=file://{},home=file://{}", before.display(), home.display());
        let mut site = Site::started(PROGRAM, &Place { chunks: Some(chunks), ..Place::default() }, 1);
        let wire = Wire::new(&site.token());
        let url = format!("{}/file", site.url(0));
        let read = || block_on(async { wire.ask("GET", &url).await.unwrap().body });
        assert_eq!(block_on(async { wire.put(&url, content.clone()).await.unwrap().status }), 202);
        site.kill(0);
        // What it leases is over soon.
        let flags = ["--purgeInterval", "100ms", "--uploadTimeout", "2s"].map(str::to_owned).to_vec();
        site.start(0, &Launch { flags: flags.clone(), ..Launch::killed_at(*step, 1) });
        site.command(&["tenant", "move", SCRATCHPAD, "1", "home"], false).unwrap();
        dies_at(&mut site, *step);
        site.start(0, &Launch { flags, ..Launch::default() });
        assert!(read() == content, "{step:?}");
        until("bytes that are home", MOMENT, || {
            let places = site.command(&["tenant", "where", SCRATCHPAD], false).unwrap();
            (!places.contains("local")).then_some(())
        });
        assert!(read() == content, "{step:?}");
        std::thread::sleep(Duration::from_secs(2));
        site.stop(0);
        site.command(&["store", "purge", "--now", "--leftAfter", "0"], true).unwrap();
        site.command(&["store", "verify", "--leftAfter", "0"], true).unwrap();
        assert_eq!((files(&before), files(&home)), (0, 3), "{step:?}: the fourth chunk is small");
        site.start(0, &Launch::default());
        assert!(read() == content, "{step:?}");
    }
}

#[test]
fn f03_killed_at_each_step_of_a_first_start_the_next_completes_it() {
    for step in START {
        // A first start applies several migrations.
        let times: &[u64] = if *step == Step::MigrateAfterFile { &[1, 3] } else { &[1] };
        for nth in times {
            let mut site = Site::new(PROGRAM, &Place::sqlite(), 1);
            let ended = site.try_start(0, &Launch::killed_at(*step, *nth));
            assert_eq!(ended.unwrap_err().signal(), Some(SIGKILL), "{step:?}");
            site.start(0, &Launch::default());
            let wire = Wire::new(&site.token());
            block_on(async {
                let page = wire.ask("GET", &format!("{}/", site.url(0))).await.unwrap();
                assert_eq!((page.status, page.version), (200, Some(1)), "{step:?}");
                let url = format!("{}/a", site.url(0));
                assert_eq!(wire.put(&url, "x").await.unwrap().status, 202, "{step:?}");
            });
            site.stop(0);
        }
    }
}

/// A server that only stands still: what it was doing goes on when it does.
#[test]
fn f01_stopped_in_an_upload_it_goes_on_where_it_was() {
    let mut site = Site::started(PROGRAM, &Place::sqlite(), 1);
    let wire = Wire::new(&site.token());
    site.kill(0);
    site.start(0, &Launch::with("upload.after_lease=1*return(stop)"));
    let (url, content) = (format!("{}/file", site.url(0)), Random::new(1).bytes(LARGE));
    block_on(async {
        let sending = tokio::spawn({
            let (wire, url, content) = (wire.clone(), url.clone(), content.clone());
            async move { wire.put(&url, content).await.unwrap().status }
        });
        let pid = site.pid(0).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        tokio::task::block_in_place(|| {
            until("a server that stands still", MOMENT, || state().contains(") T ").then_some(()));
        });
        site.signal(0, rustix::process::Signal::CONT);
        assert_eq!(sending.await.unwrap(), 202);
        assert!(wire.ask("GET", &url).await.unwrap().body == content);
    });
}
