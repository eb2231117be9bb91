//! Clocks that are wrong: they jump forth and back, by minutes and by a day.

use std::time::Duration;

use cacheroach_model::Capabilities;

use crate::support::{DAY, HOUR, Server, on_tenant};

const MINUTES: Duration = Duration::from_secs(600);

#[tokio::test]
async fn f23_versions_grow_and_the_last_write_is_read_however_the_clock_jumps() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.vhost("x.example", tenant).await;
    let both = Capabilities::READ | Capabilities::WRITE;
    // It outlives the jumps; a clock that is a day ahead ends sessions a day early, and that is all.
    let token = server.issue(&on_tenant(principal, both, tenant, "/*").living(10 * DAY)).await;
    let authorization = format!("Bearer {token}");
    let headers = [("host", "x.example"), ("authorization", authorization.as_str())];
    // Before all jumps back: a token from the future is none.
    server.advance(3 * DAY);
    let mut version = 0;
    for (at, jump) in [MINUTES, DAY, HOUR].into_iter().enumerate() {
        for back in [false, true] {
            if back {
                server.set_back(2 * jump);
            } else {
                server.advance(jump);
            }
            let content = format!("{at} {back}");
            let put = server.http("PUT", "/a", &headers, content.clone()).await;
            assert_eq!(put.status, 202, "{content}");
            let written: i64 = put.header("x-cacheroach-version").parse().unwrap();
            assert!(written > version, "{written} after {version}");
            version = written;
            let got = server.http("GET", "/a", &headers, "").await;
            assert_eq!((got.status.as_u16(), got.text()), (200, content.as_str()));
            // A content of several chunks begins, goes on and ends at other times.
            let large = "x".repeat(700_000) + &content;
            assert_eq!(server.http("PUT", "/b", &headers, large.clone()).await.status, 202);
            assert_eq!(server.http("GET", "/b", &headers, "").await.text(), large);
            if back {
                server.advance(jump);
            }
        }
    }
    assert_eq!(server.http("DELETE", "/a", &headers, "").await.status, 200);
    server.set_back(DAY);
    assert_eq!(server.http("GET", "/a", &headers, "").await.status, 404, "deleted, whatever the time");
    let put = server.http("PUT", "/a", &headers, "again").await;
    assert!(put.header("x-cacheroach-version").parse::<i64>().unwrap() > version);
}

#[tokio::test]
async fn f23_a_session_is_good_for_no_longer_than_its_leeway_however_the_clock_jumps() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.vhost("x.example", tenant).await;
    let both = Capabilities::READ | Capabilities::WRITE;
    let token = server.issue(&on_tenant(principal, both, tenant, "/*").living(HOUR)).await;
    let authorization = format!("Bearer {token}");
    let headers = [("host", "x.example"), ("authorization", authorization.as_str())];
    let status = async || server.http("PUT", "/a", &headers, "x").await.status.as_u16();
    assert_eq!(status().await, 202);
    server.advance(DAY);
    assert_eq!(status().await, 401, "over by the clock of this server");
    server.set_back(DAY);
    assert_eq!(status().await, 202);
    // Issued by a server whose clock is ahead: not before that time has come.
    server.set_back(DAY);
    assert_eq!(status().await, 401, "from the future");
}
