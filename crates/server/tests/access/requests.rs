//! How each request of the table is made.

use cacheroach_api::{file, principal, session, tenant, token, upload, vhost};
use cacheroach_model::Capabilities;
use tonic::{Code, Response, Status};

use crate::Side;
use crate::support::{HOUR, Server, on_tenant};

const PASSWORD: &str = "correct horse";

/// Makes a request about one side and answers what became of it, in the words of the table.
pub(crate) async fn make(server: &Server, request: &str, token: &str, side: &Side) -> String {
    match request.strip_prefix("cacheroach.") {
        Some(method) => {
            let (_, method) = method.split_once('.').unwrap();
            match grpc(server, method, token, side).await {
                Ok(()) => "ok".into(),
                Err(status) => of_code(&status),
            }
        }
        None => {
            if request == "POST /_/v0/login" {
                return log_in(server, token, side).await;
            }
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let body = match (method, words.next()) {
                ("PATCH", Some("restore")) => r#"{"restore": 1}"#,
                ("PATCH", _) => r#"{"metadata": {"a": "b"}}"#,
                ("PUT" | "POST", _) => "body",
                _ => "",
            };
            let authorization = format!("Bearer {token}");
            let mut headers = vec![("host", side.host.as_str())];
            if !token.is_empty() {
                headers.push(("authorization", &authorization));
            }
            if matches!(method, "COPY" | "MOVE") {
                headers.push(("destination", "/dir/other"));
            }
            server.http(method, path, &headers, body).await.status.as_str().to_owned()
        }
    }
}

/// Sets a password for the principal of a side.
async fn with_password(server: &Server, side: &Side) -> String {
    let user = side.principal.to_string();
    let request = principal::SetPasswordRequest {
        principal: Some(side.principal.into()),
        user: user.clone(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    server.principals(&server.super_token()).set_password(request).await.unwrap();
    user
}

async fn log_in(server: &Server, token: &str, side: &Side) -> String {
    let form = format!("user={}&password=correct+horse", with_password(server, side).await);
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("host", &*side.host), ("content-type", "application/x-www-form-urlencoded")];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    server.http("POST", "/_/v0/login", &headers, form).await.status.as_str().to_owned()
}

fn of_code(status: &Status) -> String {
    match status.code() {
        Code::Unauthenticated => "U".into(),
        Code::PermissionDenied => "D".into(),
        Code::NotFound => "N".into(),
        Code::Unimplemented => "X".into(),
        code => format!("{code:?} ({})", status.message()),
    }
}

fn done<T>(_: Response<T>) {}

async fn grpc(server: &Server, method: &str, token: &str, side: &Side) -> Result<(), Status> {
    let tenant: Option<tenant::Id> = Some(side.tenant.into());
    let principal: Option<principal::Id> = Some(side.principal.into());
    let path = "/dir/file".to_owned();
    match method {
        "Diags/Echo" => server.diags(token).echo(()).await.map(done),
        "Stores/Purge" => server.stores(token).purge(()).await.map(done),
        "Files/Delete" => server
            .files(token)
            .delete(file::DeleteRequest { tenant, path, ..Default::default() })
            .await
            .map(done),
        "Files/List" => {
            let request = file::ListRequest { tenant, path: "/".into(), cursor: None, ..Default::default() };
            server.files(token).list(request).await.map(done)
        }
        "Files/Retrieve" => {
            let request = file::RetrievalRequest { tenant, path, ..Default::default() };
            server.files(token).retrieve(request).await.map(done)
        }
        "Files/Stat" => {
            let request = file::StatRequest { tenant, path, version: 0 };
            server.files(token).stat(request).await.map(done)
        }
        "Files/ListVersions" => {
            let request = file::ListVersionsRequest { tenant, path, ..Default::default() };
            server.files(token).list_versions(request).await.map(done)
        }
        "Files/Restore" => {
            let request = file::RestoreRequest { tenant, path, version: 1, expected_version: 0 };
            server.files(token).restore(request).await.map(done)
        }
        "Files/Copy" => {
            let request = file::CopyRequest { tenant, path, to: "/dir/other".into(), ..Default::default() };
            server.files(token).copy(request).await.map(done)
        }
        "Files/Move" => {
            let request = file::MoveRequest { tenant, path, to: "/dir/other".into(), expected_version: 0 };
            server.files(token).r#move(request).await.map(done)
        }
        "Files/Edit" => {
            let meta = [("a".to_owned(), "b".to_owned())].into();
            let request = file::EditRequest { tenant, path, meta, ..Default::default() };
            server.files(token).edit(request).await.map(done)
        }
        "Files/ListLinks" => {
            let request = file::ListLinksRequest { tenant, path: "/".into(), ..Default::default() };
            server.files(token).list_links(request).await.map(done)
        }
        "Files/RevokeLink" => {
            // A superuser's: none of the others signed it.
            let request = file::RetrievalRequest { tenant, path, listed: true, ..Default::default() };
            let signed = server.files(&server.super_token()).retrieve(request).await?.into_inner();
            let kind = signed.link_id.map(file::revoke_link_request::Kind::Id);
            server.files(token).revoke_link(file::RevokeLinkRequest { kind }).await.map(done)
        }
        "Files/CreateDropLink" => {
            let request = file::CreateDropLinkRequest { tenant, path: "/dir/".into(), ..Default::default() };
            server.files(token).create_drop_link(request).await.map(done)
        }
        "Principals/Ensure" => {
            let changed = principal::Principal { id: principal, version: 1, ..Default::default() };
            let request = principal::EnsureRequest { principal: Some(changed), delete: false };
            server.principals(token).ensure(request).await.map(done)
        }
        "Principals/List" => server.principals(token).list(()).await.map(done),
        "Principals/Load" => {
            let request = principal::LoadRequest { kind: principal.map(principal::load_request::Kind::Id) };
            server.principals(token).load(request).await.map(done)
        }
        "Principals/SetPassword" => {
            with_password(server, side).await;
            let request = principal::SetPasswordRequest {
                principal,
                password: "battery staple".into(),
                old_password: PASSWORD.into(),
                ..Default::default()
            };
            server.principals(token).set_password(request).await.map(done)
        }
        "Principals/Watch" => {
            let duration = Some(prost_types::Duration { seconds: 1, nanos: 0 });
            let request = principal::WatchRequest { principal, duration };
            server.principals(token).watch(request).await.map(done)
        }
        "Tenants/Ensure" => {
            let changed =
                tenant::Tenant { id: tenant, label: "changed".into(), version: 1, ..Default::default() };
            let request = tenant::EnsureRequest { tenant: Some(changed), delete: false };
            server.tenants(token).ensure(request).await.map(done)
        }
        "Tenants/Get" => server.tenants(token).get(tenant::GetRequest { id: tenant }).await.map(done),
        "Tenants/Where" => server.tenants(token).r#where(tenant::WhereRequest { id: tenant }).await.map(done),
        "Tenants/List" => server.tenants(token).list(()).await.map(done),
        "VHosts/Ensure" => {
            let host = format!("new.{}", side.host);
            let vhost = vhost::VHost { vhost: host, tenant_id: tenant, ..Default::default() };
            let request = vhost::EnsureRequest { vhost: Some(vhost), delete: false };
            server.vhosts(token).ensure(request).await.map(done)
        }
        "VHosts/List" => server.vhosts(token).list(()).await.map(done),
        _ if method.starts_with("Tokens/") => tokens(server, method, token, side).await,
        _ => uploads(server, method, token, side).await,
    }
}

async fn tokens(server: &Server, method: &str, token: &str, side: &Side) -> Result<(), Status> {
    // Another session of the principal that the request is about.
    let template = on_tenant(side.principal, Capabilities::READ, side.tenant, "/dir/*").living(HOUR);
    let mut client = server.tokens(token);
    match method {
        "Tokens/Current" => client.current(()).await.map(done),
        "Tokens/Issue" => {
            // For whoever asks: what is asked for is on the side's tenant.
            let template = session::Session { principal_id: None, ..template.message(server.now()) };
            client.issue(token::IssueRequest { template: Some(template) }).await.map(done)
        }
        "Tokens/Find" => client.find(session::Scope::default()).await.map(done),
        "Tokens/Load" => {
            let (kept, _) = server.issue_session(&template).await;
            let request = token::LoadRequest { kind: kept.id.map(token::load_request::Kind::Id) };
            client.load(request).await.map(done)
        }
        "Tokens/Invalidate" => {
            let (kept, _) = server.issue_session(&template).await;
            let request = token::InvalidateRequest { kind: kept.id.map(token::invalidate_request::Kind::Id) };
            client.invalidate(request).await.map(done)
        }
        "Tokens/Login" => {
            let user = with_password(server, side).await;
            let request = token::LoginRequest { user, password: PASSWORD.into(), valid_for: None };
            client.login(request).await.map(done)
        }
        "Tokens/Refresh" => client.refresh(()).await.map(done),
        "Tokens/Validate" => {
            let jwt = server.issue(&template).await;
            client.validate(token::Token { jwt }).await.map(done)
        }
        _ => panic!("how is {method} called?"),
    }
}

async fn uploads(server: &Server, method: &str, token: &str, side: &Side) -> Result<(), Status> {
    let begin = upload::BeginRequest {
        tenant: Some(side.tenant.into()),
        path: "/dir/new".into(),
        committed: None,
        ..Default::default()
    };
    let mut client = server.uploads(token);
    match method {
        "Uploads/Begin" => client.begin(begin).await.map(done),
        "Uploads/Fetch" => client.fetch(fetch(server, begin)).await.map(done),
        "Uploads/FetchProgress" => client.fetch_progress(fetch(server, begin)).await.map(done),
        "Uploads/Transfer" => {
            let state = begun(server, begin).await;
            client.transfer(upload::TransferRequest { state, data: b"data".into() }).await.map(done)
        }
        "Uploads/Offer" => {
            let state = begun(server, begin).await;
            let chunks = vec![upload::OfferedChunk { hash: vec![7; 32], proof: vec![7; 32] }];
            client.offer(upload::OfferRequest { state, chunks }).await.map(done)
        }
        "Uploads/Stream" => {
            let state = begun(server, begin).await;
            let part = upload::StreamRequest { state, data: b"data"[..].into() };
            client.stream(futures::stream::iter([part])).await.map(done)
        }
        "Uploads/Commit" => {
            let state = begun(server, begin).await;
            let request = upload::CommitRequest { state, ..Default::default() };
            client.commit(request).await.map(done)
        }
        _ => panic!("how is {method} called?"),
    }
}

/// From the server itself.
fn fetch(server: &Server, to: upload::BeginRequest) -> upload::FetchRequest {
    let remote_url = server.url();
    upload::FetchRequest { tenant: to.tenant, path: to.path, remote_url, ..Default::default() }
}

/// The state of an upload that somebody else began and gave away.
async fn begun(server: &Server, begin: upload::BeginRequest) -> Option<upload::TransferState> {
    server.uploads(&server.super_token()).begin(begin).await.unwrap().into_inner().state
}
