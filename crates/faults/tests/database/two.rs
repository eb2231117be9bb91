//! Two servers and more on one database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cacheroach_api::session::Session;
use cacheroach_api::token::invalidate_request::Kind;
use cacheroach_api::token::tokens_client::TokensClient;
use cacheroach_api::token::{InvalidateRequest, IssueRequest};
use cacheroach_api::vhost::v_hosts_client::VHostsClient;
use cacheroach_api::vhost::{EnsureRequest, VHost};
use cacheroach_faults::upload::{begin, channel, commit, scratchpad, stream_to, transfer, with};
use cacheroach_faults::wire::sha256;
use cacheroach_faults::{Launch, Random, Site, Wire, is_unserved};
use cacheroach_testing::Server;
use tonic::Code;

use crate::deeds::{LARGE, SMALL};
use crate::{PROGRAM, Shared, block_on, place};

/// What P10 promises.
const EVERYWHERE: Duration = Duration::from_secs(5);

pub(crate) fn f21_of_two_commits_at_once_on_two_servers_both_exist_or_one_wins() {
    let shared = Shared::started(2, "");
    let mut random = Random::new(Random::seed());
    block_on(async {
        for round in 0..40 {
            let size = if round % 4 == 0 { LARGE } else { SMALL };
            let contents = [random.bytes(size), random.bytes(size)];
            let path = format!("/{round}");
            let put = |at: usize, condition: Option<&'static str>| {
                let request = shared.wire.request("PUT", &shared.url(at, &path)).body(contents[at].clone());
                Wire::send(match condition {
                    Some(tag) => request.header("if-none-match", tag),
                    None => request,
                })
            };
            // Only if there is none: exactly one of them.
            let (one, other) = futures::future::join(put(0, Some("*")), put(1, Some("*"))).await;
            let (one, other) = (one.unwrap(), other.unwrap());
            let winner = match (one.status, other.status) {
                (202, 412) => 0,
                (412, 202) => 1,
                both => panic!("{both:?}"),
            };
            for at in [0, 1] {
                let read = shared.wire.ask("GET", &shared.url(at, &path)).await.unwrap();
                assert!(read.version == Some(1) && read.body == contents[winner], "{path}");
            }
            // Whatever there is: both, in one order that both servers tell.
            let (one, other) = futures::future::join(put(0, None), put(1, None)).await;
            let (one, other) = (one.unwrap(), other.unwrap());
            assert_eq!((one.status, other.status), (202, 202));
            let mut versions = [one.version, other.version];
            for (at, version) in versions.into_iter().enumerate() {
                let url = format!("{}?version={}", shared.url(1 - at, &path), version.unwrap());
                assert!(shared.wire.ask("GET", &url).await.unwrap().body == contents[at], "{url}");
            }
            versions.sort_unstable();
            assert_eq!(versions, [Some(2), Some(3)]);
        }
    });
    shared.stop();
}

pub(crate) fn f22_an_upload_is_taken_further_by_another_server() {
    let mut shared = Shared::started(2, "");
    let content = Random::new(1).bytes(4 * LARGE);
    let (first, second) = content.split_at(2 << 20);
    block_on(async {
        let channels = [0, 1].map(|at| channel(&shared.site.url(at)));
        let token = shared.token.clone();
        let begun = begin(channels[0].clone(), &token, "/file").await.unwrap();
        let state = transfer(channels[0].clone(), &token, begun, first).await.unwrap();
        shared.site.kill(0);
        // Sent twice, for nobody knows whether the first one came.
        let again = transfer(channels[1].clone(), &token, state.clone(), second).await.unwrap();
        let state = transfer(channels[1].clone(), &token, state, second).await.unwrap();
        assert_eq!(again.offset, state.offset);
        commit(channels[1].clone(), &token, state.clone()).await.unwrap();
        let read = shared.wire.ask("GET", &shared.url(1, "/file")).await.unwrap();
        assert!(read.version == Some(1) && read.body == content);
        // The first one is back, and asked for the same again.
        tokio::task::block_in_place(|| shared.site.start(0, &Launch::default()));
        commit(channel(&shared.site.url(0)), &token, state).await.unwrap();
        let read = shared.wire.ask("GET", &shared.url(0, "/file")).await.unwrap();
        assert!(read.version == Some(1) && read.body == content);
    });
    shared.stop();
}

/// Of what the first server told, only the beginning arrived.
pub(crate) fn f22_a_stream_is_taken_further_by_another_server() {
    let mut shared = Shared::started(2, "");
    let content = Random::new(2).bytes(20 << 20);
    let mebibytes = |count: i64| count << 20;
    block_on(async {
        let channels = [0, 1].map(|at| channel(&shared.site.url(at)));
        let token = shared.token.clone();
        let begun = begin(channels[0].clone(), &token, "/file").await.unwrap();
        let first = &content[..12 << 20];
        let told = stream_to(channels[0].clone(), &token, begun.clone(), first, mebibytes(12)).await.unwrap();
        assert!(told.is_sorted_by_key(|state| state.offset));
        shared.site.kill(0);
        for state in [&begun, &told[0], told.last().unwrap()] {
            let from = usize::try_from(state.offset).unwrap();
            let other = stream_to(channels[1].clone(), &token, begun.clone(), &content[1..], 1).await;
            assert_eq!(other.unwrap_err().code(), Code::FailedPrecondition);
            let rest = &content[from..16 << 20];
            let again = stream_to(channels[1].clone(), &token, state.clone(), rest, mebibytes(16)).await;
            assert_eq!(again.unwrap().last().unwrap().offset, mebibytes(16));
        }
        let rest = &content[first.len()..];
        let last = stream_to(channels[1].clone(), &token, told.last().unwrap().clone(), rest, mebibytes(20));
        let last = last.await.unwrap().pop().unwrap();
        commit(channels[1].clone(), &token, last).await.unwrap();
        let read = shared.wire.ask("GET", &shared.url(1, "/file")).await.unwrap();
        assert!(read.version == Some(1) && read.body == content);
        tokio::task::block_in_place(|| shared.site.start(0, &Launch::default()));
    });
    shared.stop();
}

/// A session of the superuser's that only reads.
async fn reader(shared: &Shared) -> String {
    let mut tokens = TokensClient::new(channel(&shared.site.url(0)));
    let mine = tokens.current(with(&shared.token, ())).await.unwrap().into_inner();
    let everything = Session { name: "a reader".into(), id: None, ..mine };
    let request = IssueRequest { template: Some(everything) };
    let issued = tokens.issue(with(&shared.token, request)).await.unwrap().into_inner();
    issued.token.unwrap().jwt
}

/// Ends a session on one server, and waits until the other refuses it.
fn a_session_ends(swallow: bool) {
    let shared = Shared::started(2, "");
    block_on(async {
        let url = shared.url(1, "/file");
        assert_eq!(shared.wire.put(&url, "content").await.unwrap().status, 202);
        shared.proxies.iter().for_each(|proxy| proxy.swallow_notifications(swallow));
        for _ in 0..3 {
            let token = reader(&shared).await;
            let wire = Wire::new(&token);
            assert_eq!(wire.ask("GET", &url).await.unwrap().status, 200, "known to the other server");
            let mut tokens = TokensClient::new(channel(&shared.site.url(0)));
            let current = InvalidateRequest { kind: Some(Kind::Current(true)) };
            tokens.invalidate(with(&token, current)).await.unwrap();
            let ended = Instant::now();
            assert_eq!(wire.ask("GET", &shared.url(0, "/file")).await.unwrap().status, 401, "at once");
            loop {
                let asked = Instant::now();
                let status = wire.ask("GET", &url).await.unwrap().status;
                if status == 401 {
                    break;
                }
                assert_eq!(status, 200);
                assert!(asked - ended < EVERYWHERE, "still good after {:?}", ended.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            println!("refused after {:?}", ended.elapsed());
        }
    });
    shared.stop();
}

pub(crate) fn f26_a_session_ends_on_every_server_within_five_seconds_without_notifications() {
    a_session_ends(true);
}

/// All hosts are known to each server by heart. Once one of them has logins, what others show is free of the sandbox.
pub(crate) fn f26_hosts_change_on_every_server_within_five_seconds_without_notifications() {
    let shared = Shared::started(2, "");
    block_on(async {
        let url = shared.url(1, "/page.html");
        assert_eq!(shared.wire.put(&url, "a page").await.unwrap().status, 202);
        let is_sandboxed = async || {
            let answer = shared.wire.request("GET", &url).send().await.unwrap();
            answer.headers().contains_key("content-security-policy")
        };
        shared.proxies.iter().for_each(|proxy| proxy.swallow_notifications(true));
        let mut hosts = VHostsClient::new(channel(&shared.site.url(0)));
        for login in [true, false] {
            assert_eq!(is_sandboxed().await, login);
            let tenant_id = Some(scratchpad());
            let host = VHost { vhost: "login.example".into(), tenant_id, login, ..Default::default() };
            let request = EnsureRequest { vhost: Some(host), delete: false };
            hosts.ensure(with(&shared.token, request)).await.unwrap();
            let changed = Instant::now();
            while is_sandboxed().await == login {
                assert!(changed.elapsed() < EVERYWHERE, "the same after {:?}", changed.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            println!("another after {:?}", changed.elapsed());
        }
    });
    shared.stop();
}

pub(crate) fn p10_a_session_ends_on_every_server() {
    a_session_ends(false);
}

/// Both servers purge all the time, while the same few contents come, go and come again on both.
pub(crate) fn f31_f32_two_purges_and_two_writers_of_the_same_content_lose_nothing() {
    let mut shared = Shared::started(2, "");
    let flags = ["--purgeInterval", "100ms", "--purgeDuration", "1ms", "--keepVersionsFor", "1ms"];
    let launch = Launch { flags: flags.map(str::to_owned).to_vec(), ..Launch::default() };
    (0..2).for_each(|at| shared.site.stop(at));
    shared.site.start_all(&launch);
    let contents: Vec<_> = (0..3).map(|seed| Random::new(seed).bytes(LARGE)).collect();
    let rounds = AtomicU64::new(0);
    block_on(async {
        let end = Instant::now() + Duration::from_secs(8);
        let work = (0..4).map(async |who: usize| {
            let mut random = Random::new(who as u64);
            // A path that is only this one's: nobody else may change it.
            let path = format!("/{who}");
            while Instant::now() < end {
                let content = &contents[usize::try_from(random.below(3)).unwrap()];
                let (here, there) = (shared.url(who % 2, &path), shared.url(1 - who % 2, &path));
                let put = shared.wire.put(&here, content.clone()).await.unwrap();
                assert!(matches!(put.status, 202 | 503), "{}", put.status);
                if put.status == 202 {
                    let read = shared.wire.ask("GET", &there).await.unwrap();
                    assert!(read.status == 200 && read.body == *content, "{path}: {}", read.status);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                if random.below(2) == 0 {
                    assert_eq!(shared.wire.ask("DELETE", &there).await.unwrap().status, 200);
                    assert_eq!(shared.wire.ask("GET", &here).await.unwrap().status, 404);
                }
            }
        });
        futures::future::join_all(work).await;
    });
    println!("{} times whole", rounds.load(Ordering::Relaxed));
    assert!(rounds.load(Ordering::Relaxed) > 0);
    (0..2).for_each(|at| shared.site.stop(at));
    let verify = shared.site.command(&["store", "verify"], true);
    verify.unwrap_or_else(|said| panic!("{said}"));
}

pub(crate) fn f36_servers_that_start_at_once_on_an_empty_database_all_serve() {
    for _ in 0..3 {
        let database = block_on(Server::postgres().empty());
        let (place, _) = place(&database.url(), 0, "");
        let mut site = Site::new(PROGRAM, &place, 3);
        site.start_all(&Launch::default());
        let wire = Wire::new(&site.token());
        block_on(async {
            let url = |at: usize| format!("{}/file", site.url(at));
            assert_eq!(wire.put(&url(0), "content").await.unwrap().status, 202);
            for at in 0..3 {
                assert_eq!(&wire.ask("GET", &url(at)).await.unwrap().body[..], b"content");
            }
        });
        (0..3).for_each(|at| site.stop(at));
    }
}

/// Whoever finds nobody at one server asks the other, as a balancer does.
pub(crate) fn f38_servers_are_restarted_one_after_the_other_and_no_request_fails() {
    let mut shared = Shared::started(2, "");
    let (is_over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let urls = [shared.url(0, "/"), shared.url(1, "/")];
    let (token, content) = (shared.token.clone(), Random::new(1).bytes(SMALL));
    let work = async |who: usize| {
        let wire = if who.is_multiple_of(2) { Wire::new(&token) } else { Wire::over_one_connection(&token) };
        let mut at = who;
        while !is_over.load(Ordering::Relaxed) {
            let path = format!("{}{who}", urls[at % 2]);
            match wire.put(&path, content.clone()).await {
                Ok(answer) => {
                    assert_eq!((answer.status, answer.tag), (202, Some(sha256(&content))), "{path}");
                    let read = wire.ask("GET", &path).await;
                    assert!(
                        read.as_ref().map_or_else(|error| is_unserved(error), |read| read.status == 200),
                        "{read:?}"
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    assert!(is_unserved(&error), "{error:?}");
                    at += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    };
    block_on(async {
        let working = futures::future::join_all((0..6).map(work));
        let restarting = async {
            for at in [0, 1, 0, 1] {
                tokio::time::sleep(Duration::from_millis(300)).await;
                tokio::task::block_in_place(|| {
                    shared.site.stop(at);
                    shared.site.start(at, &Launch::default());
                });
            }
            is_over.store(true, Ordering::Relaxed);
        };
        futures::future::join(working, restarting).await;
    });
    println!("{} requests over four restarts", asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 0);
    shared.stop();
}
