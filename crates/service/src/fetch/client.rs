//! Asking a remote. The library below connects to what our resolver tells it and follows nothing by itself, so every
//! address is checked by the one look-up that is also connected to, at every hop.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Response, redirect, retry};
use tokio::sync::{OnceCell, Semaphore};
use url::Host;

use super::address::{Network, may_reach};
use super::request::{LARGEST_HEADERS, MOST_HEADERS, Outbound, bad_url};
use crate::{Error, Result};

/// How a request is answered that leads where it must not.
const REFUSED: &str = "it leads to an address that this server does not fetch from";

/// Answers which addresses a name has.
pub trait Names: std::fmt::Debug + Send + Sync {
    /// All of them.
    fn addresses(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// How many look-ups the system does at once. Each takes a thread, from those that others read files with, for as long as
/// a name server likes: longer than anybody waits for it.
const LOOK_UPS: usize = 32;

/// As the system has it.
#[derive(Debug)]
pub(super) struct SystemNames {
    room: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        SystemNames { room: Arc::new(Semaphore::new(LOOK_UPS)) }
    }
}

impl Names for SystemNames {
    fn addresses(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let (name, room) = (name.to_owned(), Arc::clone(&self.room));
        Box::pin(async move {
            let permit = room.acquire_owned().await.map_err(io::Error::other)?;
            let looking = tokio::task::spawn_blocking(move || {
                let _until_it_ends = permit;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}

/// Only the addresses that may be reached. A name that has any other is refused as a whole: nobody who means well has
/// both.
struct Guarded {
    names: Arc<dyn Names>,
    allowed: Arc<[Network]>,
}

/// An address was found that must not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{REFUSED}")]
struct Refused;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, allowed) = (Arc::clone(&self.names), Arc::clone(&self.allowed));
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            if !found.iter().all(|address| may_reach(*address, &allowed)) {
                return Err(Refused.into());
            }
            // The URL's port is filled in where the connection is made.
            let found: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(found)
        })
    }
}

/// Asks remotes.
pub(super) struct Remotes {
    /// Made when first needed: it reads the certificates of the system.
    client: OnceCell<Client>,
    names: Arc<dyn Names>,
    allowed: Arc<[Network]>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    redirects: usize,
}

impl Remotes {
    pub(super) fn new(settings: &super::FetchSettings) -> Self {
        Remotes {
            client: OnceCell::new(),
            names: Arc::clone(&settings.names),
            allowed: settings.allow.clone().into(),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            redirects: settings.redirects,
        }
    }

    /// The last answer of a chain of redirects, its body still to come.
    pub(super) async fn ask(&self, mut outbound: Outbound) -> Result<Response> {
        for _ in 0..=self.redirects {
            let answer = self.send(&outbound).await?;
            let status = answer.status().as_u16();
            let location = answer.headers().get(header::LOCATION);
            match location {
                Some(location) if matches!(status, 301 | 302 | 303 | 307 | 308) => {
                    outbound = outbound.redirected(status, location.as_bytes())?;
                }
                _ => return Ok(answer),
            }
        }
        Err(Error::TooLarge(format!("remote_url: more than {} redirects", self.redirects)))
    }

    /// One request to one address.
    async fn send(&self, outbound: &Outbound) -> Result<Response> {
        let host = outbound.url.host_str().unwrap_or_default();
        // No name, no look-up: what stands in the URL is what is connected to.
        let literal = match outbound.url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            // Whatever a resolver makes of it (RFC 6761).
            Some(Host::Domain(name)) if is_localhost(name) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !may_reach(address, &self.allowed)) {
            return Err(bad_url(REFUSED));
        }
        let client = self.client.get_or_try_init(|| self.make()).await?;
        let mut request = client.request(outbound.method.clone(), outbound.url.clone());
        request = request.headers(outbound.headers.clone());
        request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let patience = self.connect_timeout + self.idle_timeout;
        let answer = tokio::time::timeout(patience, request.send()).await;
        let answer = answer.map_err(|_| silent(host))?.map_err(|error| failed(host, &error))?;
        let headers = answer.headers();
        if headers.len() > MOST_HEADERS || size(headers) > LARGEST_HEADERS {
            return Err(Error::TooLarge(format!("remote_url: {host} sent too many headers")));
        }
        Ok(answer)
    }

    async fn make(&self) -> Result<Client> {
        let names = Guarded { names: Arc::clone(&self.names), allowed: Arc::clone(&self.allowed) };
        let connect_timeout = self.connect_timeout;
        let names = Arc::new(names);
        let make = move |with_certificates: bool| {
            let client = Client::builder()
                .user_agent(concat!("cacheroach/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::clone(&names))
                .connect_timeout(connect_timeout)
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                // A proxy would connect to what it finds, not to what was checked.
                .no_proxy()
                .referer(false)
                // Nobody gets a connection that was made for somebody else.
                .pool_max_idle_per_host(0)
                // Here an end is told from an interruption; nothing is gained from HTTP/2 for a single request.
                .http1_only()
                .http1_max_headers(MOST_HEADERS);
            if with_certificates { client } else { client.tls_certs_only([]) }.build()
        };
        let made = tokio::task::spawn_blocking(move || {
            make(true).or_else(|error| {
                tracing::warn!(
                    cause = &error as &dyn StdError,
                    "no certificates to know remotes by: fetching from https will fail"
                );
                make(false)
            })
        });
        made.await.map_err(Error::internal)?.map_err(Error::internal)
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Nothing came for too long.
pub(super) fn silent(host: &str) -> Error {
    Error::TookTooLong(format!("remote_url: {host} is silent"))
}

/// What the caller is told of a failure: where, and nothing that only this side of it can see. The library's own text
/// names the whole URL and what was found at the address.
fn failed(host: &str, error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<Refused>() {
            return bad_url(REFUSED);
        }
        cause = one.source();
    }
    if error.is_connect() || error.is_timeout() {
        Error::Unreachable(format!("remote_url: {host} cannot be reached"))
    } else {
        Error::Unreachable(format!("remote_url: {host} does not answer as it should"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<IpAddr>);

    impl Names for Fixed {
        fn addresses(&self, _: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    async fn resolved(addresses: &[&str], allowed: &[&str]) -> Option<Vec<IpAddr>> {
        let names = Arc::new(Fixed(addresses.iter().map(|text| text.parse().unwrap()).collect()));
        let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let guarded = Guarded { names, allowed };
        let found = guarded.resolve("files.example".parse().unwrap()).await;
        found.ok().map(|found| found.map(|address| address.ip()).collect())
    }

    #[tokio::test]
    async fn a51_a_name_with_any_address_that_must_not_be_reached_is_refused() {
        assert!(resolved(&["8.8.8.8", "2606:4700::1111"], &[]).await.is_some());
        for found in [
            &["127.0.0.1"][..],
            &["8.8.8.8", "127.0.0.1"],
            &["::1", "8.8.8.8"],
            &["169.254.169.254"],
            &["::ffff:10.0.0.1"],
        ] {
            assert_eq!(resolved(found, &[]).await, None, "{found:?}");
        }
        assert!(resolved(&["8.8.8.8", "127.0.0.1"], &["127.0.0.0/8"]).await.is_some());
    }
}
