//! Objects on a server that fails as it is told.

mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{Hash, TenantId};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};
use sha2::{Digest as _, Sha256};

use self::server::{Failing, Server};
use super::{Object, ObjectSettings};
use crate::Error;
use crate::chunks::verified::Verified;
use crate::chunks::{Chunks, KeptChunk, NewChunk};

const PATIENT: ObjectSettings = ObjectSettings {
    concurrency: 8,
    request_timeout: Duration::from_millis(500),
    deadline: Duration::from_secs(60),
    first_pause: Duration::from_millis(2),
};
const HASTY: ObjectSettings = ObjectSettings {
    concurrency: 8,
    request_timeout: Duration::from_millis(100),
    deadline: Duration::from_millis(400),
    first_pause: Duration::from_millis(10),
};

const BUSY: Failing = Failing::Status(503, "SlowDown");
const BROKEN: Failing = Failing::Status(500, "InternalError");
const TOO_MANY: Failing = Failing::Status(429, "TooManyRequests");

fn tier(server: &Server, settings: ObjectSettings) -> Verified {
    let store = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", server.address))
        .with_region("test")
        .with_bucket_name("bucket")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_disable_bulk_delete(true)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .unwrap();
    Verified::new(Arc::new(Object::over(Arc::new(store), Path::from("p/q"), true, &settings)))
}

fn chunk(number: u8) -> NewChunk {
    let bytes = Bytes::from(vec![number; 70_000 + usize::from(number)]);
    let hash = Hash::new(Sha256::digest(&bytes).into());
    NewChunk { tenant: TenantId::SCRATCHPAD, hash, generation: i64::from(number), bytes, checksum: None }
}

async fn put(tier: &Verified, number: u8) -> crate::Result<KeptChunk> {
    let NewChunk { tenant, hash, bytes, .. } = chunk(number);
    let place = tier.write(vec![chunk(number)]).await?.remove(0);
    Ok(KeptChunk { tenant, hash, length: u32::try_from(bytes.len()).unwrap(), place })
}

fn is_damaged<T>(result: &crate::Result<T>) -> bool {
    matches!(result, Err(Error::Damaged(_)))
}

#[tokio::test]
async fn f27_a_store_that_fails_now_and_then_is_asked_again() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    server.fail(300, &[BROKEN, BUSY, TOO_MANY, Failing::Drops, Failing::Hangs]);
    for number in 0..40 {
        let kept = put(&tier, number).await.unwrap();
        assert_eq!(tier.read(&kept).await.unwrap(), chunk(number).bytes);
        if number % 2 == 0 {
            tier.erase(&kept).await.unwrap();
        }
    }
    assert_eq!(server.state.objects.lock().unwrap().len(), 20);
    let mut after = None;
    let mut listed = 0;
    loop {
        let page = tier.list(after.as_ref(), 7).await.unwrap();
        listed += page.chunks.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, 20);
    assert!(server.state.requests.load(Ordering::SeqCst) > 40 * 2 + 20, "nothing failed");
}

#[tokio::test]
async fn f27_a_store_that_only_fails_is_busy_in_the_end_and_back_by_itself() {
    let server = Server::start().await;
    let tier = tier(&server, HASTY);
    let kept = put(&tier, 1).await.unwrap();
    for failing in [BROKEN, BUSY, TOO_MANY, Failing::Drops, Failing::Hangs] {
        let other = put(&tier, 3).await.unwrap();
        server.fail(1000, &[failing]);
        assert!(matches!(tier.read(&kept).await, Err(Error::Busy(_))));
        assert!(matches!(put(&tier, 2).await, Err(Error::Busy(_))));
        // Whether it is gone is open then.
        assert!(matches!(tier.erase(&other).await, Err(Error::Busy(_))));
        assert!(matches!(tier.list(None, 5).await, Err(Error::Busy(_))));
        server.fail(0, &[]);
        assert_eq!(tier.read(&kept).await.unwrap(), chunk(1).bytes);
    }
}

#[tokio::test]
async fn f27_what_asking_does_not_mend_is_not_asked_again() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    let kept = put(&tier, 1).await.unwrap();
    let before = server.state.requests.load(Ordering::SeqCst);
    for (number, failing) in [
        Failing::Status(403, "AccessDenied"),
        Failing::Status(401, ""),
        Failing::Status(400, "InvalidRequest"),
    ]
    .into_iter()
    .enumerate()
    {
        server.fail(1000, &[failing]);
        assert!(matches!(tier.read(&kept).await, Err(Error::Failed(_))));
        assert_eq!(server.state.requests.load(Ordering::SeqCst), before + number + 1);
    }
    // A bucket that is away is no lost chunk.
    server.fail(1000, &[Failing::Status(404, "NoSuchBucket")]);
    assert!(matches!(tier.read(&kept).await, Err(Error::Failed(_))));
}

#[tokio::test]
async fn f07_a_store_without_room_says_so_and_takes_more_later() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    for failing in [Failing::Status(507, "XMinioStorageFull"), Failing::Status(403, "QuotaExceeded")] {
        server.fail(1000, &[failing]);
        assert!(matches!(put(&tier, 1).await, Err(Error::Full(_))));
    }
    server.fail(0, &[]);
    let kept = put(&tier, 1).await.unwrap();
    assert_eq!(tier.read(&kept).await.unwrap(), chunk(1).bytes);
}

#[tokio::test]
async fn f28_what_a_store_loses_shortens_or_swaps_is_damage() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    let (one, two) = (put(&tier, 1).await.unwrap(), put(&tier, 2).await.unwrap());
    let objects = || server.state.objects.lock().unwrap();
    let names: Vec<String> = objects().keys().cloned().collect();
    let name = names.iter().find(|name| name.contains(&one.hash.to_string())).unwrap();
    let whole = objects()[name].clone();
    let other = objects().values().find(|bytes| **bytes != whole).unwrap().clone();
    let mut flipped = whole.to_vec();
    flipped[1234] ^= 4;
    let much = Bytes::from(vec![0; 3 << 20]);
    for wrong in [Bytes::new(), whole.slice(..69_000), other, flipped.into(), much] {
        objects().insert(name.clone(), wrong);
        assert!(is_damaged(&tier.read(&one).await));
    }
    objects().remove(name);
    assert!(is_damaged(&tier.read(&one).await));
    tier.erase(&one).await.unwrap();
    assert_eq!(tier.read(&two).await.unwrap(), chunk(2).bytes);
    // The content comes again, under another name.
    let healed = put(&tier, 1).await.unwrap();
    assert_ne!(healed.place, one.place);
    assert_eq!(tier.read(&healed).await.unwrap(), chunk(1).bytes);
}

#[tokio::test]
async fn f28_what_a_store_keeps_although_it_was_erased_is_still_listed() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    let kept = put(&tier, 1).await.unwrap();
    server.state.keeps.store(true, Ordering::SeqCst);
    tier.erase(&kept).await.unwrap();
    let page = tier.list(None, 10).await.unwrap();
    assert_eq!(page.chunks[0].chunk, kept);
    server.state.keeps.store(false, Ordering::SeqCst);
    tier.erase(&page.chunks[0].chunk).await.unwrap();
    assert!(tier.list(None, 10).await.unwrap().chunks.is_empty());
}

#[tokio::test]
async fn what_is_no_chunk_of_ours_is_left_alone() {
    let server = Server::start().await;
    let tier = tier(&server, PATIENT);
    let kept = put(&tier, 1).await.unwrap();
    for name in ["p/q/readme.txt", "p/other", "q/x", "p/q/a/b/c-1-2"] {
        server.state.objects.lock().unwrap().insert(name.into(), Bytes::new());
    }
    let page = tier.list(None, 1000).await.unwrap();
    assert_eq!(page.chunks.iter().map(|found| &found.chunk).collect::<Vec<_>>(), [&kept]);
}

#[tokio::test]
async fn p13_no_key_is_in_an_error() {
    let server = Server::start().await;
    let tier = tier(&server, HASTY);
    server.fail(1000, &[BUSY, Failing::Status(403, "SignatureDoesNotMatch")]);
    for _ in 0..2 {
        let error = put(&tier, 1).await.unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!("{source} {source:?}"));
        assert!(!format!("{error:?} {source:?}").contains("secret"));
    }
}
