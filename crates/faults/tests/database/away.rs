//! A database that is away, slow, or not to be heard of.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cacheroach_faults::proxy::{Act, Rule};
use cacheroach_faults::upload::channel;
use cacheroach_faults::{Launch, Random, Site, Wire};
use cacheroach_testing::process::{Options, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::deeds::LARGE;
use crate::{PROGRAM, Shared, block_on, place};

/// The longest that a call may take: a client's own patience is thirty seconds.
const BOUND: Duration = Duration::from_secs(25);

/// From the database's return to the first good answer.
const BACK: Duration = Duration::from_secs(2);

/// A server on a database that can be stopped.
fn restartable(durable: bool) -> (Process, Site, Wire) {
    let process = Process::start(&Options { durable, ..Options::default() }).unwrap();
    let (place, _) = place(&process.url("postgres"), 0, "");
    let mut site = Site::started(PROGRAM, &place, 1);
    let wire = Wire::new(&site.token());
    (process, site, wire)
}

pub(crate) fn f14_a_database_that_is_restarted_is_waited_for_and_found_again() {
    let (mut process, mut site, wire) = restartable(false);
    let url = |name: &str| format!("{}/{name}", site.url(0));
    block_on(async {
        assert_eq!(wire.put(&url("before"), "before").await.unwrap().status, 202);
        process.down().unwrap();
        let down = Instant::now();
        let calls = (0..8).map(async |number| {
            let begun = Instant::now();
            let asked = match number % 2 {
                0 => wire.ask("GET", &url("before")).await.unwrap(),
                _ => wire.put(&url(&format!("{number}")), "meanwhile").await.unwrap(),
            };
            assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
            (number, asked)
        });
        for (number, answer) in futures::future::join_all(calls).await {
            assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "call {number}");
        }
        let rest = Duration::from_secs(10).saturating_sub(down.elapsed());
        tokio::time::sleep(rest).await;
        process.up().unwrap();
        let back = Instant::now();
        let answer = wire.ask("GET", &url("before")).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"before"[..]));
        assert!(back.elapsed() < BACK, "back after {:?}", back.elapsed());
        assert_eq!(wire.put(&url("after"), "after").await.unwrap().status, 202);
        // One that is short is not even seen.
        let during = url("during");
        let waiting = wire.put(&during, "during");
        process.down().unwrap();
        let (answer, ()) = futures::future::join(waiting, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tokio::task::block_in_place(|| process.up().unwrap());
        })
        .await;
        assert_eq!(answer.unwrap().status, 202);
    });
    site.stop(0);
}

pub(crate) fn f14_a_database_that_crashed_has_all_that_was_acknowledged() {
    let (mut process, mut site, wire) = restartable(true);
    let is_over = AtomicBool::new(false);
    let url = |number: usize| format!("{}/{number}", site.url(0));
    block_on(async {
        let write = async {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let content = Random::new(number as u64).bytes(if number % 4 == 0 { LARGE } else { 100 });
                let answer = wire.put(&url(number), content.clone()).await.unwrap();
                assert!(matches!(answer.status, 202 | 503), "{}", answer.status);
                if answer.status == 202 {
                    acknowledged.push((number, content));
                }
            }
            acknowledged
        };
        let crash = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(700)).await;
                tokio::task::block_in_place(|| process.crash().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            is_over.store(true, Ordering::Relaxed);
        };
        let (acknowledged, ()) = futures::future::join(write, crash).await;
        println!("{} acknowledged over three crashes", acknowledged.len());
        assert!(acknowledged.len() > 3);
        for (number, content) in acknowledged {
            assert!(wire.ask("GET", &url(number)).await.unwrap().body == content, "{number}");
        }
    });
    site.stop(0);
}

/// What a balancer is told.
async fn is_ready(url: &str) -> bool {
    let mut health = HealthClient::new(channel(url));
    let asked = health.check(HealthCheckRequest::default());
    let answer = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("health always answers");
    answer.unwrap().into_inner().status() == ServingStatus::Serving
}

async fn until_ready(url: &str, wanted: bool) -> Duration {
    let begun = Instant::now();
    while is_ready(url).await != wanted {
        assert!(begun.elapsed() < Duration::from_secs(15), "never told to be ready: {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    begun.elapsed()
}

pub(crate) fn f16_a_slow_database_has_a_queue_with_an_end() {
    const CALLS: usize = 300;
    let shared = Shared::started(1, "pool_max_conns=2");
    let url = shared.url(0, "/file");
    block_on(async {
        assert_eq!(shared.wire.put(&url, "content").await.unwrap().status, 202);
        shared.proxies[0].add(Rule::always("", Act::Delay(Duration::from_millis(500))));
        let calls = (0..CALLS).map(|_| async {
            let begun = Instant::now();
            let answer = shared.wire.put(&url, format!("{begun:?}")).await.unwrap();
            (answer.status, answer.retry_after.is_some(), begun.elapsed())
        });
        let watch = async {
            for _ in 0..10 {
                assert!(is_ready(&shared.site.url(0)).await, "slow is not away");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let (answers, ()) = futures::future::join(futures::future::join_all(calls), watch).await;
        let done = answers.iter().filter(|(status, ..)| *status == 202).count();
        let refused: Vec<_> = answers.iter().filter(|(status, ..)| *status == 503).collect();
        let quick = refused.iter().filter(|(.., length)| *length < Duration::from_secs(3)).count();
        println!("{done} of {CALLS} done, {} refused, {quick} of them at once", refused.len());
        assert_eq!(done + refused.len(), CALLS);
        assert!(done > 0 && quick > 0);
        assert!(answers.iter().all(|(.., length)| *length < BOUND));
        assert!(refused.iter().all(|(_, says_when, _)| *says_when), "Retry-After");
        shared.proxies[0].clear();
        assert_eq!(shared.wire.put(&url, "quick again").await.unwrap().status, 202);
    });
    shared.stop();
}

/// With a single connection: if anybody held it while waiting for a client, nobody else would be served.
pub(crate) fn f16_no_connection_is_held_while_a_client_is_slow() {
    let shared = Shared::started(1, "pool_max_conns=1");
    block_on(async {
        let (content, address) = (Random::new(1).bytes(8 << 20), shared.site.address(0));
        let large = shared.url(0, "/large");
        assert_eq!(shared.wire.put(&large, content.clone()).await.unwrap().status, 202);
        let token = &shared.token;
        let mut slow = Vec::new();
        for number in 0..4 {
            let mut reader = TcpStream::connect(&address).await.unwrap();
            let get = format!("GET /large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
            reader.write_all(get.as_bytes()).await.unwrap();
            let mut begun = vec![0; 1000];
            let length = reader.read(&mut begun).await.unwrap();
            let begun = String::from_utf8_lossy(&begun[..length]);
            assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
            let mut writer = TcpStream::connect(&address).await.unwrap();
            let put = format!(
                "PUT /slow/{number} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            writer.write_all(put.as_bytes()).await.unwrap();
            writer.write_all(&content[..3 << 20]).await.unwrap();
            slow.extend([reader, writer]);
        }
        let client = shared.database.connect().await;
        for _ in 0..5 {
            let begun = Instant::now();
            assert_eq!(shared.wire.put(&shared.url(0, "/quick"), "x").await.unwrap().status, 202);
            assert_eq!(shared.wire.ask("GET", &large).await.unwrap().status, 200);
            println!("served in {:?} beside {} slow clients", begun.elapsed(), slow.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
            let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - INTERVAL '100 ms'";
            assert_eq!(client.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
        }
    });
    shared.stop();
}

pub(crate) fn f37_a_database_that_is_not_heard_of_makes_the_server_unready_until_it_is() {
    let mut shared = Shared::started(1, "");
    let (url, site) = (shared.url(0, "/file"), shared.site.url(0));
    block_on(async {
        assert_eq!(shared.wire.put(&url, "before").await.unwrap().status, 202);
        assert!(is_ready(&site).await);
        shared.proxies[0].black_hole(true);
        let began = Instant::now();
        println!("not ready after {:?}", until_ready(&site, false).await);
        // All the time of it, each call ends by itself.
        while began.elapsed() < Duration::from_secs(60) {
            let begun = Instant::now();
            let (read, written) =
                futures::future::join(shared.wire.ask("GET", &url), shared.wire.put(&url, "meanwhile")).await;
            for answer in [read.unwrap(), written.unwrap()] {
                assert_eq!((answer.status, answer.retry_after.is_some()), (503, true));
            }
            println!("refused after {:?}", begun.elapsed());
            assert!(begun.elapsed() < BOUND);
            assert!(!is_ready(&site).await);
        }
        shared.proxies[0].black_hole(false);
        println!("ready after {:?}", until_ready(&site, true).await);
        let answer = shared.wire.ask("GET", &url).await.unwrap();
        // Nobody was told of the others; each may have come to be, late.
        assert!(matches!(&answer.body[..], b"before" | b"meanwhile"), "{:?}", answer.body);
        assert_eq!(shared.wire.put(&url, "after").await.unwrap().status, 202);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(&shared.wire.ask("GET", &url).await.unwrap().body[..], b"after");
    });
    // A server that starts while it is so says why it does not.
    shared.site.kill(0);
    shared.proxies[0].black_hole(true);
    let begun = Instant::now();
    let ended = shared.site.try_start(0, &Launch::default()).unwrap_err();
    assert!(!ended.success() && begun.elapsed() < Duration::from_secs(28), "{:?}", begun.elapsed());
    println!("a start gave up after {:?}: {}", begun.elapsed(), shared.site.stderr(0).trim());
    shared.proxies[0].black_hole(false);
    shared.site.start(0, &Launch::default());
    shared.stop();
}
