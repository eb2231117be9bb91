//! Uploads: at once, and piece by piece.

use std::collections::HashMap;

use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::upload::{BeginRequest, BeginResponse, CommitRequest, TransferRequest, TransferState};
use cacheroach_api::{file, token};
use cacheroach_model::{Capabilities, TenantId};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::code;
use crate::support::{HOUR, Server, Template, on_everything, on_principal, on_tenant};

pub(crate) const MIB: usize = 1 << 20;
const PIECE: usize = 2 * MIB;

/// A tenant, and one client that may write all of it.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) tenant: TenantId,
    pub(crate) token: String,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::on(Server::start().await).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let (tenant, principal) = (server.tenant().await, server.principal().await);
        let template = on_tenant(principal, Capabilities::READ | Capabilities::WRITE, tenant, "/*");
        let token = server.issue(&template).await;
        Site { server, tenant, token }
    }

    pub(crate) async fn begin_with(
        &self,
        path: &str,
        committed: Option<Committed>,
    ) -> Result<BeginResponse, Status> {
        let request = BeginRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            committed,
            ..Default::default()
        };
        self.server.uploads(&self.token).begin(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn begin(&self, path: &str) -> TransferState {
        self.begin_with(path, None).await.unwrap().state.unwrap()
    }

    pub(crate) async fn transfer(&self, state: &TransferState, data: &[u8]) -> Result<TransferState, Status> {
        self.transfer_as(&self.token, state, data).await
    }

    pub(crate) async fn transfer_as(
        &self,
        token: &str,
        state: &TransferState,
        data: &[u8],
    ) -> Result<TransferState, Status> {
        let request = TransferRequest { state: Some(state.clone()), data: data.to_vec() };
        let answer = self.server.uploads(token).transfer(request).await?;
        Ok(answer.into_inner().state.expect("the next state"))
    }

    pub(crate) async fn commit(&self, state: &TransferState) -> Result<(), Status> {
        self.commit_as(&self.token, state).await
    }

    async fn commit_as(&self, token: &str, state: &TransferState) -> Result<(), Status> {
        let request =
            CommitRequest { state: Some(state.clone()), meta: HashMap::new(), ..Default::default() };
        self.server.uploads(token).commit(request).await.map(|_| ())
    }

    pub(crate) async fn session(&self, template: Template) -> String {
        self.server.issue(&template).await
    }

    pub(crate) async fn list(&self) -> Vec<(String, i64, i64)> {
        self.server.list(self.tenant).await
    }

    /// The bytes of a file, over HTTP.
    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        let answer = self.server.http_as(&self.token, "GET", path, "localhost").await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        let body = answer.body.expect("a whole body").to_vec();
        assert_eq!(answer.headers["etag"], format!("\"{}\"", hex(&body)), "{path}");
        body
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes without a period that chunks could share.
pub(crate) fn bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

#[track_caller]
fn assert_bad_state<T: std::fmt::Debug>(answer: Result<T, Status>, what: &str) {
    let status = answer.expect_err(what);
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "bad state signature"), "{what}");
}

pub(crate) fn status<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    answer.map_or_else(|status| (status.code(), status.message().to_owned()), |_| (Code::Ok, String::new()))
}

#[tokio::test]
async fn contents_in_one_call_are_stored_at_once() {
    let site = Site::new().await;
    let committed = BeginResponse { committed: true, ..Default::default() };
    for (path, contents) in [
        ("/empty", Vec::new()),
        ("/small", b"hello".to_vec()),
        ("/chunk", bytes(512 * 1024, 1)),
        ("/large", bytes(3 * MIB, 2)),
    ] {
        let answer = site.begin_with(path, Some(Committed::Contents(contents.clone()))).await.unwrap();
        assert_eq!(answer, committed, "{path}");
        assert!(site.get(path).await == contents, "{path}");
    }
    assert_eq!(site.begin_with("/none", Some(Committed::Empty(true))).await.unwrap(), committed);
    assert_eq!(site.get("/none").await, b"");
    assert_eq!(site.list().await.len(), 5);
}

#[tokio::test]
async fn a_begin_without_contents_tells_how_to_go_on() {
    let site = Site::new().await;
    for committed in [None, Some(Committed::Empty(false))] {
        let answer = site.begin_with("/a", committed).await.unwrap();
        assert!(!answer.committed);
        assert_eq!(answer.max_chunk_size, 2_097_152);
        let state = answer.state.unwrap();
        assert_eq!((state.offset, state.id.unwrap().data.len()), (0, 16));
        assert_eq!(state.tenant_id, Some(site.tenant.into()));
        assert_eq!(state.deadline.unwrap().seconds, site.server.now().seconds() + 3600);
    }
    assert_eq!(site.list().await, []);
}

#[tokio::test]
async fn a_file_comes_in_pieces_of_any_size() {
    let site = Site::new().await;
    for (path, sizes) in [
        ("/pieces", &[PIECE, PIECE, MIB][..]),
        ("/odd", &[PIECE - 1, 1, 7, 512 * 1024, 512 * 1024 + 1]),
        ("/short", &[1]),
        ("/chunks", &[512 * 1024, 512 * 1024]),
    ] {
        let whole = bytes(sizes.iter().sum(), 3);
        let mut state = site.begin(path).await;
        let mut rest = &whole[..];
        for size in sizes {
            let (piece, after) = rest.split_at(*size);
            let next = site.transfer(&state, piece).await.unwrap();
            assert_eq!(next.offset, state.offset + i64::try_from(*size).unwrap());
            assert_eq!((&next.id, next.deadline), (&state.id, state.deadline));
            (state, rest) = (next, after);
        }
        assert!(!site.list().await.iter().any(|(there, ..)| there == path), "before its commit");
        site.commit(&state).await.unwrap();
        assert!(site.get(path).await == whole, "{path}");
    }
}

#[tokio::test]
async fn a_commit_right_after_begin_makes_an_empty_file() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    site.commit(&state).await.unwrap();
    assert_eq!(site.list().await, [("/a".into(), 1, 0)]);
    assert_eq!(site.get("/a").await, b"");
}

#[tokio::test]
async fn metadata_comes_with_the_commit_and_is_listed() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    let mut pairs = HashMap::from([("Some-Key; '".to_owned(), "any value\u{e9}".to_owned())]);
    pairs.insert("empty".into(), String::new());
    let request = CommitRequest { state: Some(state), meta: pairs.clone(), ..Default::default() };
    site.server.uploads(&site.token).commit(request).await.unwrap();
    let request = file::ListRequest {
        tenant: Some(site.tenant.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    };
    let found = site.server.files(&site.token).list(request).await.unwrap().into_inner();
    assert_eq!(found.files[0].meta, pairs);

    let too_many = (0..65).map(|at| (at.to_string(), String::new())).collect();
    let too_long = HashMap::from([("a".to_owned(), "x".repeat(8 * 1024))]);
    for meta in [too_many, too_long] {
        let request = CommitRequest { state: Some(site.begin("/b").await), meta, ..Default::default() };
        let answer = site.server.uploads(&site.token).commit(request).await;
        assert!(matches!(code(&answer), Code::InvalidArgument | Code::ResourceExhausted), "{answer:?}");
    }
    assert_eq!(site.list().await.len(), 1);
}

#[tokio::test]
async fn a_piece_has_bytes_and_at_most_the_announced_number() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    let no_data = (Code::InvalidArgument, "no data in request".to_owned());
    assert_eq!(status(site.transfer(&state, b"").await), no_data);
    let reduce = (Code::InvalidArgument, "reduce chunk size".to_owned());
    assert_eq!(status(site.transfer(&state, &bytes(PIECE + 1, 1)).await), reduce);
    let next = site.transfer(&state, &bytes(PIECE, 1)).await.unwrap();
    site.commit(&next).await.unwrap();
    assert!(site.get("/a").await == bytes(PIECE, 1));
}

#[tokio::test]
async fn s5_a_request_without_a_state_is_refused() {
    let site = Site::new().await;
    let deadline = Some(prost_types::Timestamp { seconds: site.server.now().seconds() + 60, nanos: 0 });
    for state in
        [None, Some(TransferState::default()), Some(TransferState { deadline, ..Default::default() })]
    {
        let mut uploads = site.server.uploads(&site.token);
        let request = CommitRequest { state: state.clone(), meta: HashMap::new(), ..Default::default() };
        assert_bad_state(uploads.commit(request).await, "commit");
        assert_bad_state(uploads.transfer(TransferRequest { state, data: vec![1] }).await, "transfer");
    }
    assert_eq!(site.list().await, []);
}

#[tokio::test]
async fn a33_contents_that_another_tenant_has_must_be_sent_all_the_same() {
    let site = Site::new().await;
    let other = site.server.tenant().await;
    let content = bytes(PIECE, 5);
    site.server.put(other, "/a", content.clone()).await;
    let fresh = site.begin("/fresh").await;
    let fresh = site.transfer(&fresh, &bytes(PIECE, 6)).await.unwrap();
    let known = site.begin("/known").await;
    let known = site.transfer(&known, &content).await.unwrap();
    // The answers differ in what names the upload, in nothing else.
    assert_eq!((fresh.offset, &fresh.data, fresh.deadline), (known.offset, &known.data, known.deadline));
    assert_eq!(fresh.signature.len(), known.signature.len());
    site.commit(&known).await.unwrap();
    assert!(site.get("/known").await == content);
}

/// S9: a state is no authority.
#[tokio::test]
async fn a34_a_state_is_worth_nothing_to_whoever_may_not_write_there() {
    let site = Site::new().await;
    let server = &site.server;
    let (other, principal) = (server.tenant().await, server.principal().await);
    let state = site.begin("/a/b").await;
    let all = Capabilities::ALL;
    let others = [
        ("another tenant", site.session(on_tenant(principal, all, other, "/*")).await),
        ("another path", site.session(on_tenant(principal, all, site.tenant, "/b/*")).await),
        ("reading", site.session(on_tenant(principal, Capabilities::READ, site.tenant, "/*")).await),
        ("no grant", site.session(on_principal(principal, all, principal)).await),
        ("one version", site.session(on_tenant(principal, all, site.tenant, "/*").of_version(1)).await),
    ];
    for (what, token) in &others {
        let transferred = site.transfer_as(token, &state, b"stolen").await;
        assert_eq!(status(transferred).0, Code::PermissionDenied, "{what}");
        assert_eq!(status(site.commit_as(token, &state).await).0, Code::PermissionDenied, "{what}");
    }
    assert_eq!(status(site.transfer_as("", &state, b"stolen").await).0, Code::Unauthenticated);
    assert_eq!(status(site.commit_as("", &state).await).0, Code::Unauthenticated);
    assert_eq!(site.list().await, []);
    // Untouched by all of that.
    let state = site.transfer(&state, b"mine").await.unwrap();
    site.commit(&state).await.unwrap();
    assert_eq!(site.get("/a/b").await, b"mine");
    for (what, token) in &others {
        assert_eq!(status(site.commit_as(token, &state).await).0, Code::PermissionDenied, "{what}");
    }
}

#[tokio::test]
async fn a35_a_state_that_was_changed_is_no_state() {
    let site = Site::new().await;
    let other = site.server.tenant().await;
    let state = site.transfer(&site.begin("/a").await, b"12345").await.unwrap();
    let second = site.begin("/b").await;
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let with = |change: &dyn Fn(&mut TransferState)| {
        let mut changed = state.clone();
        change(&mut changed);
        changed
    };
    let mut forged = vec![
        ("another id", with(&|s| s.id = second.id.clone())),
        ("no id", with(&|s| s.id = None)),
        ("another tenant", with(&|s| s.tenant_id = Some(other.into()))),
        ("no tenant", with(&|s| s.tenant_id = None)),
        ("another offset", with(&|s| s.offset = 4)),
        ("no offset", with(&|s| s.offset = 0)),
        ("a negative offset", with(&|s| s.offset = -5)),
        ("a later deadline", with(&|s| s.deadline.as_mut().unwrap().seconds += 1)),
        ("a deadline a little later", with(&|s| s.deadline.as_mut().unwrap().nanos = 1_000)),
        ("no deadline", with(&|s| s.deadline = None)),
        ("another hash", with(&|s| s.data.push(1))),
        ("no signature", with(&|s| s.signature.clear())),
        ("a short signature", with(&|s| s.signature.truncate(63))),
        ("a long signature", with(&|s| s.signature.push(0))),
        ("another's signature", with(&|s| s.signature.clone_from(&second.signature))),
    ];
    for at in 0..state.signature.len() {
        forged.push(("a bit", with(&|s| s.signature = flipped(&s.signature, at))));
    }
    for (what, state) in &forged {
        assert_bad_state(site.transfer(state, b"more").await, what);
        assert_bad_state(site.commit(state).await, what);
    }
    for length in [1, 15, 17] {
        let state = with(&|s| s.id.as_mut().unwrap().data.resize(length, 0));
        assert_eq!(status(site.commit(&state).await).0, Code::InvalidArgument, "{length}");
        let state = with(&|s| s.tenant_id.as_mut().unwrap().data.resize(length, 0));
        assert_eq!(status(site.transfer(&state, b"x").await).0, Code::InvalidArgument, "{length}");
    }
    assert_eq!(site.list().await, []);
    site.commit(&state).await.unwrap();
    assert_eq!(site.get("/a").await, b"12345");
}

/// F18: an answer that was lost is asked for again.
#[tokio::test]
async fn a36_f18_the_same_piece_again_gets_the_same_answer() {
    let site = Site::new().await;
    let begun = site.begin("/a").await;
    let first = site.transfer(&begun, b"first").await.unwrap();
    assert_eq!(site.transfer(&begun, b"first").await.unwrap(), first);
    let (one, two) = tokio::join!(site.transfer(&first, b"second"), site.transfer(&first, b"second"));
    let second = one.unwrap();
    assert_eq!(two.unwrap(), second);
    assert_eq!(site.transfer(&first, b"second").await.unwrap(), second);
    site.commit(&second).await.unwrap();
    assert_eq!(site.get("/a").await, b"firstsecond");
}

/// S10.
#[tokio::test]
async fn s10_other_bytes_for_the_same_place_are_refused() {
    let site = Site::new().await;
    let begun = site.begin("/a").await;
    let first = site.transfer(&begun, b"first").await.unwrap();
    for other in [&b"other"[..], b"firs", b"first and more"] {
        assert_eq!(status(site.transfer(&begun, other).await).0, Code::FailedPrecondition);
    }
    // Two at once: one is told that it is late.
    let (one, two) = tokio::join!(site.transfer(&first, b"one"), site.transfer(&first, b"two"));
    let (won, word) = match (one, two) {
        (Ok(state), Err(lost)) | (Err(lost), Ok(state)) if lost.code() == Code::FailedPrecondition => {
            site.commit(&state).await.unwrap();
            (site.get("/a").await, site.list().await)
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(&won[..], b"firstone" | b"firsttwo"));
    assert_eq!(word, [("/a".into(), 1, 8)]);
}

/// F20, D9, C14: one upload makes one version.
#[tokio::test]
async fn f20_committing_again_answers_and_changes_nothing() {
    let site = Site::new().await;
    let state = site.transfer(&site.begin("/a").await, b"upload").await.unwrap();
    for _ in 0..3 {
        site.commit(&state).await.unwrap();
    }
    assert_eq!(site.list().await, [("/a".into(), 1, 6)]);
    site.server.put(site.tenant, "/a", "newer").await;
    site.commit(&state).await.unwrap();
    assert_eq!(site.list().await, [("/a".into(), 2, 5)]);
    assert_eq!(site.get("/a").await, b"newer");
    let request =
        file::DeleteRequest { tenant: Some(site.tenant.into()), path: "/a".into(), ..Default::default() };
    site.server.files(&site.token).delete(request).await.unwrap();
    site.commit(&state).await.unwrap();
    assert_eq!(site.list().await, []);
}

/// P5: whichever is later answers as the first did.
#[tokio::test]
async fn f20_of_two_commits_at_once_both_answer() {
    let site = Site::new().await;
    for at in 0..30 {
        let state = site.transfer(&site.begin(&format!("/{at}")).await, &[at]).await.unwrap();
        let (one, two) = tokio::join!(site.commit(&state), site.commit(&state));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    }
    assert!(site.list().await.iter().all(|(_, version, size)| (*version, *size) == (1, 1)));
}

/// C12.
#[tokio::test]
async fn a36_c12_nothing_is_added_after_the_commit() {
    let site = Site::new().await;
    let begun = site.begin("/a").await;
    let state = site.transfer(&begun, b"first").await.unwrap();
    site.commit(&state).await.unwrap();
    assert_eq!(status(site.transfer(&state, b"more").await).0, Code::FailedPrecondition);
    let again = status(site.transfer(&begun, b"other").await);
    assert_eq!(again.0, Code::FailedPrecondition);
    assert_eq!(site.get("/a").await, b"first");
    assert_eq!(site.list().await, [("/a".into(), 1, 5)]);
}

#[tokio::test]
async fn a36_nothing_goes_on_after_the_deadline() {
    let site = Site::new().await;
    let state = site.transfer(&site.begin("/a").await, b"first").await.unwrap();
    site.server.advance(HOUR - std::time::Duration::from_secs(1));
    let state = site.transfer(&state, b"second").await.unwrap();
    site.server.advance(std::time::Duration::from_secs(1));
    for answer in [status(site.transfer(&state, b"third").await.map(drop)), status(site.commit(&state).await)]
    {
        // The text is the original's; the code that of a state that does not allow it, or of a bad one.
        assert!(matches!(answer.0, Code::FailedPrecondition | Code::InvalidArgument), "{answer:?}");
        assert_eq!(answer.1, "bad state signature");
    }
    assert_eq!(site.list().await, []);
}

#[tokio::test]
async fn a36_what_was_committed_is_answered_after_the_deadline_too() {
    let site = Site::new().await;
    let state = site.transfer(&site.begin("/a").await, b"first").await.unwrap();
    site.commit(&state).await.unwrap();
    site.server.advance(HOUR);
    let answer = status(site.commit(&state).await);
    assert!(matches!(answer.0, Code::Ok | Code::FailedPrecondition | Code::NotFound), "{answer:?}");
    assert_eq!(site.list().await, [("/a".into(), 1, 5)]);
}

#[tokio::test]
async fn a37_an_upload_ends_with_the_session() {
    let site = Site::new().await;
    let state = site.transfer(&site.begin("/a").await, b"first").await.unwrap();
    let logout = token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) };
    site.server.tokens(&site.token).invalidate(logout).await.unwrap();
    assert_eq!(status(site.transfer(&state, b"more").await).0, Code::Unauthenticated);
    assert_eq!(status(site.commit(&state).await).0, Code::Unauthenticated);
    assert_eq!(site.list().await, []);
    // By a revoked grant it ends as well.
    let principal = site.server.principal().await;
    let write = on_tenant(principal, Capabilities::WRITE, site.tenant, "/*");
    let (grant, _) = site.server.issue_session(&write).await;
    let itself = site.session(on_principal(principal, Capabilities::ALL, principal)).await;
    let request = BeginRequest {
        tenant: Some(site.tenant.into()),
        path: "/b".into(),
        committed: None,
        ..Default::default()
    };
    let state = site.server.uploads(&itself).begin(request).await.unwrap().into_inner().state.unwrap();
    let revoke = token::InvalidateRequest { kind: grant.id.map(token::invalidate_request::Kind::Id) };
    site.server.tokens(&itself).invalidate(revoke).await.unwrap();
    assert_eq!(status(site.transfer_as(&itself, &state, b"more").await).0, Code::PermissionDenied);
    assert_eq!(status(site.commit_as(&itself, &state).await).0, Code::PermissionDenied);
    assert_eq!(site.list().await, []);
}

#[tokio::test]
async fn f19_out_of_order_is_refused_and_harms_nothing() {
    let site = Site::new().await;
    let begun = site.begin("/a").await;
    let first = site.transfer(&begun, b"first").await.unwrap();
    let second = site.transfer(&first, b"second").await.unwrap();
    // Late, and not what was sent then.
    assert_eq!(status(site.transfer(&begun, b"first").await).0, Code::FailedPrecondition);
    assert_eq!(status(site.transfer(&begun, b"other").await).0, Code::FailedPrecondition);
    assert_eq!(status(site.transfer(&first, b"other").await).0, Code::FailedPrecondition);
    // Too early: not all that was sent would be in it.
    assert_eq!(status(site.commit(&begun).await).0, Code::FailedPrecondition);
    assert_eq!(status(site.commit(&first).await).0, Code::FailedPrecondition);
    assert_eq!(site.list().await, []);
    site.commit(&second).await.unwrap();
    assert_eq!(site.get("/a").await, b"firstsecond");
}

#[tokio::test]
async fn a65_a_million_tiny_pieces_are_not_served() {
    let site = Site::new().await;
    let mut state = site.begin("/a").await;
    let mut refused = None;
    for at in 0..3_000 {
        match site.transfer(&state, b"x").await {
            Ok(next) => state = next,
            Err(status) => {
                refused = Some((at, status.code()));
                break;
            }
        }
    }
    let (after, code) = refused.expect("3,000 pieces of a byte are too many");
    assert!(after >= 100, "some are fine: {after}");
    assert_eq!(code, Code::ResourceExhausted);
    site.commit(&state).await.unwrap();
    assert_eq!(site.get("/a").await, vec![b'x'; after]);
}

#[tokio::test]
async fn an_upload_that_is_no_longer_known_is_not_found() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    let gone =
        cacheroach_api::tenant::Tenant { id: Some(site.tenant.into()), version: 1, ..Default::default() };
    let request = cacheroach_api::tenant::EnsureRequest { tenant: Some(gone), delete: true };
    let root = site.session(on_everything(site.server.principal().await)).await;
    site.server.tenants(&root).ensure(request).await.unwrap();
    let missing = (Code::NotFound, "upload not found".to_owned());
    assert_eq!(status(site.commit_as(&root, &state).await), missing);
    assert_eq!(status(site.transfer_as(&root, &state, b"x").await.map(drop)), missing);
}

/// C10, and that the two front ends mean the same file.
#[tokio::test]
async fn c10_an_empty_put_is_an_empty_file() {
    let site = Site::new().await;
    let authorization = format!("Bearer {}", site.token);
    let answer = site.server.http("PUT", "/a", &[("authorization", &authorization)], "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (202, hex(b"").as_str()));
    assert_eq!(site.list().await, [("/a".into(), 1, 0)]);
}

#[tokio::test]
async fn twenty_uploads_of_one_path_make_twenty_versions() {
    let site = Site::new().await;
    let one = async |at: u8| {
        let contents = Committed::Contents(vec![at; 100]);
        site.begin_with("/a", Some(contents)).await.unwrap();
    };
    futures::future::join_all((0..20).map(one)).await;
    assert_eq!(site.list().await, [("/a".into(), 20, 100)]);
    let got = site.get("/a").await;
    assert!(got.iter().all(|byte| *byte == got[0]));
}

#[tokio::test]
async fn an_upload_to_a_tenant_that_is_not_there_stores_nothing() {
    let site = Site::new().await;
    let root = site.server.super_token();
    let nowhere = TenantId::new([1; 16]);
    for committed in [None, Some(Committed::Contents(b"x".into())), Some(Committed::Empty(true))] {
        let request =
            BeginRequest { tenant: Some(nowhere.into()), path: "/a".into(), committed, ..Default::default() };
        let answer = site.server.uploads(&root).begin(request).await;
        assert_eq!(code(&answer), Code::NotFound);
    }
}
