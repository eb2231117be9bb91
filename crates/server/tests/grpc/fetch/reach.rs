//! Where fetches must not lead.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cacheroach_service::{FetchSettings, Names};
use tonic::Code;

use super::remote::{Remote, redirect, say, whole};
use super::{Site, stored};
use crate::support::loopback;

/// Addresses as a test has them: of each name one after the other, the last for ever.
#[derive(Debug, Default)]
struct Scripted {
    names: Mutex<HashMap<String, Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(names: &[(&str, &[&str])]) -> Arc<Self> {
        let names = names.iter().map(|(name, addresses)| {
            ((*name).to_owned(), addresses.iter().rev().map(|one| one.parse().unwrap()).collect())
        });
        Arc::new(Scripted { names: Mutex::new(names.collect()), asked: AtomicUsize::new(0) })
    }
}

impl Names for Scripted {
    fn addresses(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut names = self.names.lock().unwrap();
        let found = names.get_mut(name).map(|left| match left.len() {
            1 => left[0],
            _ => left.pop().unwrap(),
        });
        let found = found.map(|address| vec![address]).ok_or_else(|| io::Error::other("secret resolver"));
        Box::pin(async move { found })
    }
}

fn is_refused((code, message): &(Code, String)) -> bool {
    *code == Code::InvalidArgument && message.starts_with("remote_url: it leads to an address")
}

#[tokio::test]
async fn a50_only_plain_http_and_https_are_fetched() {
    let site = Site::new().await;
    for url in [
        "",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/x",
        "data:text/plain,x",
        "unix:/run/x",
        "javascript:alert(1)",
        "http://user@127.0.0.1/",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1\\x",
        "http://127.0.0.1/\r\nhost: evil",
        " http://127.0.0.1/",
    ] {
        let (code, message) = site.refused(site.request(url)).await;
        assert_eq!(code, Code::InvalidArgument, "{url:?}");
        assert!(message.starts_with("remote_url: ") && !message.contains("secret"), "{message}");
    }
    site.has_nothing().await;
}

#[tokio::test]
async fn a51_no_spelling_of_an_inner_address_is_reached() {
    // With the settings that a server has by default.
    let site = Site::with(FetchSettings::default()).await;
    let remote = Remote::saying(whole("200 OK", "", b"secret")).await;
    let port = remote.port();
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "%31%32%37.0.0.1",
        "\u{ff11}27.0.0.1",
        "0.0.0.0",
        "0",
        "127.255.255.254",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
    ] {
        for scheme in ["http", "https"] {
            let refused = site.refused(site.request(&format!("{scheme}://{host}:{port}/"))).await;
            assert!(is_refused(&refused), "{host}: {refused:?}");
        }
    }
    assert!(remote.seen().is_empty(), "no packet came");
    site.has_nothing().await;
}

#[tokio::test]
async fn a51_no_name_of_an_inner_address_is_reached() {
    let names = Scripted::new(&[
        ("inner.example", &["10.0.0.5"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::a9fe:a9fe"]),
        ("beside.example", &["127.0.0.2"]),
    ]);
    let site = Site::with(FetchSettings { names, ..FetchSettings::default() }).await;
    for name in ["inner.example", "mapped.example", "nat64.example", "beside.example"] {
        let refused = site.refused(site.request(&format!("http://{name}/"))).await;
        assert!(is_refused(&refused), "{name}: {refused:?}");
    }
    let (code, message) = site.refused(site.request("http://nobody.example/?token=hidden")).await;
    assert_eq!(code, Code::Unavailable);
    assert_eq!(message, "remote_url: nobody.example cannot be reached");
}

#[tokio::test]
async fn a51_only_what_the_operator_allows_is_reached() {
    let site = Site::new().await;
    let (inside, beside) = (
        Remote::saying(whole("200 OK", "", b"x")).await,
        Remote::start_on(Ipv4Addr::new(127, 0, 0, 2), |_, stream| async {
            say(stream, &whole("200 OK", "", b"x")).await;
        })
        .await,
    );
    assert_eq!(site.fetch(site.request(&inside.url("/"))).await.unwrap(), stored());
    let mapped = format!("http://[::ffff:127.0.0.1]:{}/", inside.port());
    let mapped = site.fetch(site.request(&mapped)).await;
    assert!(mapped.is_ok_and(|answer| answer == stored()), "it is the same address");
    assert!(is_refused(&site.refused(site.request(&beside.url("/"))).await));
    assert!(beside.seen().is_empty());
}

#[tokio::test]
async fn a52_no_redirect_leads_where_a_request_may_not() {
    let site = Site::new().await;
    let beside = Remote::start_on(Ipv4Addr::new(127, 0, 0, 2), |_, stream| async {
        say(stream, &whole("200 OK", "", b"secret")).await;
    })
    .await;
    for (to, is_address) in [
        (beside.url("/"), true),
        ("http://169.254.169.254/latest/meta-data/".into(), true),
        ("http://[::1]/".into(), true),
        ("//10.0.0.1/".into(), true),
        ("file:///etc/passwd".into(), false),
        ("gopher://127.0.0.1/".into(), false),
        ("http://user:pass@127.0.0.1/".into(), false),
    ] {
        let remote = Remote::saying(redirect(&to)).await;
        let refused = site.fetch(site.request(&remote.url("/"))).await.unwrap_err();
        let code = refused.code();
        assert_eq!(code, Code::InvalidArgument, "{to}");
        assert!(!is_address || is_refused(&(code, refused.message().into())), "{to}: {refused}");
    }
    assert!(beside.seen().is_empty(), "no packet came");
    site.has_nothing().await;
}

#[tokio::test]
async fn a52_five_redirects_are_followed_and_no_more() {
    let site = Site::new().await;
    let remote = Remote::start(|head, stream| async move {
        let left: u32 = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let answer = if left == 0 { whole("200 OK", "", b"x") } else { redirect(&format!("/{}", left - 1)) };
        say(stream, &answer).await;
    })
    .await;
    assert_eq!(site.fetch(site.request(&remote.url("/5"))).await.unwrap(), stored());
    assert_eq!(remote.seen().len(), 6);
    let (code, message) = site.refused(site.request(&remote.url("/6"))).await;
    assert_eq!((code, message.as_str()), (Code::ResourceExhausted, "remote_url: more than 5 redirects"));

    let circle = Remote::saying(redirect("/")).await;
    let (code, _) = site.refused(site.request(&circle.url("/"))).await;
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(circle.seen().len(), 12, "six for each of the two calls");
}

#[tokio::test]
async fn a53_the_address_that_was_checked_is_the_one_connected_to() {
    let names = Scripted::new(&[("turn.example", &["127.0.0.1", "127.0.0.2"])]);
    let site = Site::with(FetchSettings { names: names.clone(), ..loopback() }).await;
    let remote = Remote::saying(whole("200 OK", "", b"checked")).await;
    let url = format!("http://turn.example:{}/", remote.port());
    assert_eq!(site.fetch(site.request(&url)).await.unwrap(), stored());
    assert_eq!(site.get().await.text(), "checked");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "nobody looked again between check and connection");
    assert!(remote.seen()[0].contains(&format!("\r\nhost: turn.example:{}\r\n", remote.port())));
    assert!(is_refused(&site.refused(site.request(&url)).await), "now it is another address");
}

#[tokio::test]
async fn a53_a_name_is_looked_up_anew_at_each_hop() {
    let names = Scripted::new(&[("turn.example", &["127.0.0.1", "127.0.0.2"])]);
    let site = Site::with(FetchSettings { names: names.clone(), ..loopback() }).await;
    let remote = Remote::saying(redirect("/again")).await;
    let url = format!("http://turn.example:{}/", remote.port());
    let refused = site.fetch(site.request(&url)).await.unwrap_err();
    assert!(is_refused(&(refused.code(), refused.message().into())), "{refused}");
    assert_eq!((remote.seen().len(), names.asked.load(Ordering::SeqCst)), (1, 2));
    site.has_nothing().await;
}
