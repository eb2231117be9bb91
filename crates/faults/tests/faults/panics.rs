//! A panic inside one request.

use cacheroach_faults::{Launch, Wire};
use tonic::Code;
use tonic::transport::Channel;

use super::drain::list;
use super::{block_on, site};

#[test]
fn f10_a_panic_in_one_request_leaves_the_others_alone_and_the_drain_ends() {
    let mut site = site();
    let wire = Wire::new(&site.token());
    site.kill(0);
    // The third, and the sixth.
    site.start(0, &Launch::with("request.panic=2*off->1*panic->2*off->1*panic->off"));
    let url = format!("{}/", site.url(0));
    block_on(async {
        let mut answers = Vec::new();
        for _ in 0..8 {
            answers.push(wire.ask("GET", &url).await.map_or(0, |answer| answer.status));
        }
        let lost = answers.iter().filter(|status| **status != 200).count();
        assert_eq!(lost, 2, "{answers:?}");
        assert!(answers[6..] == [200, 200], "{answers:?}");
    });
    assert!(site.stderr(0).contains("panicked"), "it is in the log");
    // A counter that was never released would keep it waiting.
    site.stop(0);
}

/// Calls that share a connection with one that panics.
#[test]
fn f10_a_panic_in_one_call_leaves_others_of_its_connection_alone() {
    let mut site = site();
    let token = site.token();
    site.kill(0);
    site.start(0, &Launch::with("request.panic=5*off->1*panic->off"));
    block_on(async {
        let channel = Channel::from_shared(site.url(0)).unwrap().connect().await.unwrap();
        let calls = (0..20).map(|_| list(channel.clone(), &token));
        let answers = futures::future::join_all(calls).await;
        let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_ne!(failed[0].code(), Code::Ok);
        list(channel, &token).await.unwrap();
    });
    site.stop(0);
}
