//! What it costs to be somebody: signed URLs, delegated sessions, and checks of what they allow.

use std::sync::Arc;
use std::time::Duration;

use cacheroach_api::convert::timestamp;
use cacheroach_api::file::RetrievalRequest;
use cacheroach_api::file::files_client::FilesClient;
use cacheroach_api::principal::principals_client::PrincipalsClient;
use cacheroach_api::principal::{self, EnsureRequest, Principal};
use cacheroach_api::session::scope::Kind;
use cacheroach_api::session::{Location, Scope, Session};
use cacheroach_api::token::IssueRequest;
use cacheroach_api::token::tokens_client::TokensClient;
use cacheroach_api::{tenant, token};
use cacheroach_model::{Capabilities, Clock as _, TenantId};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use super::Bench;
use super::reads::Readers;
use super::traffic::{FILES_4K, GET_4K, Paths};
use crate::Result;
use crate::clock::SystemClock;
use crate::load::{self, Amount, Ask, Client, Connection, Target};
use crate::report::Unit;

const DAY: Duration = Duration::from_secs(86_400);
const SIGNERS: usize = 8;
const SIGNED: u64 = 10_000;
const ISSUERS: usize = 16;
const ISSUED: u64 = 1_600;

async fn channel(target: &Target) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{}", target.address))?.connect().await?)
}

/// A call in the name of a target.
fn call<T>(target: &Target, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    if let Some(bearer) = &target.authorization {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(bearer.as_bytes())?);
    }
    Ok(request)
}

/// What may be done in the whole tenant of the files.
fn everywhere() -> Kind {
    let tenant_id = Some(tenant::Id::from(TenantId::SCRATCHPAD));
    Kind::OnLocation(Location { tenant_id, path: "/*".into(), version: 0 })
}

/// Issues sessions in the name of a target.
struct Issuer {
    target: Target,
    tokens: TokensClient<Channel>,
    holder: principal::Id,
}

impl Issuer {
    async fn new(target: &Target, holder: principal::Id) -> Result<Self> {
        Ok(Self { target: target.clone(), tokens: TokensClient::new(channel(target).await?), holder })
    }

    /// Whoever holds it may read and pass that on.
    async fn issue(&mut self, scope: Kind) -> Result<Target> {
        let template = Session {
            capabilities: Some((Capabilities::READ | Capabilities::DELEGATE).into()),
            principal_id: Some(self.holder.clone()),
            scope: Some(Scope { kind: Some(scope) }),
            expires_at: Some(timestamp(SystemClock.now().after(DAY))),
            ..Session::default()
        };
        let request = call(&self.target, IssueRequest { template: Some(template) })?;
        let answer: token::IssueResponse = self.tokens.issue(request).await?.into_inner();
        let token = answer.token.ok_or("the server issued no token")?;
        Target::holding(self.target.address, &token.jwt)
    }
}

/// Somebody with a grant on a tenant, by two sessions.
pub(super) struct Grantee {
    holder: principal::Id,
    /// On the tenant's paths: good by itself.
    plain: Target,
    /// On the principal: good for what its grants allow.
    delegated: Target,
}

impl Grantee {
    pub(super) async fn make(readers: &Readers) -> Result<Self> {
        let (_, superuser) = readers.own();
        let mut principals = PrincipalsClient::new(channel(superuser).await?);
        let request = EnsureRequest { principal: Some(Principal::default()), delete: false };
        let made = principals.ensure(call(superuser, request)?).await?.into_inner().principal;
        let holder = made.and_then(|made| made.id).ok_or("the server made no principal")?;
        let mut issuer = Issuer::new(superuser, holder.clone()).await?;
        let plain = issuer.issue(everywhere()).await?;
        let delegated = issuer.issue(Kind::OnPrincipal(holder.clone())).await?;
        Ok(Self { holder, plain, delegated })
    }

    /// The same GETs as those of nobody, by each of the two sessions.
    pub(super) async fn check(&self, bench: &mut Bench, readers: &Readers, round: u64) -> Result<()> {
        let (server, _) = readers.own();
        for (case, target) in [("check-plain", &self.plain), ("check-delegated", &self.delegated)] {
            let plan = |requests| GET_4K.plan(round, 0, requests, &Paths::Plain);
            load::run(target, plan(FILES_4K.count * 2)).await?;
            let work = async {
                load::run(target, plan(GET_4K.requests)).await?.of_bytes(GET_4K.bytes(GET_4K.requests))
            };
            bench.measure(case, Unit::Requests, server, work).await?;
        }
        Ok(())
    }
}

/// A session on one path from a delegated one, used once. All sessions of a principal are looked at when one of them
/// delegates, so each client is somebody else.
pub(super) async fn delegate(bench: &mut Bench, readers: &Readers) -> Result<()> {
    let (server, _) = readers.own();
    let mut clients = Vec::new();
    for _ in 0..ISSUERS {
        let Grantee { holder, delegated, .. } = Grantee::make(readers).await?;
        let issuer = Issuer::new(&delegated, holder).await?;
        clients.push(Delegate { issuer, connection: Connection::open(&delegated).await? });
    }
    let work = async {
        let outcome = load::drive(clients, Amount::Operations(ISSUED)).await?;
        outcome.of_bytes(ISSUED * FILES_4K.length as u64)
    };
    bench.measure("delegate", Unit::Requests, server, work).await
}

struct Delegate {
    issuer: Issuer,
    connection: Connection,
}

impl Client for Delegate {
    async fn perform(&mut self, index: u64) -> Result<u64> {
        let path = FILES_4K.path(index % FILES_4K.count);
        let tenant_id = Some(tenant::Id::from(TenantId::SCRATCHPAD));
        let on = Location { tenant_id, path: path.clone(), version: 0 };
        self.connection.act_as(self.issuer.issue(Kind::OnLocation(on)).await?.authorization);
        self.connection.perform(Ask::get(path)).await
    }
}

/// A signed URL over gRPC, read once.
pub(super) async fn signed(bench: &mut Bench, readers: &Readers) -> Result<()> {
    let (server, superuser) = readers.own();
    let superuser = Arc::new(superuser.clone());
    let mut clients = Vec::new();
    for _ in 0..SIGNERS {
        let files = FilesClient::new(channel(&superuser).await?);
        let connection = Connection::open(&Target::anonymous(superuser.address)).await?;
        clients.push(Signer { superuser: Arc::clone(&superuser), files, connection });
    }
    let work = async {
        let outcome = load::drive(clients, Amount::Operations(SIGNED)).await?;
        outcome.of_bytes(SIGNED * FILES_4K.length as u64)
    };
    bench.measure("get-signed", Unit::Requests, server, work).await
}

struct Signer {
    superuser: Arc<Target>,
    files: FilesClient<Channel>,
    connection: Connection,
}

impl Client for Signer {
    async fn perform(&mut self, index: u64) -> Result<u64> {
        let request = RetrievalRequest {
            tenant: Some(TenantId::SCRATCHPAD.into()),
            path: FILES_4K.path(index % FILES_4K.count),
            ..RetrievalRequest::default()
        };
        let answer = self.files.retrieve(call(&self.superuser, request)?).await?.into_inner();
        self.connection.perform(Ask::get(answer.get_uri)).await
    }
}
