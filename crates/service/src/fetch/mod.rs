//! Fetching: the server itself gets a file from elsewhere, on behalf of a caller who may write it here. What could be
//! reached from here only is not reached, what is sent along is only what the caller gave, and all of it has limits.

mod address;
mod client;
mod receive;
mod request;
mod slots;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cacheroach_api::method::uploads;
use cacheroach_api::upload::{FetchProgress, FetchRequest, FetchResponse};
use cacheroach_auth::Want;
use cacheroach_model::{Capabilities, Expected, Goal, Metadata, Path, TenantId};
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

pub use address::{Network, NetworkError};
pub use client::Names;

use crate::content::Target;
use crate::door::{Ask, AskStream, Stream};
use crate::files::{canonical_file, place};
use crate::{Caller, Error, Result, Service};
use client::{Remotes, SystemNames};
use receive::{Reached, Receiving, declared_type, is_plain, took_too_long};
use request::{Outbound, bad_url};
use slots::Slots;

/// How often a caller hears of a fetch's progress at most.
const PACE: Duration = Duration::from_millis(200);

const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// What fetches may do.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// Networks that may be reached although they are not of the public internet. Default: none.
    pub allow: Vec<Network>,
    /// How many bytes a file may have. Default: 5 GiB.
    pub max_size: u64,
    /// How long a fetch may take as a whole, redirects included. Default: an hour.
    pub max_time: Duration,
    /// How long a remote may take to be connected to. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// How long a remote may be silent. Default: 30 seconds.
    pub idle_timeout: Duration,
    /// How many redirects are followed. Default: 5.
    pub redirects: usize,
    /// How many fetches of a session may be under way. Default: 4.
    pub per_session: usize,
    /// How many in all. Default: 64.
    pub at_once: usize,
    /// Who knows the addresses of names. Default: the system.
    pub names: Arc<dyn Names>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        FetchSettings {
            allow: Vec::new(),
            max_size: 5 << 30,
            max_time: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            redirects: 5,
            per_session: 4,
            at_once: 64,
            names: Arc::new(SystemNames::default()),
        }
    }
}

/// What fetches share.
pub(crate) struct Fetcher {
    remotes: Remotes,
    slots: Arc<Slots>,
}

impl Fetcher {
    pub(crate) fn new(settings: &FetchSettings) -> Self {
        let slots = Slots::new(settings.at_once, settings.per_session);
        Fetcher { remotes: Remotes::new(settings), slots }
    }
}

impl Ask for uploads::Fetch {
    type Answer = FetchResponse;

    fn canonical(request: &mut FetchRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(service: &Service, caller: &Caller, request: FetchRequest) -> Result<FetchResponse> {
        let task = Task::new(service, caller, &request)?;
        // On the heap: it is large, and so would be all that wait for it.
        Box::pin(task.run(service, watch::Sender::default())).await
    }
}

impl AskStream for uploads::FetchProgress {
    fn canonical(request: &mut FetchRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(
        service: &Arc<Service>,
        caller: &Caller,
        request: FetchRequest,
    ) -> Result<Stream<FetchProgress>> {
        let task = Task::new(service, caller, &request)?;
        let (reach, mut reached) = watch::channel(Reached::default());
        reached.mark_changed();
        let service = Arc::clone(service);
        let outcome = Running(tokio::spawn(async move { task.run(&service, reach).await }));
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The work ends with the stream, but does not wait for somebody to read it: who does not would hold a place
        // beyond all limits of time.
        let start = Some((outcome, reached, pace));
        Ok(Box::pin(futures::stream::try_unfold(start, |state| async move {
            let Some((mut outcome, mut reached, mut pace)) = state else { return Ok(None) };
            let changed = async {
                pace.tick().await;
                match reached.changed().await {
                    Ok(()) => *reached.borrow_and_update(),
                    // All has come: what is left is to store it.
                    Err(_) => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                biased;
                ended = &mut outcome.0 => ended.map_err(Error::internal)?,
                now = changed => return Ok(Some((now.message(), Some((outcome, reached, pace))))),
            };
            let last = *reached.borrow();
            let last = FetchProgress { response: Some(ended?), ..last.message() };
            Ok::<_, Error>(Some((last, None)))
        })))
    }
}

/// A fetch that is given up with whoever waits for it.
struct Running(JoinHandle<Result<FetchResponse>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reached {
    fn message(self) -> FetchProgress {
        let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        FetchProgress {
            received: bytes(self.received),
            total: bytes(self.total.unwrap_or(0)),
            response: None,
        }
    }
}

/// A fetch that is about to begin.
struct Task {
    caller: Caller,
    tenant: TenantId,
    path: Path,
    outbound: Outbound,
    slot: slots::Slot,
    deadline: Instant,
}

impl Task {
    fn new(service: &Service, caller: &Caller, request: &FetchRequest) -> Result<Self> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let outbound = Outbound::parse(request)?;
        let slot = service.fetcher.slots.take(caller)?;
        let now = Instant::now();
        // A time beyond all clocks is as good as none.
        let deadline = now.checked_add(service.settings.fetch.max_time).unwrap_or(now + FOREVER);
        Ok(Task { caller: caller.clone(), tenant, path, outbound, slot, deadline })
    }

    async fn run(mut self, service: &Service, reached: watch::Sender<Reached>) -> Result<FetchResponse> {
        self.only_if_newer(service).await?;
        let host = self.outbound.url.host_str().unwrap_or_default().to_owned();
        let answer = timeout_at(self.deadline, service.fetcher.remotes.ask(self.outbound)).await;
        let answer = answer.map_err(|_| took_too_long(&host))??;
        if answer.status() != StatusCode::OK {
            return Ok(not_stored(&answer));
        }
        if !is_plain(answer.headers()) {
            return Err(bad_url("the remote sends the content packed, although asked not to"));
        }
        let settings = &service.settings.fetch;
        let target = Target {
            tenant: self.tenant,
            path: self.path.clone(),
            content_type: declared_type(answer.headers()),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        };
        let writer = service.writer(target);
        let (arrive, arrived) = oneshot::channel();
        let (consent, consented) = oneshot::channel();
        let receiving = Receiving {
            host: answer.url().host_str().unwrap_or_default().to_owned(),
            answer,
            writer,
            max_size: settings.max_size,
            idle_timeout: settings.idle_timeout,
            deadline: self.deadline,
            reached,
            arrived: arrive,
            consent: consented,
            slot: self.slot,
        };
        let receiving = tokio::spawn(receiving.run());
        // It may have taken an hour: whoever asked must still be who may.
        let may = match arrived.await {
            Ok(()) => service.may_still_fetch(&self.caller, self.tenant, self.path).await,
            Err(_) => Ok(()),
        };
        match may {
            Ok(()) => drop(consent.send(())),
            Err(_) => drop(consent),
        }
        let outcome = receiving.await.map_err(Error::internal)?;
        may.and(outcome)?;
        Ok(FetchResponse { remote_http_code: 200, remote_http_message: String::new() })
    }

    /// What is stored already need not be sent again. When that was is a fact about the file, and the remote hears of
    /// it: only for a caller who may read the file, unless it names a time of its own.
    async fn only_if_newer(&mut self, service: &Service) -> Result<()> {
        let file = Want::Path(self.tenant, Goal::File(self.path.clone()), None);
        let outbound = &mut self.outbound;
        if outbound.method != Method::GET
            || outbound.headers.contains_key(header::IF_MODIFIED_SINCE)
            || !self.caller.authority().may(Capabilities::READ, &file)
        {
            return Ok(());
        }
        let Some(file) = service.store.metadata.find_file(self.tenant, &self.path, None).await? else {
            return Ok(());
        };
        if let Ok(seconds) = u64::try_from(file.modified_at.seconds()) {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let date = HeaderValue::from_str(&date).map_err(Error::internal)?;
            outbound.headers.insert(header::IF_MODIFIED_SINCE, date);
        }
        Ok(())
    }
}

/// Status and line of an answer that is no file. The remote's own words are left out.
fn not_stored(answer: &Response) -> FetchResponse {
    let status = answer.status();
    let line = match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_str()),
        None => status.as_str().to_owned(),
    };
    FetchResponse { remote_http_code: status.as_u16().into(), remote_http_message: line }
}

impl Service {
    async fn may_still_fetch(&self, caller: &Caller, tenant: TenantId, path: Path) -> Result<()> {
        let caller = self.renewed(caller).await?;
        let want = Want::Path(tenant, Goal::File(path), None);
        caller.must(Capabilities::WRITE | Capabilities::FETCH, &want)
    }
}
