//! Cases for looking after a store: verifying, copying, dumping.

use std::sync::Mutex;
use std::time::Duration;

use cacheroach_model::{CHUNK_SIZE, Expected, TenantId};
use cacheroach_store::Store;
use cacheroach_store::chunks::{KeptChunk, Place};
use cacheroach_store::inspect::{CHUNKS, FILES, PIECES, Row, TABLES, VERSIONS, Value};
use cacheroach_store::tools::verify::{Finding, Problem, Settings, Verified, verify};
use cacheroach_store::tools::{copy, dump};

use crate::inspect::{furnish, rows};
use crate::subject::{HOUR, Subject, path};

async fn verified(store: &Store, repair: bool) -> (Verified, Vec<Finding>) {
    let findings = Mutex::new(Vec::new());
    let settings = Settings { repair, left_after: Duration::ZERO, ..Settings::default() };
    let done = verify(store, settings, |finding| findings.lock().unwrap().push(finding)).await.unwrap();
    (done, findings.into_inner().unwrap())
}

fn paths(findings: &[Finding]) -> Vec<(Problem, String)> {
    let named = |finding: &Finding| {
        let path = finding.path.as_ref().map(|(path, _)| path.to_string()).unwrap_or_default();
        (finding.problem, path)
    };
    findings.iter().map(named).collect()
}

/// Takes the bytes of a tier's chunk away behind its row's back.
async fn lose(subject: &Subject, tenant: TenantId, length: i64) {
    let store = subject.store();
    let row =
        rows(&*store.metadata, &CHUNKS, 1000).await.into_iter().find(|row| row.number("length") == length);
    let row = row.unwrap();
    let kept = KeptChunk {
        tenant,
        hash: row.hash("chunk").unwrap(),
        length: u32::try_from(length).unwrap(),
        place: Place(row.bytes("place").unwrap().to_vec()),
    };
    store.chunks.erase(&kept).await.unwrap();
}

async fn can_read(subject: &Subject, tenant: TenantId, at: &str) -> bool {
    let (file, pieces) = subject.store().metadata.open_file(tenant, &path(at), None).await.unwrap().unwrap();
    let there: u64 = pieces.iter().map(|piece| u64::from(piece.length)).sum();
    there == file.size
}

const LARGE: usize = 70_000;

fn large() -> [Vec<u8>; 3] {
    [vec![1; CHUNK_SIZE], vec![2; CHUNK_SIZE], vec![3; LARGE]]
}

pub(crate) async fn a_store_in_order_has_no_problems(subject: &Subject) {
    furnish(subject).await;
    for repair in [false, true] {
        let (done, findings) = verified(&subject.store(), repair).await;
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((done.chunks, done.ropes, done.versions, done.problems), (6, 4, 6, 0));
        assert_eq!(done.bytes, 2 * CHUNK_SIZE as u64 + LARGE as u64 + 3);
    }
}

pub(crate) async fn f06_a_damaged_chunk_is_named_and_healed_by_bringing_its_content_again(subject: &Subject) {
    let tenant = furnish(subject).await;
    lose(subject, tenant, LARGE as i64).await;
    let (done, findings) = verified(&subject.store(), false).await;
    assert_eq!(paths(&findings), [(Problem::DamagedBytes, "/large".to_owned())], "{findings:?}");
    assert_eq!((done.problems, done.repaired), (1, 0));
    let (done, findings) = verified(&subject.store(), true).await;
    assert_eq!((done.problems, done.repaired), (1, 1), "{findings:?}");
    // It stays listed, can't be read, and is told of until somebody brings it again.
    assert!(!can_read(subject, tenant, "/large").await);
    let (_, findings) = verified(&subject.store(), true).await;
    assert_eq!(paths(&findings), [(Problem::MissingChunk, "/large".to_owned())], "{findings:?}");
    let [a, b, c] = large();
    subject.upload(tenant, "/elsewhere", &[&a, &b, &c]).await;
    assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large().concat());
    let (_, findings) = verified(&subject.store(), false).await;
    assert!(findings.is_empty(), "{findings:?}");
}

pub(crate) async fn f06_a_small_content_is_healed_too(subject: &Subject) {
    let tenant = furnish(subject).await;
    let store = subject.store();
    let row =
        rows(&*store.metadata, &CHUNKS, 1000).await.into_iter().find(|row| row.bytes("data") == Some(b"a"));
    let damaged = row.unwrap().with("data", Value::Bytes(b"x".to_vec())).unwrap();
    store.metadata.restore_rows(vec![damaged]).await.unwrap();
    let (_, findings) = verified(&store, true).await;
    let all = [(Problem::DamagedBytes, "/a".to_owned()), (Problem::DamagedBytes, "/copy".to_owned())];
    assert_eq!(paths(&findings), all, "{findings:?}");
    assert!(!can_read(subject, tenant, "/copy").await);
    subject.put(tenant, "/somewhere", b"a").await;
    assert_eq!(subject.read(tenant, "/copy", None).await.unwrap(), b"a");
    assert!(verified(&store, false).await.1.is_empty());
}

pub(crate) async fn f28_lost_bytes_are_found_and_nothing_else_is_touched(subject: &Subject) {
    let tenant = furnish(subject).await;
    subject.upload(tenant, "/other", &[&vec![9; 100_000]]).await;
    lose(subject, tenant, 100_000).await;
    let before = rows(&*subject.store().metadata, &VERSIONS, 1000).await;
    let (done, findings) = verified(&subject.store(), true).await;
    assert_eq!(paths(&findings), [(Problem::DamagedBytes, "/other".to_owned())], "{findings:?}");
    assert_eq!(done.repaired, 1);
    assert!(rows(&*subject.store().metadata, &VERSIONS, 1000).await == before);
    assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large().concat());
    // Brought again in other pieces: the content is the same.
    subject.upload(tenant, "/other", &[&vec![9; 30_000], &vec![9; 70_000]]).await;
    assert_eq!(subject.read(tenant, "/other", None).await.unwrap(), vec![9; 100_000]);
    assert!(verified(&subject.store(), false).await.1.is_empty());
}

/// A tier that was not mounted, or is the wrong one, looks like one that lost everything.
pub(crate) async fn p1_a_tier_of_somebody_else_is_not_taken_for_a_lost_one(subject: &Subject) {
    let tenant = furnish(subject).await;
    let other = subject.another().await;
    let store = Store { chunks: other.store().chunks, ..subject.store() };
    let (done, findings) = verified(&store, true).await;
    assert!(done.problems > 0 && done.repaired == 0, "{findings:?}");
    assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large().concat());
    assert!(verified(&subject.store(), true).await.1.is_empty());
}

pub(crate) async fn f39_a_database_older_or_newer_than_its_bytes_is_reported(subject: &Subject) {
    let tenant = furnish(subject).await;
    let store = subject.store();
    let mut backup = Vec::new();
    dump::dump(&*store.metadata, &mut backup).await.unwrap();
    subject.upload(tenant, "/since", &[&vec![8; 90_000]]).await;
    // Newer than the bytes: the file is named, and not served.
    lose(subject, tenant, 90_000).await;
    let (_, findings) = verified(&store, false).await;
    assert_eq!(paths(&findings), [(Problem::DamagedBytes, "/since".to_owned())], "{findings:?}");
    subject.upload(tenant, "/since", &[&vec![7; 80_000]]).await;
    // Older: the bytes that came since are nobody's.
    for table in TABLES {
        let keys = rows(&*store.metadata, table, 1000).await.iter().map(Row::key).collect();
        store.metadata.remove_rows(table, keys).await.unwrap();
    }
    dump::load(&*store.metadata, &backup[..], false).await.unwrap();
    subject.advance(24 * HOUR);
    let (done, findings) = verified(&store, true).await;
    let left = findings.iter().filter(|finding| finding.problem == Problem::LeftBytes).count() as u64;
    assert!(left + done.young >= 1, "{findings:?}, {done:?}");
    assert!(findings.iter().all(|finding| finding.problem == Problem::LeftBytes), "{findings:?}");
    assert!(store.metadata.find_file(tenant, &path("/since"), None).await.unwrap().is_none());
    assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large().concat());
    subject.upload(tenant, "/since", &[&vec![7; 80_000]]).await;
    assert_eq!(subject.read(tenant, "/since", None).await.unwrap(), vec![7; 80_000]);
    let (_, findings) = verified(&store, false).await;
    assert!(findings.is_empty(), "{findings:?}");
}

pub(crate) async fn heads_that_are_not_the_newest_version_are_put_right(subject: &Subject) {
    let tenant = furnish(subject).await;
    let store = subject.store();
    let heads = rows(&*store.metadata, &FILES, 1000).await;
    let [a, copy] =
        ["/a", "/copy"].map(|at| heads.iter().find(|row| row.text("path") == at).unwrap().clone());
    store.metadata.restore_rows(vec![a.with("version", Value::Number(1)).unwrap()]).await.unwrap();
    let gone = copy.clone().with("path", Value::Text("/b/c".into())).unwrap();
    store.metadata.restore_rows(vec![gone]).await.unwrap();
    store.metadata.remove_rows(&FILES, vec![copy.key()]).await.unwrap();
    let (_, findings) = verified(&store, true).await;
    let all = ["/a", "/b/c", "/copy"].map(|at| (Problem::WrongHead, at.to_owned()));
    assert_eq!(paths(&findings), all, "{findings:?}");
    assert!(rows(&*store.metadata, &FILES, 1000).await == heads);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"b");
}

pub(crate) async fn contents_whose_pieces_are_wrong_are_healed(subject: &Subject) {
    let tenant = furnish(subject).await;
    let store = subject.store();
    let pieces = rows(&*store.metadata, &PIECES, 1000).await;
    let second = pieces.iter().find(|row| row.number("at") > 0).unwrap().clone();
    let first = pieces.iter().find(|row| row.get("rope") == second.get("rope")).unwrap();
    // Two chunks changed places.
    let swapped = second.with("chunk", first.get("chunk").clone()).unwrap();
    store.metadata.restore_rows(vec![swapped]).await.unwrap();
    let (_, findings) = verified(&store, true).await;
    assert_eq!(paths(&findings), [(Problem::WrongPieces, "/large".to_owned())], "{findings:?}");
    assert!(!can_read(subject, tenant, "/large").await);
    let [a, b, c] = large();
    subject.upload(tenant, "/again", &[&a, &b, &c]).await;
    assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large().concat());
    assert!(verified(&store, false).await.1.is_empty());
}

/// All that a dump would hold, but for what names the life and the place of a chunk.
async fn essence(store: &Store) -> Vec<String> {
    let mut written = Vec::new();
    dump::dump(&*store.metadata, &mut written).await.unwrap();
    let text = String::from_utf8(written).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let essence = |line: &&str| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        if row["table"] == "chunks" {
            let row = row.as_object_mut().unwrap();
            row.remove("generation");
            row.remove("place");
        }
        row.to_string()
    };
    lines[..lines.len() - 1].iter().map(essence).collect()
}

pub(crate) async fn a_copy_becomes_what_its_source_is_and_nothing_else_is_overwritten(subject: &Subject) {
    let tenant = furnish(subject).await;
    let (from, other) = (subject.store(), subject.another().await);
    let to = other.store();
    let quiet = |_| ();
    let done = copy::copy(&from, &to, quiet).await.unwrap();
    assert_eq!((done.chunks, done.damaged, done.unsettled), (6, 0, 0));
    assert!(essence(&to).await == essence(&from).await);
    assert_eq!(other.read(tenant, "/large", None).await.unwrap(), large().concat());
    assert!(copy::copy(&from, &to, quiet).await.unwrap().changed_nothing());

    subject.put(tenant, "/a", b"once more").await;
    from.metadata.delete_file(tenant, &path("/copy"), Expected::Anything).await.unwrap();
    let principal = subject.principal(None, None).await;
    let first = subject.add_session(principal, tenant, "name").await;
    copy::copy(&from, &to, quiet).await.unwrap();
    // The name goes from one session to another.
    from.metadata.end_session(first).await.unwrap();
    subject.advance(HOUR);
    subject.add_session(principal, tenant, "name").await;
    let gone = subject.tenant().await;
    subject.put(gone, "/x", b"x").await;
    copy::copy(&from, &to, quiet).await.unwrap();
    from.metadata.delete_tenant(gone, 1).await.unwrap();
    let done = copy::copy(&from, &to, quiet).await.unwrap();
    assert_eq!(done.unsettled, 0);
    assert!(essence(&to).await == essence(&from).await);
    assert!(verified(&to, false).await.1.is_empty());

    let stranger = subject.another().await;
    assert!(copy::copy(&stranger.store(), &to, quiet).await.is_err(), "a copy of another store");
    stranger.tenant().await;
    assert!(copy::copy(&from, &stranger.store(), quiet).await.is_err(), "data of its own");
    assert!(copy::copy(&from, &from, quiet).await.is_err(), "itself");
}

pub(crate) async fn a_damaged_chunk_is_not_copied(subject: &Subject) {
    let tenant = furnish(subject).await;
    lose(subject, tenant, LARGE as i64).await;
    let other = subject.another().await;
    let told = Mutex::new(Vec::new());
    let (from, to) = (subject.store(), other.store());
    let done = copy::copy(&from, &to, |problem| told.lock().unwrap().push(problem)).await.unwrap();
    assert_eq!(done.damaged, 1);
    assert_eq!(told.into_inner().unwrap().len(), 1);
    assert!(!can_read(&other, tenant, "/large").await);
    assert_eq!(other.read(tenant, "/a", None).await.unwrap(), b"b");
}

pub(crate) async fn a_dump_is_loaded_as_it_was_written(subject: &Subject) {
    let tenant = furnish(subject).await;
    let mut written = Vec::new();
    let counts = dump::dump(&*subject.store().metadata, &mut written).await.unwrap();
    assert_eq!((counts["versions"], counts["files"], counts["chunks"]), (6, 4, 6));
    let other = subject.another().await;
    let to = other.store().metadata;
    assert_eq!(dump::load(&*to, &written[..], false).await.unwrap(), counts);
    let mut again = Vec::new();
    dump::dump(&*to, &mut again).await.unwrap();
    assert!(again == written);
    assert!(matches!(dump::load(&*to, &written[..], false).await, Err(dump::DumpError::NotEmpty)));
    // What came since stays.
    other.put(tenant, "/a", b"newer").await;
    to.delete_file(tenant, &path("/copy"), Expected::Anything).await.unwrap();
    dump::load(&*to, &written[..], true).await.unwrap();
    assert_eq!(other.read(tenant, "/a", None).await.unwrap(), b"newer");
    assert!(to.find_file(tenant, &path("/copy"), None).await.unwrap().is_none());
    let half = written.len() / 2;
    assert!(dump::check(&written[..half]).is_err() && dump::check(&written[..]).is_ok());
}
