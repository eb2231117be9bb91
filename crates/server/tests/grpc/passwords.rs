//! Passwords over gRPC.

use cacheroach_api::principal::{EnsureRequest, Principal, SetPasswordRequest};
use cacheroach_api::token::{IssueResponse, LoginRequest};
use cacheroach_api::{convert, session, token};
use cacheroach_model::{Capabilities, PrincipalId, Scope, Timestamp};
use prost_types::Duration;
use tonic::{Code, Status};

use crate::code;
use crate::support::{DAY, HOUR, Server, on_everything, on_principal, on_tenant};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
const PASSWORD: &str = "correct horse";

fn set(principal: PrincipalId, user: &str, password: &str, old: &str) -> SetPasswordRequest {
    SetPasswordRequest {
        principal: Some(principal.into()),
        user: user.into(),
        password: password.into(),
        old_password: old.into(),
    }
}

/// A principal with a password.
async fn user(server: &Server, name: &str) -> PrincipalId {
    let principal = server.principal().await;
    change(server, &server.super_token(), set(principal, name, PASSWORD, "")).await.unwrap();
    principal
}

async fn change(server: &Server, token: &str, request: SetPasswordRequest) -> Result<(), Status> {
    server.principals(token).set_password(request).await.map(tonic::Response::into_inner)
}

async fn login_for(
    server: &Server,
    user: &str,
    password: &str,
    valid_for: Option<Duration>,
) -> Result<IssueResponse, Status> {
    let request = LoginRequest { user: user.into(), password: password.into(), valid_for };
    server.tokens("").login(request).await.map(tonic::Response::into_inner)
}

async fn login(server: &Server, user: &str, password: &str) -> Result<String, Status> {
    Ok(login_for(server, user, password, None).await?.token.unwrap().jwt)
}

fn end(answer: &IssueResponse) -> Timestamp {
    convert::from_timestamp(answer.issued.as_ref().unwrap().expires_at.unwrap())
}

#[tokio::test]
async fn a_password_gives_a_session_like_any_other() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    let alice = user(&server, "alice").await;
    server.put(tenant, "/a", "a").await;
    let answer = login_for(&server, "alice", PASSWORD, None).await.unwrap();
    let (issued, jwt) = (answer.issued.clone().unwrap(), answer.token.clone().unwrap().jwt);
    assert_eq!(issued.principal_id, Some(alice.into()));
    assert_eq!(issued.scope, Some((&Scope::Principal(alice)).into()));
    assert_eq!(issued.capabilities, Some(Capabilities::ALL.into()));
    assert_eq!((issued.name.as_str(), issued.note.as_str()), ("", "created via password login"));
    assert_eq!(end(&answer), server.now().after(30 * DAY));

    let current = server.tokens(&jwt).current(()).await.unwrap().into_inner();
    assert_eq!(current, session::Session { note: String::new(), ..issued.clone() });
    // With its grants, and until it is ended.
    let list = async || {
        server
            .files(&jwt)
            .list(cacheroach_api::file::ListRequest {
                tenant: Some(tenant.into()),
                path: "/".into(),
                ..Default::default()
            })
            .await
    };
    assert_eq!(code(&list().await), Code::PermissionDenied);
    server.issue(&on_tenant(alice, Capabilities::READ, tenant, "/*")).await;
    assert_eq!(list().await.unwrap().into_inner().files.len(), 1);
    let request = token::InvalidateRequest { kind: issued.id.map(token::invalidate_request::Kind::Id) };
    server.tokens(&server.super_token()).invalidate(request).await.unwrap();
    assert_eq!(code(&server.tokens(&jwt).current(()).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_login_lives_as_long_as_asked_for_but_a_year_at_most() {
    let server = Server::start().await;
    user(&server, "alice").await;
    for (asked, got) in [(60, MINUTE), (365 * 86_400, 365 * DAY), (3650 * 86_400, 365 * DAY)] {
        let length = Some(Duration { seconds: asked, nanos: 0 });
        let answer = login_for(&server, "alice", PASSWORD, length).await.unwrap();
        assert_eq!(end(&answer), server.now().after(got), "{asked}");
    }
    for seconds in [0, -1] {
        let answer = login_for(&server, "alice", PASSWORD, Some(Duration { seconds, nanos: 0 })).await;
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("valid_for"), "{refused}");
    }
    // It is renewed as all are: as far as its first life was long.
    let short =
        login_for(&server, "alice", PASSWORD, Some(Duration { seconds: 3600, nanos: 0 })).await.unwrap();
    server.advance(HOUR / 2);
    let renewed = server.tokens(&short.token.unwrap().jwt).refresh(()).await.unwrap().into_inner();
    assert_eq!(end(&renewed), server.now().after(HOUR));
}

/// P13: the same answer, whatever is wrong.
#[tokio::test]
async fn p13_who_fails_to_log_in_learns_nothing() {
    let server = Server::start().await;
    user(&server, "alice").await;
    let mut answers = Vec::new();
    for (user, password) in [
        ("alice", "wrong horse"),
        ("bob", PASSWORD),
        ("Alice", PASSWORD),
        ("alice", "short"),
        ("alice ", PASSWORD),
    ] {
        let refused = login(&server, user, password).await.unwrap_err();
        answers.push((refused.code(), refused.message().to_owned(), refused.metadata().len()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, Code::Unauthenticated);
    login(&server, "alice", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn what_can_be_no_user_or_no_password_is_named() {
    let server = Server::start().await;
    let id = server.principal().await;
    let boss = server.super_token();
    let long = "x".repeat(1025);
    for (user, password, field) in [
        ("", PASSWORD, "user"),
        ("a\nb", PASSWORD, "user"),
        ("\u{85}", PASSWORD, "user"),
        (&"x".repeat(256), PASSWORD, "user"),
        ("alice", "1234567", "password"),
        ("alice", &long, "password"),
    ] {
        let refused = change(&server, &boss, set(id, user, password, "")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{refused}");
        assert!(!refused.message().contains("horse"), "{refused}");
    }
    let mut nobody = set(id, "alice", PASSWORD, "");
    nobody.principal = None;
    assert_eq!(change(&server, &boss, nobody).await.unwrap_err().code(), Code::InvalidArgument);
    let missing = set(PrincipalId::new([1; 16]), "alice", PASSWORD, "");
    assert_eq!(change(&server, &boss, missing).await.unwrap_err().code(), Code::NotFound);
    let public = set(PrincipalId::UNAUTHENTICATED, "alice", PASSWORD, "");
    assert_eq!(change(&server, &boss, public).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(login(&server, "", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(login(&server, "a\nb", PASSWORD).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(login(&server, "alice", &long).await.unwrap_err().code(), Code::InvalidArgument);
    for (user, password) in
        [("x".repeat(255), "12345678".to_owned()), ("me@example.org".into(), "x".repeat(1024))]
    {
        change(&server, &boss, set(id, &user, &password, "")).await.unwrap();
        login(&server, &user, &password).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_is_one_principal_in_whatever_case() {
    let server = Server::start().await;
    let alice = user(&server, "alice").await;
    let other = server.principal().await;
    let boss = server.super_token();
    let refused = change(&server, &boss, set(other, "ALICE", PASSWORD, "")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::AlreadyExists, "user is taken"));
    // An empty name keeps the old one.
    change(&server, &boss, set(alice, "", "battery staple", "")).await.unwrap();
    login(&server, "alice", "battery staple").await.unwrap();
    assert_eq!(login(&server, "alice", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);
    // An empty password takes it away, and the name is free.
    for _ in 0..2 {
        change(&server, &boss, set(alice, "", "", "")).await.unwrap();
    }
    assert_eq!(login(&server, "alice", "battery staple").await.unwrap_err().code(), Code::Unauthenticated);
    change(&server, &boss, set(other, "ALICE", PASSWORD, "")).await.unwrap();
}

/// P8: a session that is good for little does not turn itself into one that is good for everything.
#[tokio::test]
async fn p8_ones_own_password_is_changed_with_the_old_one_only() {
    let server = Server::start().await;
    let (tenant, alice) = (server.tenant().await, user(&server, "alice").await);
    let narrow = server.issue(&on_tenant(alice, Capabilities::READ, tenant, "/a")).await;
    let full = server.issue(&on_principal(alice, Capabilities::ALL, alice)).await;
    for token in [&narrow, &full] {
        for old in ["", "wrong horse"] {
            let refused = change(&server, token, set(alice, "", "battery staple", old)).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        }
        let renamed =
            change(&server, token, set(alice, "bob", "battery staple", PASSWORD)).await.unwrap_err();
        assert_eq!(renamed.code(), Code::PermissionDenied);
        let emptied = change(&server, token, set(alice, "", "", PASSWORD)).await.unwrap_err();
        assert_eq!(emptied.code(), Code::InvalidArgument);
    }
    login(&server, "alice", PASSWORD).await.unwrap();
    change(&server, &full, set(alice, "alice", "battery staple", PASSWORD)).await.unwrap();
    login(&server, "alice", "battery staple").await.unwrap();
    assert_eq!(login(&server, "alice", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);

    // Who has none can't give itself one.
    let without = server.principal().await;
    let token = server.issue(&on_principal(without, Capabilities::ALL, without)).await;
    for old in ["", PASSWORD] {
        let refused = change(&server, &token, set(without, "", PASSWORD, old)).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::PermissionDenied, "the old password is wrong")
        );
    }
    // Nor anybody to others, but superusers.
    let over = server.issue(&on_principal(without, Capabilities::ALL, alice)).await;
    let refused = change(&server, &over, set(alice, "", PASSWORD, "battery staple")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "insufficient scope"));
    let kept = server.issue(&on_everything(without)).await;
    change(&server, &kept, set(alice, "", PASSWORD, "")).await.unwrap();
    assert_eq!(
        code(&server.principals("").set_password(set(alice, "", PASSWORD, PASSWORD)).await),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn a09_the_password_of_a_deleted_principal_is_none() {
    let server = Server::start().await;
    let alice = user(&server, "alice").await;
    let jwt = login(&server, "alice", PASSWORD).await.unwrap();
    let principal = Principal { id: Some(alice.into()), version: 1, ..Default::default() };
    let request = EnsureRequest { principal: Some(principal), delete: true };
    server.principals(&server.super_token()).ensure(request).await.unwrap();
    assert_eq!(login(&server, "alice", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(code(&server.tokens(&jwt).current(()).await), Code::Unauthenticated);
}

/// Both protocols know who calls: a stranger's guesses are not the user's.
#[tokio::test]
async fn who_guesses_elsewhere_does_not_lock_a_user_out() {
    let server = Server::start().await;
    user(&server, "alice").await;
    for _ in 0..6 {
        let _ = login(&server, "alice", "wrong horse").await;
    }
    assert_eq!(login(&server, "alice", PASSWORD).await.unwrap_err().code(), Code::ResourceExhausted);
    let elsewhere = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let elsewhere = elsewhere.local_address(Some([127, 0, 0, 2].into())).connect().await.unwrap();
    let request = LoginRequest { user: "alice".into(), password: PASSWORD.into(), valid_for: None };
    let mut client = token::tokens_client::TokensClient::new(elsewhere);
    assert_eq!(code(&client.login(request).await), Code::Ok);
}

#[tokio::test]
async fn who_guesses_is_is_slowed_down_and_for_a_short_time_only() {
    let server = Server::start().await;
    let alice = user(&server, "alice").await;
    user(&server, "bob").await;
    for _ in 0..5 {
        assert_eq!(login(&server, "alice", "wrong horse").await.unwrap_err().code(), Code::Unauthenticated);
    }
    // The right one, too: or else it could be found out by going on.
    for user in ["alice", "Alice"] {
        let refused = login(&server, user, PASSWORD).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.message(), "too many tries; try again in 12 seconds");
    }
    login(&server, "bob", PASSWORD).await.unwrap();
    server.advance(12 * (MINUTE / 60));
    login(&server, "alice", PASSWORD).await.unwrap();
    // What a name that nobody has gets is the same.
    let codes = async |user: &str| {
        let mut codes = Vec::new();
        for _ in 0..7 {
            codes.push(login(&server, user, "wrong horse").await.unwrap_err().code());
        }
        codes
    };
    server.advance(HOUR);
    assert_eq!(codes("alice").await, codes("nobody").await);
    // Guessing the old one is guessing, too.
    let token = server.issue(&on_principal(alice, Capabilities::ALL, alice)).await;
    let mut last = Code::Ok;
    for _ in 0..6 {
        last = change(&server, &token, set(alice, "", "battery staple", "wrong horse"))
            .await
            .unwrap_err()
            .code();
    }
    assert_eq!(last, Code::ResourceExhausted);
}
