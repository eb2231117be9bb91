use cacheroach_api::{capabilities, file, method, principal, session, tenant};
use cacheroach_model::SessionId;

use super::*;

const TENANT: TenantId = TenantId::new([5; 16]);
const OTHER: TenantId = TenantId::new([6; 16]);
const PRINCIPAL: PrincipalId = PrincipalId::new([7; 16]);

fn session(capabilities: Capabilities, scope: Scope) -> Session {
    Session {
        id: Some(SessionId::new([1; 16])),
        principal: Some(PRINCIPAL),
        capabilities,
        scope: Some(scope),
        expires_at: None,
        name: String::new(),
        note: String::new(),
    }
}

fn on(tenant: TenantId, path: &str) -> Scope {
    Scope::Location(Location { tenant, pattern: Pattern::parse(path).unwrap(), version: None })
}

fn authority<'a>(session: &'a Session, grants: &'a [Session]) -> Authority<'a> {
    Authority { session, grants, public: &[], vhost_tenant: None }
}

fn told(outcome: Result<(), Refused>) -> Result<(), Refusal> {
    outcome.map_err(|refused| refused.refusal)
}

fn list(tenant: TenantId, path: &str) -> file::ListRequest {
    file::ListRequest { tenant: Some(tenant.into()), path: path.into(), cursor: None, ..Default::default() }
}

#[test]
fn a_request_needs_its_capability_on_its_path() {
    let reader = session(Capabilities::READ, on(TENANT, "/a/*"));
    let reader = authority(&reader, &[]);
    assert_eq!(told(reader.may_say(&mut list(TENANT, "/a/"))), Ok(()));
    assert_eq!(told(reader.may_say(&mut list(TENANT, "/a/b"))), Ok(()));
    assert_eq!(told(reader.may_say(&mut list(TENANT, "/"))), Err(Refusal::Message));
    assert_eq!(told(reader.may_say(&mut list(TENANT, ""))), Err(Refusal::Message));
    assert_eq!(told(reader.may_say(&mut list(OTHER, "/a/b"))), Err(Refusal::Message));
    let writer = session(Capabilities::WRITE, on(TENANT, "/*"));
    assert_eq!(told(authority(&writer, &[]).may_say(&mut list(TENANT, "/"))), Err(Refusal::Message));
    let mut nowhere =
        file::ListRequest { tenant: None, path: "/a/b".into(), cursor: None, ..Default::default() };
    assert_eq!(told(reader.may_say(&mut nowhere)), Err(Refusal::Message));
}

#[test]
fn grants_are_used_one_at_a_time() {
    let own = session(Capabilities::ALL, Scope::Principal(PRINCIPAL));
    let grants =
        [session(Capabilities::READ, on(TENANT, "/*")), session(Capabilities::WRITE, on(TENANT, "/*"))];
    let both = authority(&own, &grants);
    let want = Want::Path(TENANT, Goal::parse("/x").unwrap(), None);
    assert!(both.may(Capabilities::READ, &want));
    assert!(both.may(Capabilities::WRITE, &want));
    assert!(!both.may(Capabilities::READ | Capabilities::WRITE, &want));
    assert!(!both.may_itself(Capabilities::READ, &want));
}

#[test]
fn what_is_public_can_be_read_by_who_is_known_but_not_passed_on() {
    let own = session(Capabilities::ALL, Scope::Principal(PRINCIPAL));
    let public = [session(Capabilities::ALL, on(TENANT, "/*"))];
    let known = Authority { session: &own, grants: &[], public: &public, vhost_tenant: None };
    let want = Want::Path(TENANT, Goal::parse("/x").unwrap(), None);
    assert!(known.may(Capabilities::READ, &want));
    assert!(!known.may(Capabilities::WRITE, &want));
    let mut template = template(&session(Capabilities::READ, on(TENANT, "/*")));
    assert_eq!(told(known.may_say(&mut template)), Err(Refusal::Message));
}

fn template(goal: &Session) -> session::Session {
    goal.into()
}

#[test]
fn a18_a19_a_session_grants_at_most_what_its_issuer_holds() {
    let holder = session(Capabilities::READ | Capabilities::DELEGATE, on(TENANT, "/a/*"));
    let issue =
        |capabilities, scope| authority(&holder, &[]).may_say(&mut template(&session(capabilities, scope)));
    assert_eq!(told(issue(Capabilities::READ, on(TENANT, "/a/b"))), Ok(()));
    assert_eq!(told(issue(Capabilities::READ, on(TENANT, "/a/*"))), Ok(()));
    assert_eq!(told(issue(Capabilities::WRITE, on(TENANT, "/a/b"))), Err(Refusal::Message));
    assert_eq!(told(issue(Capabilities::READ, on(TENANT, "/a"))), Err(Refusal::Message));
    assert_eq!(told(issue(Capabilities::READ, on(TENANT, "/*"))), Err(Refusal::Message));
    assert_eq!(told(issue(Capabilities::READ, on(OTHER, "/a/b"))), Err(Refusal::Message));
    assert_eq!(told(issue(Capabilities::READ, Scope::Principal(PRINCIPAL))), Err(Refusal::Message));

    let without = session(Capabilities::READ, on(TENANT, "/a/*"));
    let mut goal = template(&session(Capabilities::READ, on(TENANT, "/a/b")));
    assert_eq!(told(authority(&without, &[]).may_say(&mut goal)), Err(Refusal::Message));

    let mut for_another = template(&session(Capabilities::READ, on(TENANT, "/a/b")));
    for_another.principal_id = Some(PrincipalId::new([8; 16]).into());
    assert_eq!(told(authority(&holder, &[]).may_say(&mut for_another)), Err(Refusal::Message));
}

#[test]
fn a19_a_pinned_version_stays_pinned() {
    let pinned = |version| {
        let pattern = Pattern::parse("/a").unwrap();
        Scope::Location(Location { tenant: TENANT, pattern, version })
    };
    let holder = session(Capabilities::ALL, pinned(Some(Version(2))));
    let may = |capabilities, version| {
        authority(&holder, &[]).may(capabilities, &Want::Path(TENANT, Goal::parse("/a").unwrap(), version))
    };
    assert!(may(Capabilities::READ, Some(Version(2))));
    assert!(!may(Capabilities::READ, Some(Version(1))));
    assert!(!may(Capabilities::READ, None));
    assert!(!may(Capabilities::WRITE, Some(Version(2))));
    let mut any = template(&session(Capabilities::READ, pinned(None)));
    assert_eq!(told(authority(&holder, &[]).may_say(&mut any)), Err(Refusal::Message));
}

#[test]
fn a20_all_five_capabilities_are_not_super() {
    let holder = session(Capabilities::ALL, Scope::Principal(PRINCIPAL));
    let mut goal = template(&session(Capabilities::NONE, Scope::Super));
    assert_eq!(told(authority(&holder, &[]).may_say(&mut goal)), Err(Refusal::Message));
    assert_eq!(told(authority(&holder, &[]).may_call::<method::tenants::Ensure>()), Err(Refusal::Method));
    let chief = session(Capabilities::NONE, Scope::Super);
    assert_eq!(told(authority(&chief, &[]).may_call::<method::tenants::Ensure>()), Ok(()));
}

#[test]
fn a13_anonymous_callers_call_public_methods_only() {
    let mut nobody =
        session(Capabilities::READ | Capabilities::DELEGATE, Scope::Principal(PrincipalId::UNAUTHENTICATED));
    nobody.principal = Some(PrincipalId::UNAUTHENTICATED);
    let nobody = authority(&nobody, &[]);
    assert_eq!(told(nobody.may_call::<method::tokens::Validate>()), Ok(()));
    assert_eq!(told(nobody.may_call::<method::tokens::Find>()), Err(Refusal::Method));
    assert_eq!(told(nobody.may_call::<method::files::List>()), Err(Refusal::Method));
}

#[test]
fn a28_claims_need_pii_and_secrets_of_a_principal_never_travel() {
    let whole = principal::Principal {
        id: Some(PRINCIPAL.into()),
        label: "l".into(),
        claims: b"{}".to_vec(),
        refresh_token: "secret".into(),
        ..Default::default()
    };
    let plain = session(Capabilities::READ, Scope::Principal(PRINCIPAL));
    let mut answer = whole.clone();
    assert!(authority(&plain, &[]).cut(&mut answer));
    assert_eq!((answer.claims.len(), answer.refresh_token.as_str(), answer.label.as_str()), (0, "", "l"));
    let pii = session(Capabilities::PII, Scope::Principal(PRINCIPAL));
    let mut answer = whole.clone();
    assert!(authority(&pii, &[]).cut(&mut answer));
    assert_eq!((answer.claims.len(), answer.refresh_token.as_str()), (2, ""));
    let chief = session(Capabilities::NONE, Scope::Super);
    assert_eq!(told(authority(&chief, &[]).may_say(&mut whole.clone())), Err(Refusal::Message));
}

#[test]
fn a_tenant_is_shown_to_who_may_read_all_of_it() {
    let whole =
        tenant::Tenant { id: Some(TENANT.into()), label: "l".into(), version: 1, ..Default::default() };
    for (path, shown) in [("/*", true), ("/a/*", false), ("/", false)] {
        let reader = session(Capabilities::READ, on(TENANT, path));
        let mut answer = tenant::GetResponse { tenant: Some(whole.clone()) };
        assert_eq!(authority(&reader, &[]).cut(&mut answer), !shown, "{path}");
        assert_eq!(answer.tenant.unwrap().label.is_empty(), !shown);
        let mut ask = tenant::GetRequest { id: Some(TENANT.into()) };
        assert_eq!(authority(&reader, &[]).may_say(&mut ask).is_ok(), shown);
    }
}

#[test]
fn capabilities_are_read_from_messages_as_they_are_written() {
    for bits in 0..32 {
        let set = Capabilities::from_bits(bits);
        assert_eq!(Capabilities::from(&capabilities::Capabilities::from(set)), set);
    }
}

#[test]
fn a_refusal_says_what_was_lacking() {
    let writer = session(Capabilities::WRITE, on(TENANT, "/*"));
    let lack = authority(&writer, &[]).may_say(&mut list(TENANT, "/a")).unwrap_err().lack.unwrap();
    assert_eq!(lack.capabilities, Capabilities::READ);
    assert!(
        matches!(&lack.on, Want::Path(TENANT, Goal::File(path), None) if path.as_str() == "/a"),
        "{lack:?}"
    );
    let lack = authority(&writer, &[]).may_call::<method::tenants::Ensure>().unwrap_err().lack.unwrap();
    assert!(matches!(lack.on, Want::Super));
    // A grant that is super makes no superuser of the session that may use it.
    let own = session(Capabilities::ALL, Scope::Principal(PRINCIPAL));
    let grants = [session(Capabilities::NONE, Scope::Super)];
    assert_eq!(
        told(authority(&own, &grants).may_call::<method::tenants::Ensure>()),
        Err(Refusal::Method),
        "{grants:?}"
    );
}
