//! How often the database is asked, and whom it tells.

use cacheroach_api::capabilities::Capabilities;
use cacheroach_api::principal::principals_client::PrincipalsClient;
use cacheroach_api::principal::{self, EnsureRequest, Principal};
use cacheroach_api::session::scope::Kind;
use cacheroach_api::session::{Location, Scope, Session};
use cacheroach_api::token::IssueRequest;
use cacheroach_api::token::tokens_client::TokensClient;
use cacheroach_faults::upload::{begin, channel, scratchpad, transfer, with};
use cacheroach_faults::{Random, Wire};

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

/// Of one chunk, in a row of its own.
const LARGER: usize = 300 << 10;

pub(crate) fn the_first_get_of_a_larger_file_takes_one_trip_and_a_head_brings_no_chunk() {
    let shared = Shared::started(1, "");
    let contents: Vec<_> = (0..=MANY).map(|seed| Random::new(seed as u64).bytes(LARGER)).collect();
    block_on(async {
        for (at, content) in contents.iter().enumerate() {
            let url = shared.url(0, &format!("/{at}.txt"));
            assert_eq!(shared.wire.put(&url, content.clone()).await.unwrap().status, 202);
        }
        let get = async |method: &str, at: usize| {
            let answer = shared.wire.ask(method, &shared.url(0, &format!("/{at}.txt"))).await.unwrap();
            assert_eq!(answer.status, 200);
            answer.body
        };
        // Statements are prepared, and callers known.
        get("HEAD", MANY).await;
        get("GET", MANY).await;
        for method in ["HEAD", "GET"] {
            shared.proxies[0].clear();
            for (at, content) in contents.iter().take(MANY).enumerate() {
                let body = get(method, at).await;
                assert!(method == "HEAD" || body == *content);
            }
            let statements = shared.proxies[0].statements();
            assert!(statements.len() <= MANY + OTHERS, "{method}: {}: {statements:#?}", statements.len());
            let with_chunks = statements.iter().filter(|sql| sql.contains("JOIN chunk_data")).count();
            assert_eq!(with_chunks, if method == "GET" { MANY } else { 0 }, "{method}");
        }
    });
    shared.stop();
}

/// A session of a principal on this, as long as the superuser's.
async fn issue(shared: &Shared, principal: &principal::Id, kind: Kind, capabilities: Capabilities) -> String {
    let mut tokens = TokensClient::new(channel(&shared.site.url(0)));
    let mine = tokens.current(with(&shared.token, ())).await.unwrap().into_inner();
    let template = Session {
        capabilities: Some(capabilities),
        principal_id: Some(principal.clone()),
        scope: Some(Scope { kind: Some(kind) }),
        expires_at: mine.expires_at,
        ..Default::default()
    };
    let request = IssueRequest { template: Some(template) };
    tokens.issue(with(&shared.token, request)).await.unwrap().into_inner().token.unwrap().jwt
}

/// Whoever is remembered there would be refused by what is remembered.
pub(crate) fn what_is_granted_on_one_server_counts_at_once_on_another_that_hears_of_nothing() {
    let shared = Shared::started(2, "");
    shared.proxies.iter().for_each(|proxy| proxy.swallow_notifications(true));
    block_on(async {
        let mut principals = PrincipalsClient::new(channel(&shared.site.url(0)));
        let new = Principal { label: "somebody".into(), ..Default::default() };
        let request = EnsureRequest { principal: Some(new), delete: false };
        let made = principals.ensure(with(&shared.token, request)).await.unwrap().into_inner();
        let somebody = made.principal.unwrap().id.unwrap();
        let all = Capabilities { read: true, write: true, delegate: true, ..Default::default() };
        let token = issue(&shared, &somebody, Kind::OnPrincipal(somebody.clone()), all).await;
        let wire = Wire::new(&token);
        let put = async |path: &str| wire.put(&shared.url(1, path), "content").await.unwrap().status;
        assert_eq!((put("/drop/a").await, put("/drop/a").await), (403, 403));
        let location = Location { tenant_id: Some(scratchpad()), path: "/drop/*".into(), version: 0 };
        let write = Capabilities { write: true, ..Default::default() };
        issue(&shared, &somebody, Kind::OnLocation(location), write).await;
        // What is asked for inside is asked there, too.
        let begun = begin(channel(&shared.site.url(0)), &token, "/drop/b").await.unwrap();
        transfer(channel(&shared.site.url(1)), &token, begun, b"content").await.unwrap();
        assert_eq!((put("/drop/a").await, put("/other").await), (202, 403));
    });
    shared.stop();
}
