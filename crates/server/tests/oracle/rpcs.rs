//! How each method is called, and what its answer is in the words of the table.

use cacheroach_api::{file, principal, session, tenant, token, upload, vhost};
use tonic::{Response, Status, Streaming};

use crate::oracle::Held;
use crate::support::HOUR;
use crate::table::{At, FILES, Kept, Target};
use crate::world::{Known, World};

type Said = Result<String, Status>;

/// Makes a call and answers what came of it.
pub(crate) async fn call(world: &World, known: &Known, method: &str, target: Target) -> String {
    let said = match (method.split_once('.').unwrap().0, target) {
        ("file", Target::At(at)) => files(world, known, method, at).await,
        ("file", Target::To(at, to)) => moves(world, known, method, at, to).await,
        ("upload", Target::At(at)) => uploads(world, known, method, at).await,
        ("token", _) => tokens(world, known, method, target).await,
        ("principal", _) => principals(world, known, method, target).await,
        _ => others(world, known, method, target).await,
    };
    said.unwrap_or_else(|status| format!("{:?}", status.code()))
}

/// A password that is refused before it is looked at.
pub(crate) fn too_long() -> String {
    "x".repeat(1025)
}

fn ok<T>(_: Response<T>) -> String {
    "ok".into()
}

fn unknown(method: &str, target: Target) -> Said {
    panic!("how is {method} called about {target:?}?")
}

/// All parts of an answer.
async fn parts<T>(mut stream: Streaming<T>) -> Result<Vec<T>, Status> {
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await? {
        parts.push(part);
    }
    Ok(parts)
}

async fn files(world: &World, known: &Known, method: &str, at: At) -> Said {
    let mut client = world.server.files(&known.token);
    let tenant: Option<tenant::Id> = Some(world.tenant(at.0).into());
    let path = at.1.to_owned();
    let version = world.number(at).await;
    match method {
        "file.Files/Delete" => {
            let recursive = path.ends_with('/');
            client.delete(file::DeleteRequest { tenant, path, recursive, expected_version: 0 }).await.map(ok)
        }
        "file.Files/List" => {
            let answer = client.list(file::ListRequest { tenant, path, ..Default::default() }).await?;
            let shown: Vec<_> = answer.into_inner().files.into_iter().map(|file| file.path).collect();
            let shown = FILES.into_iter().filter(|file| shown.iter().any(|path| path == file));
            Ok(shown.fold("ok".to_owned(), |text, file| format!("{text} {file}")))
        }
        "file.Files/Retrieve" => {
            let request = file::RetrievalRequest { tenant, path, version, ..Default::default() };
            client.retrieve(request).await.map(ok)
        }
        "file.Files/Stat" => client.stat(file::StatRequest { tenant, path, version }).await.map(ok),
        "file.Files/ListVersions" => {
            let request = file::ListVersionsRequest { tenant, path, ..Default::default() };
            client.list_versions(request).await.map(ok)
        }
        "file.Files/Restore" => {
            let request = file::RestoreRequest { tenant, path, version, expected_version: 0 };
            client.restore(request).await.map(ok)
        }
        "file.Files/Edit" => {
            let meta = [("a".to_owned(), "b".to_owned())].into();
            client.edit(file::EditRequest { tenant, path, meta, ..Default::default() }).await.map(ok)
        }
        "file.Files/ListLinks" => {
            client.list_links(file::ListLinksRequest { tenant, path, ..Default::default() }).await.map(ok)
        }
        "file.Files/RevokeLink" => {
            let kind = Some(file::revoke_link_request::Kind::Id(world.link(at)));
            client.revoke_link(file::RevokeLinkRequest { kind }).await.map(ok)
        }
        "file.Files/CreateDropLink" => {
            let request = file::CreateDropLinkRequest { tenant, path, ..Default::default() };
            client.create_drop_link(request).await.map(ok)
        }
        _ => unknown(method, Target::At(at)),
    }
}

async fn moves(world: &World, known: &Known, method: &str, at: At, to: &str) -> Said {
    let mut client = world.server.files(&known.token);
    let (tenant, path, to) = (Some(world.tenant(at.0).into()), at.1.to_owned(), to.to_owned());
    match method {
        "file.Files/Copy" => {
            let version = world.number(at).await;
            client.copy(file::CopyRequest { tenant, path, version, to, expected_version: 0 }).await.map(ok)
        }
        "file.Files/Move" => {
            client.r#move(file::MoveRequest { tenant, path, to, expected_version: 0 }).await.map(ok)
        }
        _ => unknown(method, Target::To(at, "")),
    }
}

async fn uploads(world: &World, known: &Known, method: &str, at: At) -> Said {
    let mut client = world.server.uploads(&known.token);
    let (tenant, path) = (Some(world.tenant(at.0).into()), at.1.to_owned());
    match method {
        "upload.Uploads/Begin" => {
            let committed = Some(upload::begin_request::Committed::Contents(b"content".into()));
            client.begin(upload::BeginRequest { tenant, path, committed, ..Default::default() }).await.map(ok)
        }
        "upload.Uploads/Commit" => {
            let [state, ..] = world.states(at).map(Some);
            let request = upload::CommitRequest { state, ..Default::default() };
            client.commit(request).await.map(ok)
        }
        "upload.Uploads/Fetch" => {
            let remote_url = world.server.url();
            client
                .fetch(upload::FetchRequest { tenant, path, remote_url, ..Default::default() })
                .await
                .map(ok)
        }
        "upload.Uploads/FetchProgress" => {
            let remote_url = world.server.url();
            let request = upload::FetchRequest { tenant, path, remote_url, ..Default::default() };
            parts(client.fetch_progress(request).await?.into_inner()).await.map(|_| "ok".into())
        }
        "upload.Uploads/Offer" => {
            let [_, _, state, _] = world.states(at).map(Some);
            let chunks = vec![upload::OfferedChunk { hash: vec![7; 32], proof: vec![7; 32] }];
            client.offer(upload::OfferRequest { state, chunks }).await.map(ok)
        }
        "upload.Uploads/Stream" => {
            let [.., state] = world.states(at).map(Some);
            let part = upload::StreamRequest { state, data: b"content"[..].into() };
            let answers = client.stream(futures::stream::iter([part])).await?;
            parts(answers.into_inner()).await.map(|_| "ok".into())
        }
        "upload.Uploads/Transfer" => {
            let [_, state, ..] = world.states(at).map(Some);
            let request = upload::TransferRequest { state, data: b"content".into() };
            client.transfer(request).await.map(ok)
        }
        _ => unknown(method, Target::At(at)),
    }
}

async fn tokens(world: &World, known: &Known, method: &str, target: Target) -> Said {
    let mut client = world.server.tokens(&known.token);
    match (method, target) {
        ("token.Tokens/Current", _) => client.current(()).await.map(ok),
        ("token.Tokens/Issue", Target::Template(wanted)) => {
            let held = Held { capabilities: wanted.capabilities, scope: wanted.scope };
            let holder = known.principal(wanted.principal.unwrap_or(crate::oracle::Whose::Own));
            let template = world.template(known, holder, held).living(HOUR).message(world.server.now());
            let principal_id = wanted.principal.map(|_| holder.into());
            let template = session::Session { principal_id, ..template };
            client.issue(token::IssueRequest { template: Some(template) }).await.map(ok)
        }
        ("token.Tokens/Find", _) => client.find(session::Scope::default()).await.map(ok),
        ("token.Tokens/Load", Target::Session(kept)) => {
            let kind = Some(token::load_request::Kind::Id(known.session(kept).0));
            client.load(token::LoadRequest { kind }).await.map(ok)
        }
        ("token.Tokens/Invalidate", Target::Session(Kept::Current)) => {
            let kind = Some(token::invalidate_request::Kind::Current(true));
            let mut client = world.server.tokens(&known.to_end);
            client.invalidate(token::InvalidateRequest { kind }).await.map(ok)
        }
        ("token.Tokens/Invalidate", Target::Session(kept)) => {
            let kind = Some(token::invalidate_request::Kind::Id(known.session(kept).0));
            client.invalidate(token::InvalidateRequest { kind }).await.map(ok)
        }
        ("token.Tokens/Login", _) => {
            let request =
                token::LoginRequest { user: "a".into(), password: too_long(), ..Default::default() };
            client.login(request).await.map(ok)
        }
        ("token.Tokens/Refresh", _) => world.server.tokens(&known.to_refresh).refresh(()).await.map(ok),
        ("token.Tokens/Validate", Target::Session(kept)) => {
            client.validate(token::Token { jwt: known.session(kept).1 }).await.map(ok)
        }
        _ => unknown(method, target),
    }
}

async fn principals(world: &World, known: &Known, method: &str, target: Target) -> Said {
    let mut client = world.server.principals(&known.token);
    match (method, target) {
        ("principal.Principals/Ensure", _) => {
            let new = principal::Principal::default();
            client.ensure(principal::EnsureRequest { principal: Some(new), delete: false }).await.map(ok)
        }
        ("principal.Principals/List", _) => client.list(()).await.map(ok),
        ("principal.Principals/Load", _) => {
            let kind = Some(match target {
                Target::Principal(whose) => principal::load_request::Kind::Id(known.principal(whose).into()),
                _ => principal::load_request::Kind::Email(known.address.clone()),
            });
            let found = client.load(principal::LoadRequest { kind }).await?.into_inner();
            Ok(if found.claims.is_empty() { "ok" } else { "ok with claims" }.into())
        }
        ("principal.Principals/SetPassword", Target::Principal(whose)) => {
            let principal = Some(known.principal(whose).into());
            let short =
                principal::SetPasswordRequest { principal, password: "short".into(), ..Default::default() };
            client.set_password(short).await.map(ok)
        }
        ("principal.Principals/Watch", Target::Principal(whose)) => {
            let duration = Some(prost_types::Duration { seconds: 1, nanos: 0 });
            let principal = Some(known.principal(whose).into());
            client.watch(principal::WatchRequest { principal, duration }).await.map(ok)
        }
        _ => unknown(method, target),
    }
}

async fn others(world: &World, known: &Known, method: &str, target: Target) -> Said {
    let (server, token) = (&world.server, known.token.as_str());
    match (method, target) {
        ("diag.Diags/Echo", _) => server.diags(token).echo(()).await.map(ok),
        ("store.Stores/Purge", _) => server.stores(token).purge(()).await.map(ok),
        ("tenant.Tenants/Ensure", _) => {
            // A new one; its id needs only be one that nobody else has.
            let id = Some(tenant::Id { data: known.own.as_bytes().to_vec() });
            let new = tenant::Tenant { id, label: "new".into(), version: 0, ..Default::default() };
            server
                .tenants(token)
                .ensure(tenant::EnsureRequest { tenant: Some(new), delete: false })
                .await
                .map(ok)
        }
        ("tenant.Tenants/Get", Target::Tenant(tenant)) => {
            let id = Some(world.tenant(tenant).into());
            server.tenants(token).get(tenant::GetRequest { id }).await.map(ok)
        }
        ("tenant.Tenants/Where", Target::Tenant(tenant)) => {
            let id = Some(world.tenant(tenant).into());
            server.tenants(token).r#where(tenant::WhereRequest { id }).await.map(ok)
        }
        ("tenant.Tenants/List", _) => {
            let shown = parts(server.tenants(token).list(()).await?.into_inner()).await?;
            use crate::oracle::Tenant::{Other, Own, Public};
            let is_shown =
                |tenant| shown.iter().any(|one| one.id == Some(tenant::Id::from(world.tenant(tenant))));
            let shown = [Own, Other, Public].into_iter().filter(|tenant| is_shown(*tenant));
            Ok(shown.fold("ok".to_owned(), |text, tenant| format!("{text} {tenant:?}")))
        }
        ("vhost.VHosts/Ensure", _) => {
            let tenant = crate::oracle::Tenant::Own;
            let vhost = vhost::VHost {
                vhost: world.host(tenant),
                tenant_id: Some(world.tenant(tenant).into()),
                ..Default::default()
            };
            server
                .vhosts(token)
                .ensure(vhost::EnsureRequest { vhost: Some(vhost), delete: false })
                .await
                .map(ok)
        }
        ("vhost.VHosts/List", _) => server.vhosts(token).list(()).await.map(ok),
        _ => unknown(method, target),
    }
}
