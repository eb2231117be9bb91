//! The way to the server: one channel, and the token on every call over it.

use std::time::Duration;

use cacheroach_api::file::files_client::FilesClient;
use cacheroach_api::principal::principals_client::PrincipalsClient;
use cacheroach_api::store::stores_client::StoresClient;
use cacheroach_api::tenant::tenants_client::TenantsClient;
use cacheroach_api::token::tokens_client::TokensClient;
use cacheroach_api::upload::uploads_client::UploadsClient;
use cacheroach_api::vhost::v_hosts_client::VHostsClient;
use reqwest::Url;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::config::Config;
use crate::error::Error;

/// How the client names itself.
pub(crate) const USER_AGENT: &str = concat!("cacheroach/", env!("CARGO_PKG_VERSION"));
/// How long a server may take to accept a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of listings hold long paths.
const LARGEST_ANSWER: usize = 64 << 20;

/// A server, and who we are to it.
pub(crate) struct Client {
    channel: Channel,
    bearer: Bearer,
    base: String,
}

/// A channel that carries the token.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident),* $(,)?) => { $(
        $(#[$doc])*
        pub(crate) fn $name(&self) -> $client<Authorized> {
            $client::with_interceptor(self.channel.clone(), self.bearer.clone())
        }
    )* };
}

impl Client {
    /// Connects to the server of the configuration. In clear text only if that says so.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Error> {
        if config.host.is_empty() {
            return Err(Error::new("no hostname configured; try auth login"));
        }
        let base = base(&config.host, config.insecure)?;
        let bearer = bearer(&config.token)?;
        let failed = || format!("cannot connect to {base}");
        let mut endpoint = Endpoint::from_shared(base.clone())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(|e| Error::because(failed(), e))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Some(Duration::from_secs(30)));
        if config.insecure {
            tracing::warn!("connection is insecure");
        } else {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|e| Error::because(failed(), e))?;
        }
        let channel = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect())
            .await
            .map_err(|_| Error::unreachable(&base, format!("no answer within {CONNECT_TIMEOUT:?}")))?
            .map_err(|e| Error::unreachable(&base, e))?;
        Ok(Client { channel, bearer, base })
    }

    /// `https://host:port`: what tells this server from others.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The absolute form of a URI the server gave. It can't lead to another server.
    pub(crate) fn url(&self, uri: &str) -> Result<Url, Error> {
        let elsewhere = || Error::new("the server sent a URL that is not its own");
        let base = Url::parse(&self.base).map_err(|_| elsewhere())?;
        let url = Url::parse(&format!("{}{uri}", self.base)).map_err(|_| elsewhere())?;
        let own = uri.starts_with('/') && url.origin() == base.origin() && url.username().is_empty();
        if own { Ok(url) } else { Err(elsewhere()) }
    }

    clients! {
        /// Principals.
        principals: PrincipalsClient,
        /// What is kept, as a whole.
        stores: StoresClient,
        /// Tenants.
        tenants: TenantsClient,
        /// Sessions and their tokens.
        tokens: TokensClient,
        /// Uploads.
        uploads: UploadsClient,
        /// Virtual hosts.
        vhosts: VHostsClient,
    }

    /// Files.
    pub(crate) fn files(&self) -> FilesClient<Authorized> {
        FilesClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(LARGEST_ANSWER)
    }
}

fn bearer(token: &str) -> Result<Bearer, Error> {
    if token.is_empty() {
        return Ok(Bearer(None));
    }
    let mut value = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::new("the token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(Bearer(Some(value)))
}

/// The URL of a configured host, with its scheme's port unless it names one.
pub(crate) fn base(host: &str, insecure: bool) -> Result<String, Error> {
    let scheme = if insecure { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{host}/"))
        .map_err(|e| Error::because(format!("no host: {host}"), e))?;
    Ok(format!("{scheme}://{}", authority(&url)?))
}

/// The `host:port` of a URL, with its scheme's port unless it names one.
pub(crate) fn authority(url: &Url) -> Result<String, Error> {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) if !host.is_empty() => Ok(format!("{host}:{port}")),
        _ => Err(Error::new("the URL names no host")),
    }
}

/// A server's URL as a user gives it, and whether it is clear text.
pub(crate) fn server(url: &str) -> Result<(Url, bool), Error> {
    // The text may hold a token, so it is not repeated.
    let url = Url::parse(url).map_err(|e| Error::because("the server's URL is malformed", e))?;
    match url.scheme() {
        "http" => Ok((url, true)),
        "https" => Ok((url, false)),
        _ => Err(Error::new("the server's URL begins with http:// or https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c28_a_host_without_a_port_has_its_schemes() {
        for (host, insecure, url) in [
            ("example.com", false, "https://example.com:443"),
            ("example.com", true, "http://example.com:80"),
            ("example.com:13013", true, "http://example.com:13013"),
            ("[::1]:1", false, "https://[::1]:1"),
        ] {
            assert_eq!(base(host, insecure).unwrap(), url);
        }
        assert!(base("a b", false).is_err());
        assert_eq!(authority(&server("https://token@h/").unwrap().0).unwrap(), "h:443");
        assert!(server("ftp://h/").is_err());
        assert!(server("h:80").is_err());
    }

    #[tokio::test]
    async fn a90_a_url_of_another_server_is_refused() {
        let channel = Endpoint::from_static("http://h:80").connect_lazy();
        let client = Client { channel, bearer: Bearer(None), base: "http://h:80".into() };
        assert_eq!(client.url("/_/v0/x?access_token=t").unwrap().as_str(), "http://h/_/v0/x?access_token=t");
        for uri in ["", "x", "http://evil/x", "@evil/x", ".evil/x", "0/x"] {
            assert!(client.url(uri).is_err(), "{uri}");
        }
        assert_eq!(client.url("//evil/x").unwrap().host_str(), Some("h"));
    }
}
