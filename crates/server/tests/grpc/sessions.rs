//! Issuing sessions, and what grants add up to.

use cacheroach_api::convert::from_timestamp;
use cacheroach_api::{file, session, token};
use cacheroach_model::{Capabilities, PrincipalId, TenantId};
use serde_json::json;
use tonic::{Code, Response, Status};

use crate::support::{DAY, HOUR, Server, Template, on_everything, on_principal, on_tenant};
use crate::{code, refusal};

const SHARE: Capabilities = Capabilities::from_bits(5);

async fn issue(
    server: &Server,
    token: &str,
    template: session::Session,
) -> Result<Response<token::IssueResponse>, Status> {
    server.tokens(token).issue(token::IssueRequest { template: Some(template) }).await
}

async fn ask(
    server: &Server,
    token: &str,
    template: &Template,
) -> Result<Response<token::IssueResponse>, Status> {
    issue(server, token, template.message(server.now())).await
}

async fn list(server: &Server, token: &str, tenant: TenantId, path: &str) -> Code {
    let request = file::ListRequest {
        tenant: Some(tenant.into()),
        path: path.into(),
        cursor: None,
        ..Default::default()
    };
    code(&server.files(token).list(request).await)
}

/// How many sessions the store holds for a principal: what was refused must have left none.
async fn held(server: &Server, principal: PrincipalId) -> usize {
    let token = server.issue(&on_everything(principal)).await;
    let found = crate::parts(server.tokens(&token).find(session::Scope::default()).await).await.len();
    let request = token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) };
    server.tokens(&token).invalidate(request).await.unwrap();
    found - 1
}

#[tokio::test]
async fn a18_nobody_grants_what_it_does_not_hold() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let issuer = server.issue(&on_tenant(principal, SHARE, tenant, "/*")).await;
    let read_only = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let before = held(&server, principal).await;
    let inappropriate = (Code::PermissionDenied, "inappropriate fields in request".to_owned());
    for bits in 0..32 {
        let wanted = Capabilities::from_bits(bits);
        let template = on_tenant(principal, wanted, tenant, "/*");
        if SHARE.contains(wanted) {
            continue;
        }
        assert_eq!(refusal(ask(&server, &issuer, &template).await), inappropriate, "{wanted}");
    }
    let template = on_tenant(principal, Capabilities::READ, tenant, "/*");
    assert_eq!(refusal(ask(&server, &read_only, &template).await), inappropriate, "without delegate");
    assert_eq!(held(&server, principal).await, before);
    assert_eq!(code(&ask(&server, &issuer, &template).await), Code::Ok);
}

#[tokio::test]
async fn a19_nobody_grants_more_than_it_reaches() {
    let server = Server::start().await;
    let (tenant, other_tenant) = (server.tenant().await, server.tenant().await);
    let (principal, other) = (server.principal().await, server.principal().await);
    let issuer = server.issue(&on_tenant(principal, SHARE, tenant, "/a/*").of_version(2)).await;
    let before = held(&server, principal).await;
    let read = Capabilities::READ;
    for (what, template) in [
        ("wider", on_tenant(principal, read, tenant, "/*").of_version(2)),
        ("beside", on_tenant(principal, read, tenant, "/ab/*").of_version(2)),
        ("the directory's own name", on_tenant(principal, read, tenant, "/a").of_version(2)),
        ("another tenant", on_tenant(principal, read, other_tenant, "/a/*").of_version(2)),
        ("another principal", on_tenant(other, read, tenant, "/a/*").of_version(2)),
        ("any version", on_tenant(principal, read, tenant, "/a/*")),
        ("another version", on_tenant(principal, read, tenant, "/a/*").of_version(3)),
        ("the principal", on_principal(principal, read, principal)),
        ("another principal's", on_principal(principal, read, other)),
    ] {
        assert_eq!(code(&ask(&server, &issuer, &template).await), Code::PermissionDenied, "{what}");
    }
    assert_eq!(held(&server, principal).await, before);
    assert_eq!(held(&server, other).await, 0);
    let narrower = on_tenant(principal, read, tenant, "/a/b/*").of_version(2);
    assert_eq!(code(&ask(&server, &issuer, &narrower).await), Code::Ok);
}

/// D20: cut, and the answer tells; S15.
#[tokio::test]
async fn a19_a_later_end_is_cut_to_the_issuers() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let (ten_years, own_end) = (3650 * DAY, server.now().after(HOUR));
    let end_of = |answer: Result<Response<token::IssueResponse>, Status>| {
        from_timestamp(answer.unwrap().into_inner().issued.unwrap().expires_at.unwrap())
    };
    let template = on_tenant(principal, Capabilities::READ, tenant, "/*").living(ten_years);

    let issuer = server.issue(&on_tenant(principal, SHARE, tenant, "/*").living(HOUR)).await;
    assert_eq!(end_of(ask(&server, &issuer, &template).await), own_end);
    // Through a grant, the grant's end counts, and the session's.
    let grantee = server.principal().await;
    server.issue(&on_tenant(grantee, SHARE, tenant, "/*").living(HOUR)).await;
    let itself = server.issue(&on_principal(grantee, Capabilities::ALL, grantee).living(DAY)).await;
    let through = on_tenant(grantee, Capabilities::READ, tenant, "/*").living(ten_years);
    assert_eq!(end_of(ask(&server, &itself, &through).await), own_end);
    // A superuser sets no end.
    let root = server.issue(&on_everything(principal).living(HOUR)).await;
    assert_eq!(end_of(ask(&server, &root, &template).await), server.now().after(ten_years));
}

#[tokio::test]
async fn a20_all_capabilities_do_not_make_a_superuser() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/*")).await;
    for held in [
        on_tenant(principal, Capabilities::ALL, tenant, "/*"),
        on_principal(principal, Capabilities::ALL, principal),
    ] {
        let token = server.issue(&held).await;
        let answer = refusal(ask(&server, &token, &on_everything(principal)).await);
        assert_eq!(answer, (Code::PermissionDenied, "inappropriate fields in request".into()));
    }
}

#[tokio::test]
async fn a25_a_star_inside_a_scope_is_refused() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let before = held(&server, principal).await;
    for path in ["/a*", "/*/x", "/*/*", "/**", "/a/*b", "*", "a", "", "./*", "/a\0", "/a\n/*"] {
        let mut template = on_tenant(principal, Capabilities::READ, tenant, "/*").message(server.now());
        let location = session::Location { tenant_id: Some(tenant.into()), path: path.into(), version: 0 };
        template.scope = Some(session::Scope { kind: Some(session::scope::Kind::OnLocation(location)) });
        let answer = issue(&server, &server.super_token(), template).await;
        assert_eq!(code(&answer), Code::InvalidArgument, "{path:?}");
    }
    assert_eq!(held(&server, principal).await, before);
}

#[tokio::test]
async fn s5_s17_what_is_no_session_is_not_issued() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let before = held(&server, principal).await;
    let good = on_tenant(principal, Capabilities::READ, tenant, "/*").message(server.now());
    let location = |tenant_id, version| {
        let location = session::Location { tenant_id, path: "/*".into(), version };
        Some(session::Scope { kind: Some(session::scope::Kind::OnLocation(location)) })
    };
    let end = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let on = |data| {
        let id = cacheroach_api::principal::Id { data };
        Some(session::Scope { kind: Some(session::scope::Kind::OnPrincipal(id)) })
    };
    let with = |change: &dyn Fn(&mut session::Session)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    for (what, template) in [
        ("nothing at all", session::Session::default()),
        ("no scope", with(&|s| s.scope = None)),
        ("a scope of no kind", with(&|s| s.scope = Some(session::Scope::default()))),
        (
            "not super",
            with(&|s| {
                s.scope = Some(session::Scope { kind: Some(session::scope::Kind::SuperToken(false)) });
            }),
        ),
        ("no tenant", with(&|s| s.scope = location(None, 0))),
        ("an empty tenant", with(&|s| s.scope = location(Some(Default::default()), 0))),
        ("no such tenant", with(&|s| s.scope = location(Some(TenantId::new([1; 16]).into()), 0))),
        ("a negative version", with(&|s| s.scope = location(Some(tenant.into()), -1))),
        ("no principal's", with(&|s| s.scope = on(Vec::new()))),
        ("a short id", with(&|s| s.scope = on(vec![1; 15]))),
        ("a long id", with(&|s| s.principal_id = Some(cacheroach_api::principal::Id { data: vec![1; 17] }))),
        ("no such principal", with(&|s| s.principal_id = Some(PrincipalId::new([1; 16]).into()))),
        ("no principal", with(&|s| s.principal_id = None)),
        ("no end", with(&|s| s.expires_at = None)),
        ("over already", with(&|s| s.expires_at = end(server.now().seconds(), 0))),
        ("before the beginning", with(&|s| s.expires_at = end(-62_135_596_801, 0))),
        ("after the end", with(&|s| s.expires_at = end(253_402_300_800, 0))),
        ("no such time", with(&|s| s.expires_at = end(server.now().seconds() + 60, 1_000_000_000))),
        ("negative nanoseconds", with(&|s| s.expires_at = end(server.now().seconds() + 60, -1))),
        ("a long name", with(&|s| s.name = "x".repeat(1025))),
        ("a long note", with(&|s| s.note = "x".repeat(1025))),
    ] {
        let answer = issue(&server, &server.super_token(), template).await;
        assert_eq!(code(&answer), Code::InvalidArgument, "{what}");
    }
    let none = server.tokens(&server.super_token()).issue(token::IssueRequest::default()).await;
    assert_eq!(code(&none), Code::InvalidArgument);
    assert_eq!(held(&server, principal).await, before);
    assert_eq!(code(&issue(&server, &server.super_token(), good).await), Code::Ok);
}

#[tokio::test]
async fn the_server_names_the_session() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let mut template = on_tenant(principal, Capabilities::READ, tenant, "/*").message(server.now());
    template.id = Some(session::Id { data: vec![1; 16] });
    template.note = "of mine".into();
    let issued = issue(&server, &server.super_token(), template.clone()).await.unwrap().into_inner();
    let issued = issued.issued.unwrap();
    assert_ne!(issued.id, template.id);
    assert_eq!(issued.id.as_ref().unwrap().data.len(), 16);
    assert_eq!(session::Session { id: template.id.clone(), ..issued }, template);
}

#[tokio::test]
async fn s16_a_session_on_another_principal_stays_on_it() {
    let server = Server::start().await;
    let (tenant, mine, other) = (server.tenant().await, server.principal().await, server.principal().await);
    let (kept, token) = server.issue_session(&on_principal(mine, Capabilities::ALL, other)).await;
    let request = token::LoadRequest { kind: kept.id.clone().map(token::load_request::Kind::Id) };
    assert_eq!(server.tokens(&token).load(request).await.unwrap().into_inner(), kept);
    // It uses what the other holds, not what its holder does.
    server.issue(&on_tenant(mine, Capabilities::READ, tenant, "/mine/*")).await;
    server.issue(&on_tenant(other, Capabilities::READ, tenant, "/others/*")).await;
    assert_eq!(list(&server, &token, tenant, "/others/").await, Code::Ok);
    assert_eq!(list(&server, &token, tenant, "/mine/").await, Code::PermissionDenied);
}

#[tokio::test]
async fn a29_a_session_on_a_principal_uses_its_grants_until_they_are_revoked() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    let weak = server.issue(&on_principal(principal, Capabilities::READ, principal)).await;
    assert_eq!(list(&server, &token, tenant, "/").await, Code::PermissionDenied);
    let (grant, _) = server.issue_session(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    assert_eq!(list(&server, &token, tenant, "/").await, Code::Ok);
    assert_eq!(list(&server, &weak, tenant, "/").await, Code::PermissionDenied, "without delegate");
    let request = token::InvalidateRequest { kind: grant.id.map(token::invalidate_request::Kind::Id) };
    server.tokens(&token).invalidate(request).await.unwrap();
    assert_eq!(list(&server, &token, tenant, "/").await, Code::PermissionDenied);
    // One that runs out is worth nothing either.
    server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*").living(HOUR)).await;
    assert_eq!(list(&server, &token, tenant, "/").await, Code::Ok);
    server.advance(HOUR);
    assert_eq!(list(&server, &token, tenant, "/").await, Code::PermissionDenied);
}

#[tokio::test]
async fn a29_grants_do_not_add_up() {
    let server = Server::start().await;
    let (a, b, principal) = (server.tenant().await, server.tenant().await, server.principal().await);
    server.issue(&on_tenant(principal, Capabilities::READ, a, "/*")).await;
    server.issue(&on_tenant(principal, Capabilities::WRITE, b, "/*")).await;
    server.issue(&on_tenant(principal, Capabilities::DELEGATE, a, "/*")).await;
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    assert_eq!(list(&server, &token, a, "/").await, Code::Ok);
    assert_eq!(list(&server, &token, b, "/").await, Code::PermissionDenied);
    let both = on_tenant(principal, SHARE, a, "/*");
    assert_eq!(code(&ask(&server, &token, &both).await), Code::PermissionDenied);
}

#[tokio::test]
async fn what_a_domain_holds_everybody_with_an_address_in_it_may_use() {
    let server = Server::start().await;
    let (tenant, company) =
        (server.tenant().await, server.principal_with(&json!(null), "corp.example").await);
    let (grant, _) = server.issue_session(&on_tenant(company, Capabilities::READ, tenant, "/*")).await;
    for (address, expected) in [
        ("x@corp.example", Code::Ok),
        ("Y@CORP.EXAMPLE", Code::Ok),
        ("x@evilcorp.example", Code::PermissionDenied),
        ("x@corp.example.evil", Code::PermissionDenied),
        ("x@sub.corp.example", Code::PermissionDenied),
        ("x@corp.example@evil.example", Code::PermissionDenied),
        ("corp.example", Code::PermissionDenied),
    ] {
        let principal = server.principal_with(&json!({ "email": address }), "").await;
        let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
        assert_eq!(list(&server, &token, tenant, "/").await, expected, "{address}");
    }
    let request = token::InvalidateRequest { kind: grant.id.map(token::invalidate_request::Kind::Id) };
    server.tokens(&server.super_token()).invalidate(request).await.unwrap();
    let principal = server.principal_with(&json!({ "email": "z@corp.example" }), "").await;
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    assert_eq!(list(&server, &token, tenant, "/").await, Code::PermissionDenied);
}

/// C20: being known takes nothing away.
#[tokio::test]
async fn c20_who_is_logged_in_reads_what_is_public() {
    let server = Server::start().await;
    let principal = server.principal().await;
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    assert_eq!(list(&server, &token, TenantId::SCRATCHPAD, "/").await, Code::Ok);
    // But it is not the caller's to pass on.
    let share = on_tenant(principal, Capabilities::READ, TenantId::SCRATCHPAD, "/*");
    assert_eq!(code(&ask(&server, &token, &share).await), Code::PermissionDenied);
}
