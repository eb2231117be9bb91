//! Disks that are full, and file descriptors that run out, under a real server.

use std::time::Duration;

use cacheroach_faults::{Launch, Place, Random, Site, Wire};
use tokio::net::TcpStream;

use super::{PROGRAM, block_on, site};

/// Packs are torn, and cut behind the server's back: what is damaged is never taken for data, and the same content heals it
/// for new paths once it is written anew.
#[test]
fn f05_a_torn_pack_is_an_error_and_never_other_bytes() {
    let mut site = site();
    let wire = Wire::new(&site.token());
    let content = Random::new(1).bytes(300_000);
    block_on(async {
        let url = format!("{}/file", site.url(0));
        assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202);
        site.kill(0);
        for entry in std::fs::read_dir(site.store().join("chunks")).unwrap().map(Result::unwrap) {
            let length = entry.metadata().unwrap().len();
            std::fs::File::options().write(true).open(entry.path()).unwrap().set_len(length / 2).unwrap();
        }
        site.start(0, &Launch::default());
        let answer = wire.ask("GET", &url).await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 500));
        // All else goes on.
        let other = format!("{}/other", site.url(0));
        let more = Random::new(2).bytes(300_000);
        assert_eq!(wire.put(&other, more.clone()).await.unwrap().status, 202);
        assert!(wire.ask("GET", &other).await.unwrap().body == more);
    });
    site.stop(0);
}

/// A file may not grow beyond a bound here: another failure of a write than a full disk, but as real.
#[test]
fn f07_a_write_that_fails_is_not_acknowledged_and_reads_go_on() {
    let mut site = Site::started(PROGRAM, &Place::sqlite(), 1);
    let wire = Wire::new(&site.token());
    block_on(async {
        let url = |name: &str| format!("{}/{name}", site.url(0));
        let before = Random::new(1).bytes(300_000);
        assert_eq!(wire.put(&url("before"), before.clone()).await.unwrap().status, 202);
    });
    site.stop(0);
    site.start(0, &Launch { before: "trap '' XFSZ; ulimit -f 4096;".into(), ..Launch::default() });
    let (mut kept, mut refused) = (Vec::new(), 0);
    block_on(async {
        for number in 0..16 {
            let (url, content) =
                (format!("{}/{number}", site.url(0)), Random::new(10 + number).bytes(1_500_000));
            match wire.put(&url, content.clone()).await.unwrap().status {
                202 => kept.push((url, content)),
                500 | 507 => refused += 1,
                status => panic!("{status}"),
            }
            let read = wire.ask("GET", &format!("{}/before", site.url(0))).await.unwrap();
            assert_eq!((read.status, read.body.len()), (200, 300_000), "reads go on");
        }
        assert!(refused > 0, "the bound was met");
    });
    site.kill(0);
    site.start(0, &Launch::default());
    block_on(async {
        for (url, content) in &kept {
            assert!(wire.ask("GET", url).await.unwrap().body == *content, "{url} was acknowledged");
        }
        let (url, content) = (format!("{}/after", site.url(0)), Random::new(5).bytes(1_500_000));
        assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202, "there is room again");
        assert!(wire.ask("GET", &url).await.unwrap().body == content);
    });
    site.stop(0);
}

#[test]
fn f09_a_server_without_file_descriptors_serves_again_when_there_are_some() {
    let mut site = Site::new(PROGRAM, &Place::sqlite(), 1);
    site.start(0, &Launch { before: "ulimit -n 100;".into(), ..Launch::default() });
    let token = site.token();
    let wire = Wire::over_one_connection(&token);
    let content = Random::new(1).bytes(300_000);
    block_on(async {
        let url = format!("{}/file", site.url(0));
        assert_eq!(wire.put(&url, content.clone()).await.unwrap().status, 202);
        let mut idle = Vec::new();
        for _ in 0..150 {
            idle.push(TcpStream::connect(site.address(0)).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Over the connection that is there already.
        for _ in 0..5 {
            let answer = wire.ask("GET", &url).await.unwrap();
            assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
            let answer = wire.put(&url, content.clone()).await.unwrap();
            assert!(matches!(answer.status, 202 | 503), "{}", answer.status);
        }
        drop(idle);
        let fresh = Wire::new(&token);
        assert_eq!(fresh.ask("GET", &url).await.unwrap().status, 200, "a new connection");
        assert!(wire.ask("GET", &url).await.unwrap().body == content);
    });
    assert!(site.stderr(0).contains("cannot accept"), "the bound was met: {}", site.stderr(0));
    site.stop(0);
}
