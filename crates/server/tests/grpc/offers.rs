//! Contents that need not be sent: chunks that the caller shows to have, and contents that are there already.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::upload::{
    BeginRequest, BeginResponse, OfferRequest, OfferResponse, OfferedChunk, TransferState,
};
use cacheroach_api::{file, token};
use cacheroach_model::Capabilities;
use cacheroach_service::{PurgeSettings, Settings as ServiceSettings};
use cacheroach_store::purge::Limits;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::support::{HOUR, Server, on_tenant};
use crate::uploads::{MIB, Site, bytes, status};

const CHUNK: usize = 512 * 1024;

fn sha(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// As the contract describes it.
fn offered(state: &TransferState, chunk: &[u8]) -> OfferedChunk {
    let mut block = b"cacheroach: a chunk of upload".to_vec();
    block.resize(48, 0);
    block.extend(&state.id.as_ref().unwrap().data);
    block.extend(chunk);
    OfferedChunk { hash: sha(chunk), proof: sha(&block) }
}

pub(crate) fn all(state: &TransferState, content: &[u8]) -> Vec<OfferedChunk> {
    content.chunks(CHUNK).map(|chunk| offered(state, chunk)).collect()
}

impl Site {
    async fn offer_as(
        &self,
        token: &str,
        state: &TransferState,
        chunks: Vec<OfferedChunk>,
    ) -> Result<OfferResponse, Status> {
        let request = OfferRequest { state: Some(state.clone()), chunks };
        Ok(self.server.uploads(token).offer(request).await?.into_inner())
    }

    pub(crate) async fn offer(
        &self,
        state: &TransferState,
        chunks: Vec<OfferedChunk>,
    ) -> (i32, TransferState) {
        let answer = self.offer_as(&self.token, state, chunks).await.unwrap();
        (answer.taken, answer.state.unwrap())
    }

    /// In one upload, by pieces.
    async fn upload(&self, path: &str, content: &[u8]) {
        let mut state = self.begin(path).await;
        for piece in content.chunks(2 * MIB) {
            state = self.transfer(&state, piece).await.unwrap();
        }
        self.commit(&state).await.unwrap();
    }

    async fn repeat(&self, token: &str, path: &str, hash: Vec<u8>) -> Result<BeginResponse, Status> {
        let request = BeginRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            committed: Some(Committed::Same(hash)),
            ..Default::default()
        };
        Ok(self.server.uploads(token).begin(request).await?.into_inner())
    }
}

#[tokio::test]
async fn what_is_there_and_shown_need_not_be_sent() {
    let site = Site::new().await;
    // Its last chunk is in the tier, in its row, none at all.
    for (at, length) in
        [3 * CHUNK + 100_000, 2 * CHUNK + 77, 4 * CHUNK, 1, 40 * CHUNK].into_iter().enumerate()
    {
        let (content, seed) = (bytes(length, u32::try_from(at).unwrap() + 10), format!("/there{at}"));
        site.upload(&seed, &content).await;
        let begun = site.begin("/b").await;
        let chunks = all(&begun, &content);
        let count = i32::try_from(chunks.len()).unwrap();
        let (taken, state) = site.offer(&begun, chunks).await;
        assert_eq!((taken, state.offset), (count, i64::try_from(length).unwrap()));
        assert_eq!((&state.id, state.deadline), (&begun.id, begun.deadline));
        site.commit(&state).await.unwrap();
        assert!(site.get("/b").await == content, "{length}");
    }
}

#[tokio::test]
async fn what_is_offered_and_what_is_sent_make_one_content() {
    let site = Site::new().await;
    let old = bytes(8 * CHUNK + 1_000, 1);
    site.upload("/a", &old).await;
    let mut new = old.clone();
    new[3 * CHUNK + 5] ^= 1;
    new.extend(bytes(CHUNK, 2));
    let begun = site.begin("/a").await;
    let chunks = all(&begun, &new);
    let (taken, state) = site.offer(&begun, chunks.clone()).await;
    assert_eq!(taken, 3, "up to the one that changed");
    let state = site.transfer(&state, &new[3 * CHUNK..4 * CHUNK]).await.unwrap();
    let (taken, state) = site.offer(&state, chunks[4..].to_vec()).await;
    assert_eq!(taken, 4, "the last ones are others");
    // As bytes that came, one that is shorter waits for what may follow.
    let (taken, state) = site.offer(&state, vec![offered(&begun, &old[8 * CHUNK..])]).await;
    assert_eq!((taken, state.offset), (1, i64::try_from(old.len()).unwrap()));
    let border = site.offer_as(&site.token, &state, vec![offered(&begun, b"x")]).await;
    assert_eq!(status(border).0, Code::FailedPrecondition);
    let state = site.transfer(&state, &new[old.len()..]).await.unwrap();
    site.commit(&state).await.unwrap();
    assert!(site.get("/a").await == new);
    assert_eq!(site.list().await[0].1, 2);
}

/// P7: whatever the reason is that a chunk must be sent, the answer is that of one nobody has.
#[tokio::test]
async fn a33_what_is_not_shown_cannot_be_told_from_what_is_not_there() {
    let site = Site::new().await;
    let other = site.server.tenant().await;
    let (mine, theirs, nobodys) = (bytes(CHUNK, 1), bytes(CHUNK, 2), bytes(CHUNK, 3));
    let (small, large) = (bytes(1_000, 4), bytes(2 * CHUNK, 5));
    for content in [&mine, &small, &large] {
        site.upload("/a", content).await;
    }
    site.server.put(other, "/a", theirs.clone()).await;
    let (begun, another) = (site.begin("/b").await, site.begin("/c").await);
    let proof = |chunk: &[u8]| offered(&begun, chunk).proof;
    let mut wrong = proof(&mine);
    wrong[31] ^= 1;
    let cases = [
        ("nobody has it", offered(&begun, &nobodys)),
        ("another tenant has it", offered(&begun, &theirs)),
        ("the proof is wrong", OfferedChunk { hash: sha(&mine), proof: wrong }),
        ("the proof is none", OfferedChunk { hash: sha(&mine), proof: vec![0; 32] }),
        ("the proof is the hash", OfferedChunk { hash: sha(&mine), proof: sha(&mine) }),
        ("the proof is of another upload", offered(&another, &mine)),
        ("the proof is of another chunk", OfferedChunk { hash: sha(&mine), proof: proof(&nobodys) }),
        ("the hash is of another chunk", OfferedChunk { hash: sha(&large[..CHUNK]), proof: proof(&mine) }),
        ("the proof is of a small one", OfferedChunk { hash: sha(&small), proof: proof(&mine) }),
        ("it is a content, not a chunk", offered(&begun, &large)),
        ("the first of all", OfferedChunk { hash: vec![0; 32], proof: proof(&mine) }),
        ("the last of all", OfferedChunk { hash: vec![255; 32], proof: proof(&mine) }),
    ];
    let unknown = OfferResponse { state: Some(begun.clone()), taken: 0 }.encode_to_vec();
    for (what, chunk) in cases {
        let answer = site.offer_as(&site.token, &begun, vec![chunk, offered(&begun, &mine)]).await.unwrap();
        assert_eq!(answer.encode_to_vec(), unknown, "{what}");
    }
    // What was refused left nothing behind, and a true proof is still good.
    let (taken, state) = site.offer(&begun, vec![offered(&begun, &mine)]).await;
    assert_eq!(taken, 1);
    let state = site.transfer(&state, &theirs).await.unwrap();
    site.commit(&state).await.unwrap();
    assert!(site.get("/b").await == [mine, theirs].concat());
}

/// S9: a state is no authority.
#[tokio::test]
async fn a34_nobody_offers_where_it_may_not_write() {
    let site = Site::new().await;
    let (other, principal) = (site.server.tenant().await, site.server.principal().await);
    let content = bytes(CHUNK, 1);
    site.upload("/a", &content).await;
    let state = site.begin("/a/b").await;
    let templates = [
        on_tenant(principal, Capabilities::ALL, other, "/*"),
        on_tenant(principal, Capabilities::ALL, site.tenant, "/b/*"),
        on_tenant(principal, Capabilities::READ, site.tenant, "/*"),
        on_tenant(principal, Capabilities::ALL, site.tenant, "/*").of_version(1),
    ];
    for template in templates {
        let token = site.session(template).await;
        let answer = site.offer_as(&token, &state, all(&state, &content)).await;
        assert_eq!(status(answer).0, Code::PermissionDenied);
        let answer = site.repeat(&token, "/a/b", sha(&content)).await;
        assert_eq!(status(answer).0, Code::PermissionDenied);
    }
    assert_eq!(status(site.offer_as("", &state, all(&state, &content)).await).0, Code::Unauthenticated);
    let mut forged = state.clone();
    forged.offset = i64::try_from(CHUNK).unwrap();
    for state in [forged, TransferState::default()] {
        let answer = site.offer_as(&site.token, &state, vec![offered(&site.begin("/x").await, b"x")]).await;
        assert_eq!(status(answer), (Code::InvalidArgument, "bad state signature".into()));
    }
    // Writing is enough: nobody who may not read learns anything, since it has what it offers.
    let writer = site.session(on_tenant(principal, Capabilities::WRITE, site.tenant, "/a/*")).await;
    let answer = site.offer_as(&writer, &state, all(&state, &content)).await.unwrap();
    assert_eq!(answer.taken, 1);
    let logout = token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) };
    site.server.tokens(&writer).invalidate(logout).await.unwrap();
    let answer = site.offer_as(&writer, &state, all(&state, &content)).await;
    assert_eq!(status(answer).0, Code::Unauthenticated);
}

#[tokio::test]
async fn a67_an_offer_has_chunks_and_they_have_hashes() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    let good = offered(&state, b"x");
    let count = "chunks: 1 to 64 of them";
    for (chunks, problem) in [
        (vec![], count),
        (vec![good.clone(); 65], count),
        (vec![good.clone(); 10_000], count),
        (vec![good.clone(), OfferedChunk { hash: vec![], ..good.clone() }], "chunks.hash: 32 bytes"),
        (vec![OfferedChunk { hash: vec![1; 31], ..good.clone() }], "chunks.hash: 32 bytes"),
        (vec![OfferedChunk { hash: vec![1; 33], ..good.clone() }], "chunks.hash: 32 bytes"),
        (vec![OfferedChunk { proof: vec![], ..good.clone() }], "chunks.proof: 32 bytes"),
        (vec![OfferedChunk { proof: vec![1; 31], ..good.clone() }], "chunks.proof: 32 bytes"),
        (vec![OfferedChunk { proof: vec![1; 1_000_000], ..good.clone() }], "chunks.proof: 32 bytes"),
    ] {
        let answer = status(site.offer_as(&site.token, &state, chunks).await);
        assert_eq!(answer, (Code::InvalidArgument, problem.into()));
    }
    assert_eq!(site.offer(&state, vec![good; 64]).await.0, 0);
    for hash in [vec![], vec![1; 31], vec![1; 33]] {
        let answer = status(site.repeat(&site.token, "/a", hash).await);
        assert_eq!(answer, (Code::InvalidArgument, "same: 32 bytes".into()));
    }
    assert_eq!(site.list().await, []);
}

#[tokio::test]
async fn f18_an_offer_may_be_repeated_and_stands_for_a_transfer() {
    let site = Site::new().await;
    let content = bytes(3 * CHUNK + 10, 1);
    site.upload("/a", &content).await;
    let begun = site.begin("/b").await;
    let chunks = all(&begun, &content);
    let (taken, state) = site.offer(&begun, chunks[..2].to_vec()).await;
    assert_eq!(taken, 2);
    assert_eq!(site.offer(&begun, chunks[..2].to_vec()).await, (2, state.clone()));
    assert_eq!(site.offer(&begun, chunks.clone()).await, (2, state.clone()), "it is told how far it came");
    assert_eq!(site.transfer(&begun, &content[..2 * CHUNK]).await.unwrap(), state);
    let other = vec![chunks[1].clone(), chunks[0].clone()];
    for chunks in [other, chunks[..1].to_vec()] {
        let answer = status(site.offer_as(&site.token, &begun, chunks).await);
        assert_eq!(answer.0, Code::FailedPrecondition);
    }
    let last = site.transfer(&state, &content[2 * CHUNK..]).await.unwrap();
    assert_eq!(site.offer(&state, chunks[2..].to_vec()).await, (2, last.clone()));
    let at_once = (0..8).map(|_| site.offer(&state, chunks[2..].to_vec()));
    for answer in futures::future::join_all(at_once).await {
        assert_eq!(answer, (2, last.clone()));
    }
    site.commit(&last).await.unwrap();
    assert!(site.get("/b").await == content);
    let after = status(site.offer_as(&site.token, &last, chunks[..1].to_vec()).await);
    assert_eq!(after.0, Code::FailedPrecondition);

    let many = site.begin("/c").await;
    let at_once = (0..8).map(|_| site.offer(&many, all(&many, &content)));
    let answers = futures::future::join_all(at_once).await;
    assert!(answers.iter().all(|answer| answer.0 == 4 && *answer == answers[0]), "{answers:?}");
    site.server.advance(HOUR);
    let late = site.offer_as(&site.token, &many, all(&many, &content)).await;
    assert_eq!(status(late).1, "bad state signature");
}

#[tokio::test]
async fn f6_a_damaged_chunk_is_asked_for_and_healed_by_its_bytes() {
    let site = Site::new().await;
    let content = bytes(3 * CHUNK, 1);
    site.upload("/a", &content).await;
    flip(&site.server, &content[CHUNK + 100..CHUNK + 132]);
    let begun = site.begin("/b").await;
    let chunks = all(&begun, &content);
    let (taken, state) = site.offer(&begun, chunks.clone()).await;
    assert_eq!(taken, 1, "up to the damage");
    let state = site.transfer(&state, &content[CHUNK..2 * CHUNK]).await.unwrap();
    let (taken, state) = site.offer(&state, chunks[2..].to_vec()).await;
    assert_eq!(taken, 1);
    site.commit(&state).await.unwrap();
    for path in ["/a", "/b"] {
        assert!(site.get(path).await == content, "{path}");
    }
}

fn flip(server: &Server, held: &[u8]) {
    for entry in fs::read_dir(server.dir().join("chunks")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(held.len()).position(|window| window == held) {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
            return;
        }
    }
    panic!("the bytes are in no pack");
}

/// P6: what was taken stays, whatever becomes of the file that brought it; what is gone is asked for.
#[tokio::test]
async fn f29_what_is_purged_meanwhile_is_sent_and_what_was_taken_stays() {
    let purge = PurgeSettings {
        limits: Limits { deleted_for: Some(Duration::ZERO), ..Limits::default() },
        ..Default::default()
    };
    let server = Server::start_serving(ServiceSettings { purge, ..Default::default() }).await;
    let site = Site::on(server).await;
    let (kept, gone) = (bytes(2 * CHUNK, 1), bytes(CHUNK, 2));
    for (path, content) in [("/kept", &kept), ("/gone", &gone)] {
        site.upload(path, content).await;
    }
    let begun = site.begin("/b").await;
    let (taken, state) = site.offer(&begun, all(&begun, &kept)).await;
    assert_eq!(taken, 2);
    for path in ["/kept", "/gone"] {
        let request =
            file::DeleteRequest { tenant: Some(site.tenant.into()), path: path.into(), ..Default::default() };
        site.server.files(&site.token).delete(request).await.unwrap();
    }
    site.server.advance(Duration::from_secs(60));
    site.server.stores(&site.server.super_token()).purge(()).await.unwrap();
    let (taken, same) = site.offer(&state, all(&state, &gone)).await;
    assert_eq!((taken, &same), (0, &state), "its bytes are gone");
    let state = site.transfer(&state, &gone).await.unwrap();
    site.commit(&state).await.unwrap();
    assert!(site.get("/b").await == [kept, gone].concat());
}

#[tokio::test]
async fn a_content_that_is_there_becomes_the_next_version_without_its_bytes() {
    let site = Site::new().await;
    let committed = BeginResponse { committed: true, ..Default::default() };
    for (path, content) in
        [("/large", bytes(2 * MIB + 5, 1)), ("/small", b"small".to_vec()), ("/none", vec![])]
    {
        site.begin_with(path, Some(Committed::Contents(content.clone()))).await.unwrap();
        let request = BeginRequest {
            tenant: Some(site.tenant.into()),
            path: path.into(),
            committed: Some(Committed::Same(sha(&content))),
            meta: HashMap::from([("k".to_owned(), "v".to_owned())]),
            content_type: "text/y".into(),
            expected_version: 1,
        };
        let mut uploads = site.server.uploads(&site.token);
        assert_eq!(uploads.begin(request.clone()).await.unwrap().into_inner(), committed, "{path}");
        let stat =
            file::StatRequest { tenant: request.tenant.clone(), path: path.into(), ..Default::default() };
        let meta = site.server.files(&site.token).stat(stat).await.unwrap().into_inner();
        assert_eq!((meta.version, meta.content_type.as_str(), &meta.meta["k"][..]), (2, "text/y", "v"));
        assert!(site.get(path).await == content, "{path}");
        let skewed = status(uploads.begin(request).await);
        assert_eq!(skewed, (Code::Aborted, "version skew".into()), "{path}");
    }
    let other = site.repeat(&site.token, "/small", sha(b"other")).await.unwrap();
    assert_eq!(other, BeginResponse::default());
    let elsewhere = site.repeat(&site.token, "/missing", sha(b"small")).await.unwrap();
    assert_eq!(elsewhere, BeginResponse::default(), "another file has it");
    assert_eq!(site.list().await.iter().map(|(_, version, _)| *version).collect::<Vec<_>>(), [2, 2, 2]);
}

/// P7: whoever may not read is told nothing of what is there.
#[tokio::test]
async fn a26_who_may_only_write_repeats_nothing() {
    let site = Site::new().await;
    site.server.put(site.tenant, "/a", "content").await;
    let principal = site.server.principal().await;
    let writer = site.session(on_tenant(principal, Capabilities::WRITE, site.tenant, "/*")).await;
    for (path, hash) in [("/a", sha(b"content")), ("/a", sha(b"other")), ("/missing", sha(b"content"))] {
        for expected_version in [0, -1, 1, 7] {
            let request = BeginRequest {
                tenant: Some(site.tenant.into()),
                path: path.into(),
                committed: Some(Committed::Same(hash.clone())),
                expected_version,
                ..Default::default()
            };
            let answer = site.server.uploads(&writer).begin(request).await.unwrap().into_inner();
            assert_eq!(answer, BeginResponse::default(), "{path}");
        }
    }
    assert_eq!(site.list().await, [("/a".into(), 1, 7)]);
}
