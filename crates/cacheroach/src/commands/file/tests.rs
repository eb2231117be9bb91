//! Uploads and downloads, against a server that fails on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use cacheroach_api::file::files_server::{Files, FilesServer};
use cacheroach_api::file::{
    CopyRequest, CopyResponse, CreateDropLinkRequest, CreateDropLinkResponse, Cursor, DeleteRequest,
    EditRequest, EditResponse, ListLinksRequest, ListLinksResponse, ListRequest, ListResponse,
    ListVersionsRequest, ListVersionsResponse, Meta, MoveRequest, RestoreRequest, RetrievalRequest,
    RetrievalResponse, RevokeLinkRequest, StatRequest,
};
use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::upload::uploads_server::{Uploads, UploadsServer};
use cacheroach_api::upload::{
    BeginRequest, BeginResponse, CommitRequest, CommitResponse, FetchProgress, FetchRequest, FetchResponse,
    Id, OfferRequest, OfferResponse, StreamRequest, StreamResponse, TransferRequest, TransferResponse,
    TransferState,
};
use cacheroach_model::{CHUNK_SIZE, TenantId};
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tonic::codegen::http::{StatusCode, Uri};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

use super::Site;
use super::download::{Downloader, Wish};
use super::get::tree;
use super::sync::Sync;
use super::upload::{Terms, Uploader};
use crate::client::Client;
use crate::commands::Context;
use crate::config::Config;
use crate::error::Error;
use crate::output::Format;
use crate::progress::Progress;

const PIECE: usize = 1 << 20;

/// What the server holds, and how it is to fail.
#[derive(Default)]
struct Held {
    files: BTreeMap<String, Vec<u8>>,
    uploads: Vec<(String, Vec<u8>)>,
    transfers: usize,
    /// Bytes of them, and of streams.
    sent: usize,
    /// Streams, also of servers that know of none.
    streams: usize,
    /// Knows of no streams, although it is new.
    no_streams: bool,
    /// Streams break off at these offsets, once each.
    break_at: Vec<usize>,
    /// Tells more to be safe than came.
    boast: bool,
    /// Offers, also of servers that know of none.
    offers: usize,
    /// So many transfers and pieces of streams succeed, but their answers are lost.
    lose: usize,
    /// What is sent from this offset on fails.
    fail_from: Option<usize>,
    fail_commit: bool,
    /// Knows nothing of its first upload any more.
    forget: bool,
    /// Tells hashes, and heeds which versions are expected; the original did neither.
    is_new: bool,
    /// Versions other than 1.
    versions: BTreeMap<String, i64>,
    /// Somebody else writes this file once it was listed.
    touch: Option<String>,
    /// Announces another content than it sends.
    lie: bool,
}

impl Held {
    fn version(&self, path: &str) -> i64 {
        if self.files.contains_key(path) { *self.versions.get(path).unwrap_or(&1) } else { -1 }
    }

    fn check(&self, path: &str, expected: i64) -> Result<(), Status> {
        let skewed = self.is_new && expected != 0 && expected != self.version(path);
        if skewed { Err(Status::aborted(cacheroach_api::text::VERSION_SKEW)) } else { Ok(()) }
    }

    /// Of a file that was written long ago.
    fn meta(&self, path: &str) -> Meta {
        let content = &self.files[path];
        Meta {
            path: path.into(),
            size: i64::try_from(content.len()).unwrap(),
            version: self.version(path),
            modified_at: Some(prost_types::Timestamp { seconds: 1_000_000_000, nanos: 0 }),
            hash: if self.is_new { Sha256::digest(content).to_vec() } else { Vec::new() },
            ..Meta::default()
        }
    }
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Held>>);

impl Fake {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    async fn serve(&self) -> Site {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let host = incoming.local_addr().unwrap().to_string();
        let fake = self.clone();
        let http = move |uri: Uri| {
            let fake = fake.clone();
            async move { fake.get(uri.path()) }
        };
        let grpc = Routes::new(UploadsServer::new(self.clone())).add_service(FilesServer::new(self.clone()));
        let routes = Routes::from(grpc.into_axum_router().fallback(http));
        let server = tonic::transport::Server::builder().accept_http1(true).add_routes(routes);
        tokio::spawn(server.serve_with_incoming(incoming));
        let config = Config { host, insecure: true, token: "t".into(), ..Config::default() };
        Site { client: Client::connect(&config).await.unwrap(), tenant: TenantId::SCRATCHPAD }
    }

    /// Takes what was sent.
    fn add(&self, mut state: TransferState, data: &[u8]) -> Result<TransferState, Status> {
        let mut held = self.held();
        let (upload, offset) =
            (usize::from(state.id.as_ref().unwrap().data[0]), usize::try_from(state.offset).unwrap());
        if held.fail_from.is_some_and(|from| offset >= from) {
            return Err(Status::permission_denied("not now"));
        }
        if held.forget && upload == 0 {
            return Err(Status::invalid_argument(cacheroach_api::text::BAD_STATE));
        }
        held.sent += data.len();
        let content = &mut held.uploads[upload].1;
        content.truncate(offset);
        content.extend(data);
        state.offset = i64::try_from(content.len()).unwrap();
        if held.lose > 0 {
            held.lose -= 1;
            return Err(Status::unavailable("lost"));
        }
        Ok(state)
    }

    fn get(&self, path: &str) -> (StatusCode, [(&'static str, String); 1], Vec<u8>) {
        let held = self.held();
        let Some(content) = held.files.get(path) else {
            return (StatusCode::NOT_FOUND, [("x", "".into())], vec![]);
        };
        let announced = if held.lie { b"other" } else { content.as_slice() };
        let hash: String = Sha256::digest(announced).iter().map(|byte| format!("{byte:02x}")).collect();
        (StatusCode::OK, [("etag", format!("\"{hash}\""))], content.clone())
    }
}

/// What the original did not have.
macro_rules! unimplemented {
    ($($method:ident($request:ty) -> $answer:ty;)*) => { $(
        fn $method<'a, 'b>(
            &'a self,
            _: Request<$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<$answer>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented("")) })
        }
    )* };
}

#[tonic::async_trait]
impl Files for Fake {
    async fn delete(&self, of: Request<DeleteRequest>) -> Result<Response<()>, Status> {
        let DeleteRequest { path, expected_version, .. } = of.into_inner();
        let mut held = self.held();
        held.check(&path, expected_version)?;
        held.files.remove(&path);
        Ok(Response::new(()))
    }

    /// A file a page.
    async fn list(&self, of: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let ListRequest { path, cursor, .. } = of.into_inner();
        let after = cursor.map(|cursor| cursor.after).unwrap_or_default();
        let mut held = self.held();
        let mut below = held.files.keys().filter(|file| file.starts_with(&path) && **file > after);
        let files: Vec<_> = below.next().map(|path| held.meta(path)).into_iter().collect();
        let cursor = files.first().map(|file| Cursor { after: file.path.clone(), as_of: None });
        if let (Some(path), None) = (held.touch.clone(), files.first()) {
            *held.versions.entry(path.clone()).or_insert(1) += 1;
            held.files.insert(path, b"touched".into());
        }
        Ok(Response::new(ListResponse { files, cursor, ..Default::default() }))
    }

    async fn retrieve(&self, of: Request<RetrievalRequest>) -> Result<Response<RetrievalResponse>, Status> {
        assert_eq!(of.metadata().get("authorization").unwrap(), "Bearer t");
        Ok(Response::new(RetrievalResponse { get_uri: of.into_inner().path, ..Default::default() }))
    }

    unimplemented! {
        stat(StatRequest) -> Meta;
        list_versions(ListVersionsRequest) -> ListVersionsResponse;
        restore(RestoreRequest) -> Meta;
        copy(CopyRequest) -> CopyResponse;
        r#move(MoveRequest) -> CopyResponse;
        edit(EditRequest) -> EditResponse;
        list_links(ListLinksRequest) -> ListLinksResponse;
        revoke_link(RevokeLinkRequest) -> ();
        create_drop_link(CreateDropLinkRequest) -> CreateDropLinkResponse;
    }
}

#[tonic::async_trait]
impl Uploads for Fake {
    async fn begin(&self, of: Request<BeginRequest>) -> Result<Response<BeginResponse>, Status> {
        let BeginRequest { path, committed, expected_version, .. } = of.into_inner();
        let mut held = self.held();
        if committed.is_some() {
            held.check(&path, expected_version)?;
        }
        let content = match committed {
            Some(Committed::Contents(content)) => content,
            Some(Committed::Empty(true)) => Vec::new(),
            _ => {
                let mut data = vec![u8::try_from(held.uploads.len()).unwrap()];
                data.resize(16, 0);
                held.uploads.push((path, Vec::new()));
                let state = TransferState { id: Some(Id { data }), ..Default::default() };
                let max_chunk_size = i32::try_from(PIECE).unwrap();
                return Ok(Response::new(BeginResponse {
                    state: Some(state),
                    max_chunk_size,
                    committed: false,
                }));
            }
        };
        held.files.insert(path, content);
        Ok(Response::new(BeginResponse { committed: true, ..Default::default() }))
    }

    async fn transfer(&self, of: Request<TransferRequest>) -> Result<Response<TransferResponse>, Status> {
        let TransferRequest { state, data } = of.into_inner();
        let state = self.add(state.unwrap(), &data);
        // Also one whose answer is lost.
        if !matches!(&state, Err(status) if status.code() != Code::Unavailable) {
            self.held().transfers += 1;
        }
        Ok(Response::new(TransferResponse { state: Some(state?) }))
    }

    type StreamStream = Pin<Box<dyn Stream<Item = Result<StreamResponse, Status>> + Send>>;

    async fn stream(
        &self,
        of: Request<Streaming<StreamRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        {
            let mut held = self.held();
            held.streams += 1;
            if !held.is_new || held.no_streams {
                return Err(Status::unimplemented(
                    "unknown method Stream for service cacheroach.upload.Uploads",
                ));
            }
        }
        let mut parts = of.into_inner();
        let state = parts.message().await?.and_then(|first| first.state).unwrap();
        let begun = (self.clone(), parts, state);
        let answers = futures::stream::try_unfold(begun, |(fake, mut parts, state)| async move {
            let Some(StreamRequest { data, state: None }) = parts.message().await? else { return Ok(None) };
            let offset = usize::try_from(state.offset).unwrap();
            let at = fake.held().break_at.iter().position(|at| *at == offset);
            if let Some(at) = at {
                fake.held().break_at.remove(at);
                return Err(Status::unavailable("broken"));
            }
            let mut state = fake.add(state, &data)?;
            state.offset += i64::from(fake.held().boast);
            Ok(Some((StreamResponse { state: Some(state.clone()) }, (fake, parts, state))))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn commit(&self, of: Request<CommitRequest>) -> Result<Response<CommitResponse>, Status> {
        let mut held = self.held();
        if held.fail_commit {
            return Err(Status::internal("disk full"));
        }
        let CommitRequest { state, expected_version, .. } = of.into_inner();
        let upload = usize::from(state.unwrap().id.unwrap().data[0]);
        let (path, content) = held.uploads[upload].clone();
        held.check(&path, expected_version)?;
        held.files.insert(path, content);
        Ok(Response::new(CommitResponse {}))
    }

    async fn offer(&self, of: Request<OfferRequest>) -> Result<Response<OfferResponse>, Status> {
        let mut held = self.held();
        held.offers += 1;
        if !held.is_new {
            return Err(Status::unimplemented("unknown method Offer for service cacheroach.upload.Uploads"));
        }
        let OfferRequest { state, chunks } = of.into_inner();
        let mut state = state.unwrap();
        let upload = usize::from(state.id.as_ref().unwrap().data[0]);
        let known: Vec<Vec<u8>> =
            held.files.values().flat_map(|content| content.chunks(CHUNK_SIZE)).map(<[u8]>::to_vec).collect();
        let has = |hash: &[u8]| known.iter().find(|chunk| Sha256::digest(chunk)[..] == *hash).cloned();
        let taken: Vec<_> = chunks.iter().map_while(|chunk| has(&chunk.hash)).collect();
        let content = &mut held.uploads[upload].1;
        content.truncate(usize::try_from(state.offset).unwrap());
        content.extend(taken.concat());
        state.offset = i64::try_from(content.len()).unwrap();
        if held.lose > 0 {
            held.lose -= 1;
            return Err(Status::unavailable("lost"));
        }
        let taken = i32::try_from(taken.len()).unwrap();
        Ok(Response::new(OfferResponse { state: Some(state), taken }))
    }

    /// As the original has it: the call that it knows.
    async fn fetch(&self, of: Request<FetchRequest>) -> Result<Response<FetchResponse>, Status> {
        let FetchRequest { path, remote_url, remote_headers, remote_method, .. } = of.into_inner();
        let mut headers: Vec<_> = remote_headers.into_iter().collect();
        headers.sort();
        let content = format!("{remote_method} {remote_url} {headers:?}").into_bytes();
        self.held().files.insert(path, content);
        Ok(Response::new(FetchResponse { remote_http_code: 200, remote_http_message: String::new() }))
    }

    type FetchProgressStream = futures::stream::Empty<Result<FetchProgress, Status>>;

    async fn fetch_progress(
        &self,
        _: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchProgressStream>, Status> {
        Err(Status::unimplemented("unknown method FetchProgress for service cacheroach.upload.Uploads"))
    }
}

/// A server, a directory, and a file of some length in it.
struct Scene {
    fake: Fake,
    site: Site,
    progress: Progress,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let fake = Fake::default();
        let site = fake.serve().await;
        Scene { fake, site, progress: Progress::new(true), dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, length: usize) -> Vec<u8> {
        let content: Vec<u8> = (0..length).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
        fs::write(self.dir.path().join("file"), &content).unwrap();
        content
    }

    async fn put(&self) -> Result<(), Error> {
        let uploader = Uploader::new(&self.site, &self.progress, self.dir.path().join("records"));
        uploader.put(&self.dir.path().join("file"), "/up/file", &Terms::default()).await
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, Error> {
        let place = self.dir.path().join("got/file");
        let _ = fs::create_dir(self.dir.path().join("got"));
        Downloader::new(&self.site, &self.progress)?.to_file(Wish { path, version: 0 }, &place).await?;
        Ok(fs::read(place).unwrap())
    }

    /// The directory of the file, to or from `/up/`.
    async fn sync(&self, up: bool, delete: bool) -> Result<(), Error> {
        let dir = self.dir.path().join("d");
        let _ = fs::create_dir(&dir);
        let (here, there) = (dir.to_str().unwrap().to_owned(), "cr:/up/".to_owned());
        let (from, to) = if up { (here, there) } else { (there, here) };
        let sync = Sync { from, to, delete, dry_run: false, parallelism: super::parallelism() };
        let context = Context { path: PathBuf::new(), format: Format::Table, bars: true };
        sync.check()?.run_keeping(self.dir.path().join("records"), &context, &self.site).await
    }

    fn names(&self, dir: &str) -> usize {
        fs::read_dir(self.dir.path().join(dir)).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn what_is_put_is_got_whatever_its_size() {
    let scene = Scene::new().await;
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
        let content = scene.write(length);
        scene.put().await.unwrap();
        assert!(scene.get("/up/file").await.unwrap() == content, "{length}");
        assert_eq!(scene.names("records"), 0, "{length}");
    }
}

#[tokio::test]
async fn a_piece_whose_answer_is_lost_is_sent_again() {
    let scene = Scene::new().await;
    scene.fake.held().lose = 1;
    let content = scene.write(2 * PIECE + 5);
    scene.put().await.unwrap();
    assert!(scene.fake.held().files["/up/file"] == content);
    assert_eq!(scene.fake.held().transfers, 4);
}

#[tokio::test]
async fn only_what_the_server_does_not_have_is_sent() {
    let scene = Scene::new().await;
    scene.fake.held().is_new = true;
    let chunk = |seed: u8| vec![seed; CHUNK_SIZE];
    let old: Vec<_> = (0..20).map(chunk).collect();
    scene.fake.held().files.insert("/old".into(), old.concat());
    let new: Vec<_> =
        (0..20).map(|at| if at == 9 { chunk(99) } else { chunk(at) }).chain([vec![7; 5]]).collect();
    let new = new.concat();
    fs::write(scene.dir.path().join("file"), &new).unwrap();
    scene.fake.held().lose = 2;
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == new);
    assert_eq!(held.sent, CHUNK_SIZE + 5);
}

#[tokio::test]
async fn a_server_of_old_is_asked_once_and_gets_all_of_it() {
    let scene = Scene::new().await;
    let uploader = Uploader::new(&scene.site, &scene.progress, scene.dir.path().join("records"));
    let content = scene.write(3 * PIECE);
    for at in 1..=3 {
        let local = scene.dir.path().join("file");
        uploader.put(&local, "/up/file", &Terms::default()).await.unwrap();
        let held = scene.fake.held();
        assert!(held.files["/up/file"] == content);
        assert_eq!((held.offers, held.streams, held.transfers), (1, 1, 3 * at));
    }
}

#[tokio::test]
async fn a_server_without_streams_gets_pieces() {
    let scene = Scene::new().await;
    (scene.fake.held().is_new, scene.fake.held().no_streams) = (true, true);
    let content = scene.write(7 * PIECE + 5);
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!((held.streams, held.sent), (1, content.len()));
    assert!(held.offers > 1 && held.transfers >= 8, "{} and {}", held.offers, held.transfers);
}

#[tokio::test]
async fn what_is_new_goes_in_few_streams() {
    let scene = Scene::new().await;
    scene.fake.held().is_new = true;
    let content = scene.write(20 * PIECE + 5);
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!((held.sent, held.transfers), (content.len(), 0));
    assert!(held.streams <= 7, "{}", held.streams);
}

#[tokio::test]
async fn a_stream_that_breaks_off_goes_on_from_what_was_told() {
    let scene = Scene::new().await;
    scene.fake.held().is_new = true;
    scene.fake.held().break_at = vec![0, 5 * CHUNK_SIZE, 6 * CHUNK_SIZE];
    let content = scene.write(20 * CHUNK_SIZE + 5);
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.break_at.is_empty() && held.files["/up/file"] == content);
    assert_eq!((held.uploads.len(), held.sent), (1, content.len()), "each piece is sent once");
}

#[tokio::test]
async fn an_interrupted_stream_goes_on_where_it_was() {
    let scene = Scene::new().await;
    scene.fake.held().is_new = true;
    let content = scene.write(20 * CHUNK_SIZE + 5);
    scene.fake.held().fail_from = Some(9 * CHUNK_SIZE);
    assert!(scene.put().await.is_err());
    assert_eq!(scene.fake.held().sent, 9 * CHUNK_SIZE);
    scene.fake.held().fail_from = None;
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!((held.uploads.len(), held.sent), (1, content.len()));
}

#[tokio::test]
async fn a_server_that_tells_more_than_came_is_not_believed() {
    let scene = Scene::new().await;
    (scene.fake.held().is_new, scene.fake.held().boast) = (true, true);
    scene.write(2 * PIECE);
    let error = scene.put().await.unwrap_err();
    assert_eq!(error.text(), "the server's answer makes no sense");
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_was() {
    let scene = Scene::new().await;
    let content = scene.write(4 * PIECE);
    scene.fake.held().fail_from = Some(2 * PIECE);
    assert!(scene.put().await.is_err());
    scene.fake.held().fail_from = None;
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!((held.uploads.len(), held.transfers), (1, 4));
}

#[tokio::test]
async fn an_interrupted_upload_of_a_file_that_changed_begins_anew() {
    let scene = Scene::new().await;
    scene.write(4 * PIECE);
    scene.fake.held().fail_from = Some(2 * PIECE);
    assert!(scene.put().await.is_err());
    scene.fake.held().fail_from = None;
    let content = scene.write(3 * PIECE);
    scene.put().await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!(held.uploads.len(), 2);
}

#[tokio::test]
async fn an_upload_that_the_server_forgot_begins_anew() {
    let scene = Scene::new().await;
    let content = scene.write(4 * PIECE);
    scene.fake.held().fail_from = Some(2 * PIECE);
    assert!(scene.put().await.is_err());
    (scene.fake.held().fail_from, scene.fake.held().forget) = (None, true);
    scene.put().await.unwrap();
    assert!(scene.fake.held().files["/up/file"] == content);
    assert_eq!(scene.names("records"), 0);
}

#[tokio::test]
async fn c24_a_commit_that_fails_is_told() {
    let scene = Scene::new().await;
    scene.write(PIECE);
    scene.fake.held().fail_commit = true;
    let error = scene.put().await.unwrap_err();
    assert_eq!(error.text(), "rpc error: code = Internal desc = disk full");
    assert!(matches!(error, Error::Rpc(status) if status.code() == Code::Internal));
}

#[tokio::test]
async fn a89_a_download_that_is_not_what_was_announced_leaves_nothing() {
    let scene = Scene::new().await;
    scene.write(10);
    scene.put().await.unwrap();
    scene.fake.held().lie = true;
    assert!(scene.get("/up/file").await.is_err());
    assert_eq!(scene.get("/none").await.unwrap_err().text(), "404 Not Found");
    assert_eq!(scene.names("got"), 0);
}

#[tokio::test]
async fn a86_a_tree_is_what_is_listed_inside_the_target() {
    let scene = Scene::new().await;
    for path in ["/a/1", "/a/b/2", "/a/../../x", "/ab"] {
        scene.fake.held().files.insert(path.into(), Vec::new());
    }
    let targets = async |path| {
        let wanted = tree(&scene.site, path, Path::new("out"));
        wanted.map(|wanted| wanted.target.ok().map(|(_, below)| below)).collect::<Vec<_>>().await
    };
    assert_eq!(targets("/a/").await, [None, Some(PathBuf::from("1")), Some(PathBuf::from("b/2"))]);
    assert_eq!(targets("/none").await, [None]);
    assert_eq!(targets("/a\n").await, [None]);
}

#[tokio::test]
async fn a_server_that_tells_no_progress_fetches_all_the_same() {
    let scene = Scene::new().await;
    let request = FetchRequest {
        path: "/new/x".into(),
        remote_url: "http://h/x".into(),
        remote_headers: [("a".to_owned(), "b".to_owned())].into(),
        remote_method: "GET".into(),
        ..Default::default()
    };
    let answer = scene.site.fetch(request, &scene.progress).await.unwrap();
    assert_eq!(answer.remote_http_code, 200);
    assert_eq!(scene.fake.held().files["/new/x"], b"GET http://h/x [(\"a\", \"b\")]");
}

#[tokio::test]
async fn an_interrupted_sync_goes_on_where_it_was() {
    let scene = Scene::new().await;
    scene.fake.held().is_new = true;
    fs::create_dir(scene.dir.path().join("d")).unwrap();
    let content = scene.write(4 * PIECE);
    fs::rename(scene.dir.path().join("file"), scene.dir.path().join("d/file")).unwrap();
    fs::write(scene.dir.path().join("d/small"), "small").unwrap();
    scene.fake.held().fail_from = Some(2 * PIECE);
    let error = scene.sync(true, false).await.unwrap_err();
    assert!(error.text().contains("file: "), "{}", error.text());
    assert!(scene.fake.held().files.contains_key("/up/small"));
    scene.fake.held().fail_from = None;
    scene.sync(true, false).await.unwrap();
    scene.sync(true, false).await.unwrap();
    let held = scene.fake.held();
    assert!(held.files["/up/file"] == content);
    assert_eq!((held.uploads.len(), held.sent), (1, content.len()), "each piece is sent once");
}

#[tokio::test]
async fn what_others_write_during_a_sync_stays() {
    for (touched, here) in [("/up/a", true), ("/up/new", true), ("/up/surplus", false)] {
        let scene = Scene::new().await;
        fs::create_dir(scene.dir.path().join("d")).unwrap();
        scene.fake.held().is_new = true;
        for name in ["a", "surplus"] {
            scene.fake.held().files.insert(format!("/up/{name}"), b"old".into());
        }
        fs::write(scene.dir.path().join("d/a"), "changed").unwrap();
        fs::write(scene.dir.path().join("d/new"), "new").unwrap();
        scene.fake.held().touch = Some(touched.into());
        let error = scene.sync(true, true).await.unwrap_err().text();
        let name = touched.strip_prefix("/up/").unwrap();
        assert!(error.contains(name) && error.contains("Aborted"), "{touched}: {error}");
        let held = scene.fake.held();
        assert_eq!(held.files[touched], b"touched");
        assert_eq!(held.files["/up/a"] == b"changed", touched != "/up/a");
        assert_eq!(held.files.contains_key("/up/surplus"), !here, "{touched}");
    }
}

#[tokio::test]
async fn with_a_server_of_old_the_times_decide() {
    let scene = Scene::new().await;
    fs::create_dir(scene.dir.path().join("d")).unwrap();
    fs::write(scene.dir.path().join("d/a"), "old").unwrap();
    scene.fake.held().files.insert("/up/a".into(), b"new".into());
    scene.sync(false, false).await.unwrap();
    let read = || fs::read(scene.dir.path().join("d/a")).unwrap();
    assert_eq!(read(), b"old", "written after the one that is there, and of its size");
    scene.sync(true, false).await.unwrap();
    assert_eq!(scene.fake.held().files["/up/a"], b"old");
}

#[tokio::test]
async fn a86_a_hostile_listing_leads_a_sync_nowhere() {
    let scene = Scene::new().await;
    for path in ["/up/a", "/up/../../x", "/up//etc/x", "/up/b\n"] {
        scene.fake.held().files.insert(path.into(), b"x".into());
    }
    fs::create_dir(scene.dir.path().join("d")).unwrap();
    fs::write(scene.dir.path().join("d/mine"), "mine").unwrap();
    assert!(scene.sync(false, true).await.is_err());
    assert_eq!((scene.names("d"), scene.names(".")), (2, 1), "nothing outside, and nothing deleted");
    assert_eq!(fs::read(scene.dir.path().join("d/a")).unwrap(), b"x");
}

#[tokio::test]
async fn a_server_of_old_is_told_from_a_new_one() {
    let scene = Scene::new().await;
    let error = scene.site.stat("/a".into(), 0).await.unwrap_err();
    assert_eq!(error.text(), "the server is too old for this");
    assert!(scene.site.must_be_new().await.is_err());
}
