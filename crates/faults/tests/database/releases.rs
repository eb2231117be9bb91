//! Two releases at work on one database, as they are while servers are exchanged one after the other.

use std::path::PathBuf;

use cacheroach_faults::upload::{begin, channel, commit, transfer};
use cacheroach_faults::{Launch, Random, Site, Wire};
use cacheroach_testing::Server;

use crate::deeds::{LARGE, SMALL};
use crate::{PROGRAM, Shared, block_on, place};

/// Names a program of the previous release.
pub(crate) const PREVIOUS: &str = "CACHEROACH_TEST_PREVIOUS";

/// The older server goes on while the newer one migrates and works beside it; what is begun on one is ended on the
/// other. Then the older one is exchanged, too, and all is there.
pub(crate) fn f35_the_previous_release_and_this_one_work_on_one_database() {
    let older = Launch { program: std::env::var_os(PREVIOUS).map(PathBuf::from), ..Launch::default() };
    let database = block_on(Server::postgres().empty());
    let (place, proxies) = place(&database.url(), 2, "");
    let mut site = Site::new(PROGRAM, &place, 2);
    site.start(0, &older);
    let token = site.token();
    let mut shared = Shared { site, proxies, wire: Wire::new(&token), token, database };
    let mut random = Random::new(Random::seed());
    let before = [SMALL, LARGE].map(|size| random.bytes(size));
    let upload = random.bytes(4 * LARGE);
    let (first, second) = upload.split_at(2 << 20);
    let begun = block_on(async {
        for (name, content) in ["small", "large"].iter().zip(&before) {
            assert_eq!(
                shared
                    .wire
                    .put(&shared.url(0, &format!("/before/{name}")), content.clone())
                    .await
                    .unwrap()
                    .status,
                202
            );
        }
        let begun = begin(channel(&shared.site.url(0)), &shared.token, "/upload").await.unwrap();
        transfer(channel(&shared.site.url(0)), &shared.token, begun, first).await.unwrap()
    });
    shared.site.start(1, &Launch::default());
    block_on(async {
        for round in 0..20 {
            for (writer, reader) in [(0, 1), (1, 0)] {
                let content = random.bytes(if round % 4 == 0 { LARGE } else { SMALL });
                let path = format!("/both/{}", round % 7);
                let (here, there) = (shared.url(writer, &path), shared.url(reader, &path));
                assert_eq!(shared.wire.put(&here, content.clone()).await.unwrap().status, 202, "{writer}");
                let read = shared.wire.ask("GET", &there).await.unwrap();
                assert!(read.status == 200 && read.body == content, "{path} by {reader}: {}", read.status);
            }
            let gone = shared.url(round % 2, "/both/0");
            assert_eq!(shared.wire.ask("DELETE", &gone).await.unwrap().status, 200);
            assert_eq!(
                shared.wire.ask("GET", &shared.url(1 - round % 2, "/both/0")).await.unwrap().status,
                404
            );
            assert_eq!(shared.wire.put(&gone, "again").await.unwrap().status, 202);
        }
        // Begun on the older one before there was a newer one.
        let state = transfer(channel(&shared.site.url(1)), &shared.token, begun, second).await.unwrap();
        commit(channel(&shared.site.url(0)), &shared.token, state).await.unwrap();
    });
    shared.site.stop(0);
    shared.site.start(0, &Launch::default());
    block_on(async {
        for at in [0, 1] {
            for (name, content) in ["small", "large"].iter().zip(&before) {
                let read = shared.wire.ask("GET", &shared.url(at, &format!("/before/{name}"))).await.unwrap();
                assert!(read.status == 200 && read.body == *content, "{name}");
            }
            let read = shared.wire.ask("GET", &shared.url(at, "/upload")).await.unwrap();
            assert!(read.status == 200 && read.body == upload);
        }
    });
    shared.stop();
}
