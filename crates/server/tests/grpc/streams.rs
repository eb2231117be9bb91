//! Contents of uploads in one call, answered with how far they are safe.

use std::time::Duration;

use bytes::Bytes;
use cacheroach_api::token;
use cacheroach_api::token::invalidate_request::Kind;
use cacheroach_api::upload::{StreamRequest, StreamResponse, TransferState};
use cacheroach_model::Capabilities;
use cacheroach_service::Settings as ServiceSettings;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use crate::offers::all;
use crate::support::{HOUR, Server, Template, on_principal, on_tenant};
use crate::uploads::{MIB, Site, bytes, status};

const CHUNK: usize = 512 * 1024;
const PIECE: usize = 2 * MIB;

fn late() -> (Code, String) {
    (Code::FailedPrecondition, "not the latest state of this upload".into())
}

fn first(state: &TransferState) -> StreamRequest {
    StreamRequest { state: Some(state.clone()), data: Bytes::new() }
}

fn data(bytes: &[u8]) -> StreamRequest {
    StreamRequest { state: None, data: bytes.to_vec().into() }
}

fn offset(state: &TransferState) -> usize {
    usize::try_from(state.offset).unwrap()
}

/// A call under way.
struct Call {
    say: mpsc::Sender<StreamRequest>,
    answers: Streaming<StreamResponse>,
}

impl Call {
    async fn say(&self, part: StreamRequest) {
        // Whether anybody listens shows in the answers.
        let _ = self.say.send(part).await;
    }

    async fn next(&mut self) -> Result<Option<TransferState>, Status> {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answers.message()).await;
        Ok(answer.expect("an answer in time")?.map(|answer| answer.state.expect("a state")))
    }

    /// Up to here, at least, it is safe.
    async fn until(&mut self, offset: usize) -> TransferState {
        loop {
            let state = self.next().await.unwrap().expect("another state");
            if self::offset(&state) >= offset {
                return state;
            }
        }
    }

    /// After the last part: all that is told.
    async fn end(self) -> Result<Vec<TransferState>, Status> {
        let Call { say, answers } = self;
        drop(say);
        answers
            .map(|answer| answer.map(|answer| answer.state.expect("a state")))
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect()
    }
}

impl Site {
    async fn call_as(&self, token: &str, begin: StreamRequest) -> Result<Call, Status> {
        let (say, mut parts) = mpsc::channel(1);
        say.send(begin).await.unwrap();
        let parts = futures::stream::poll_fn(move |context| parts.poll_recv(context));
        let answers = self.server.uploads(token).stream(parts).await?.into_inner();
        Ok(Call { say, answers })
    }

    async fn call(&self, state: &TransferState) -> Call {
        self.call_as(&self.token, first(state)).await.unwrap()
    }

    /// All at once; all that is told.
    async fn told(&self, state: &TransferState, pieces: &[&[u8]]) -> Result<Vec<TransferState>, Status> {
        let parts: Vec<_> =
            [first(state)].into_iter().chain(pieces.iter().map(|piece| data(piece))).collect();
        let answers =
            self.server.uploads(&self.token).stream(futures::stream::iter(parts)).await?.into_inner();
        answers
            .map(|answer| answer.map(|answer| answer.state.expect("a state")))
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect()
    }

    /// The last state of a stream of pieces.
    async fn stream(
        &self,
        state: &TransferState,
        content: &[u8],
        piece: usize,
    ) -> Result<TransferState, Status> {
        let told = self.told(state, &content.chunks(piece).collect::<Vec<_>>()).await?;
        Ok(told.last().expect("a state at the end").clone())
    }
}

#[tokio::test]
async fn a_content_comes_in_one_call_and_is_told_as_it_becomes_safe() {
    let site = Site::new().await;
    for (path, size, piece) in [
        ("/pieces", 12 * MIB + 5, PIECE),
        ("/chunks", 20 * CHUNK, CHUNK),
        ("/odd", 3 * MIB + 77, 300_001),
        ("/short", 1, 1),
        ("/border", CHUNK, CHUNK / 2),
        ("/more", CHUNK + 1, CHUNK),
    ] {
        let content = bytes(size, 3);
        let begun = site.begin(path).await;
        let told = site.told(&begun, &content.chunks(piece).collect::<Vec<_>>()).await.unwrap();
        let offsets: Vec<_> = told.iter().map(offset).collect();
        assert!(offsets.is_sorted_by(|one, next| one < next), "{path}: {offsets:?}");
        assert!(offsets[..offsets.len() - 1].iter().all(|at| at % CHUNK == 0), "{path}: {offsets:?}");
        let last = told.last().unwrap();
        assert_eq!((offset(last), &last.id, last.deadline), (size, &begun.id, begun.deadline), "{path}");
        assert!(!site.list().await.iter().any(|(there, ..)| there == path), "before its commit");
        site.commit(last).await.unwrap();
        assert!(site.get(path).await == content, "{path}");
    }
    let begun = site.begin("/none").await;
    assert_eq!(site.told(&begun, &[]).await.unwrap(), std::slice::from_ref(&begun), "nothing came");
    site.commit(&begun).await.unwrap();
    assert_eq!(site.get("/none").await, b"");
}

#[tokio::test]
async fn streams_transfers_and_offers_go_on_from_each_other() {
    let site = Site::new().await;
    let content = bytes(30 * CHUNK + 1_000, 1);
    site.server.put(site.tenant, "/old", content[12 * CHUNK..14 * CHUNK].to_vec()).await;
    let begun = site.begin("/a").await;
    // Within a chunk, and up to one's border.
    let state = site.transfer(&begun, &content[..5]).await.unwrap();
    let state = site.stream(&state, &content[5..12 * CHUNK], MIB + 1).await.unwrap();
    let (taken, state) = site.offer(&state, all(&state, &content[12 * CHUNK..14 * CHUNK])).await;
    assert_eq!(taken, 2);
    let state = site.stream(&state, &content[14 * CHUNK..20 * CHUNK + 7], CHUNK).await.unwrap();
    let state = site.transfer(&state, &content[20 * CHUNK + 7..21 * CHUNK]).await.unwrap();
    let state = site.stream(&state, &content[21 * CHUNK..22 * CHUNK + 7], CHUNK).await.unwrap();
    let state = site.stream(&state, &content[22 * CHUNK + 7..22 * CHUNK + 9], 1).await.unwrap();
    let state = site.stream(&state, &content[22 * CHUNK + 9..], PIECE).await.unwrap();
    site.commit(&state).await.unwrap();
    assert!(site.get("/a").await == content);
}

/// What was told is safe, whatever becomes of the call.
#[tokio::test]
async fn f18_a_stream_that_is_cut_goes_on_by_transfer_where_it_was_told_to() {
    let site = Site::new().await;
    let content = bytes(8 * CHUNK, 1);
    let mut call = site.call(&site.begin("/a").await).await;
    call.say(data(&content[..PIECE])).await;
    let state = call.until(PIECE).await;
    call.say(data(&content[PIECE..PIECE + 1_000])).await;
    drop(call);
    let state = site.transfer(&state, &content[PIECE..2 * PIECE]).await.unwrap();
    site.commit(&state).await.unwrap();
    assert!(site.get("/a").await == content);
}

/// Not all that is told arrives.
#[tokio::test]
async fn f18_a_stream_may_begin_behind_with_the_same_bytes() {
    let site = Site::new().await;
    let content = bytes(20 * CHUNK + 1_000, 1);
    let begun = site.begin("/a").await;
    let told =
        site.told(&begun, &content[..16 * CHUNK + 500].chunks(CHUNK).collect::<Vec<_>>()).await.unwrap();
    let latest = told.last().unwrap().clone();
    for from in [&begun].into_iter().chain(&told) {
        let again = site.stream(from, &content[offset(from)..16 * CHUNK + 500], 300_001).await.unwrap();
        assert_eq!(again, latest);
    }
    // Less than is there, up to the border of a chunk: that is as good as it was.
    let less = site.stream(&begun, &content[..4 * CHUNK], CHUNK).await.unwrap();
    assert_eq!(offset(&less), 4 * CHUNK);
    assert_eq!(status(site.commit(&less).await), late());
    assert_eq!(site.stream(&less, &content[4 * CHUNK..16 * CHUNK + 500], PIECE).await.unwrap(), latest);
    // And what is behind it goes on from there.
    let state = site.stream(&told[0], &content[offset(&told[0])..], PIECE).await.unwrap();
    let (taken, same) = site.offer(&begun, all(&begun, &content)).await;
    assert_eq!((taken, &same), (21, &state), "an offer of all of it is told the same");
    site.commit(&state).await.unwrap();
    assert!(site.get("/a").await == content);
}

/// S10.
#[tokio::test]
async fn s10_a_stream_that_begins_behind_with_other_bytes_is_refused() {
    let site = Site::new().await;
    let content = bytes(6 * CHUNK + 1_000, 1);
    let begun = site.begin("/a").await;
    let told = site.told(&begun, &content.chunks(CHUNK).collect::<Vec<_>>()).await.unwrap();
    let changed = |at: usize| {
        let mut changed = content.clone();
        changed[at] ^= 1;
        changed
    };
    for at in [0, CHUNK - 1, 5 * CHUNK, 6 * CHUNK, 6 * CHUNK + 999] {
        let answer = site.stream(&begun, &changed(at), PIECE).await;
        assert_eq!(status(answer), late(), "byte {at}");
    }
    for length in [1, CHUNK + 1, 6 * CHUNK - 1] {
        assert_eq!(status(site.stream(&begun, &content[..length], PIECE).await), late(), "{length} bytes");
    }
    assert_eq!(status(site.stream(&begun, &bytes(CHUNK, 2), PIECE).await), late());
    let state = told.last().unwrap();
    site.commit(state).await.unwrap();
    assert!(site.get("/a").await == content);
}

/// S10: of two at once, one is told that it is late.
#[tokio::test]
async fn s10_of_two_streams_with_different_bytes_one_wins() {
    let site = Site::new().await;
    let contents = [bytes(20 * CHUNK + 5, 1), bytes(20 * CHUNK + 5, 2)];
    for round in 0..3 {
        let path = format!("/{round}");
        let begun = site.begin(&path).await;
        let [one, two] = contents.each_ref().map(|content| site.stream(&begun, content, PIECE));
        let (one, two) = tokio::join!(one, two);
        let (won, state, lost) = match (one, two) {
            (Ok(state), Err(lost)) => (0, state, lost),
            (Err(lost), Ok(state)) => (1, state, lost),
            other => panic!("{other:?}"),
        };
        assert_eq!((lost.code(), lost.message()), (Code::FailedPrecondition, late().1.as_str()));
        site.commit(&state).await.unwrap();
        assert!(site.get(&path).await == contents[won]);
    }
    // With the same bytes both are right.
    let begun = site.begin("/same").await;
    let (one, two) =
        tokio::join!(site.stream(&begun, &contents[0], PIECE), site.stream(&begun, &contents[0], CHUNK));
    let won: Vec<_> = [one, two].into_iter().filter_map(Result::ok).collect();
    assert!(won.iter().all(|state| offset(state) == contents[0].len()) && !won.is_empty());
    site.commit(&won[0]).await.unwrap();
    assert!(site.get("/same").await == contents[0]);
}

#[tokio::test]
async fn a35_a_stream_begins_with_a_state_that_was_sealed_here() {
    let site = Site::new().await;
    let state = site.transfer(&site.begin("/a").await, b"12345").await.unwrap();
    let with = |change: &dyn Fn(&mut TransferState)| {
        let mut changed = state.clone();
        change(&mut changed);
        changed
    };
    let bad = (Code::InvalidArgument, "bad state signature".to_owned());
    for forged in [
        TransferState::default(),
        with(&|state| state.offset = 4),
        with(&|state| state.offset = -5),
        with(&|state| state.offset = 0),
        with(&|state| state.deadline.as_mut().unwrap().seconds += 1),
        with(&|state| state.signature[0] ^= 1),
    ] {
        assert_eq!(status(site.stream(&forged, b"more", 4).await), bad);
    }
    let nothing = site.server.uploads(&site.token).stream(futures::stream::empty()).await;
    assert_eq!(status(nothing.map(drop)), bad);
    let headless = site.server.uploads(&site.token).stream(futures::stream::iter([data(b"x")])).await;
    assert_eq!(status(headless.map(drop)), bad);
    site.commit(&state).await.unwrap();
    assert_eq!(site.get("/a").await, b"12345");
}

#[tokio::test]
async fn a67_each_part_has_bytes_and_at_most_the_announced_number() {
    let site = Site::new().await;
    let state = site.begin("/a").await;
    let invalid = |text: &str| (Code::InvalidArgument, text.to_owned());
    let parts = |parts: Vec<StreamRequest>| {
        let site = &site;
        async move {
            let mut call = site.call_as(&site.token, parts[0].clone()).await?;
            for part in &parts[1..] {
                call.say(part.clone()).await;
            }
            while call.next().await?.is_some() {}
            Ok::<_, Status>(())
        }
    };
    let large = bytes(PIECE + 1, 1);
    let whole = StreamRequest { state: Some(state.clone()), data: large.clone().into() };
    assert_eq!(status(parts(vec![whole]).await), invalid("reduce chunk size"));
    assert_eq!(status(parts(vec![first(&state), data(&large)]).await), invalid("reduce chunk size"));
    assert_eq!(status(parts(vec![first(&state), data(b"")]).await), invalid("no data in request"));
    let twice = invalid("state: it comes first, and once");
    assert_eq!(status(parts(vec![first(&state), first(&state)]).await), twice);
    let huge = status(parts(vec![first(&state), data(&bytes(5 * MIB, 1))]).await);
    assert_eq!(huge.0, Code::ResourceExhausted, "{huge:?}");
    assert_eq!(site.told(&state, &[&large[..PIECE]]).await.unwrap().last().unwrap().offset, 2_097_152);
}

/// S9: a state is no authority.
#[tokio::test]
async fn a34_nobody_streams_where_it_may_not_write() {
    let site = Site::new().await;
    let (other, principal) = (site.server.tenant().await, site.server.principal().await);
    let state = site.begin("/a/b").await;
    for template in [
        on_tenant(principal, Capabilities::ALL, other, "/*"),
        on_tenant(principal, Capabilities::ALL, site.tenant, "/b/*"),
        on_tenant(principal, Capabilities::READ, site.tenant, "/*"),
        on_tenant(principal, Capabilities::ALL, site.tenant, "/*").of_version(1),
    ] {
        let token = site.session(template).await;
        let refused = site.call_as(&token, first(&state)).await.map(drop);
        assert_eq!(status(refused).0, Code::PermissionDenied);
    }
    assert_eq!(status(site.call_as("", first(&state)).await.map(drop)).0, Code::Unauthenticated);
    assert_eq!(site.stream(&state, b"mine", 4).await.unwrap().offset, 4);
}

/// A stream that has brought something, of a session of its own.
async fn under_way(site: &Site, template: Template) -> (Call, String) {
    let token = site.session(template).await;
    let begun = site.begin("/a").await;
    let mut call = site.call_as(&token, first(&begun)).await.unwrap();
    call.say(data(&bytes(CHUNK, 1))).await;
    call.until(CHUNK).await;
    (call, token)
}

/// P10.
#[tokio::test]
async fn a37_a_stream_ends_with_the_session() {
    let site = Site::new().await;
    let principal = site.server.principal().await;
    let write = on_tenant(principal, Capabilities::WRITE, site.tenant, "/*");
    let ended = async |mut call: Call| {
        call.say(data(&bytes(CHUNK, 2))).await;
        call.next().await.unwrap_err().code()
    };
    let (call, token) = under_way(&site, write.clone()).await;
    let logout = token::InvalidateRequest { kind: Some(Kind::Current(true)) };
    site.server.tokens(&token).invalidate(logout).await.unwrap();
    assert_eq!(ended(call).await, Code::Unauthenticated);
    // With what it stands on.
    let (grant, _) = site.server.issue_session(&write).await;
    let (call, token) = under_way(&site, on_principal(principal, Capabilities::ALL, principal)).await;
    let revoke = token::InvalidateRequest { kind: grant.id.map(Kind::Id) };
    site.server.tokens(&token).invalidate(revoke).await.unwrap();
    assert_eq!(ended(call).await, Code::PermissionDenied);
    // With its time.
    let (call, _) = under_way(&site, write.living(Duration::from_secs(60))).await;
    site.server.advance(Duration::from_secs(61));
    assert_eq!(ended(call).await, Code::Unauthenticated);
    assert_eq!(site.list().await, []);
}

/// C12.
#[tokio::test]
async fn c12_nothing_is_streamed_after_the_commit_or_the_deadline() {
    let site = Site::new().await;
    let begun = site.begin("/a").await;
    let mut call = site.call(&begun).await;
    call.say(data(&bytes(CHUNK, 1))).await;
    let state = call.until(CHUNK).await;
    site.commit(&state).await.unwrap();
    call.say(data(&bytes(CHUNK, 2))).await;
    assert_eq!(call.next().await.unwrap_err().code(), Code::FailedPrecondition);
    for state in [&begun, &state] {
        let committed = (Code::FailedPrecondition, "the upload is committed".to_owned());
        assert_eq!(status(site.stream(state, &bytes(CHUNK, 1), CHUNK).await), committed);
    }
    assert!(site.get("/a").await == bytes(CHUNK, 1));

    let begun = site.begin("/b").await;
    let mut call = site.call(&begun).await;
    call.say(data(&bytes(CHUNK, 1))).await;
    call.until(CHUNK).await;
    site.server.advance(HOUR);
    call.say(data(&bytes(CHUNK, 2))).await;
    let late = call.next().await.unwrap_err();
    assert_eq!((late.code(), late.message()), (Code::FailedPrecondition, "bad state signature"));
    assert_eq!(site.list().await, [("/a".into(), 1, i64::try_from(CHUNK).unwrap())]);
}

#[tokio::test]
async fn a54_streams_are_counted_as_large_contents() {
    let few = ServiceSettings { large_writes: 1, ..Default::default() };
    let site = Site::on(Server::start_serving(few).await).await;
    let begun = site.begin("/a").await;
    let call = site.call(&begun).await;
    let busy = site.call_as(&site.token, first(&site.begin("/b").await)).await.map(drop);
    assert_eq!(status(busy).0, Code::Unavailable);
    assert_eq!(call.end().await.unwrap(), [begun]);
    let state = site.stream(&site.begin("/b").await, &bytes(MIB, 1), CHUNK).await.unwrap();
    site.commit(&state).await.unwrap();
}

#[tokio::test]
async fn a65_a_million_tiny_streams_are_not_served() {
    let site = Site::new().await;
    let mut state = site.begin("/a").await;
    for _ in 0..3_000 {
        match site.stream(&state, b"x", 1).await {
            Ok(next) => state = next,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                return;
            }
        }
    }
    panic!("3,000 streams of a byte are too many");
}
