//! A server for each test: in this process, on a free port of the loopback, over an empty embedded store. Its clock
//! stands still until a test moves it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "this is for tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use cacheroach_api::{file, principal, session, tenant, token, upload, vhost};
use cacheroach_auth::Keys;
use cacheroach_model::{
    Capabilities, Clock, Location, Pattern, PrincipalId, Random, Scope, TenantId, Timestamp, Version,
};
use cacheroach_service::{FetchSettings, Service, Settings as ServiceSettings};
use cacheroach_store::Settings as StoreSettings;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// The signing key of every test server.
pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; stops when dropped.
pub(crate) struct Server {
    addr: SocketAddr,
    clock: Arc<TestClock>,
    channel: Channel,
    labels: AtomicU64,
    _stop: oneshot::Sender<()>,
    dir: TempDir,
}

/// Stands still at a fixed time, until moved.
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Kernel;

impl Random for Kernel {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }
}

/// Fetches may reach the loopback's first address, on which the remotes of tests listen.
pub(crate) fn loopback() -> FetchSettings {
    FetchSettings { allow: vec!["127.0.0.1/32".parse().unwrap()], ..Default::default() }
}

/// What a session is to be: start from [`on_tenant`], [`on_principal`] or [`on_everything`].
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) principal: PrincipalId,
    pub(crate) capabilities: Capabilities,
    pub(crate) scope: Scope,
    /// From now.
    pub(crate) life: Duration,
    pub(crate) name: String,
}

/// A session on paths of a tenant: `/a` or `/a/*`.
pub(crate) fn on_tenant(
    principal: PrincipalId,
    capabilities: Capabilities,
    tenant: TenantId,
    path: &str,
) -> Template {
    let location = Location { tenant, pattern: Pattern::parse(path).unwrap(), version: None };
    template(principal, capabilities, Scope::Location(location))
}

/// A session on a principal: mostly its own, with which it uses its grants.
pub(crate) fn on_principal(principal: PrincipalId, capabilities: Capabilities, on: PrincipalId) -> Template {
    template(principal, capabilities, Scope::Principal(on))
}

/// A session of a superuser.
pub(crate) fn on_everything(principal: PrincipalId) -> Template {
    template(principal, Capabilities::NONE, Scope::Super)
}

fn template(principal: PrincipalId, capabilities: Capabilities, scope: Scope) -> Template {
    Template { principal, capabilities, scope, life: DAY, name: String::new() }
}

impl Template {
    /// Only in one version.
    pub(crate) fn of_version(mut self, version: i64) -> Self {
        if let Scope::Location(location) = &mut self.scope {
            location.version = Some(Version(version));
        }
        self
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn living(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// As it is asked for.
    pub(crate) fn message(&self, now: Timestamp) -> session::Session {
        session::Session {
            principal_id: Some(self.principal.into()),
            capabilities: Some(self.capabilities.into()),
            scope: Some((&self.scope).into()),
            expires_at: Some(cacheroach_api::convert::timestamp(now.after(self.life))),
            name: self.name.clone(),
            ..Default::default()
        }
    }
}

/// Puts a token into each call; none if it is empty.
#[derive(Clone)]
pub(crate) struct Bearer(String);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if !self.0.is_empty() {
            let value = format!("Bearer {}", self.0).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// A channel that knows who is calling.
pub(crate) type Known = InterceptedService<Channel, Bearer>;

macro_rules! clients {
    ($($name:ident: $package:ident::$module:ident::$client:ident),* $(,)?) => { $(
        /// A client of this service; an empty token is no token.
        pub(crate) fn $name(&self, token: &str) -> cacheroach_api::$package::$module::$client<Known> {
            cacheroach_api::$package::$module::$client::with_interceptor(self.channel.clone(), Bearer(token.into()))
        }
    )* };
}

/// Of a tenant, with nothing else set.
pub(crate) fn vhost_of(tenant: TenantId) -> vhost::VHost {
    vhost::VHost { tenant_id: Some(tenant.into()), ..Default::default() }
}

impl Server {
    /// With default settings.
    pub(crate) async fn start() -> Self {
        Self::start_with(cacheroach_server::Settings::default()).await
    }

    pub(crate) async fn start_with(settings: cacheroach_server::Settings) -> Self {
        Self::start_over(tempfile::tempdir().unwrap(), &[KEY], settings, Default::default()).await
    }

    /// That fetches from elsewhere as told.
    pub(crate) async fn start_fetching(fetch: FetchSettings) -> Self {
        let service = ServiceSettings { fetch, ..Default::default() };
        Self::start_over(tempfile::tempdir().unwrap(), &[KEY], Default::default(), service).await
    }

    /// The first key signs.
    pub(crate) async fn start_with_keys(keys: &[[u8; 32]]) -> Self {
        Self::start_over(tempfile::tempdir().unwrap(), keys, Default::default(), Default::default()).await
    }

    /// Whose operator lets no link live longer.
    pub(crate) async fn start_with_link_limit(length: Duration) -> Self {
        let service = ServiceSettings { link_max_validity: Some(length), ..Default::default() };
        Self::start_over(tempfile::tempdir().unwrap(), &[KEY], Default::default(), service).await
    }

    /// With a service that is set up as told.
    pub(crate) async fn start_serving(service: ServiceSettings) -> Self {
        Self::start_over(tempfile::tempdir().unwrap(), &[KEY], Default::default(), service).await
    }

    async fn start_over(
        dir: TempDir,
        keys: &[[u8; 32]],
        settings: cacheroach_server::Settings,
        service: ServiceSettings,
    ) -> Self {
        // 2026-07-01T00:00:00Z
        let clock = Arc::new(TestClock(AtomicI64::new(1_782_864_000_000_000)));
        let store = StoreSettings::new(
            cacheroach_store::Location::Sqlite(dir.path().to_owned()),
            cacheroach_store::Tier::Disk(dir.path().join("chunks")),
        );
        std::fs::create_dir_all(dir.path().join("chunks")).unwrap();
        let store = cacheroach_store::open(&store, clock.clone()).await.unwrap();
        let keys = Keys::parse(&keys.iter().map(|key| STANDARD.encode(key)).collect::<Vec<_>>()).unwrap();
        let (now, random) = (clock.clone(), Arc::new(Kernel));
        let machine = cacheroach_service::Machine { name: "here".into(), environment: vec!["PATH".into()] };
        let told = ServiceSettings { machine, ..service };
        let service = Arc::new(Service::new(store, keys, now, random, told));
        service.bootstrap().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(cacheroach_server::serve(listener, service, settings, async {
            let _: Result<(), _> = stopped.await;
        }));
        let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
        Server { addr, clock, channel, labels: AtomicU64::new(0), _stop: stop, dir }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn key(&self) -> &[u8] {
        &KEY
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, length: Duration) {
        self.clock.0.fetch_add(i64::try_from(length.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Moves the clock the other way.
    pub(crate) fn set_back(&self, length: Duration) {
        self.clock.0.fetch_sub(i64::try_from(length.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// The folder of the store.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Over HTTP/2, shared by all clients of this server.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    clients! {
        diags: diag::diags_client::DiagsClient,
        files: file::files_client::FilesClient,
        principals: principal::principals_client::PrincipalsClient,
        stores: store::stores_client::StoresClient,
        tenants: tenant::tenants_client::TenantsClient,
        tokens: token::tokens_client::TokensClient,
        uploads: upload::uploads_client::UploadsClient,
        vhosts: vhost::v_hosts_client::VHostsClient,
    }

    /// As a holder of the key makes it: good for a minute, known to no store.
    pub(crate) fn super_token(&self) -> String {
        let now = self.now().seconds();
        jwt(
            &json!({ "alg": "HS256", "typ": "JWT" }),
            &json!({ "msg": { "s": { "s": true } }, "aud": ["cacheroach"], "exp": now + 60, "iat": now }),
        )
    }

    /// A new tenant.
    pub(crate) async fn tenant(&self) -> TenantId {
        let id = TenantId::random(Kernel.id());
        let label = format!("tenant {}", self.labels.fetch_add(1, Ordering::Relaxed));
        let tenant = tenant::Tenant { id: Some(id.into()), label, version: 0, ..Default::default() };
        let request = tenant::EnsureRequest { tenant: Some(tenant), delete: false };
        self.tenants(&self.super_token()).ensure(request).await.unwrap();
        id
    }

    /// A new principal that nothing is known of.
    pub(crate) async fn principal(&self) -> PrincipalId {
        self.principal_with(&Value::Null, "").await
    }

    /// A new principal with claims (null: none) and a domain (empty: none).
    pub(crate) async fn principal_with(&self, claims: &Value, email_domain: &str) -> PrincipalId {
        let claims = if claims.is_null() { Vec::new() } else { claims.to_string().into_bytes() };
        let new = principal::Principal { claims, email_domain: email_domain.into(), ..Default::default() };
        let request = principal::EnsureRequest { principal: Some(new), delete: false };
        let made = self.principals(&self.super_token()).ensure(request).await.unwrap().into_inner();
        principal::Id::parse(made.principal.unwrap().id.as_ref()).unwrap()
    }

    /// Shows a tenant at a host.
    pub(crate) async fn vhost(&self, host: &str, tenant: TenantId) {
        self.ensure_vhost(vhost::VHost { vhost: host.into(), ..vhost_of(tenant) }).await;
    }

    /// Shows a tenant at a host, with settings.
    pub(crate) async fn ensure_vhost(&self, vhost: vhost::VHost) {
        let request = vhost::EnsureRequest { vhost: Some(vhost), delete: false };
        self.vhosts(&self.super_token()).ensure(request).await.unwrap();
    }

    /// Issues a session and answers its token.
    pub(crate) async fn issue(&self, template: &Template) -> String {
        self.issue_session(template).await.1
    }

    /// Issues a session; the session as granted, and its token.
    pub(crate) async fn issue_session(&self, template: &Template) -> (session::Session, String) {
        let request = token::IssueRequest { template: Some(template.message(self.now())) };
        let answer = self.tokens(&self.super_token()).issue(request).await.unwrap().into_inner();
        (answer.issued.unwrap(), answer.token.unwrap().jwt)
    }

    /// Puts a small file.
    pub(crate) async fn put(&self, tenant: TenantId, path: &str, contents: impl Into<Vec<u8>>) {
        let request = upload::BeginRequest {
            tenant: Some(tenant.into()),
            path: path.into(),
            committed: Some(upload::begin_request::Committed::Contents(contents.into())),
            ..Default::default()
        };
        let answer = self.uploads(&self.super_token()).begin(request).await.unwrap();
        assert!(answer.into_inner().committed);
    }

    /// All files of a tenant, with their versions and sizes.
    pub(crate) async fn list(&self, tenant: TenantId) -> Vec<(String, i64, i64)> {
        let mut request =
            file::ListRequest { tenant: Some(tenant.into()), path: "/".into(), ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = self.files(&self.super_token()).list(request.clone()).await.unwrap().into_inner();
            all.extend(page.files.into_iter().map(|file| (file.path, file.version, file.size)));
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                return all;
            }
        }
    }

    /// One HTTP/1.1 request on a connection of its own. `Host` is the address unless given.
    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.addr.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let work = async {
            let stream = TcpStream::connect(self.addr).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes);
            Answer { status: parts.status, headers: parts.headers, body: body.ok() }
        };
        tokio::time::timeout(PATIENCE, work).await.expect("an answer in time")
    }

    /// [`Server::http`] as the holder of a token; empty is none.
    pub(crate) async fn http_as(&self, token: &str, method: &str, path: &str, host: &str) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("host", host)];
        if !token.is_empty() {
            headers.push(("authorization", &authorization));
        }
        let body = if matches!(method, "PUT" | "POST") { "body" } else { "" };
        self.http(method, path, &headers, body).await
    }

    /// Sends bytes as they are and goes away.
    pub(crate) async fn cut_off(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// Sends bytes as they are and answers all that comes back until the server closes, or is silent for a second.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        // The server may well answer and close before it has taken all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(Ok(count @ 1..)) =
            tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await
        {
            answer.extend_from_slice(&buffer[..count]);
        }
        answer
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// None if it broke off.
    pub(crate) body: Option<Bytes>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All headers but the one that tells the time.
    pub(crate) fn undated(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove("date");
        headers
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().expect("a whole body")).unwrap()
    }
}

/// A token of any header and any claims, signed with the key of the test servers by HMAC-SHA256.
pub(crate) fn jwt(header: &Value, claims: &Value) -> String {
    jwt_by(hmac::HMAC_SHA256, &KEY, header, claims)
}

pub(crate) fn jwt_by(algorithm: hmac::Algorithm, key: &[u8], header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
