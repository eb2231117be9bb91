//! The golden access table: who may make which request, as the documents have it. Each request of the contract is in it;
//! one that is missing fails the test, so that none ships unchecked.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "../support/mod.rs"]
mod support;

mod requests;

use std::collections::BTreeSet;

use cacheroach_api::method::METHODS;
use cacheroach_model::{Capabilities, PrincipalId, TenantId};
use support::{Server, loopback, on_everything, on_principal, on_tenant};

/// Each cell tells two things: what happens with what is the caller's own (its tenant, its principal), then with
/// another's. A single one: the request is about nothing in particular.
///
/// `ok`; `U` unauthenticated, `D` permission denied, `N` not found, `X` not offered in this release; or an HTTP status.
///
/// The reader holds read on all of its tenant, the writer write. The delegate logged in: all five capabilities on its
/// own principal, which holds read, write and delegate on all of its tenant. Over HTTP each tenant has its own host.
const TABLE: &str = "
    request                           | anonymous | reader  | writer  | delegate | superuser

    cacheroach.diag.Diags/Echo              | U       | D       | D       | D       | ok
    cacheroach.file.Files/Delete            | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.file.Files/List              | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Retrieve          | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Stat              | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/ListVersions      | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Restore           | U   U   | D   D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Copy              | U   U   | D   D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Move              | U   U   | D   D   | D   D   | ok  D   | ok  ok
    cacheroach.file.Files/Edit              | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.file.Files/ListLinks         | U   U   | ok  D   | ok  D   | ok  D   | ok  ok
    cacheroach.file.Files/RevokeLink        | U   U   | N   N   | N   N   | ok  N   | ok  ok
    cacheroach.file.Files/CreateDropLink    | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.principal.Principals/Ensure  | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.principal.Principals/List    | U       | D       | D       | D       | ok
    cacheroach.principal.Principals/Load    | U   U   | ok  ok  | ok  ok  | ok  ok  | ok  ok
    cacheroach.principal.Principals/Watch   | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.principal.Principals/SetPassword | U U | ok  D   | ok  D   | ok  D   | ok  ok
    cacheroach.store.Stores/Purge           | U       | D       | D       | D       | ok
    cacheroach.tenant.Tenants/Ensure        | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.tenant.Tenants/Get           | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.tenant.Tenants/List          | U       | ok      | ok      | ok      | ok
    cacheroach.tenant.Tenants/Where         | U   U   | ok  D   | D   D   | ok  D   | ok  ok
    cacheroach.token.Tokens/Current         | U       | ok      | ok      | ok      | ok
    cacheroach.token.Tokens/Issue           | U   U   | D   D   | D   D   | ok  D   | ok  ok
    cacheroach.token.Tokens/Find            | U       | D       | D       | ok      | ok
    cacheroach.token.Tokens/Load            | U   U   | ok  N   | ok  N   | ok  N   | ok  ok
    cacheroach.token.Tokens/Invalidate      | U   U   | D   D   | D   D   | ok  D   | ok  ok
    cacheroach.token.Tokens/Refresh         | U       | ok      | ok      | ok      | ok
    cacheroach.token.Tokens/Validate        | ok  ok  | ok  ok  | ok  ok  | ok  ok  | ok  ok
    cacheroach.token.Tokens/Login           | ok  ok  | ok  ok  | ok  ok  | ok  ok  | ok  ok
    cacheroach.upload.Uploads/Begin         | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.upload.Uploads/Commit        | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.upload.Uploads/Fetch         | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.upload.Uploads/FetchProgress | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.upload.Uploads/Offer         | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.upload.Uploads/Stream        | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.upload.Uploads/Transfer      | U   U   | D   D   | ok  D   | ok  D   | ok  ok
    cacheroach.vhost.VHosts/Ensure          | U   U   | D   D   | D   D   | D   D   | ok  ok
    cacheroach.vhost.VHosts/List            | U       | D       | D       | D       | ok

    GET /dir/file                           | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    HEAD /dir/file                          | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    OPTIONS /dir/file                       | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    GET /dir/missing                        | 401 401 | 404 404 | 403 404 | 404 404 | 404 404
    GET /dir/                               | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    GET /                                   | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    PUT /dir/file                           | 401 401 | 403 404 | 202 404 | 202 404 | 202 202
    POST /dir/file                          | 401 401 | 403 404 | 202 404 | 202 404 | 202 202
    DELETE /dir/file                        | 401 401 | 403 404 | 200 404 | 200 404 | 200 200
    GET /dir/file?version=1                 | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    GET /dir/file?versions                  | 401 401 | 200 404 | 403 404 | 200 404 | 200 200
    COPY /dir/file                          | 401 401 | 403 404 | 403 404 | 200 404 | 200 200
    MOVE /dir/file                          | 401 401 | 403 404 | 403 404 | 200 404 | 200 200
    PATCH /dir/file                         | 401 401 | 403 404 | 200 404 | 200 404 | 200 200
    PATCH /dir/file restore                 | 401 401 | 403 404 | 403 404 | 200 404 | 200 200
    DELETE /dir/?recursive                  | 401 401 | 403 404 | 200 404 | 200 404 | 200 200
    GET /_/v0/retrieve/file                 | 401 401 | 404 404 | 404 404 | 403 403 | 403 403
    GET /_/v0/drop/                         | 401 401 | 401 401 | 401 401 | 401 401 | 401 401
    PUT /_/v0/drop/file                     | 401 401 | 401 401 | 401 401 | 401 401 | 401 401
    POST /_/v0/drop/                        | 401 401 | 401 401 | 401 401 | 401 401 | 401 401
    GET /_/v0/config                        | 200 200 | 200 200 | 200 200 | 200 200 | 200 200
    GET /_/v0/provision                     | 401 401 | 200 200 | 200 200 | 200 200 | 200 200
    GET /_/v0/login                         | 405 405 | 405 405 | 405 405 | 405 405 | 405 405
    POST /_/v0/login                        | 303 303 | 303 303 | 303 303 | 303 303 | 303 303
    GET /_/v0/logout                        | 405 405 | 405 405 | 405 405 | 405 405 | 405 405
    POST /_/v0/logout                       | 303 303 | 303 401 | 303 401 | 303 401 | 303 401
";

/// Which request of the inside an HTTP request makes.
const ASKED_OVER_HTTP: [(&str, &str); 9] = [
    ("cacheroach.content.Contents/Open", "GET /dir/file"),
    ("cacheroach.content.Contents/Browse", "GET /dir/"),
    ("cacheroach.content.Contents/Write", "PUT /dir/file"),
    ("cacheroach.content.Contents/Remove", "DELETE /dir/file"),
    ("cacheroach.content.Contents/Versions", "GET /dir/file?versions"),
    ("cacheroach.content.Contents/Copy", "COPY /dir/file"),
    ("cacheroach.content.Contents/Move", "MOVE /dir/file"),
    ("cacheroach.content.Contents/Edit", "PATCH /dir/file"),
    ("cacheroach.content.Contents/Restore", "PATCH /dir/file restore"),
];

struct Row {
    request: &'static str,
    /// In the order of [`CALLERS`].
    cells: Vec<Vec<&'static str>>,
}

const CALLERS: [&str; 5] = ["anonymous", "reader", "writer", "delegate", "superuser"];

fn table() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let mut rows = lines.map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let request = columns.next().unwrap();
        Row { request, cells: columns.map(|cell| cell.split_whitespace().collect()).collect() }
    });
    let heads = rows.next().unwrap();
    assert_eq!(heads.cells.concat(), CALLERS);
    rows.inspect(|row| assert_eq!(row.cells.len(), CALLERS.len(), "{}", row.request)).collect()
}

/// A tenant with files, a principal with sessions, and a host.
struct Side {
    tenant: TenantId,
    host: String,
    principal: PrincipalId,
}

impl Side {
    async fn new(server: &Server) -> Self {
        let tenant = server.tenant().await;
        server.put(tenant, "/dir/file", "content").await;
        let host = format!("{tenant}.example");
        server.vhost(&host, tenant).await;
        Side { tenant, host, principal: server.principal().await }
    }
}

/// A token of a caller of that kind, who is the principal of its own side. Anonymous callers have none.
async fn token(server: &Server, caller: &str, own: &Side) -> String {
    let (principal, tenant) = (own.principal, own.tenant);
    let (read, write, delegate) = (Capabilities::READ, Capabilities::WRITE, Capabilities::DELEGATE);
    match caller {
        "anonymous" => String::new(),
        "reader" => server.issue(&on_tenant(principal, read, tenant, "/*")).await,
        "writer" => server.issue(&on_tenant(principal, write, tenant, "/*")).await,
        "delegate" => {
            server.issue(&on_tenant(principal, read | write | delegate, tenant, "/*")).await;
            server.issue(&on_principal(principal, Capabilities::ALL, principal)).await
        }
        _ => server.issue(&on_everything(principal)).await,
    }
}

#[test]
fn every_request_of_the_contract_is_in_the_table() {
    let named: BTreeSet<_> = table().iter().map(|row| row.request).collect();
    let asked: BTreeSet<_> = METHODS
        .iter()
        .map(|method| ASKED_OVER_HTTP.iter().find(|(asked, _)| asked == method).map_or(*method, |(_, by)| by))
        .collect();
    let missing: Vec<_> = asked.difference(&named).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let unknown: Vec<_> =
        named.difference(&asked).filter(|request| request.starts_with("cacheroach.")).collect();
    assert!(unknown.is_empty(), "no such method: {unknown:?}");
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    let mut wrong = Vec::new();
    let server = Server::start_fetching(loopback()).await;
    for (at, caller) in CALLERS.iter().enumerate() {
        for row in table() {
            // Tenants and principals of their own for each request and caller: some requests end or change them.
            let (own, other) = (Side::new(&server).await, Side::new(&server).await);
            let token = token(&server, caller, &own).await;
            for (side, expected) in [&own, &other].into_iter().zip(&row.cells[at]) {
                let got = requests::make(&server, row.request, &token, side).await;
                if got != *expected {
                    let whose = if side.host == own.host { "its own" } else { "another's" };
                    wrong.push(format!("{} by {caller} on {whose}: {got}, not {expected}", row.request));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
