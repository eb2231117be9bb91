//! Principals.

use std::time::Duration;

use cacheroach_api::principal::load_request::Kind;
use cacheroach_api::principal::{EnsureRequest, EnsureResponse, LoadRequest, Principal, WatchRequest};
use cacheroach_api::token;
use cacheroach_model::{Capabilities, PrincipalId};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{HOUR, Server, on_everything, on_principal};
use crate::{code, parts, refusal};

async fn ensure(server: &Server, principal: Principal) -> Result<Principal, Status> {
    let request = EnsureRequest { principal: Some(principal), delete: false };
    let answer: EnsureResponse = server.principals(&server.super_token()).ensure(request).await?.into_inner();
    Ok(answer.principal.expect("what is stored"))
}

async fn delete(server: &Server, id: PrincipalId, version: i64) -> Code {
    let principal = Principal { id: Some(id.into()), version, ..Default::default() };
    let request = EnsureRequest { principal: Some(principal), delete: true };
    code(&server.principals(&server.super_token()).ensure(request).await)
}

async fn load(server: &Server, token: &str, kind: Kind) -> Result<Principal, Status> {
    let request = LoadRequest { kind: Some(kind) };
    server.principals(token).load(request).await.map(tonic::Response::into_inner)
}

fn claiming(claims: &Value) -> Principal {
    Principal { claims: claims.to_string().into_bytes(), ..Default::default() }
}

fn id_of(principal: &Principal) -> PrincipalId {
    cacheroach_api::principal::Id::parse(principal.id.as_ref()).unwrap()
}

#[tokio::test]
async fn a_principal_is_made_changed_and_deleted() {
    let server = Server::start().await;
    let made = ensure(&server, Principal::default()).await.unwrap();
    let id = id_of(&made);
    assert_eq!(
        (made.version, &made.label),
        (1, &id.to_string()),
        "the label is the id until there is a name"
    );

    let claims = json!({ "name": "Some One", "email": "Some.One@Example.ORG", "sub": "1" });
    let change = Principal { id: made.id.clone(), version: 1, ..claiming(&claims) };
    let changed = ensure(&server, change.clone()).await.unwrap();
    assert_eq!((changed.version, changed.label.as_str()), (2, "Some One"));
    assert_eq!(serde_json::from_slice::<Value>(&changed.claims).unwrap(), claims);

    // The version it was made from is over.
    let skew = (Code::Aborted, "version skew".to_owned());
    for version in [0, 1, 3] {
        let request =
            EnsureRequest { principal: Some(Principal { version, ..change.clone() }), delete: false };
        let answer = server.principals(&server.super_token()).ensure(request).await;
        assert_eq!(refusal(answer), skew, "{version}");
    }
    // Without claims they stay.
    let kept =
        ensure(&server, Principal { id: made.id.clone(), version: 2, ..Default::default() }).await.unwrap();
    assert_eq!((kept.version, kept.label.as_str(), kept.claims), (3, "Some One", changed.claims));

    assert_eq!(delete(&server, id, 2).await, Code::Aborted);
    assert_eq!(delete(&server, id, 3).await, Code::Ok);
    assert_eq!(delete(&server, id, 3).await, Code::Aborted);
    let gone = load(&server, &server.super_token(), Kind::Id(id.into())).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn s6_what_is_no_principal_is_refused() {
    let server = Server::start().await;
    let before = parts(server.principals(&server.super_token()).list(()).await).await;
    let id = |length| Some(cacheroach_api::principal::Id { data: vec![1; length] });
    let plain = Principal::default;
    for (what, principal) in [
        ("claims that are no JSON", Principal { claims: b"x".into(), ..plain() }),
        ("claims that are no object", claiming(&json!([]))),
        ("claims that are no text", Principal { claims: vec![0xff, 0xfe], ..plain() }),
        ("long claims", claiming(&json!({ "a": "x".repeat(70_000) }))),
        ("a short id", Principal { id: id(15), ..plain() }),
        ("a long id", Principal { id: id(17), ..plain() }),
        ("a negative version", Principal { id: id(16), version: -1, ..plain() }),
        ("an address for a domain", Principal { email_domain: "a@b.example".into(), ..plain() }),
    ] {
        assert_eq!(ensure(&server, principal).await.unwrap_err().code(), Code::InvalidArgument, "{what}");
    }
    for delete in [false, true] {
        let request = EnsureRequest { principal: None, delete };
        let answer = server.principals(&server.super_token()).ensure(request).await;
        assert_eq!(code(&answer), Code::InvalidArgument);
    }
    let nobody = EnsureRequest { principal: Some(plain()), delete: true };
    assert_eq!(code(&server.principals(&server.super_token()).ensure(nobody).await), Code::InvalidArgument);
    let after = parts(server.principals(&server.super_token()).list(()).await).await;
    assert_eq!(after.len(), before.len());
}

#[tokio::test]
async fn what_only_the_server_deals_with_is_refused_from_everybody() {
    let server = Server::start().await;
    let time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    for principal in [
        Principal { refresh_token: "x".into(), ..Default::default() },
        Principal { refresh_after: time, ..Default::default() },
        Principal { refresh_status: 1, ..Default::default() },
    ] {
        let status = ensure(&server, principal).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::PermissionDenied, "inappropriate fields in request")
        );
    }
}

#[tokio::test]
async fn addresses_and_domains_are_unique_and_found_in_any_case() {
    let server = Server::start().await;
    let one = ensure(&server, claiming(&json!({ "email": "One@Example.org" }))).await.unwrap();
    let domain = Principal { email_domain: "Example.ORG".into(), ..Default::default() };
    let company = ensure(&server, domain.clone()).await.unwrap();
    assert_eq!(company.email_domain, "example.org");
    let twice = ensure(&server, claiming(&json!({ "email": "one@example.ORG" }))).await;
    assert_eq!(twice.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(ensure(&server, domain).await.unwrap_err().code(), Code::AlreadyExists);

    let token = server.super_token();
    assert_eq!(load(&server, &token, Kind::Email("ONE@example.org".into())).await.unwrap().id, one.id);
    let found = load(&server, &token, Kind::EmailDomain("EXAMPLE.org".into())).await.unwrap();
    assert_eq!(found.id, company.id);
    for kind in [
        Kind::Email("two@example.org".into()),
        Kind::Email(String::new()),
        Kind::Email("%".into()),
        Kind::EmailDomain("example.net".into()),
        Kind::EmailDomain(String::new()),
        Kind::Id(PrincipalId::new([1; 16]).into()),
    ] {
        let missing = load(&server, &token, kind.clone()).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound, "{kind:?}");
    }
    let none = server.principals(&token).load(LoadRequest::default()).await;
    assert_eq!(code(&none), Code::InvalidArgument);
}

#[tokio::test]
async fn a28_claims_are_for_those_who_may_see_personal_data() {
    let server = Server::start().await;
    let secret = json!({ "name": "Some One", "email": "secret@example.org" });
    let (other, mine) = (server.principal_with(&secret, "").await, server.principal().await);
    let of = |id: PrincipalId| Kind::Id(id.into());
    let blind = server.issue(&on_principal(mine, Capabilities::from_bits(31 - 8), other)).await;
    let third = server.principal().await;
    let seeing = server.issue(&on_principal(third, Capabilities::PII, other)).await;
    let elsewhere = server.issue(&on_principal(mine, Capabilities::ALL, mine)).await;
    for token in [&blind, &elsewhere] {
        let found = load(&server, token, of(other)).await.unwrap();
        assert_eq!(found.claims, b"");
        let text = format!("{found:?}");
        assert!(!text.contains("secret"), "{text}");
        // A refusal tells no more.
        let missing = load(&server, token, Kind::Email("secret2@example.org".into())).await.unwrap_err();
        assert!(!missing.message().contains("secret"), "{missing}");
    }
    assert!(!load(&server, &seeing, of(other)).await.unwrap().claims.is_empty());
    assert!(!load(&server, &server.super_token(), of(other)).await.unwrap().claims.is_empty());
    // The request of a claim is a superuser's.
    let change = Principal { id: Some(other.into()), version: 1, ..claiming(&secret) };
    let request = EnsureRequest { principal: Some(change), delete: false };
    let answer = server.principals(&seeing).ensure(request).await;
    assert_eq!(refusal(answer), (Code::PermissionDenied, "insufficient scope".into()));
}

#[tokio::test]
async fn all_principals_are_listed() {
    let server = Server::start().await;
    let mut expected = vec![PrincipalId::UNAUTHENTICATED];
    for _ in 0..300 {
        expected.push(server.principal().await);
    }
    expected.sort_unstable();
    let found = parts(server.principals(&server.super_token()).list(()).await).await;
    let mut found: Vec<_> = found.iter().map(id_of).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// C7.
#[tokio::test]
async fn c7_a_watched_principal_is_sent_at_once_and_at_each_change() {
    let server = Server::start().await;
    let id = server.principal().await;
    let watch = |duration| WatchRequest { principal: Some(id.into()), duration };
    let every = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
    let mut stream = server.principals(&server.super_token()).watch(watch(every)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().version, 1);
    let change = Principal { id: Some(id.into()), version: 1, ..claiming(&json!({ "name": "new" })) };
    ensure(&server, change).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.expect("in time");
    let seen = seen.unwrap().unwrap();
    assert_eq!((seen.version, seen.label.as_str()), (2, "new"));
    assert_eq!(delete(&server, id, 2).await, Code::Ok);
    let end = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.expect("in time");
    assert!(!matches!(end, Ok(Some(_))), "nothing is left to send");

    // S6.
    for duration in
        [None, Some(prost_types::Duration::default()), Some(prost_types::Duration { seconds: -1, nanos: 0 })]
    {
        let answer = server.principals(&server.super_token()).watch(watch(duration)).await;
        assert_eq!(code(&answer), Code::InvalidArgument, "{duration:?}");
    }
    let nobody = WatchRequest { principal: None, duration: every };
    assert_eq!(code(&server.principals(&server.super_token()).watch(nobody).await), Code::InvalidArgument);
}

/// P9: who may not watch any more is told nothing more, at the next look.
#[tokio::test]
async fn c7_a_watch_ends_with_the_session_that_began_it() {
    let server = Server::start().await;
    let (id, watcher) = (server.principal().await, server.principal().await);
    let every = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
    let watch = || WatchRequest { principal: Some(id.into()), duration: every };
    let revoked = server.issue(&on_everything(watcher)).await;
    let expiring = server.issue(&on_everything(watcher).living(4 * HOUR)).await;
    let key_holder = server.super_token();
    for (token, end) in [(&revoked, true), (&key_holder, false), (&expiring, false)] {
        let mut stream = server.principals(token).watch(watch()).await.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        let change = Principal { id: Some(id.into()), version: first.version, ..Default::default() };
        ensure(&server, change.clone()).await.unwrap();
        let second = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.expect("in time");
        assert_eq!(second.unwrap().unwrap().version, first.version + 1);
        if end {
            let current = token::invalidate_request::Kind::Current(true);
            let request = token::InvalidateRequest { kind: Some(current) };
            server.tokens(token).invalidate(request).await.unwrap();
        } else {
            server.advance(2 * HOUR);
        }
        let change = Principal { version: first.version + 1, ..change };
        ensure(&server, change).await.unwrap();
        let mut ended =
            tokio::time::timeout(Duration::from_secs(10), stream.message()).await.expect("in time");
        if ended.is_ok() {
            // It was being looked at just then.
            ended = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.expect("in time");
        }
        assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn nobody_in_particular_cannot_be_deleted() {
    let server = Server::start().await;
    let nobody = load(&server, &server.super_token(), Kind::Id(PrincipalId::UNAUTHENTICATED.into())).await;
    let nobody = nobody.unwrap();
    assert_eq!(nobody.label, "Unauthenticated Principal");
    assert_ne!(delete(&server, PrincipalId::UNAUTHENTICATED, nobody.version).await, Code::Ok);
    assert_eq!(server.http_as("", "GET", "/", "localhost").await.status.as_u16(), 200);
}
