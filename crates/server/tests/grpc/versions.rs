//! Versions over gRPC: listing, restoring, copying, moving, describing anew, and writing only what is expected.

use std::collections::HashMap;

use cacheroach_api::file::{
    CopyRequest, DeleteRequest, EditRequest, ListRequest, ListVersionsRequest, Meta, MoveRequest,
    RestoreRequest, StatRequest,
};
use cacheroach_api::upload::{BeginRequest, CommitRequest, begin_request::Committed};
use cacheroach_model::{Capabilities, TenantId};
use tonic::{Code, Status};

use crate::support::{HOUR, Server, on_principal, on_tenant};

struct Site {
    server: Server,
    tenant: TenantId,
    token: String,
}

impl Site {
    /// Somebody who may read and write all of a tenant.
    async fn new() -> Self {
        let server = Server::start().await;
        let tenant = server.tenant().await;
        let principal = server.principal().await;
        let both = Capabilities::READ | Capabilities::WRITE;
        let token = server.issue(&on_tenant(principal, both, tenant, "/*")).await;
        Site { server, tenant, token }
    }

    async fn put(&self, path: &str, content: &str) {
        self.server.put(self.tenant, path, content).await;
    }

    async fn stat(&self, path: &str, version: i64) -> Result<Meta, Status> {
        let request = StatRequest { tenant: Some(self.tenant.into()), path: path.into(), version };
        self.server.files(&self.token).stat(request).await.map(tonic::Response::into_inner)
    }

    async fn copy(&self, path: &str, to: &str) -> Result<(i64, i64), Status> {
        let request = CopyRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            to: to.into(),
            ..Default::default()
        };
        let made = self.server.files(&self.token).copy(request).await?.into_inner();
        Ok((made.files, made.version))
    }

    async fn rename(&self, path: &str, to: &str) -> Result<(i64, i64), Status> {
        let request = MoveRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            to: to.into(),
            expected_version: 0,
        };
        let made = self.server.files(&self.token).r#move(request).await?.into_inner();
        Ok((made.files, made.version))
    }

    async fn restore(&self, path: &str, version: i64, expected_version: i64) -> Result<Meta, Status> {
        let (tenant, path) = (Some(self.tenant.into()), path.into());
        let request = RestoreRequest { tenant, path, version, expected_version };
        self.server.files(&self.token).restore(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&self, path: &str, recursive: bool, expected_version: i64) -> Result<(), Status> {
        let (tenant, path) = (Some(self.tenant.into()), path.into());
        let request = DeleteRequest { tenant, path, recursive, expected_version };
        self.server.files(&self.token).delete(request).await.map(|_| ())
    }

    async fn versions(&self, path: &str) -> Vec<(i64, bool)> {
        let mut request = ListVersionsRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            before: 0,
            page_size: 2,
        };
        let mut all = Vec::new();
        loop {
            let page = self.server.files(&self.token).list_versions(request.clone()).await.unwrap();
            let page = page.into_inner();
            all.extend(page.versions.iter().map(|meta| (meta.version, meta.deleted_at.is_some())));
            request.before = page.before;
            if page.before == 0 {
                return all;
            }
        }
    }

    async fn paths(&self) -> Vec<String> {
        self.server.list(self.tenant).await.into_iter().map(|(path, ..)| path).collect()
    }

    async fn read(&self, path: &str) -> String {
        let host = format!("{}.example", self.tenant);
        self.server.vhost(&host, self.tenant).await;
        self.server.http_as(&self.token, "GET", path, &host).await.text().to_owned()
    }
}

fn code<T>(outcome: Result<T, Status>) -> Code {
    outcome.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn what_is_known_of_a_file_is_told_without_its_content() {
    let site = Site::new().await;
    site.put("/a", "one").await;
    site.put("/a", "three").await;
    let meta = site.stat("/a", 0).await.unwrap();
    assert_eq!((meta.path.as_str(), meta.version, meta.size, meta.hash.len()), ("/a", 2, 5, 32));
    assert_eq!(site.stat("//a/", 1).await.unwrap().size, 3, "p16: another spelling is the same file");
    for (path, version) in [("/b", 0), ("/a", 3)] {
        assert_eq!(code(site.stat(path, version).await), Code::NotFound);
    }
    assert_eq!(code(site.stat("/a", -1).await), Code::InvalidArgument);
    assert_eq!(code(site.stat("/", 0).await), Code::InvalidArgument);
}

#[tokio::test]
async fn a_deleted_file_comes_back_and_so_does_an_older_version() {
    let site = Site::new().await;
    site.put("/a", "one").await;
    site.put("/a", "two").await;
    assert_eq!(site.restore("/a", 1, 0).await.unwrap().version, 3);
    assert_eq!(site.read("/a").await, "one");
    assert_eq!(code(site.restore("/a", 0, 0).await), Code::FailedPrecondition, "it is not deleted");
    site.delete("/a", false, 0).await.unwrap();
    assert_eq!(site.read("/a").await, "404 page not found\n");
    assert_eq!(site.restore("/a", 0, 0).await.unwrap().version, 4);
    assert_eq!(site.read("/a").await, "one");
    assert_eq!(site.versions("/a").await, [(4, false), (3, true), (2, true), (1, true)]);
    assert_eq!(code(site.restore("/a", 9, 0).await), Code::NotFound);
    assert_eq!(code(site.restore("/a", 2, 3).await), Code::Aborted, "another version is the current one");
    assert_eq!(site.restore("/a", 2, 4).await.unwrap().version, 5);
    assert_eq!(code(site.restore("/none", 0, 0).await), Code::NotFound);
}

#[tokio::test]
async fn p05_what_is_repeated_because_its_answer_was_lost_is_done_once() {
    let site = Site::new().await;
    site.put("/a", "one").await;
    site.put("/a", "two").await;
    for _ in 0..2 {
        assert_eq!(site.restore("/a", 1, 0).await.unwrap().version, 3);
        assert_eq!(site.copy("/a", "/b").await.unwrap(), (1, 1));
    }
}

#[tokio::test]
async fn files_and_directories_are_copied_and_moved() {
    let site = Site::new().await;
    for path in ["/d/a", "/d/b/c", "/d", "/d-e"] {
        site.put(path, path).await;
    }
    assert_eq!(site.copy("/d/", "/x/y/").await.unwrap(), (2, 0));
    assert_eq!(site.copy("/d", "/x/d").await.unwrap(), (1, 1));
    assert_eq!(site.rename("/x/", "/z/").await.unwrap(), (3, 0));
    assert_eq!(site.paths().await, ["/d", "/d-e", "/d/a", "/d/b/c", "/z/d", "/z/y/a", "/z/y/b/c"]);
    assert_eq!(site.read("/z/y/b/c").await, "/d/b/c");
    assert_eq!(site.rename("/d-e", "/d").await.unwrap(), (1, 2), "what was there stays a version");
    assert_eq!(code(site.rename("/d-e", "/d").await), Code::NotFound);
    assert_eq!(code(site.copy("/none/", "/x/").await), Code::NotFound);
    site.delete("/z", true, 0).await.unwrap();
    assert_eq!(site.paths().await, ["/d", "/d/a", "/d/b/c"]);
    site.delete("/d/", true, 0).await.unwrap();
    assert_eq!(site.paths().await, ["/d"], "a file of that name is another thing");
}

#[tokio::test]
async fn ends_that_make_no_sense_are_refused() {
    let site = Site::new().await;
    site.put("/d/a", "a").await;
    for (path, to) in [
        ("/d/a", "/d/a"),
        ("/d/a", "/x/"),
        ("/d/", "/x"),
        ("/d/", "/d/"),
        ("/d/", "/d/x/"),
        ("/d/x/", "/d/"),
        ("/d/", "/"),
        ("/", "/x/"),
        ("/d/a", "relative"),
        ("/d/a", ""),
        ("/d/a", "/x\0"),
    ] {
        assert_eq!(code(site.copy(path, to).await), Code::InvalidArgument, "copy {path} {to}");
        assert_eq!(code(site.rename(path, to).await), Code::InvalidArgument, "move {path} {to}");
    }
    assert_eq!(code(site.copy("/d/a", &format!("/{}", "x".repeat(1024))).await), Code::ResourceExhausted);
    site.put(&format!("/d/{}", "x".repeat(1000)), "x").await;
    assert_eq!(code(site.copy("/d/", &format!("/{}/", "x".repeat(100))).await), Code::ResourceExhausted);
    assert_eq!(site.paths().await.len(), 2, "nothing is left behind");
}

#[tokio::test]
async fn a26_a_copy_needs_read_where_from_and_write_where_to() {
    let site = Site::new().await;
    site.put("/from/a", "a").await;
    let principal = site.server.principal().await;
    let (read, write) = (Capabilities::READ, Capabilities::WRITE);
    for (capabilities, scope, copies) in [
        (read | write, "/*", true),
        (read, "/*", false),
        (write, "/*", false),
        (read | write, "/from/*", false),
        (read | write, "/to/*", false),
        (Capabilities::ALL, "/to/a", false),
    ] {
        let token = site.server.issue(&on_tenant(principal, capabilities, site.tenant, scope)).await;
        let request = CopyRequest {
            tenant: Some(site.tenant.into()),
            path: "/from/a".into(),
            to: "/to/a".into(),
            ..Default::default()
        };
        let copied = site.server.files(&token).copy(request.clone()).await;
        assert_eq!(copied.is_ok(), copies, "{capabilities} on {scope}");
        let request = CopyRequest { path: "/from/".into(), to: "/to/".into(), ..request };
        assert_eq!(
            site.server.files(&token).copy(request).await.is_ok(),
            copies,
            "{capabilities} on {scope}"
        );
    }
}

#[tokio::test]
async fn a19_a_session_on_one_version_changes_nothing() {
    let site = Site::new().await;
    site.put("/a", "one").await;
    site.put("/a", "two").await;
    let principal = site.server.principal().await;
    let pinned = on_tenant(principal, Capabilities::ALL, site.tenant, "/a").of_version(1);
    let pinned = Site { token: site.server.issue(&pinned).await, ..site };
    assert_eq!(pinned.stat("/a", 1).await.unwrap().size, 3);
    for (what, outcome) in [
        ("stat of the current one", code(pinned.stat("/a", 0).await)),
        ("stat of another", code(pinned.stat("/a", 2).await)),
        ("restore", code(pinned.restore("/a", 1, 0).await)),
        ("copy", code(pinned.copy("/a", "/a/b").await)),
        ("move", code(pinned.rename("/a", "/b").await)),
        ("delete", code(pinned.delete("/a", false, 0).await)),
    ] {
        assert_eq!(outcome, Code::PermissionDenied, "{what}");
    }
}

#[tokio::test]
async fn a_file_is_described_anew() {
    let site = Site::new().await;
    let pairs = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let begin = BeginRequest {
        tenant: Some(site.tenant.into()),
        path: "/a".into(),
        committed: Some(Committed::Contents(b"one".into())),
        meta: pairs(&[("kept", "1"), ("gone", "2"), ("changed", "3")]),
        content_type: "text/x".into(),
        expected_version: -1,
    };
    let mut uploads = site.server.uploads(&site.token);
    uploads.begin(begin.clone()).await.unwrap();
    assert_eq!(code(uploads.begin(begin).await), Code::Aborted, "there is one now");
    let edit = EditRequest {
        tenant: Some(site.tenant.into()),
        path: "/a".into(),
        meta: pairs(&[("changed", "4"), ("new", "5")]),
        remove_meta: vec!["gone".into(), "never there".into()],
        ..Default::default()
    };
    for _ in 0..2 {
        let edited = site.server.files(&site.token).edit(edit.clone()).await.unwrap().into_inner();
        assert_eq!(edited.version, 2, "p5: the second time changes nothing");
    }
    let meta = site.stat("/a", 0).await.unwrap();
    assert_eq!(meta.meta, pairs(&[("kept", "1"), ("changed", "4"), ("new", "5")]));
    assert_eq!((meta.content_type.as_str(), meta.size), ("text/x", 3));
    assert_eq!(site.stat("/a", 1).await.unwrap().meta.len(), 3, "the version before stays as it was");
    let refused = |change: fn(&mut EditRequest)| {
        let mut edit = edit.clone();
        change(&mut edit);
        let mut files = site.server.files(&site.token);
        async move { code(files.edit(edit).await) }
    };
    assert_eq!(refused(|edit| edit.expected_version = 1).await, Code::Aborted);
    assert_eq!(refused(|edit| edit.expected_version = -1).await, Code::InvalidArgument);
    assert_eq!(refused(|edit| edit.content_type = "a\r\nb: c".into()).await, Code::InvalidArgument);
    assert_eq!(refused(|edit| edit.path = "/none".into()).await, Code::NotFound);
    let many = refused(|edit| edit.meta = (0..65).map(|at| (at.to_string(), String::new())).collect()).await;
    assert_eq!(many, Code::ResourceExhausted);
}

#[tokio::test]
async fn an_upload_is_committed_over_what_is_expected_only() {
    let site = Site::new().await;
    site.put("/a", "one").await;
    let begin = BeginRequest { tenant: Some(site.tenant.into()), path: "/a".into(), ..Default::default() };
    let mut uploads = site.server.uploads(&site.token);
    let state = uploads.begin(begin).await.unwrap().into_inner().state;
    let commit =
        |expected_version| CommitRequest { state: state.clone(), expected_version, ..Default::default() };
    for expected in [-1, 2] {
        assert_eq!(code(uploads.commit(commit(expected)).await), Code::Aborted);
    }
    assert_eq!(code(uploads.commit(commit(-2)).await), Code::InvalidArgument);
    for _ in 0..2 {
        uploads.commit(commit(1)).await.unwrap();
    }
    assert_eq!(site.stat("/a", 0).await.unwrap().version, 2);
    assert_eq!(code(site.delete("/a", false, 1).await), Code::Aborted);
    assert_eq!(code(site.delete("/a/", true, 2).await), Code::InvalidArgument);
    site.delete("/a", false, 2).await.unwrap();
}

impl Site {
    /// All pages of a listing: paths, and directories with their last slash.
    async fn list(&self, mut request: ListRequest) -> Result<Vec<String>, Status> {
        let mut all = Vec::new();
        loop {
            let page = self.server.files(&self.token).list(request.clone()).await?.into_inner();
            let size = usize::try_from(request.page_size).unwrap_or_default();
            assert!(size == 0 || page.files.len() + page.prefixes.len() <= size);
            all.extend(page.files.into_iter().map(|meta| meta.path));
            all.extend(page.prefixes);
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                all.sort();
                return Ok(all);
            }
        }
    }
}

#[tokio::test]
async fn listings_have_a_delimiter_a_page_size_and_a_time() {
    let site = Site::new().await;
    for path in ["/d/a", "/d/b/c", "/d/b/e/f", "/d/g", "/h"] {
        site.put(path, "x").await;
    }
    let then = cacheroach_api::convert::timestamp(site.server.now());
    site.server.advance(HOUR);
    site.delete("/d/a", false, 0).await.unwrap();
    site.put("/d/new", "x").await;
    let all = ListRequest { tenant: Some(site.tenant.into()), path: "/d".into(), ..Default::default() };
    let within = ListRequest { delimiter: "/".into(), ..all.clone() };
    for page_size in [0, 1, 2, 3] {
        let of = |request: &ListRequest| site.list(ListRequest { page_size, ..request.clone() });
        assert_eq!(of(&all).await.unwrap(), ["/d/b/c", "/d/b/e/f", "/d/g", "/d/new"]);
        assert_eq!(of(&within).await.unwrap(), ["/d/b/", "/d/g", "/d/new"]);
        let past = |request: &ListRequest| of(&ListRequest { as_of: Some(then), ..request.clone() });
        assert_eq!(past(&all).await.unwrap(), ["/d/a", "/d/b/c", "/d/b/e/f", "/d/g"]);
        assert_eq!(past(&within).await.unwrap(), ["/d/a", "/d/b/", "/d/g"]);
    }
    for wrong in
        [ListRequest { page_size: -1, ..all.clone() }, ListRequest { delimiter: "x".into(), ..all.clone() }]
    {
        assert_eq!(code(site.list(wrong).await), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a38_a_cursor_is_good_for_its_own_kind_of_listing() {
    let site = Site::new().await;
    for path in ["/d/a", "/d/b", "/d/c"] {
        site.put(path, "x").await;
    }
    let request = ListRequest {
        tenant: Some(site.tenant.into()),
        path: "/d/".into(),
        page_size: 1,
        ..Default::default()
    };
    let as_of = Some(cacheroach_api::convert::timestamp(site.server.now()));
    let kinds = [
        request.clone(),
        ListRequest { delimiter: "/".into(), ..request.clone() },
        ListRequest { as_of, ..request.clone() },
        ListRequest { as_of, delimiter: "/".into(), ..request },
    ];
    let mut files = site.server.files(&site.token);
    for (at, kind) in kinds.iter().enumerate() {
        let cursor = files.list(kind.clone()).await.unwrap().into_inner().cursor;
        assert!(cursor.is_some());
        for (other, request) in kinds.iter().enumerate() {
            let answer = files.list(ListRequest { cursor: cursor.clone(), ..request.clone() }).await;
            assert_eq!(answer.is_ok(), at == other, "{at} in {other}");
        }
        let later = cacheroach_api::convert::timestamp(site.server.now().after(HOUR));
        if kind.as_of.is_some() {
            let moved = ListRequest { cursor, as_of: Some(later), ..kind.clone() };
            assert_eq!(code(files.list(moved).await), Code::InvalidArgument);
        }
    }
}

#[tokio::test]
async fn p08_to_delete_a_directory_takes_its_name() {
    let site = Site::new().await;
    site.put("/a", "a").await;
    let refused = site.delete("", true, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "an empty field never means all");
    assert_eq!(site.read("/a").await, "a");
    site.delete("/", true, 0).await.unwrap();
    assert!(site.paths().await.is_empty());
}

#[tokio::test]
async fn a26_who_may_only_write_cannot_guess_what_is_there() {
    let site = Site::new().await;
    let tenant = Some(site.tenant.into());
    site.put("/open/guess", "secret").await;
    site.put("/shut/a", "secret").await;
    let principal = site.server.principal().await;
    let writer = site.server.issue(&on_tenant(principal, Capabilities::WRITE, site.tenant, "/shut/*")).await;
    let edit = EditRequest {
        tenant: tenant.clone(),
        path: "/shut/a".into(),
        remove_meta: vec!["none".into()],
        ..Default::default()
    };
    let edited = site.server.files(&writer).edit(edit.clone()).await.unwrap().into_inner();
    assert_eq!(edited.version, 2, "that nothing has changed would be told by the number");
    let edited = site.server.files(&site.token).edit(edit).await.unwrap().into_inner();
    assert_eq!(edited.version, 2, "whoever may read knows it anyway");

    site.server.issue(&on_tenant(principal, Capabilities::READ, site.tenant, "/open/*")).await;
    let delegate = site.server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    let copy = CopyRequest { tenant, path: "/open/guess".into(), to: "/shut/a".into(), ..Default::default() };
    let copied = site.server.files(&delegate).copy(copy.clone()).await.unwrap().into_inner();
    assert_eq!(copied.version, 3, "that the content is the same would be told by the number");
    let copy = CopyRequest { path: "/open/".into(), to: "/shut/".into(), ..copy };
    for _ in 0..2 {
        site.server.files(&delegate).copy(copy.clone()).await.unwrap();
    }
    assert_eq!(site.stat("/shut/guess", 0).await.unwrap().version, 2);
}

#[tokio::test]
async fn a68_a_page_of_versions_fits_in_a_message() {
    let site = Site::new().await;
    let value = "v".repeat(8 * 1024 - 1);
    for _ in 0..520 {
        let request = BeginRequest {
            tenant: Some(site.tenant.into()),
            path: "/a".into(),
            committed: Some(Committed::Empty(true)),
            meta: HashMap::from([("k".to_owned(), value.clone())]),
            ..Default::default()
        };
        site.server.uploads(&site.token).begin(request).await.unwrap();
    }
    let mut request =
        ListVersionsRequest { tenant: Some(site.tenant.into()), path: "/a".into(), ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = site.server.files(&site.token).list_versions(request.clone()).await.unwrap().into_inner();
        seen.extend(page.versions.iter().map(|meta| meta.version));
        request.before = page.before;
        if page.before == 0 {
            break;
        }
    }
    assert_eq!(seen, (1..=520).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn more_metadata_than_there_may_be_is_too_much() {
    let site = Site::new().await;
    site.put("/a", "a").await;
    let edit = async |meta: HashMap<String, String>| {
        let request =
            EditRequest { tenant: Some(site.tenant.into()), path: "/a".into(), meta, ..Default::default() };
        site.server.files(&site.token).edit(request).await.map_err(|status| status.code()).map(drop)
    };
    let pairs = |count: usize| (0..count).map(|at| (format!("k{at}"), "v".to_owned())).collect();
    assert_eq!(edit(pairs(65)).await, Err(Code::ResourceExhausted));
    assert_eq!(
        edit(HashMap::from([("k0".into(), "v".repeat(8 * 1024 - 1))])).await,
        Err(Code::ResourceExhausted)
    );
    assert_eq!(edit(pairs(64)).await, Ok(()));
    let large = site.stat("/a", 0).await.unwrap();
    assert_eq!(large.meta.len(), 64);
}

#[tokio::test]
async fn a31_what_is_deleted_leaves_no_trace_for_those_who_only_read() {
    let site = Site::new().await;
    for path in ["/d/a", "/d/b"] {
        site.put(path, "one").await;
    }
    let as_of = Some(cacheroach_api::convert::timestamp(site.server.now()));
    site.server.advance(HOUR);
    site.delete("/d/a", false, 0).await.unwrap();
    site.delete("/d/b", false, 0).await.unwrap();
    site.put("/d/b", "two").await;
    let principal = site.server.principal().await;
    let reader = on_tenant(principal, Capabilities::READ, site.tenant, "/*");
    let reader = Site { token: site.server.issue(&reader).await, ..site };
    assert_eq!(reader.versions("/d/b").await, [(2, false)]);
    let request =
        ListVersionsRequest { tenant: Some(reader.tenant.into()), path: "/d/a".into(), ..Default::default() };
    let gone = reader.server.files(&reader.token).list_versions(request).await;
    assert_eq!(code(gone), Code::NotFound, "as if it had never been there");
    for delimiter in ["", "/"] {
        let request = ListRequest {
            tenant: Some(reader.tenant.into()),
            path: "/d/".into(),
            as_of,
            delimiter: delimiter.into(),
            ..Default::default()
        };
        assert_eq!(code(reader.list(request).await), Code::PermissionDenied, "{delimiter}");
    }
}
