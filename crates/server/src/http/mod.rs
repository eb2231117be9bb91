//! HTTP: files by virtual host, signed URLs and drop links, logging in, and the command line's configuration.

mod answer;
mod change;
mod conditions;
mod config;
mod date;
mod disposition;
mod drop_page;
mod drops;
mod files;
pub(crate) mod framing;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod links;
mod login;
mod login_page;
mod media;
mod metadata;
mod page;
mod problem;
mod range;
mod representation;
mod static_site;
mod target;
mod visit;
mod write;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{Method, Request, Response, StatusCode, Version, header};
use bytes::Bytes;
use cacheroach_model::{Host, PathError, TenantId, VhostSettings};
use cacheroach_service::{AtHost, Caller, Error, Result, Service, Site};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::body::Body;
use crate::caller::{Head, query};
use crate::{caller, site};
use answer::{refuse, refuse_with};
use problem::Form;
use target::{Malformed, Target};
use visit::{Foreign, Visit};

const TOO_LONG: &str = "a path has at most 1024 bytes";

/// How much of a body is read on after its request was refused, and for how long.
const LINGER_BYTES: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(30);

/// The HTTP front end.
pub(crate) struct Http {
    service: Arc<Service>,
    /// TLS ends before this server.
    assume_secure: bool,
}

/// A request for a file or a directory, with all that was found out about it.
struct Asked<'a> {
    parts: &'a Parts,
    target: &'a Target,
    caller: Caller,
    tenant: TenantId,
    /// Of the vhost.
    settings: Arc<VhostSettings>,
}

impl Http {
    pub(crate) fn new(service: Arc<Service>, assume_secure: bool) -> Self {
        Http { service, assume_secure }
    }

    pub(crate) async fn serve(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let form = Form::of(request.headers());
        let (parts, mut body) = request.into_parts();
        // Who waits to be asked for the body does not send it; to look at it is to ask.
        let sends = parts.version <= Version::HTTP_11 && !parts.headers.contains_key(header::EXPECT);
        // Only lent from here on: each that it were given to would have room for one more.
        let mut head = Head { parts, peer };
        let response = problem::shown(self.answer(&mut head, &mut body).await, form);
        if sends && !body.is_end_stream() {
            tokio::spawn(linger(body));
        }
        if is_head { answer::without_body(response) } else { response }
    }

    async fn answer(&self, head: &mut Head, body: &mut Incoming) -> Response<Body> {
        if let Some(status) = target::beyond_limits(head) {
            return answer::bare(status, "a request line has at most 8 KiB, a head 32 KiB in 100 fields");
        }
        let Ok(host) = site::host(head) else {
            return refuse(&Error::invalid("Host", "one host name or address"));
        };
        let target = match Target::of(&head.uri) {
            Ok(target) => target,
            Err(Malformed::Path(PathError::TooLong)) => {
                return answer::bare(StatusCode::URI_TOO_LONG, TOO_LONG);
            }
            Err(Malformed::Path(problem)) => return refuse(&Error::invalid("path", problem)),
            Err(Malformed::Encoding(problem)) => return refuse(&Error::invalid("path", problem)),
        };
        let known = match self.service.host(&host).await {
            Ok(known) => known,
            Err(error) => return refuse(&error),
        };
        let route = target.path().strip_prefix("/_/").map(str::to_owned);
        let visit = Visit::of(&mut head.parts, route.as_deref(), &known);
        let mut response = if let Some(response) = visit.preflight() {
            response
        } else if let Some(location) = target.elsewhere(head.uri.query()) {
            answer::redirect(&location)
        } else if visit.is_elsewhere() {
            refuse(&Error::NotFound("page"))
        } else if let Some(route) = route {
            Box::pin(self.special(&route, head, body, &host)).await
        } else {
            self.files(head, &target, body, &known).await
        };
        visit.finish(&mut response);
        response
    }

    /// What is a file, or was or is to be one.
    async fn files(
        &self,
        head: &Head,
        target: &Target,
        body: &mut Incoming,
        known: &AtHost,
    ) -> Response<Body> {
        let (caller, stale) = match caller::of_http(&self.service, head).await {
            Ok(found) => found,
            Err(error) => return refuse(&error),
        };
        let mut response = match known.site(&caller) {
            Ok(Site { tenant, settings }) => {
                let caller = caller.at(tenant);
                let asked = Asked { parts: &head.parts, target, caller, tenant, settings };
                let mut response = self.ask(&asked, body).await;
                if !known.is_home_of(tenant) {
                    response.extensions_mut().insert(Foreign);
                }
                response
            }
            Err(error) => answer::no_site(&error),
        };
        if stale {
            answer::forget_cookie(&mut response);
        }
        response
    }

    async fn ask(&self, asked: &Asked<'_>, body: &mut Incoming) -> Response<Body> {
        let method = &asked.parts.method;
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !reads && method.as_str() != "COPY" && query(asked.parts, "version").is_some() {
            let refusal = Box::pin(write::of_a_version(&self.service, asked)).await;
            return refuse_with(&refusal, asked.caller.is_anonymous());
        }
        let answer = if reads {
            files::get(&self.service, asked).await
        } else {
            // What is moved with each request has room for what is awaited here, unless it is boxed.
            Box::pin(self.change(method, asked, body)).await
        };
        answer.unwrap_or_else(|error| refuse_with(&error, asked.caller.is_anonymous()))
    }

    async fn change(
        &self,
        method: &Method,
        asked: &Asked<'_>,
        body: &mut Incoming,
    ) -> Result<Response<Body>> {
        match *method {
            Method::PUT | Method::POST => write::put(&self.service, asked, body).await,
            Method::DELETE => write::delete(&self.service, asked).await,
            Method::PATCH => change::patch(&self.service, asked, body).await,
            _ if method.as_str() == "COPY" => change::copy(&self.service, asked).await,
            _ if method.as_str() == "MOVE" => change::rename(&self.service, asked).await,
            _ => Ok(answer::not_allowed()),
        }
    }

    /// What is not a file.
    async fn special(&self, route: &str, head: &Head, body: &mut Incoming, host: &Host) -> Response<Body> {
        let (spelled, secure) = (site::spelled(head), self.assume_secure);
        let answer = match route {
            "v0/config" => config::download(&self.service, head, host, spelled, secure).await,
            "v0/provision" => login::provision(&self.service, head, host, spelled, secure).await,
            "v0/login" => login::log_in(&self.service, head, body, secure).await,
            "v0/logout" => login::log_out(&self.service, head).await,
            _ if route.starts_with("v0/retrieve/") => Ok(links::retrieve(&self.service, head).await),
            _ => match route.strip_prefix("v0/drop/") {
                Some(name) => Ok(drops::answer(&self.service, head, name, body).await),
                None => Err(Error::NotFound("page")),
            },
        };
        answer.unwrap_or_else(|error| refuse(&error))
    }
}

/// Reads on while a client still sends the body of a request that has been answered: to close on it at once would cut off
/// the answer on its way.
async fn linger(mut body: Incoming) {
    let drain = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > LINGER_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
