//! A batch of each kind that is over, the collector and the slow walks.

use std::time::Duration;

use cacheroach_model::Retention;
use cacheroach_store::purge::Kind;

use super::{BATCH, Hot};
use crate::filled::{CHUNK, hash, path};

pub(super) async fn remove_sessions(hot: &Hot) {
    hot.remove(Kind::Sessions).await;
}

pub(super) async fn remove_links(hot: &Hot) {
    hot.remove(Kind::Links).await;
}

pub(super) async fn remove_uploads(hot: &Hot) {
    hot.remove(Kind::Uploads).await;
}

pub(super) async fn remove_tenants(hot: &Hot) {
    hot.remove(Kind::Tenants).await;
}

pub(super) async fn remove_deleted(hot: &Hot) {
    hot.remove(Kind::Deleted).await;
}

pub(super) async fn remove_overwritten(hot: &Hot) {
    hot.remove(Kind::Overwritten).await;
}

pub(super) async fn remove_ropes(hot: &Hot) {
    hot.remove(Kind::Ropes).await;
}

pub(super) async fn condemn_and_drop(hot: &Hot) {
    // Around the ring: what is loose, then what is needed.
    let from = hash(CHUNK, hot.files / 5 - 10);
    let done = hot.store.metadata.condemn(from, Duration::ZERO, BATCH).await.unwrap();
    hot.store.metadata.drop_chunks(&done.chunks).await.unwrap();
}

pub(super) async fn walk_chunks(hot: &Hot) {
    let after = (hot.tenant(), hash(CHUNK, hot.middle(hot.files)));
    assert!(hot.store.metadata.walk_chunks(Some(after), BATCH).await.unwrap().is_some());
}

pub(super) async fn walk_files(hot: &Hot) {
    let after = (hot.tenant(), path(hot.middle(hot.files / 10), hot.files));
    let rule = Retention { versions: Some(3), age: None };
    assert!(hot.store.metadata.walk_files(rule, Some(after), BATCH).await.unwrap().is_some());
}
