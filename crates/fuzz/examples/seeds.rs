//! Writes the first inputs of each target into the kept corpus: genuine ones, as clients send them.
//! `cargo run -p cacheroach-fuzz --example seeds`.

#![allow(clippy::unwrap_used, reason = "a tool for those who change the targets")]
#![allow(clippy::needless_update, reason = "hosts get settings, and these have none")]

use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_api::method::files;
use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::{content, file, principal, session, tenant, token, upload, vhost};
use cacheroach_auth::{DropLink, Keys, Link, claims};
use cacheroach_fuzz::number_of;
use cacheroach_fuzz::world::{KEY, NOW, World};
use cacheroach_model::{
    Capabilities, LinkId, Location, Networks, Path as FilePath, Pattern, PrincipalId, Scope, Session,
    SessionId, TenantId, Timestamp,
};
use prost::Message;

fn keep(target: &str, name: &str, input: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("seed-{name}")), input).unwrap();
}

fn texts(target: &str, texts: &[&str]) {
    for (at, text) in texts.iter().enumerate() {
        keep(target, &format!("{at:02}"), text);
    }
}

fn main() {
    names();
    http();
    tokens();
    cursors();
    uploads();
    requests();
}

fn names() {
    texts(
        "path",
        &["/", "/a/b.txt", "/a/../b/./c//d/", "//", "/.../..", "/\u{e9}/\u{65e5}", "/a\nb", "a", "/*"],
    );
    texts(
        "scope",
        &["/*\n/a/*\n/a/b", "/a\n/a\n/a", "/a/*\n/a/b/*\n/a/b/", "/*/../a/*\n/a/b\n/a/", "/a*", "/a/*/b"],
    );
    let hosts = [
        "example.com",
        "Example.COM:8080",
        "example.com.",
        "[::1]:80",
        "[0:0::1]",
        "127.0.0.1:1",
        "*",
        "a_b-c.d",
        "xn--bcher-kva.example",
        "user@host",
        "[::ffff:1.2.3.4]",
        "a..",
        ".",
    ];
    texts("host", &hosts);
    texts(
        "session",
        &[
            r#"{"s":{"s":true}}"#,
            r#"{"c":{"read":true,"write":true},"s":{"p":{"data":"Dw8PDw8PDw8PDw8PDw8PDw=="}},"name":"<self>"}"#,
            r#"{"c":{"read":true},"s":{"l":{"p":"/up/big.bin","v":"1"}}}"#,
            r#"{"ID":{"d":"CgoKCgoKCgoKCgoKCgoKCg=="},"x":"2026-11-22T13:17:31.500Z","note":"n"}"#,
            r#"{"capabilities":{"delegate":true,"pii":true,"fetch":true},"scope":{"on_location":{"tenant_id":{"data":"CgoKCgoKCgoKCgoKCgoKCg=="},"path":"/a/*","version":3}}}"#,
            r#"{"principal_id":{"data":"AAAAAAAAAAAAAAAAAAAAAA=="},"scope":{"on_principal":{"data":""}},"expires_at":"1970-01-01T00:00:00+01:00"}"#,
            r#"{"s":{"super_token":false},"x":null}"#,
        ],
    );
}

fn http() {
    let targets = [
        "/",
        "/a/b?q=1",
        "/a/%2e%2e/b",
        "//evil.example/x",
        "/%2F%2Fevil.example",
        "/a%20b",
        "/_",
        "/_/v0/config",
        "/a/./?x",
        "/%e9",
        "/%C3%A9",
        "http://host/a/../b",
        "*",
        "/a?b#c",
        "/\\evil",
    ];
    texts("target", &targets);
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nTrailer: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "PRI / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for (at, request) in requests.iter().enumerate() {
        keep("framing", &format!("{at:02}"), [&[4, 9], request.as_bytes()].concat());
    }
    let ranges = [
        "bytes=0-9",
        "bytes=10-",
        "bytes=-5",
        "bytes=0-9, 20-29,-1",
        "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9",
        "bytes=99999999999999999999-",
        "Bytes = 1-2",
        "lines=0-1",
        "bytes=5-1",
        "bytes=0-18446744073709551615",
    ];
    for (at, range) in ranges.iter().enumerate() {
        keep("range", &format!("{at:02}"), [&6400_u64.to_le_bytes()[..], range.as_bytes()].concat());
    }
    let conditions = [
        "\u{1}\"etag\"",
        "\u{1}*",
        "\u{1}W/\"etag\", \"x,y\"",
        "\u{0}\"a\",,\"etag\"",
        "\u{2}Wed, 01 Jul 2026 00:00:00 GMT",
        "\u{3}Sunday, 06-Nov-94 08:49:37 GMT\n\u{1}\"etag\"",
        "\u{4}\"etag\"",
        "\u{4}Wed Jul  1 00:00:00 2026",
    ];
    texts("conditions", &conditions);
    let dates = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sat, 31 Dec 2016 23:59:60 GMT",
        "Sat, 29 Feb 2020 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sat, 01 Jan 0000 00:00:00 GMT",
        "Sun Nov 16 08:49:37 1994",
    ];
    texts("date", &dates);
    let metadata = [
        "key:value\nother: a%20b",
        "%41:%C3%A9",
        "a:%\nb:%ff",
        "\u{1}\u{5}key",
        "%zz:",
        "<!doctype html>",
        "\u{89}PNG\r\n",
        "%20:%20%20\n%25:%25",
    ];
    texts("metadata", &metadata);
}

fn tokens() {
    let keys = Keys::parse(&[STANDARD.encode(KEY)]).unwrap();
    let end = Some(Timestamp::from_micros(NOW.micros() + 3_600_000_000));
    let tenant = TenantId::SCRATCHPAD;
    let base = Session {
        id: Some(SessionId::new([3; 16])),
        principal: Some(PrincipalId::new([4; 16])),
        capabilities: Capabilities::READ | Capabilities::WRITE,
        scope: Some(Scope::Location(Location {
            tenant,
            pattern: Pattern::parse("/docs/*").unwrap(),
            version: None,
        })),
        expires_at: end,
        name: "name".into(),
        note: String::new(),
    };
    let sessions = [
        base.clone(),
        Session { id: None, principal: None, scope: Some(Scope::Super), ..base.clone() },
        Session { scope: Some(Scope::Principal(PrincipalId::new([4; 16]))), ..base.clone() },
        Session {
            id: None,
            capabilities: Capabilities::READ,
            scope: Some(Scope::Location(Location {
                tenant,
                pattern: Pattern::parse("/a").unwrap(),
                version: None,
            })),
            ..base
        },
    ];
    for (at, session) in sessions.iter().enumerate() {
        keep("token", &format!("session-{at}"), claims::sign(&keys, session, NOW));
    }
    let (id, path) = (LinkId::new([5; 16]), FilePath::parse_file("/a/b").unwrap());
    let (principal, session) = (Some(PrincipalId::new([4; 16])), Some(SessionId::new([3; 16])));
    let link = Link {
        id,
        tenant,
        path: path.clone(),
        version: None,
        principal,
        session,
        issued_at: NOW,
        expires_at: end,
        download_name: Some("other name".into()),
        networks: Networks::parse(&["10.0.0.0/8", "::1"]).unwrap(),
        counted: true,
    };
    keep("token", "link", link.sign(&keys));
    let drop = DropLink { id, tenant, dir: path, principal, session, issued_at: NOW, expires_at: end };
    keep("token", "drop", drop.sign(&keys));
    let counting: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(7)).collect();
    keep("token", "built", counting);
    keep("token", "built-of-ones", [1; 120]);
}

/// The first two bytes choose the listing and the genuine cursor; what follows changes it.
fn cursors() {
    for at in 0..6_u8 {
        keep("cursor", &format!("genuine-{at}"), [at % 5, at]);
        keep("cursor", &format!("changed-{at}"), [at % 5, at, 20 * at, 0, 3, 65]);
    }
    let world = World::new();
    let first = file::ListRequest {
        tenant: Some(world.own.into()),
        path: "/docs/".into(),
        page_size: 2,
        ..Default::default()
    };
    let page = world.call::<files::List>(&world.superuser, first).unwrap();
    keep("cursor", "message", [&[0, 255], &page.cursor.unwrap().encode_to_vec()[..]].concat());
}

fn uploads() {
    for who in 0..4_u8 {
        for state in [0_u8, 1, 3, 5] {
            keep("upload", &format!("genuine-{who}-{state}"), [who, state]);
        }
        keep("upload", &format!("changed-{who}"), [who, who, 19, 0, 3, 65, 40, 0, 1, 0]);
    }
    let state = upload::TransferState {
        id: Some(upload::Id { data: vec![1; 16] }),
        offset: 5,
        data: Vec::new(),
        deadline: Some(prost_types_timestamp()),
        tenant_id: Some(tenant::Id { data: vec![1; 16] }),
        signature: vec![0; 64],
    };
    keep("upload", "message", [&[0, 255], &state.encode_to_vec()[..]].concat());
}

fn prost_types_timestamp() -> prost_types::Timestamp {
    cacheroach_api::convert::timestamp(NOW)
}

/// A request of a method as each caller in turn.
fn asked(name: &str, message: &impl Message) {
    let method = number_of(name).unwrap_or_else(|| panic!("no method {name}"));
    for who in 0..=5_u8 {
        let name = name.rsplit('.').next().unwrap().replace('/', "-").to_lowercase();
        keep("request", &format!("{name}-{who}"), [&[method, who], &message.encode_to_vec()[..]].concat());
    }
}

/// What only the superuser may be told.
fn forbidden() {
    let tenants = [TenantId::new([1; 16]), TenantId::new([2; 16])];
    for (tenant, path, who) in tenants.iter().flat_map(|tenant| {
        ["/", "/private/", "/docs/"]
            .iter()
            .flat_map(move |path| (0..4_u8).map(move |who| (tenant, *path, who)))
    }) {
        let tenant: Option<tenant::Id> = Some((*tenant).into());
        let list = file::ListRequest { tenant: tenant.clone(), path: path.into(), ..Default::default() };
        let browse = content::BrowseRequest { tenant, path: path.into(), ..Default::default() };
        let name = format!("{}-{}-{who}", list.tenant.as_ref().unwrap().data[0], path.replace('/', ""));
        let input =
            |method: &str, message: Vec<u8>| [&[number_of(method).unwrap(), who][..], &message].concat();
        keep("request", &format!("all-{name}"), input("cacheroach.file.Files/List", list.encode_to_vec()));
        keep(
            "request",
            &format!("dir-{name}"),
            input("cacheroach.content.Contents/Browse", browse.encode_to_vec()),
        );
    }
}

fn links() {
    let tenant: Option<tenant::Id> = Some(TenantId::new([1; 16]).into());
    let list = file::ListLinksRequest { tenant: tenant.clone(), path: "/docs/".into(), ..Default::default() };
    asked("cacheroach.file.Files/ListLinks", &list);
    let url = Some(file::revoke_link_request::Kind::Url("/_/v0/retrieve/a.b.c".into()));
    asked("cacheroach.file.Files/RevokeLink", &file::RevokeLinkRequest { kind: url });
    let drop = file::CreateDropLinkRequest { tenant, path: "/docs/in/".into(), ..Default::default() };
    asked("cacheroach.file.Files/CreateDropLink", &drop);
}

fn requests() {
    forbidden();
    links();
    let tenant: Option<tenant::Id> = Some(TenantId::new([1; 16]).into());
    let path = || "/docs/0".to_owned();
    asked(
        "cacheroach.file.Files/List",
        &file::ListRequest {
            tenant: tenant.clone(),
            path: "/docs/".into(),
            page_size: 2,
            ..Default::default()
        },
    );
    asked(
        "cacheroach.file.Files/Stat",
        &file::StatRequest { tenant: tenant.clone(), path: path(), version: 1 },
    );
    asked(
        "cacheroach.file.Files/Delete",
        &file::DeleteRequest {
            tenant: tenant.clone(),
            path: "/docs/deep/".into(),
            recursive: true,
            expected_version: 0,
        },
    );
    asked(
        "cacheroach.file.Files/Retrieve",
        &file::RetrievalRequest { tenant: tenant.clone(), path: path(), ..Default::default() },
    );
    asked(
        "cacheroach.file.Files/ListVersions",
        &file::ListVersionsRequest { tenant: tenant.clone(), path: path(), before: 0, page_size: 1 },
    );
    asked(
        "cacheroach.file.Files/Restore",
        &file::RestoreRequest { tenant: tenant.clone(), path: path(), version: 1, expected_version: 0 },
    );
    asked(
        "cacheroach.file.Files/Copy",
        &file::CopyRequest {
            tenant: tenant.clone(),
            path: "/docs/deep/".into(),
            to: "/docs/x/".into(),
            ..Default::default()
        },
    );
    asked(
        "cacheroach.file.Files/Move",
        &file::MoveRequest {
            tenant: tenant.clone(),
            path: path(),
            to: "/docs/y".into(),
            expected_version: 1,
        },
    );
    let meta: HashMap<_, _> = [("a".to_owned(), "b".to_owned())].into();
    asked(
        "cacheroach.file.Files/Edit",
        &file::EditRequest {
            tenant: tenant.clone(),
            path: path(),
            meta,
            content_type: "text/plain".into(),
            ..Default::default()
        },
    );
    let contents = Some(Committed::Contents(b"new".to_vec()));
    asked(
        "cacheroach.upload.Uploads/Begin",
        &upload::BeginRequest {
            tenant: tenant.clone(),
            path: "/docs/new".into(),
            committed: contents,
            ..Default::default()
        },
    );
    let template = session::Session {
        capabilities: Some((Capabilities::READ).into()),
        scope: Some(
            (&Scope::Location(Location {
                tenant: TenantId::new([1; 16]),
                pattern: Pattern::parse("/docs/*").unwrap(),
                version: None,
            }))
                .into(),
        ),
        expires_at: Some(cacheroach_api::convert::timestamp(Timestamp::from_micros(
            NOW.micros() + 1_000_000,
        ))),
        name: "n".into(),
        ..Default::default()
    };
    asked("cacheroach.token.Tokens/Find", &template.scope.clone().unwrap());
    asked("cacheroach.token.Tokens/Issue", &token::IssueRequest { template: Some(template) });
    asked(
        "cacheroach.token.Tokens/Load",
        &token::LoadRequest { kind: Some(token::load_request::Kind::Name("writer".into())) },
    );
    asked(
        "cacheroach.token.Tokens/Invalidate",
        &token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) },
    );
    asked("cacheroach.token.Tokens/Refresh", &());
    asked(
        "cacheroach.principal.Principals/Load",
        &principal::LoadRequest {
            kind: Some(principal::load_request::Kind::EmailDomain("example.com".into())),
        },
    );
    let nobody = Some(PrincipalId::UNAUTHENTICATED.into());
    let someone = principal::Principal {
        id: nobody,
        label: "l".into(),
        version: 2,
        claims: b"{\"email\":\"a@b.example\"}".to_vec(),
        ..Default::default()
    };
    asked(
        "cacheroach.principal.Principals/Ensure",
        &principal::EnsureRequest { principal: Some(someone), delete: false },
    );
    asked("cacheroach.tenant.Tenants/Get", &tenant::GetRequest { id: tenant.clone() });
    let changed = tenant::Tenant { id: tenant.clone(), label: "l".into(), version: 1, ..Default::default() };
    asked(
        "cacheroach.tenant.Tenants/Ensure",
        &tenant::EnsureRequest { tenant: Some(changed), delete: false },
    );
    let vhost = vhost::VHost { vhost: "a.example".into(), tenant_id: tenant.clone(), ..Default::default() };
    asked(
        "cacheroach.vhost.VHosts/Ensure",
        &vhost::EnsureRequest { vhost: Some(vhost), ..Default::default() },
    );
    asked(
        "cacheroach.content.Contents/Open",
        &content::OpenRequest { tenant: tenant.clone(), path: path(), ..Default::default() },
    );
    asked(
        "cacheroach.content.Contents/Browse",
        &content::BrowseRequest {
            tenant: tenant.clone(),
            path: "/docs/".into(),
            after: "1".into(),
            limit: 1,
            as_of: None,
        },
    );
    asked(
        "cacheroach.content.Contents/Write",
        &content::WriteRequest { tenant, path: "/docs/w".into(), expected_version: -1, ..Default::default() },
    );
}
