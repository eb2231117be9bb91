//! A day of a client of the original: its stubs, its command line's requests and its plain HTTP, as the compatibility
//! reference has them. The messages here are the original's, field by field; nothing of ours is used to speak to the
//! server.

#![cfg(test)]

mod program;

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use program::{Home, Server, answer, http};
use prost::Message;
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// The messages of the original, as its stubs know them.
mod original {
    use super::{HashMap, Timestamp};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Id {
        #[prost(bytes = "vec", tag = "1")]
        pub(crate) data: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Capabilities {
        #[prost(bool, tag = "1")]
        pub(crate) read: bool,
        #[prost(bool, tag = "2")]
        pub(crate) write: bool,
        #[prost(bool, tag = "3")]
        pub(crate) delegate: bool,
        #[prost(bool, tag = "4")]
        pub(crate) pii: bool,
        #[prost(bool, tag = "5")]
        pub(crate) fetch: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Location {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant_id: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) path: String,
        #[prost(int64, tag = "3")]
        pub(crate) version: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Scope {
        #[prost(oneof = "Kind", tags = "1, 2, 3")]
        pub(crate) kind: Option<Kind>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(crate) enum Kind {
        #[prost(bool, tag = "1")]
        SuperToken(bool),
        #[prost(message, tag = "2")]
        OnPrincipal(Id),
        #[prost(message, tag = "3")]
        OnLocation(Location),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Session {
        #[prost(message, optional, tag = "1")]
        pub(crate) id: Option<Id>,
        #[prost(message, optional, tag = "2")]
        pub(crate) capabilities: Option<Capabilities>,
        #[prost(message, optional, tag = "3")]
        pub(crate) principal_id: Option<Id>,
        #[prost(message, optional, tag = "4")]
        pub(crate) scope: Option<Scope>,
        #[prost(message, optional, tag = "5")]
        pub(crate) expires_at: Option<Timestamp>,
        #[prost(string, tag = "6")]
        pub(crate) note: String,
        #[prost(string, tag = "7")]
        pub(crate) name: String,
    }

    /// Of requests and answers whose only field is a session, a token, or another message.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct IssueRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) template: Option<Session>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Token {
        #[prost(string, tag = "1")]
        pub(crate) jwt: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct IssueResponse {
        #[prost(message, optional, tag = "1")]
        pub(crate) issued: Option<Session>,
        #[prost(message, optional, tag = "2")]
        pub(crate) token: Option<Token>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Invalidate {
        #[prost(message, optional, tag = "1")]
        pub(crate) id: Option<Id>,
        #[prost(bool, tag = "2")]
        pub(crate) current: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Principal {
        #[prost(message, optional, tag = "1")]
        pub(crate) id: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) label: String,
        #[prost(int64, tag = "3")]
        pub(crate) version: i64,
        #[prost(bytes = "vec", tag = "4")]
        pub(crate) claims: Vec<u8>,
        #[prost(string, tag = "5")]
        pub(crate) email_domain: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct EnsurePrincipal {
        #[prost(message, optional, tag = "1")]
        pub(crate) principal: Option<Principal>,
        #[prost(bool, tag = "2")]
        pub(crate) delete: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Tenant {
        #[prost(message, optional, tag = "1")]
        pub(crate) id: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) label: String,
        #[prost(int64, tag = "3")]
        pub(crate) version: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct EnsureTenant {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant: Option<Tenant>,
        #[prost(bool, tag = "2")]
        pub(crate) delete: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Vhost {
        #[prost(string, tag = "1")]
        pub(crate) vhost: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) tenant_id: Option<Id>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct EnsureVhost {
        #[prost(message, optional, tag = "1")]
        pub(crate) vhost: Option<Vhost>,
        #[prost(bool, tag = "2")]
        pub(crate) delete: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Cursor {
        #[prost(string, tag = "1")]
        pub(crate) after: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) as_of: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Meta {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) path: String,
        #[prost(int64, tag = "3")]
        pub(crate) version: i64,
        #[prost(message, optional, tag = "4")]
        pub(crate) created_at: Option<Timestamp>,
        #[prost(message, optional, tag = "5")]
        pub(crate) modified_at: Option<Timestamp>,
        #[prost(map = "string, string", tag = "6")]
        pub(crate) meta: HashMap<String, String>,
        #[prost(int64, tag = "7")]
        pub(crate) size: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ListRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) path: String,
        #[prost(message, optional, tag = "3")]
        pub(crate) cursor: Option<Cursor>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ListResponse {
        #[prost(message, repeated, tag = "1")]
        pub(crate) files: Vec<Meta>,
        #[prost(message, optional, tag = "2")]
        pub(crate) cursor: Option<Cursor>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Retrieval {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) path: String,
        #[prost(int64, tag = "3")]
        pub(crate) version: i64,
        #[prost(message, optional, tag = "4")]
        pub(crate) valid_for: Option<super::Duration>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Retrieved {
        #[prost(string, tag = "1")]
        pub(crate) get_uri: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) expires_at: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct State {
        #[prost(message, optional, tag = "1")]
        pub(crate) id: Option<Id>,
        #[prost(int64, tag = "2")]
        pub(crate) offset: i64,
        #[prost(bytes = "vec", tag = "3")]
        pub(crate) data: Vec<u8>,
        #[prost(message, optional, tag = "4")]
        pub(crate) deadline: Option<Timestamp>,
        #[prost(message, optional, tag = "5")]
        pub(crate) tenant_id: Option<Id>,
        #[prost(bytes = "vec", tag = "15")]
        pub(crate) signature: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Begin {
        #[prost(message, optional, tag = "1")]
        pub(crate) tenant: Option<Id>,
        #[prost(string, tag = "2")]
        pub(crate) path: String,
        #[prost(oneof = "Committed", tags = "3, 4")]
        pub(crate) committed: Option<Committed>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(crate) enum Committed {
        #[prost(bytes = "vec", tag = "3")]
        Contents(Vec<u8>),
        #[prost(bool, tag = "4")]
        Empty(bool),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Begun {
        #[prost(message, optional, tag = "1")]
        pub(crate) state: Option<State>,
        #[prost(int32, tag = "2")]
        pub(crate) max_chunk_size: i32,
        #[prost(bool, tag = "3")]
        pub(crate) committed: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Transfer {
        #[prost(message, optional, tag = "1")]
        pub(crate) state: Option<State>,
        #[prost(bytes = "vec", tag = "2")]
        pub(crate) data: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Transferred {
        #[prost(message, optional, tag = "1")]
        pub(crate) state: Option<State>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Commit {
        #[prost(message, optional, tag = "1")]
        pub(crate) state: Option<State>,
        #[prost(map = "string, string", tag = "2")]
        pub(crate) meta: HashMap<String, String>,
    }
}

use original::*;

/// The original's stubs: a channel and a token.
struct Stub {
    channel: Channel,
    token: String,
}

impl Stub {
    async fn call<Q, A>(&self, method: &str, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token);
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        let path = format!("/cacheroach.{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        client.unary(request, path, codec).await.map(tonic::Response::into_inner)
    }

    /// An upload in pieces of the announced size, as the original's command line makes it; each piece is sent twice, as
    /// if its answer had been lost.
    async fn upload(&self, tenant: &Id, path: &str, content: &[u8], meta: &[(&str, &str)]) {
        let begin = Begin { tenant: Some(tenant.clone()), path: path.into(), committed: None };
        let begun: Begun = self.call("upload.Uploads/Begin", begin).await.unwrap();
        assert!(!begun.committed && begun.max_chunk_size > 0);
        let mut state = begun.state;
        for piece in content.chunks(usize::try_from(begun.max_chunk_size).unwrap()) {
            let transfer = Transfer { state: state.clone(), data: piece.into() };
            let first: Transferred = self.call("upload.Uploads/Transfer", transfer.clone()).await.unwrap();
            let again: Transferred = self.call("upload.Uploads/Transfer", transfer).await.unwrap();
            assert_eq!(first, again, "a piece that is sent again is answered the same");
            state = first.state;
        }
        let meta = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for _ in 0..3 {
            let commit = Commit { state: state.clone(), meta: HashMap::clone(&meta) };
            let _: () = self.call("upload.Uploads/Commit", commit).await.unwrap();
        }
    }

    async fn list(&self, tenant: &Id, path: &str) -> (Vec<Meta>, usize) {
        let mut request = ListRequest { tenant: Some(tenant.clone()), path: path.into(), cursor: None };
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            let page: ListResponse = self.call("file.Files/List", request.clone()).await.unwrap();
            all.extend(page.files);
            pages += 1;
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                return (all, pages);
            }
        }
    }

    async fn sign(&self, tenant: &Id, path: &str, version: i64, seconds: i64) -> Result<Retrieved, Status> {
        let valid_for = (seconds > 0).then_some(Duration { seconds, nanos: 0 });
        let request = Retrieval { tenant: Some(tenant.clone()), path: path.into(), version, valid_for };
        self.call("file.Files/Retrieve", request).await
    }
}

fn now() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// What `bootstrap --hmacKey` of the original makes (section 3.4): good for a minute, of no principal.
fn mint(key: &str) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = encode(json!({
        "msg": { "s": { "s": true } }, "aud": ["cacheroach"], "exp": now() + 60, "iat": now(),
    }));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key.trim()).unwrap());
    let signature = hmac::sign(&key, format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn id(byte: u8) -> Id {
    Id { data: vec![byte; 16] }
}

/// A server, and the original's superuser of it.
async fn morning(home: &Home) -> (Server, Stub, Session) {
    let server = Server::start(&home.at("data"));
    let channel = Endpoint::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    let mut stub = Stub { channel, token: mint(&home.read("data/signing.key")) };
    let empty = EnsurePrincipal { principal: Some(Principal::default()), delete: false };
    let made: EnsurePrincipal = stub.call("principal.Principals/Ensure", empty).await.unwrap();
    let principal = made.principal.unwrap();
    assert_eq!(principal.label.len(), 36, "without claims the label is the id");
    let template = Session {
        principal_id: principal.id,
        scope: Some(Scope { kind: Some(Kind::SuperToken(true)) }),
        expires_at: Some(Timestamp { seconds: now() + 86_400, nanos: 0 }),
        note: "cli bootstrap".into(),
        ..Session::default()
    };
    let request = IssueRequest { template: Some(template) };
    let issued: IssueResponse = stub.call("token.Tokens/Issue", request).await.unwrap();
    stub.token = issued.token.unwrap().jwt;
    (server, stub, issued.issued.unwrap())
}

async fn new_tenant(stub: &Stub, host: &str) -> Id {
    let tenant = Tenant { id: Some(id(7)), label: "a tenant".into(), version: 0 };
    let made: EnsureTenant = stub
        .call("tenant.Tenants/Ensure", EnsureTenant { tenant: Some(tenant), delete: false })
        .await
        .unwrap();
    assert_eq!(made.tenant.unwrap().version, 1);
    let vhost = Vhost { vhost: host.into(), tenant_id: Some(id(7)) };
    let _: () =
        stub.call("vhost.VHosts/Ensure", EnsureVhost { vhost: Some(vhost), delete: false }).await.unwrap();
    id(7)
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((at * at / 7 + at) % 251).unwrap()).collect()
}

#[tokio::test]
async fn files_go_in_are_listed_signed_and_deleted() {
    let home = Home::new();
    let (server, stub, _) = morning(&home).await;
    let tenant = new_tenant(&stub, "files.example").await;
    let one_shot = async |path: &str, committed| {
        let begin = Begin { tenant: Some(tenant.clone()), path: path.into(), committed: Some(committed) };
        let begun: Begun = stub.call("upload.Uploads/Begin", begin).await.unwrap();
        assert_eq!(begun, Begun { state: None, max_chunk_size: 0, committed: true }, "{path}");
    };
    one_shot("/up/empty", Committed::Empty(true)).await;
    one_shot("/up/../up//small", Committed::Contents(b"small".into())).await;
    one_shot("/up/3mib", Committed::Contents(bytes(3 << 20))).await;
    let content = bytes(5_000_000);
    stub.upload(&tenant, "/up/big.bin", &content, &[("colour", "blue")]).await;
    stub.upload(&tenant, "/up/nothing", b"", &[]).await;
    let (files, _) = stub.list(&tenant, "/up").await;
    let shown: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.version, file.size)).collect();
    let size = i64::try_from(content.len()).unwrap();
    assert_eq!(
        shown,
        [
            ("/up/3mib", 1, 3 << 20),
            ("/up/big.bin", 1, size),
            ("/up/empty", 1, 0),
            ("/up/nothing", 1, 0),
            ("/up/small", 1, 5),
        ]
    );
    assert_eq!(files[1].meta, HashMap::from([("colour".to_owned(), "blue".to_owned())]));

    for many in 0..1100 {
        one_shot(&format!("/many/{many:04}"), Committed::Empty(true)).await;
    }
    let (files, pages) = stub.list(&tenant, "/many").await;
    assert!(files.is_sorted_by(|a, b| a.path < b.path) && files.len() == 1100 && pages == 2);

    one_shot("/up/big.bin", Committed::Contents(b"new".into())).await;
    let read = async |retrieved: Retrieved| {
        assert!(retrieved.get_uri.starts_with("/_/v0/retrieve/big.bin?access_token="), "{retrieved:?}");
        answer(http().get(format!("{}{}", server.url, retrieved.get_uri))).await
    };
    let old = stub.sign(&tenant, "/up/big.bin", 1, 60).await.unwrap();
    assert!(old.expires_at.as_ref().is_some_and(|end| (now() + 55..=now() + 61).contains(&end.seconds)));
    assert!(read(old).await.body == content);
    let unlimited = stub.sign(&tenant, "/up/big.bin", 0, 0).await.unwrap();
    assert_eq!(unlimited.expires_at, None);
    assert_eq!(read(unlimited.clone()).await.body, b"new");

    for path in ["/up/big.bin", "/up/big.bin", "/never/there"] {
        let request = ListRequest { tenant: Some(tenant.clone()), path: path.into(), cursor: None };
        let _: () = stub.call("file.Files/Delete", request).await.unwrap();
    }
    assert_eq!(read(unlimited).await.status, 404);
    assert!(stub.list(&tenant, "/up").await.0.iter().all(|file| file.path != "/up/big.bin"));
}

#[tokio::test]
async fn sessions_are_issued_shown_renewed_and_ended() {
    let home = Home::new();
    let (_server, stub, own) = morning(&home).await;
    let current: Session = stub.call("token.Tokens/Current", ()).await.unwrap();
    assert_eq!((&current.id, &current.scope), (&own.id, &own.scope));
    let tenant = new_tenant(&stub, "sessions.example").await;
    let location = Location { tenant_id: Some(tenant.clone()), path: "/a/*".into(), version: 0 };
    let template = Session {
        capabilities: Some(Capabilities {
            read: true,
            write: true,
            delegate: true,
            pii: false,
            fetch: false,
        }),
        principal_id: own.principal_id.clone(),
        scope: Some(Scope { kind: Some(Kind::OnLocation(location)) }),
        // As the command line asks: for ten years.
        expires_at: Some(Timestamp { seconds: now() + 315_360_000, nanos: 0 }),
        name: "a name".into(),
        ..Session::default()
    };
    let issue = IssueRequest { template: Some(template.clone()) };
    let issued: IssueResponse = stub.call("token.Tokens/Issue", issue.clone()).await.unwrap();
    let session = issued.issued.unwrap();
    assert_eq!(
        (&session.capabilities, &session.scope, &session.name),
        (&template.capabilities, &template.scope, &template.name)
    );
    let taken = stub.call::<_, IssueResponse>("token.Tokens/Issue", issue).await.unwrap_err();
    assert_ne!(taken.code(), Code::Ok, "a name is taken once");

    let limited = Stub { channel: stub.channel.clone(), token: issued.token.unwrap().jwt };
    let validated: Session =
        stub.call("token.Tokens/Validate", Token { jwt: limited.token.clone() }).await.unwrap();
    assert_eq!(validated.scope, template.scope);
    let begin = |path: &str| Begin {
        tenant: Some(tenant.clone()),
        path: path.into(),
        committed: Some(Committed::Contents(b"x".into())),
    };
    let _: Begun = limited.call("upload.Uploads/Begin", begin("/a/b")).await.unwrap();
    let refused = limited.call::<_, Begun>("upload.Uploads/Begin", begin("/b")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::PermissionDenied, "inappropriate fields in request")
    );
    let refused = limited.call::<_, EnsureTenant>("tenant.Tenants/Ensure", EnsureTenant::default()).await;
    assert_eq!(refused.unwrap_err().message(), "insufficient scope");

    let renewed: IssueResponse = limited.call("token.Tokens/Refresh", ()).await.unwrap();
    let renewed_session = renewed.issued.unwrap();
    assert_ne!(renewed_session.id, session.id);
    assert_eq!(
        (&renewed_session.capabilities, &renewed_session.scope, &renewed_session.name),
        (&template.capabilities, &template.scope, &template.name)
    );
    let over = limited.call::<_, Session>("token.Tokens/Current", ()).await.unwrap_err();
    assert_eq!(over.code(), Code::Unauthenticated);
    let renewed = Stub { channel: stub.channel.clone(), token: renewed.token.unwrap().jwt };
    let end = Invalidate { id: None, current: true };
    let _: () = renewed.call("token.Tokens/Invalidate", end).await.unwrap();
    assert!(renewed.call::<_, Session>("token.Tokens/Current", ()).await.is_err());
    let by_id = Invalidate { id: Some(Id { data: vec![9; 16] }), current: false };
    let _: () = stub.call("token.Tokens/Invalidate", by_id).await.unwrap();
}

#[tokio::test]
async fn plain_http_works_as_it_did() {
    let home = Home::new();
    let (server, stub, _) = morning(&home).await;
    new_tenant(&stub, "plain.example").await;
    let ask = async |method: &str, path: &str, body: &str| {
        let method = method.parse().unwrap();
        let request = http().request(method, format!("{}{path}", server.url)).header("host", "plain.example");
        answer(request.bearer_auth(&stub.token).body(body.to_owned())).await
    };
    let put = ask("PUT", "/d/file.txt", "content").await;
    let hash: String = Sha256::digest("content").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((put.status, put.text()), (202, hash));
    let found = ask("GET", "/d/file.txt", "").await;
    assert_eq!((found.status, found.text().as_str()), (200, "content"));
    assert_eq!(found.header("accept-ranges"), Some("bytes"));
    for (method, path, status, location) in [
        ("GET", "/d", 301, Some("d/")),
        ("GET", "/d/file.txt/", 301, Some("../file.txt")),
        ("GET", "//d/./file.txt", 301, Some("/d/file.txt")),
        ("GET", "/d/", 200, None),
        ("GET", "/none", 404, None),
        ("DELETE", "/none", 200, None),
        ("DELETE", "/d/file.txt", 200, None),
        ("GET", "/d/file.txt", 404, None),
        ("BREW", "/d", 405, None),
    ] {
        let got = ask(method, path, "").await;
        assert_eq!((got.status, got.header("location")), (status, location), "{method} {path}");
    }
    let hello = answer(http().get(format!("{}/", server.url))).await;
    assert_eq!(hello.body.len(), 62, "the first page of the scratchpad, for everybody");
    let by_query = format!("{}/x?access_token={}", server.url, stub.token);
    assert_eq!(answer(http().put(by_query).body("x")).await.status, 202);
    let by_cookie =
        http().get(format!("{}/x", server.url)).header("cookie", format!("authorization={}", stub.token));
    assert_eq!(answer(by_cookie).await.text(), "x");
}

/// The download of the server is a configuration for either command line, and what ours writes has the original's keys
/// in the original's order.
#[tokio::test]
async fn the_configuration_goes_round() {
    let home = Home::new();
    let (server, stub, own) = morning(&home).await;
    let url = format!("{}/_/v0/config?access_token={}", server.url, stub.token);
    let config = answer(http().get(url)).await;
    assert_eq!(config.header("content-type"), Some("application/json"));
    assert_eq!(config.header("content-disposition"), Some("attachment; filename=\"cacheroach.cfg\""));
    home.write("downloaded.cfg", &config.body);
    let shown = home.config("downloaded.cfg");
    assert_eq!(shown["Host"], server.host());
    assert_eq!(shown["Insecure"], true);
    assert_eq!(shown["Token"], stub.token);
    assert_eq!(shown["Session"]["ID"]["d"], STANDARD.encode(own.id.unwrap().data));
    assert_eq!(shown["Session"]["s"], json!({ "s": true }));

    let whoami = home.ok(&["-c", "downloaded.cfg", "auth", "whoami"]);
    let names: Vec<_> = whoami.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(names, ["Principal", "Session", "Name", "Expires", "Scope", "Capabilities", "Note"]);
    assert!(whoami.contains("SUPERTOKEN") && whoami.contains(" +0000 UTC"), "{whoami}");

    let arguments =
        ["session", "delegate", "--on", "tenant", "--id", program::SCRATCHPAD, "--capabilities", "read"];
    home.ok(&[&["-c", "downloaded.cfg"], &arguments[..], &["--out", "made.cfg"]].concat());
    let text = home.read("made.cfg");
    let keys: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  \"")?.split('"').next()).collect();
    assert_eq!(keys, ["DefaultTenant", "Host", "Insecure", "Session", "Token"]);
    assert!(text.starts_with("{\n  \"") && text.ends_with("}\n"), "{text}");
    let made = home.config("made.cfg");
    assert_eq!(made["DefaultTenant"]["data"], "CgoKCgoKCgoKCgoKCgoKCg==");
    let location = json!({ "l": { "p": "/*", "t": { "data": "CgoKCgoKCgoKCgoKCgoKCg==" } } });
    assert_eq!((&made["Session"]["c"], &made["Session"]["s"]), (&json!({ "read": true }), &location));

    let wide = home.ok(&["-c", "made.cfg", "file", "ls", "-w"]);
    let header: Vec<_> = wide
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .filter(|name| !name.trim().is_empty())
        .map(str::trim)
        .collect();
    assert_eq!(header, ["Path", "Size", "Version", "CTime", "MTime"]);
    assert!(wide.lines().nth(1).unwrap().starts_with("/index.html  62"), "{wide}");
}
