//! Finding, renewing and ending sessions.

use cacheroach_api::{principal, session, token};
use cacheroach_model::{Capabilities, PrincipalId, Scope, Session, Timestamp};
use serde_json::json;
use tonic::Code;

use crate::support::{DAY, HOUR, Server, on_everything, on_principal, on_tenant};
use crate::{code, parts, refusal};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

fn by_id(id: Option<session::Id>) -> token::LoadRequest {
    token::LoadRequest { kind: id.map(token::load_request::Kind::Id) }
}

fn by_name(name: &str) -> token::LoadRequest {
    token::LoadRequest { kind: Some(token::load_request::Kind::Name(name.into())) }
}

fn end(id: Option<session::Id>) -> token::InvalidateRequest {
    token::InvalidateRequest { kind: id.map(token::invalidate_request::Kind::Id) }
}

fn logout() -> token::InvalidateRequest {
    token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) }
}

fn expiry(session: &session::Session) -> Timestamp {
    cacheroach_api::convert::from_timestamp(session.expires_at.unwrap())
}

/// Who is logged in: all capabilities on itself.
async fn login(server: &Server, principal: PrincipalId) -> String {
    server.issue(&on_principal(principal, Capabilities::ALL, principal)).await
}

#[tokio::test]
async fn current_is_the_session_as_it_was_issued() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let template = on_tenant(principal, Capabilities::READ, tenant, "/a/*").of_version(3).named("n");
    let (issued, token) = server.issue_session(&template).await;
    let current = server.tokens(&token).current(()).await.unwrap().into_inner();
    assert_eq!(current, issued);
    assert_eq!(session::Session { id: None, ..current }, template.message(server.now()));
}

#[tokio::test]
async fn the_session_of_a_key_holder_has_neither_id_nor_principal() {
    let server = Server::start().await;
    let current = server.tokens(&server.super_token()).current(()).await.unwrap().into_inner();
    let current = current.parse().unwrap();
    let expected = Session {
        id: None,
        principal: None,
        capabilities: Capabilities::NONE,
        scope: Some(Scope::Super),
        expires_at: Some(server.now().after(MINUTE)),
        name: String::new(),
        note: String::new(),
    };
    assert_eq!(current, expected);
}

#[tokio::test]
async fn a10_the_old_token_dies_with_its_refresh() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let super_one = on_everything(principal).named("root");
    let scoped = on_tenant(principal, Capabilities::READ | Capabilities::PII, tenant, "/a/*").of_version(2);
    let on_itself = on_principal(principal, Capabilities::ALL, principal).named("self").living(2 * HOUR);
    for template in [super_one, scoped, on_itself] {
        let (before, old) = server.issue_session(&template).await;
        let answer = server.tokens(&old).refresh(()).await.unwrap().into_inner();
        let (after, new) = (answer.issued.unwrap(), answer.token.unwrap().jwt);
        assert_ne!(after.id, before.id);
        // C5, C6: nothing else has changed, and the old one is over at once.
        assert_eq!(session::Session { id: None, ..after.clone() }, session::Session { id: None, ..before });
        assert_eq!(code(&server.tokens(&old).current(()).await), Code::Unauthenticated);
        assert_eq!(code(&server.tokens(&old).refresh(()).await), Code::Unauthenticated);
        assert_eq!(server.tokens(&new).current(()).await.unwrap().into_inner(), after);
    }
    // C5: whoever looks for the sessions of this principal still finds them.
    let token = login(&server, principal).await;
    let found = parts(server.tokens(&token).find(session::Scope::default()).await).await;
    assert_eq!(found.len(), 3, "the super one is not shown");
}

#[tokio::test]
async fn a10_of_two_refreshes_at_once_one_wins() {
    let server = Server::start().await;
    let principal = server.principal().await;
    for _ in 0..10 {
        let token = server.issue(&on_everything(principal)).await;
        let (mut one, mut two) = (server.tokens(&token), server.tokens(&token));
        let (one, two) = tokio::join!(one.refresh(()), two.refresh(()));
        let mut codes = [code(&one), code(&two)];
        codes.sort_by_key(|code| *code as i32);
        assert_eq!(codes, [Code::Ok, Code::Unauthenticated]);
    }
}

/// D8: as far away as the first life was long; S15: never past what the issuer had.
#[tokio::test]
async fn a10_a_refreshed_session_never_outlives_what_was_delegated() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let issuer = on_tenant(principal, Capabilities::READ | Capabilities::DELEGATE, tenant, "/*").living(DAY);
    let (issuer, issuing) = server.issue_session(&issuer).await;
    let hour = on_tenant(principal, Capabilities::READ, tenant, "/*").living(HOUR).message(server.now());
    let request = token::IssueRequest { template: Some(hour) };
    let answer = server.tokens(&issuing).issue(request).await.unwrap().into_inner();
    assert_eq!(expiry(&answer.issued.unwrap()), server.now().after(HOUR));
    let mut token = answer.token.unwrap().jwt;
    let mut last = server.now();
    for _ in 0..40 {
        server.advance(50 * MINUTE);
        if server.now() >= expiry(&issuer) {
            break;
        }
        let answer = server.tokens(&token).refresh(()).await.unwrap().into_inner();
        last = expiry(&answer.issued.unwrap());
        assert_eq!(last, server.now().after(HOUR).min(expiry(&issuer)));
        token = answer.token.unwrap().jwt;
    }
    assert_eq!(last, expiry(&issuer));
    assert_eq!(code(&server.tokens(&token).refresh(()).await), Code::Unauthenticated);
}

#[tokio::test]
async fn s3_who_has_no_session_has_none_to_refresh() {
    let server = Server::start().await;
    assert_eq!(code(&server.tokens("").refresh(()).await), Code::Unauthenticated);
    assert_eq!(code(&server.tokens(&server.super_token()).refresh(()).await), Code::Unauthenticated);
    assert!(server.tokens(&server.super_token()).current(()).await.is_ok());
}

#[tokio::test]
async fn a30_the_sessions_of_others_are_not_there() {
    let server = Server::start().await;
    let (tenant, mine, theirs) = (server.tenant().await, server.principal().await, server.principal().await);
    let (kept, their_token) =
        server.issue_session(&on_tenant(theirs, Capabilities::READ, tenant, "/*").named("n")).await;
    let token = login(&server, mine).await;
    let missing = refusal(server.tokens(&token).load(by_id(Some(session::Id { data: vec![1; 16] }))).await);
    assert_eq!(missing.0, Code::NotFound);
    assert_eq!(refusal(server.tokens(&token).load(by_id(kept.id.clone())).await), missing);
    assert_eq!(refusal(server.tokens(&token).load(by_name("n")).await), missing);
    // D19: ending it is refused, ending nothing is fine.
    assert_eq!(code(&server.tokens(&token).invalidate(end(kept.id.clone())).await), Code::PermissionDenied);
    let nothing = end(Some(session::Id { data: vec![1; 16] }));
    for _ in 0..2 {
        assert_eq!(code(&server.tokens(&token).invalidate(nothing.clone()).await), Code::Ok);
    }
    assert!(server.tokens(&their_token).current(()).await.is_ok());

    // With delegate on the other principal it is another matter.
    let over = server.issue(&on_principal(mine, Capabilities::DELEGATE, theirs)).await;
    assert_eq!(server.tokens(&over).load(by_id(kept.id.clone())).await.unwrap().into_inner().name, "n");
    server.tokens(&over).invalidate(end(kept.id)).await.unwrap();
    assert_eq!(code(&server.tokens(&their_token).current(()).await), Code::Unauthenticated);
}

/// Grants of the principal don't count: the caller's own session must be over the holder, or over the whole tenant.
#[tokio::test]
async fn a_session_on_a_tenant_is_ended_by_whoever_delegates_all_of_it() {
    let server = Server::start().await;
    let (tenant, mine, theirs) = (server.tenant().await, server.principal().await, server.principal().await);
    let (kept, _) = server.issue_session(&on_tenant(theirs, Capabilities::READ, tenant, "/a/*")).await;
    let all = on_tenant(mine, Capabilities::DELEGATE, tenant, "/*");
    for short in [
        on_tenant(mine, Capabilities::DELEGATE, tenant, "/a/*"),
        on_tenant(mine, Capabilities::READ | Capabilities::WRITE, tenant, "/*"),
        on_tenant(mine, Capabilities::DELEGATE, server.tenant().await, "/*"),
    ] {
        let token = server.issue(&short).await;
        assert_eq!(
            code(&server.tokens(&token).invalidate(end(kept.id.clone())).await),
            Code::PermissionDenied
        );
    }
    let token = server.issue(&all).await;
    let by_grant = login(&server, mine).await;
    assert_eq!(
        code(&server.tokens(&by_grant).invalidate(end(kept.id.clone())).await),
        Code::PermissionDenied
    );
    server.tokens(&token).invalidate(end(kept.id)).await.unwrap();
}

#[tokio::test]
async fn what_names_no_session_is_refused() {
    let server = Server::start().await;
    let token = login(&server, server.principal().await).await;
    let mut client = server.tokens(&token);
    assert_eq!(code(&client.load(token::LoadRequest::default()).await), Code::InvalidArgument);
    assert_eq!(code(&client.invalidate(token::InvalidateRequest::default()).await), Code::InvalidArgument);
    let not_current =
        token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(false)) };
    assert_eq!(code(&client.invalidate(not_current).await), Code::InvalidArgument);
    for length in [0, 15, 17] {
        let id = Some(session::Id { data: vec![1; length] });
        assert_eq!(code(&client.load(by_id(id.clone())).await), Code::InvalidArgument, "{length}");
        assert_eq!(code(&client.invalidate(end(id)).await), Code::InvalidArgument, "{length}");
    }
    assert_eq!(code(&client.load(by_name("no such name")).await), Code::NotFound);
    assert_eq!(code(&client.load(by_name("")).await), Code::NotFound);
}

#[tokio::test]
async fn load_finds_the_callers_sessions_those_that_are_over_too() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let (kept, _) =
        server.issue_session(&on_tenant(principal, Capabilities::READ, tenant, "/*").named("n")).await;
    let token = login(&server, principal).await;
    assert_eq!(server.tokens(&token).load(by_name("n")).await.unwrap().into_inner(), kept);
    server.tokens(&server.super_token()).invalidate(end(kept.id.clone())).await.unwrap();
    let over = server.tokens(&token).load(by_id(kept.id)).await.unwrap().into_inner();
    assert_eq!(expiry(&over), server.now());
}

#[tokio::test]
async fn c19_a_name_is_free_again_when_its_session_is_over() {
    let server = Server::start().await;
    let principal = server.principal().await;
    let template = on_principal(principal, Capabilities::READ, principal).named("laptop");
    let request = || token::IssueRequest { template: Some(template.message(server.now())) };
    let first = server.issue(&template).await;
    let twice = server.tokens(&server.super_token()).issue(request()).await;
    assert_eq!(code(&twice), Code::AlreadyExists);
    // Another principal's names are its own.
    let other = server.principal().await;
    server.issue(&on_principal(other, Capabilities::READ, other).named("laptop")).await;
    server.tokens(&first).invalidate(logout()).await.unwrap();
    server.issue(&template).await;
    server.advance(DAY);
    server.issue(&template).await;
}

#[tokio::test]
async fn c4_find_answers_what_covers_the_scope_each_time_anew() {
    let server = Server::start().await;
    let (a, b, principal) = (server.tenant().await, server.tenant().await, server.principal().await);
    server.issue(&on_tenant(principal, Capabilities::READ, a, "/x/*").named("a")).await;
    server.issue(&on_tenant(principal, Capabilities::READ, b, "/*").named("b")).await;
    server.issue(&on_tenant(principal, Capabilities::READ, a, "/*").named("over").living(MINUTE)).await;
    server
        .issue(&on_principal(server.principal().await, Capabilities::READ, principal).named("other's"))
        .await;
    server.advance(MINUTE);
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal).named("self")).await;

    let find = async |scope: Option<Scope>| {
        let scope = scope.as_ref().map_or_else(session::Scope::default, Into::into);
        let found = parts(server.tokens(&token).find(scope).await).await;
        assert!(found.iter().all(|one| one.principal_id == Some(principal.into())));
        let mut names: Vec<_> = found.into_iter().map(|one| one.name).collect();
        names.sort();
        names
    };
    let at = |tenant, path| Some(on_tenant(principal, Capabilities::NONE, tenant, path).scope);
    for _ in 0..2 {
        assert_eq!(find(None).await, ["a", "b", "self"]);
        assert_eq!(find(at(a, "/x/y")).await, ["a"]);
        assert_eq!(find(at(a, "/*")).await, [""; 0]);
        assert_eq!(find(at(b, "/x/y")).await, ["b"]);
        assert_eq!(find(Some(Scope::Principal(principal))).await, ["self"]);
    }
}

#[tokio::test]
async fn s7_find_with_delegate_on_another_principal_is_refused() {
    let server = Server::start().await;
    let (mine, other) = (server.principal().await, server.principal().await);
    for template in
        [on_principal(mine, Capabilities::ALL, other), on_principal(mine, Capabilities::READ, mine)]
    {
        let token = server.issue(&template).await;
        let answer = server.tokens(&token).find(session::Scope::default()).await;
        assert_eq!(refusal(answer), (Code::PermissionDenied, "insufficient scope".into()));
    }
    assert!(server.tokens(&server.super_token()).current(()).await.is_ok());
}

#[tokio::test]
async fn find_shows_what_is_held_through_the_domain_of_an_address() {
    let server = Server::start().await;
    let (tenant, company) =
        (server.tenant().await, server.principal_with(&json!(null), "Corp.Example").await);
    server.issue(&on_tenant(company, Capabilities::READ, tenant, "/*").named("all of us")).await;
    for (address, finds) in [
        ("someone@corp.example", true),
        ("Someone.Else@CORP.example", true),
        ("someone@evilcorp.example", false),
        ("someone@sub.corp.example", false),
        ("someone@corp.example.evil", false),
    ] {
        let principal = server.principal_with(&json!({ "email": address }), "").await;
        let token = login(&server, principal).await;
        let found = parts(server.tokens(&token).find(session::Scope::default()).await).await;
        let named: Vec<_> = found.iter().filter(|one| one.name == "all of us").collect();
        assert_eq!(named.len(), usize::from(finds), "{address}");
        // It counts as the caller's own.
        assert!(named.iter().all(|one| one.principal_id == Some(principal.into())));
    }
}

#[tokio::test]
async fn super_scope_is_shown_to_superusers_only() {
    let server = Server::start().await;
    let principal = server.principal().await;
    let (kept, jwt) = server.issue_session(&on_everything(principal)).await;
    let token = login(&server, principal).await;
    let empty = Some(session::Scope::default());
    assert_eq!(server.tokens(&token).load(by_id(kept.id.clone())).await.unwrap().into_inner().scope, empty);
    let shown = server.tokens(&token).validate(token::Token { jwt: jwt.clone() }).await.unwrap();
    assert_eq!(shown.into_inner().scope, empty);
    let shown = server.tokens(&jwt).load(by_id(kept.id)).await.unwrap();
    assert_eq!(shown.into_inner().scope, kept.scope);
    // An element that may not be shown as a whole is left out of a stream.
    let found = parts(server.tokens(&token).find(session::Scope::default()).await).await;
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn validate_tells_the_holder_of_a_token_what_it_stands_for() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let (kept, jwt) = server.issue_session(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let validate = async |jwt: &str| server.tokens("").validate(token::Token { jwt: jwt.into() }).await;
    assert_eq!(validate(&jwt).await.unwrap().into_inner(), kept);
    server.tokens(&jwt).invalidate(logout()).await.unwrap();
    assert_eq!(validate(&jwt).await.unwrap().into_inner(), session::Session::default());
    let (code, text) = refusal(validate("x").await);
    assert_eq!(code, Code::Unauthenticated);
    assert!(text.starts_with("token is malformed: "), "{text}");
    let forged = format!("{}A", &jwt[..jwt.len() - 1]);
    let forged = if forged == jwt { format!("{}E", &jwt[..jwt.len() - 1]) } else { forged };
    assert_eq!(refusal(validate(&forged).await).0, Code::Unauthenticated);
}

#[tokio::test]
async fn s2_nobody_reads_sessions_or_principals() {
    let server = Server::start().await;
    let principal = server.principal().await;
    let (kept, _) = server.issue_session(&on_everything(principal)).await;
    assert_eq!(code(&server.tokens("").load(by_id(kept.id)).await), Code::Unauthenticated);
    assert_eq!(code(&server.tokens("").load(by_name("public-access-v0")).await), Code::Unauthenticated);
    let request = principal::LoadRequest {
        kind: Some(principal::load_request::Kind::Id(PrincipalId::UNAUTHENTICATED.into())),
    };
    assert_eq!(code(&server.principals("").load(request).await), Code::Unauthenticated);
}
