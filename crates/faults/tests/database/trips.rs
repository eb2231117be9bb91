//! How often the database is asked, and whom it tells.

use cacheroach_api::capabilities::Capabilities;
use cacheroach_api::principal;
use cacheroach_api::session::scope::Kind;
use cacheroach_api::session::{Location, Scope, Session};
use cacheroach_api::token::IssueRequest;
use cacheroach_api::token::tokens_client::TokensClient;
use cacheroach_faults::Random;
use cacheroach_faults::upload::{channel, scratchpad, with};

use crate::deeds::SMALL;
use crate::{Shared, block_on};

const MANY: usize = 40;
/// Of jobs, and of callers who are looked at again after four seconds.
const OTHERS: usize = 10;

pub(crate) fn a_small_get_takes_one_trip_to_the_database_and_so_does_a_small_put() {
    let shared = Shared::started(1, "");
    let contents: Vec<_> = (0..MANY).map(|seed| Random::new(seed as u64).bytes(SMALL)).collect();
    block_on(async {
        // Statements are prepared, and callers known.
        assert_eq!(shared.wire.put(&shared.url(0, "/first"), "content").await.unwrap().status, 202);
        assert_eq!(shared.wire.ask("GET", &shared.url(0, "/first")).await.unwrap().status, 200);
        for method in ["PUT", "GET"] {
            shared.proxies[0].clear();
            for (at, content) in contents.iter().enumerate() {
                let url = shared.url(0, &format!("/{at}"));
                if method == "PUT" {
                    assert_eq!(shared.wire.put(&url, content.clone()).await.unwrap().status, 202);
                } else {
                    assert_eq!(shared.wire.ask("GET", &url).await.unwrap().body, *content);
                }
            }
            let statements = shared.proxies[0].statements();
            assert!(statements.len() <= MANY + OTHERS, "{method}: {}: {statements:#?}", statements.len());
            assert!(statements.len() >= MANY, "{method}: it looks");
        }
    });
    shared.stop();
}

/// The principal of whoever comes without credentials.
fn nobody() -> principal::Id {
    principal::Id { data: vec![15; 16] }
}

/// Everybody may write below a path, from now on.
fn public(path: &str) -> Session {
    let location = Location { tenant_id: Some(scratchpad()), path: path.into(), ..Default::default() };
    Session {
        name: "a grant".into(),
        capabilities: Some(Capabilities { write: true, ..Default::default() }),
        principal_id: Some(nobody()),
        scope: Some(Scope { kind: Some(Kind::OnLocation(location)) }),
        ..Default::default()
    }
}

/// Whoever is remembered there would be refused by what is remembered.
pub(crate) fn what_is_granted_on_one_server_counts_at_once_on_another_that_hears_of_nothing() {
    let shared = Shared::started(2, "");
    shared.proxies.iter().for_each(|proxy| proxy.swallow_notifications(true));
    block_on(async {
        let anonymous = reqwest::Client::new();
        let put = async |path: &str| {
            let put = anonymous.put(shared.url(1, path)).body("content");
            put.send().await.unwrap().status().as_u16()
        };
        assert_eq!((put("/drop/a").await, put("/drop/a").await), (401, 401));
        let mut tokens = TokensClient::new(channel(&shared.site.url(0)));
        let request = IssueRequest { template: Some(public("/drop/*")) };
        tokens.issue(with(&shared.token, request)).await.unwrap();
        assert_eq!((put("/drop/a").await, put("/other").await), (202, 401));
    });
    shared.stop();
}
