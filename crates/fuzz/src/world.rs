//! A service over a small store, made anew every few thousand inputs: its clock stands still and its ids count up, so that
//! what was genuine in a kept input still is. Nobody but the superuser may learn of what bears the marker, or change it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_api::method::{files, principals, tenants, tokens, uploads, vhosts};
use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::{convert, file, principal, session, tenant, token, upload, vhost};
use cacheroach_auth::{Keys, claims};
use cacheroach_model::{
    Capabilities, Clock, Location, Pattern, PrincipalId, Random, Scope, Session, TenantId, Timestamp,
};
use cacheroach_service::{Ask, Caller, Error, Result, Service, Settings};
use prost::Message as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The signing key of all targets.
pub const KEY: [u8; 32] = [7; 32];

/// When it is: 2026-07-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_782_864_000_000_000);

/// How many inputs a world sees.
const LIFE: u32 = 4_000;

/// Made anew after so many inputs, with what a target needs besides.
pub(crate) struct Renewed<T>(RefCell<Option<(u32, T)>>);

impl<T> Renewed<T> {
    pub(crate) const fn new() -> Self {
        Renewed(RefCell::new(None))
    }

    pub(crate) fn with(&self, make: impl FnOnce() -> T, run: impl FnOnce(&T)) {
        let mut kept = self.0.borrow_mut();
        if kept.as_ref().is_some_and(|(inputs, _)| *inputs == LIFE) {
            *kept = None;
        }
        let (inputs, world) = kept.get_or_insert_with(|| (0, make()));
        *inputs += 1;
        run(world);
    }
}

/// What the callers may reach, and what they may not.
pub struct World {
    /// Over it all.
    pub service: Arc<Service>,
    /// May do anything.
    pub superuser: Caller,
    /// Without any credentials, asking a host of [`World::own`].
    pub anonymous: Caller,
    /// May read `/docs/*` of [`World::own`].
    pub reader: Caller,
    /// May read and write it.
    pub writer: Caller,
    /// Its principal holds the same, and may pass it on.
    pub delegate: Caller,
    /// With files in `/docs`, and one in `/private`.
    pub own: TenantId,
    /// With a file in `/docs`.
    pub other: TenantId,
    /// Random, so that no input can hold it. It is in all that is not for the others.
    pub marker: String,
    runtime: Runtime,
    _dir: TempDir,
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Counts, and spreads what it counts over all bits (splitmix64).
#[derive(Default)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            part.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..part.len()]);
        }
    }
}

impl World {
    /// With all that the callers may, and may not, find in it.
    ///
    /// # Panics
    /// If it can't be made: the disk is full, or something is broken that other tests are for.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a folder");
        let settings = cacheroach_store::Settings::new(
            cacheroach_store::Location::Sqlite(dir.path().to_owned()),
            cacheroach_store::Tier::Memory,
        );
        let store = runtime.block_on(cacheroach_store::open(&settings, Arc::new(Still))).expect("a store");
        let keys = || Keys::parse(&[STANDARD.encode(KEY)]).expect("32 bytes");
        let random = Arc::new(Counting::default());
        let service = Service::new(store, keys(), Arc::new(Still), random, Settings::default());
        let service = Arc::new(service);
        let mut marker = [0; 12];
        getrandom::fill(&mut marker).expect("the kernel's");
        let marker: String = marker.iter().map(|byte| format!("{byte:02x}")).collect();
        let superuser = Session {
            id: None,
            principal: None,
            capabilities: Capabilities::NONE,
            scope: Some(Scope::Super),
            expires_at: Some(NOW.after(Duration::from_secs(3600))),
            name: String::new(),
            note: String::new(),
        };
        let token = claims::sign(&keys(), &superuser, NOW);
        let making = async {
            service.bootstrap().await?;
            let superuser = service.authenticate(&token).await?;
            Making { service: &service, superuser, marker: &marker }.people().await
        };
        let People { superuser, anonymous, reader, writer, delegate, own, other } =
            runtime.block_on(making).expect("a world");
        World {
            service,
            superuser,
            anonymous,
            reader,
            writer,
            delegate,
            own,
            other,
            marker,
            runtime,
            _dir: dir,
        }
    }

    /// Waits for something to be done.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Asks.
    ///
    /// # Errors
    /// As the service has it.
    pub fn call<M: Ask>(&self, caller: &Caller, request: M::Request) -> Result<M::Answer> {
        self.wait(self.service.call::<M>(caller, request))
    }

    /// All files that bear the marker, as they are now.
    pub(crate) fn untouched(&self) -> Vec<u8> {
        let list = |tenant: TenantId, path: &str| {
            let request =
                file::ListRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() };
            self.call::<files::List>(&self.superuser, request).map(|found| found.encode_to_vec())
        };
        let seen = (list(self.own, "/private/"), list(self.other, "/"));
        let (Ok(mut private), Ok(other)) = seen else { panic!("{seen:?}") };
        private.extend(other);
        private
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an error is one that no input may cause.
#[must_use]
pub fn is_fault(error: &Error) -> bool {
    matches!(error, Error::Internal(_) | Error::Damaged | Error::Full | Error::Busy)
}

struct Making<'a> {
    service: &'a Service,
    superuser: Caller,
    marker: &'a str,
}

struct People {
    superuser: Caller,
    anonymous: Caller,
    reader: Caller,
    writer: Caller,
    delegate: Caller,
    own: TenantId,
    other: TenantId,
}

impl Making<'_> {
    async fn people(self) -> Result<People> {
        let marker = self.marker;
        let (own, other) = (TenantId::new([1; 16]), TenantId::new([2; 16]));
        self.tenant(own, "own").await?;
        self.tenant(other, marker).await?;
        self.host("own.example", own).await?;
        self.host(&format!("{marker}.example"), other).await?;
        for at in 0..5 {
            self.file(own, &format!("/docs/{at}"), "text").await?;
        }
        self.file(own, "/docs/deep/er/file", "deep").await?;
        self.file(own, &format!("/private/{marker}"), marker).await?;
        self.file(other, &format!("/docs/{marker}"), marker).await?;

        let (someone, stranger) = (self.principal("someone").await?, self.principal(marker).await?);
        let read_write = Capabilities::READ | Capabilities::WRITE | Capabilities::FETCH;
        let docs = |tenant| {
            let pattern = Pattern::parse("/docs/*").expect("a scope");
            Scope::Location(Location { tenant, pattern, version: None })
        };
        let strangers = self.issue(stranger, Capabilities::ALL, docs(other), marker).await?;
        debug_assert!(!strangers.is_anonymous());
        let reader = self.issue(someone, Capabilities::READ, docs(own), "reader").await?;
        let writer = self.issue(someone, read_write, docs(own), "writer").await?;
        let all = read_write | Capabilities::DELEGATE;
        self.issue(someone, all, docs(own), "grant").await?;
        let delegate = self.issue(someone, all, Scope::Principal(someone), "delegate").await?;
        let anonymous = self.service.anonymous().await?.at(own);
        Ok(People { superuser: self.superuser, anonymous, reader, writer, delegate, own, other })
    }

    async fn tenant(&self, id: TenantId, label: &str) -> Result<()> {
        let tenant =
            tenant::Tenant { id: Some(id.into()), label: label.into(), version: 0, ..Default::default() };
        let request = tenant::EnsureRequest { tenant: Some(tenant), delete: false };
        self.service.call::<tenants::Ensure>(&self.superuser, request).await.map(drop)
    }

    #[allow(clippy::needless_update, reason = "hosts get settings, and these have none")]
    async fn host(&self, host: &str, tenant: TenantId) -> Result<()> {
        let vhost = vhost::VHost { vhost: host.into(), tenant_id: Some(tenant.into()), ..Default::default() };
        let request = vhost::EnsureRequest { vhost: Some(vhost), ..Default::default() };
        self.service.call::<vhosts::Ensure>(&self.superuser, request).await.map(drop)
    }

    async fn file(&self, tenant: TenantId, path: &str, contents: &str) -> Result<()> {
        let request = upload::BeginRequest {
            tenant: Some(tenant.into()),
            path: path.into(),
            committed: Some(Committed::Contents(contents.into())),
            meta: [("said".to_owned(), contents.to_owned())].into(),
            ..Default::default()
        };
        self.service.call::<uploads::Begin>(&self.superuser, request).await.map(drop)
    }

    /// Claims are personal data.
    async fn principal(&self, name: &str) -> Result<PrincipalId> {
        let claims = serde_json::json!({ "name": name }).to_string().into_bytes();
        let new = principal::Principal { claims, ..Default::default() };
        let request = principal::EnsureRequest { principal: Some(new), delete: false };
        let made = self.service.call::<principals::Ensure>(&self.superuser, request).await?;
        let id = made.principal.and_then(|made| principal::Id::parse(made.id.as_ref()));
        id.ok_or(Error::NotFound("principal"))
    }

    async fn issue(
        &self,
        principal: PrincipalId,
        capabilities: Capabilities,
        scope: Scope,
        name: &str,
    ) -> Result<Caller> {
        let template = session::Session {
            principal_id: Some(principal.into()),
            capabilities: Some(capabilities.into()),
            scope: Some((&scope).into()),
            expires_at: Some(convert::timestamp(NOW.after(Duration::from_secs(24 * 3600)))),
            note: name.into(),
            name: name.into(),
            ..Default::default()
        };
        let request = token::IssueRequest { template: Some(template) };
        let issued = self.service.call::<tokens::Issue>(&self.superuser, request).await?;
        self.service.authenticate(&issued.token.unwrap_or_default().jwt).await
    }
}
