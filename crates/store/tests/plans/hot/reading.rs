//! Looking for one thing, and pages of many.

use cacheroach_model::{Host, LinkId, Path, PrincipalId, RopeId, SessionId, Timestamp, Version};
use cacheroach_store::files::Moment;
use cacheroach_store::links::LinkListing;

use super::{BATCH, Hot};
use crate::filled::{CHUNK, LARGE, LENGTH, LINK, LONG_ROPE, MANY, NOW, PRINCIPAL, SESSION, hash, id, path};

pub(super) async fn open_a_file(hot: &Hot) {
    let at = path(hot.middle(hot.files), hot.files);
    assert_eq!(hot.store.metadata.open_file(hot.tenant(), &at, None).await.unwrap().unwrap().1.len(), 1);
}

pub(super) async fn open_a_large_file(hot: &Hot) {
    let at = path(hot.files / 200 * 10 + hot.round * 10 + LARGE, hot.files);
    let (file, pieces) = hot.store.metadata.open_file(hot.tenant(), &at, None).await.unwrap().unwrap();
    assert!(file.size > LENGTH && pieces.len() == 1);
}

pub(super) async fn open_a_version(hot: &Hot) {
    let at = Path::parse_file(MANY).unwrap();
    let version = Some(Version(i64::try_from(hot.middle(hot.files / 10)).unwrap()));
    assert!(hot.store.metadata.open_file(hot.tenant(), &at, version).await.unwrap().is_some());
}

pub(super) async fn go_on_in_a_long_rope(hot: &Hot) {
    let (rope, at) = (RopeId::new(id(LONG_ROPE, 0)), hot.middle(hot.files / 10) * LENGTH + 1);
    assert!(!hot.store.metadata.list_pieces(hot.tenant(), rope, at..u64::MAX).await.unwrap().is_empty());
}

pub(super) async fn find_a_chunk(hot: &Hot) {
    let chunk = hash(CHUNK, hot.middle(hot.files));
    assert!(hot.store.metadata.find_chunk_from(hot.tenant(), chunk).await.unwrap().is_some());
}

pub(super) async fn list_a_page(hot: &Hot) {
    hot.list(Moment::Now, BATCH).await;
}

pub(super) async fn list_a_steady_page(hot: &Hot) {
    // Nobody was there then: all of them are looked for as they were.
    hot.list(Moment::Steady(Timestamp::from_micros(1)), 0).await;
}

pub(super) async fn list_a_past_page(hot: &Hot) {
    hot.list(Moment::Past(NOW), BATCH).await;
}

pub(super) async fn browse_directories(hot: &Hot) {
    assert_eq!(hot.browse("/", "d0000010/", None).await, BATCH);
}

pub(super) async fn browse_files(hot: &Hot) {
    assert_eq!(hot.browse("/w", &format!("{:07}", hot.files / 4 * 3), None).await, BATCH);
}

pub(super) async fn browse_over_a_large_directory(hot: &Hot) {
    hot.browse("/", "v", None).await;
}

pub(super) async fn browse_the_past(hot: &Hot) {
    assert_eq!(hot.browse("/", "d0000010/", Some(NOW)).await, BATCH);
}

pub(super) async fn list_versions(hot: &Hot) {
    let at = Path::parse_file(MANY).unwrap();
    let before = Some(Version(i64::try_from(hot.files / 20).unwrap()));
    let found = hot.store.metadata.list_versions(hot.tenant(), &at, before, BATCH).await.unwrap();
    assert_eq!(found.len(), BATCH);
}

pub(super) async fn find_a_session(hot: &Hot) {
    let session = SessionId::new(id(SESSION, hot.middle(hot.files) + 1));
    assert!(hot.store.metadata.find_session(session).await.unwrap().is_some());
}

pub(super) async fn find_a_session_by_name(hot: &Hot) {
    let index = hot.middle(hot.files) + 1;
    let principal = PrincipalId::new(id(PRINCIPAL, index % (hot.files / 10)));
    let found = hot.store.metadata.find_session_by_name(principal, &format!("s{index}")).await.unwrap();
    assert!(found.is_some());
}

pub(super) async fn list_grants(hot: &Hot) {
    let principal = PrincipalId::new(id(PRINCIPAL, hot.middle(hot.files / 10) + 1));
    assert!(!hot.store.metadata.list_grants(principal).await.unwrap().is_empty());
}

pub(super) async fn find_a_principal(hot: &Hot) {
    let principal = PrincipalId::new(id(PRINCIPAL, hot.middle(hot.files / 10)));
    assert!(hot.store.metadata.find_principal(principal).await.unwrap().is_some());
}

pub(super) async fn find_a_principal_by_address(hot: &Hot) {
    let index = hot.middle(hot.files / 10);
    let address = format!("p{index}@d{}.example", index + 1);
    assert!(hot.store.metadata.find_principal_by_email(&address).await.unwrap().is_some());
}

pub(super) async fn find_a_principal_by_domain(hot: &Hot) {
    let domain = format!("d{}.example", hot.middle(hot.files / 10));
    assert!(hot.store.metadata.find_principal_by_domain(&domain).await.unwrap().is_some());
}

pub(super) async fn find_a_password_by_user(hot: &Hot) {
    let user = format!("U{}", hot.middle(hot.files / 10));
    assert!(hot.store.metadata.find_password_by_user(&user).await.unwrap().is_some());
}

pub(super) async fn find_a_host(hot: &Hot) {
    let host = Host::parse(&format!("h{}.example", hot.middle(hot.files / 10))).unwrap();
    assert!(hot.store.metadata.find_vhost(&host).await.unwrap().is_some());
}

pub(super) async fn find_a_link(hot: &Hot) {
    let link = LinkId::new(id(LINK, hot.middle(hot.files / 2) + 1));
    assert!(hot.store.metadata.find_link(link).await.unwrap().is_some());
}

async fn links(hot: &Hot, principal: Option<PrincipalId>, limit: usize) -> usize {
    let index = hot.files / 4;
    let after = Some((path(index, hot.files).to_string(), LinkId::new(id(LINK, index))));
    let below = Some(Path::root());
    let listing = LinkListing { tenant: hot.tenant(), exactly: None, below, principal, after, limit };
    hot.store.metadata.list_links(&listing).await.unwrap().len()
}

pub(super) async fn list_links(hot: &Hot) {
    assert_eq!(links(hot, None, BATCH).await, BATCH);
}

pub(super) async fn list_links_of_a_principal(hot: &Hot) {
    assert_eq!(links(hot, Some(PrincipalId::new(id(PRINCIPAL, 1))), 1).await, 1);
}
