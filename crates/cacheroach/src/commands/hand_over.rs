//! The browser hands a session on to the command line: it posts a configuration to a port of the loopback.
//!
//! Anybody can post there, any page that the browser shows included. So only what carries the secret is taken: it was
//! made for this one time, and told to nobody but the server that was asked. An original server sends no secret back;
//! from such a one (which is found out before) only what comes from a page of its own is taken. In both cases the
//! configuration must be for that server.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{CONNECT_TIMEOUT, USER_AGENT, base};
use crate::config::Config;
use crate::error::Error;
use crate::{ids, output};

/// How long somebody may take to log in.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the browser may take for one request, and how many may be under way.
const REQUEST_TIME: Duration = Duration::from_secs(30);
const MOST_REQUESTS: usize = 32;
/// A configuration is small.
const LARGEST: usize = 64 * 1024;
/// How often another port is tried where one is free on one loopback address and not on the other.
const TRIES: usize = 16;

/// By this header a server says that it sends the secret back.
const HAND_OVER: &str = "x-cacheroach-handover";
const PATH: &str = "/_/v0/provision";

/// What an answer must be like.
struct Expected {
    /// As the address bar shows it: from where an original server's page posts.
    origin: String,
    /// `https://host:port`: what tells the server from others.
    base: String,
    secret: Option<String>,
    port: u16,
}

/// Says where to go, waits for the browser to come, and answers what it brought.
pub(super) async fn receive(url: &Url, asked: &Config) -> Result<Config, Error> {
    let knows_secret = knows_secret(url).await?;
    let (listeners, port) = listen().await.map_err(|e| Error::because("cannot listen on the loopback", e))?;
    let secret = knows_secret.then(ids::random).transpose()?.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let expected = Expected {
        origin: url.origin().ascii_serialization(),
        base: base(&asked.host, asked.insecure)?,
        secret,
        port,
    };
    let query = expected.secret.as_ref().map(|secret| format!("&secret={secret}")).unwrap_or_default();
    output::line(&format!("Navigate to {}{PATH}?port={port}{query}", expected.origin))?;
    wait(listeners, expected, PATIENCE).await
}

/// Asks before the secret is told to anybody.
async fn knows_secret(url: &Url) -> Result<bool, Error> {
    let failed = |e: reqwest::Error| Error::because("cannot ask the server", e.without_url());
    let client = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIME)
        .redirect(reqwest::redirect::Policy::none());
    let page = format!("{}{PATH}", url.origin().ascii_serialization());
    let answer = client.build().map_err(failed)?.get(page).send().await.map_err(failed)?;
    Ok(answer.headers().get(HAND_OVER).is_some_and(|value| value == "secret"))
}

/// The browser takes `localhost` for either address. Where both exist both are ours, so that it meets nobody else.
async fn listen() -> std::io::Result<(Vec<TcpListener>, u16)> {
    let mut tries = TRIES;
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = first.local_addr()?.port();
        tries -= 1;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(second) => return Ok((vec![first, second], port)),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error),
            // This machine has no such address.
            Err(_) => return Ok((vec![first], port)),
        }
    }
}

async fn wait(listeners: Vec<TcpListener>, expected: Expected, patience: Duration) -> Result<Config, Error> {
    let (expected, (found, mut answers)) = (Arc::new(expected), mpsc::channel(1));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&expected), found.clone()));
    }
    match tokio::time::timeout(patience, answers.recv()).await {
        Ok(Some(config)) => Ok(config),
        Ok(None) | Err(_) => {
            Err(Error::new(format!("nobody came within {} minutes", patience.as_secs() / 60)))
        }
    }
}

/// Browsers open connections that they may never use, so one must not keep others waiting.
async fn accept(listener: TcpListener, expected: Arc<Expected>, found: mpsc::Sender<Config>) {
    let mut requests = JoinSet::new();
    loop {
        while requests.try_join_next().is_some() {}
        if requests.len() >= MOST_REQUESTS {
            requests.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let one = answer_one(stream, Arc::clone(&expected), found.clone());
                requests.spawn(tokio::time::timeout(REQUEST_TIME, one));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What was brought counts once the browser has its answer: then this program is about to end.
async fn answer_one(stream: TcpStream, expected: Arc<Expected>, found: mpsc::Sender<Config>) {
    let brought = Arc::new(Mutex::new(None));
    let service = hyper::service::service_fn(|request| {
        let (expected, brought) = (Arc::clone(&expected), Arc::clone(&brought));
        async move {
            let (status, text) = match expected.take(request).await {
                Ok(config) => {
                    *brought.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
                    (StatusCode::ACCEPTED, "The command line is logged in. You can close this window.")
                }
                Err(problem) => {
                    tracing::info!("an answer was refused: {problem}");
                    (StatusCode::FORBIDDEN, problem)
                }
            };
            Ok::<_, Infallible>(page(status, text))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIME).keep_alive(false);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "the connection ended");
    }
    let config = brought.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(config) = config {
        let _ = found.send(config).await;
    }
}

fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>cacheroach</title>\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem}}</style>\
         <p>{text}</p></html>\n"
    );
    let mut response = Response::new(Full::new(html.into()));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Expected {
    async fn take(&self, request: Request<Incoming>) -> Result<Config, &'static str> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST || parts.uri.path() != "/" {
            return Err("Nothing is to be had here.");
        }
        self.check_head(&parts.headers)?;
        let body = Limited::new(body, LARGEST)
            .collect()
            .await
            .map_err(|_| "The form was too large or broke off.")?;
        let form = String::from_utf8(body.to_bytes().into()).map_err(|_| "A form is text.")?;
        self.judge(&form)
    }

    /// Whether the request means this program, and comes from where it may.
    fn check_head(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let own = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", self.port));
        if !text(header::HOST).is_some_and(|host| own.iter().any(|own| host.eq_ignore_ascii_case(own))) {
            return Err("This is not the host that was asked for.");
        }
        let essence = text(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err("This is not the form of a server.");
        }
        if self.secret.is_none() && text(header::ORIGIN) != Some(self.origin.as_str()) {
            return Err("This does not come from the server that was asked.");
        }
        Ok(())
    }

    fn judge(&self, form: &str) -> Result<Config, &'static str> {
        let mut url = Url::parse("http://localhost/").map_err(|_| "This is no form.")?;
        url.set_query(Some(form));
        let field = |name: &str| {
            let mut values =
                url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            values.next().filter(|_| values.next().is_none())
        };
        if self.secret.is_some() && field("secret") != self.secret {
            return Err("This is no answer to the question of this program.");
        }
        let config = field("config").ok_or("There is no configuration in it.")?;
        let config = Config::parse(&config).map_err(|_| "The configuration is broken.")?;
        match base(&config.host, config.insecure) {
            Ok(base) if base == self.base => {}
            _ => return Err("The configuration is for another server."),
        }
        if config.token.is_empty() || config.session.is_none() {
            return Err("There is no session in the configuration.");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(secret: Option<&str>) -> Expected {
        Expected {
            origin: "https://files.example".into(),
            base: "https://files.example:443".into(),
            secret: secret.map(Into::into),
            port: 4711,
        }
    }

    fn form(pairs: &[(&str, &str)]) -> String {
        let mut url = Url::parse("http://x/").unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        url.query().unwrap().to_owned()
    }

    fn config(host: &str, insecure: bool) -> String {
        serde_json::json!({ "Host": host, "Insecure": insecure, "Token": "a.b.c", "Session": {} }).to_string()
    }

    #[test]
    fn s19_an_answer_carries_the_secret_and_is_for_the_server_that_was_asked() {
        let good = config("files.example:443", false);
        let with = expected(Some("s3"));
        let taken = with.judge(&form(&[("config", &good), ("secret", "s3")])).ok().unwrap();
        assert_eq!((taken.token.as_str(), taken.host.as_str()), ("a.b.c", "files.example:443"));
        for pairs in [
            &[("config", good.as_str())][..],
            &[("config", &good), ("secret", "")],
            &[("config", &good), ("secret", "s")],
            &[("config", &good), ("secret", "s3x")],
            &[("config", &good), ("secret", "s3"), ("secret", "s4")],
            &[("secret", "s3")],
            &[("config", "{"), ("secret", "s3")],
            &[("config", &config("evil.example:443", false)), ("secret", "s3")],
            &[("config", &config("files.example:444", false)), ("secret", "s3")],
            &[("config", &config("files.example:443", true)), ("secret", "s3")],
            &[("config", "{\"Host\":\"files.example:443\",\"Session\":{}}"), ("secret", "s3")],
        ] {
            assert!(with.judge(&form(pairs)).is_err(), "{pairs:?}");
        }
        assert!(expected(None).judge(&form(&[("config", &config("FILES.example", false))])).is_ok());
    }

    #[test]
    fn s19_without_a_secret_the_page_of_that_server_alone_may_post() {
        let head = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, kind);
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            headers
        };
        let without = expected(None);
        assert!(without.check_head(&head("localhost:4711", Some("https://files.example"))).is_ok());
        for origin in [None, Some("null"), Some("https://evil.example"), Some("http://files.example")] {
            assert!(without.check_head(&head("localhost:4711", origin)).is_err(), "{origin:?}");
            assert!(expected(Some("s")).check_head(&head("127.0.0.1:4711", origin)).is_ok(), "{origin:?}");
        }
        for host in ["evil.example:4711", "localhost:4712", "localhost", "files.example"] {
            assert!(without.check_head(&head(host, Some("https://files.example"))).is_err(), "{host}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_for_ever() {
        let (listeners, port) = listen().await.unwrap();
        let expected = Expected { port, ..expected(Some("s")) };
        let Err(error) = wait(listeners, expected, PATIENCE).await else { panic!("nobody came") };
        assert_eq!(error.text(), "nobody came within 5 minutes");
    }
}
