//! Statements that fail, and connections that are cut around them.

use std::time::Duration;

use cacheroach_faults::proxy::{Act, Rule};

use crate::deeds::{Deed, Ledger};
use crate::{Shared, block_on};

/// Something happens to each statement of a deed in turn: it must be acknowledged all the same, or be refused for now. Tells
/// how many of how many were acknowledged.
async fn at_each_statement(shared: &Shared, deed: Deed, act: Act) -> (usize, usize) {
    let (proxy, mut ledger) = (&shared.proxies[0], Ledger::new(shared));
    proxy.clear();
    assert!(ledger.does(deed).await, "nothing happens");
    let statements = proxy.statements().len();
    assert!(statements > 0, "a deed without a statement");
    let mut acknowledged = 0;
    for nth in 0..statements {
        proxy.clear();
        proxy.add(Rule { skip: nth, ..Rule::once("", act) });
        acknowledged += usize::from(ledger.does(deed).await);
    }
    proxy.clear();
    ledger.check(&format!("{deed:?}, {act:?}")).await;
    (acknowledged, statements)
}

fn each_act_at_each_statement(acts: &[Act]) {
    let shared = Shared::started(1, "");
    block_on(async {
        for act in acts {
            for deed in Deed::ALL {
                let (done, all) = at_each_statement(&shared, deed, *act).await;
                println!("{deed:?}, {act:?}: {done} of {all} acknowledged");
                assert_eq!(done, all, "{deed:?}, {act:?}: one failure is nothing that a client should see");
            }
        }
    });
    shared.stop();
}

pub(crate) fn f11_a_connection_cut_at_any_statement_loses_and_doubles_nothing() {
    each_act_at_each_statement(&[Act::CutBefore, Act::CutIn, Act::CutAfter]);
}

pub(crate) fn f13_conflicts_at_any_statement_lose_and_double_nothing() {
    each_act_at_each_statement(&[Act::Fail("40001"), Act::Fail("40P01")]);
}

pub(crate) fn f12_the_outcome_of_a_commit_is_looked_up_never_guessed() {
    let shared = Shared::started(1, "");
    let proxy = &shared.proxies[0];
    block_on(async {
        let mut ledger = Ledger::new(&shared);
        // What takes one statement commits with it.
        let statement = |deed| if deed == Deed::Small { "INSERT INTO versions" } else { "COMMIT" };
        for deed in Deed::ALL {
            for act in [Act::CutAfter, Act::CutIn, Act::DoAndFail("40003"), Act::FailAndCut("57P01")] {
                if deed == Deed::Small && act == Act::DoAndFail("40003") {
                    // The proxy can't run a statement with values by itself.
                    continue;
                }
                proxy.clear();
                proxy.add(Rule { times: 2, ..Rule::once(statement(deed), act) });
                assert!(ledger.does(deed).await, "{deed:?}, {act:?}");
                assert!(proxy.hits() > 0, "{deed:?}, {act:?}: it never happened");
                proxy.clear();
                ledger.check(&format!("{deed:?}, {act:?}")).await;
            }
        }
    });
    shared.stop();
}

pub(crate) fn f13_conflicts_under_load_lose_and_double_nothing() {
    let shared = Shared::started(1, "");
    let proxy = &shared.proxies[0];
    for (percent, code) in [(1, "40001"), (10, "40P01"), (50, "40001")] {
        block_on(async {
            proxy.clear();
            proxy.add(Rule { percent, ..Rule::always("", Act::Fail(code)) });
            let mut ledger = Ledger::new(&shared);
            let others = (1..4).map(|number| busy(&shared, number));
            let (_, done) = futures::future::join(futures::future::join_all(others), async {
                let mut done = 0;
                for deed in Deed::ALL {
                    done += usize::from(ledger.does(deed).await);
                }
                done
            })
            .await;
            println!("{percent} % {code}: {done} of 4 acknowledged, {} failures", proxy.hits());
            assert!(done > 0, "{percent} % {code}");
            proxy.clear();
            ledger.check(code).await;
        });
    }
    shared.stop();
}

/// Others who write at the same time, to paths of their own and to one that all share.
async fn busy(shared: &Shared, number: usize) {
    for round in 0..5 {
        for path in [format!("/busy/{number}"), "/busy/all".into()] {
            let content = format!("{number} {round}");
            let answer = shared.wire.put(&shared.url(0, &path), content).await.unwrap();
            assert!(matches!(answer.status, 202 | 503), "{}", answer.status);
        }
    }
}

pub(crate) fn f15_what_the_database_says_decides_what_the_client_is_told() {
    const PUT: &str = "INSERT INTO versions";
    let shared = Shared::started(1, "");
    let (proxy, url) = (&shared.proxies[0], shared.url(0, "/file"));
    block_on(async {
        let put = async |rule: Rule| {
            proxy.clear();
            proxy.add(rule);
            let answer = shared.wire.put(&url, format!("{:?}", std::time::Instant::now())).await.unwrap();
            assert!(proxy.hits() > 0);
            (answer.status, answer.retry_after)
        };
        // What passes is not seen by a client.
        for act in [
            Act::FailAndCut("57P01"),
            Act::Fail("57P03"),
            Act::Fail("53300"),
            Act::Fail("25006"),
            Act::Fail("08006"),
            Act::Fail("40001"),
            Act::Fail("40P01"),
        ] {
            assert_eq!(put(Rule::once(PUT, act)).await.0, 202, "{act:?} once");
        }
        // What nothing is known of is an error, and not tried again.
        for (code, status) in [("ZZZZZ", 500), ("42501", 500), ("53100", 507), ("57014", 503)] {
            assert_eq!(put(Rule::always(PUT, Act::Fail(code))).await.0, status, "{code}");
            assert_eq!(proxy.hits(), 1, "{code}");
        }
        // What does not pass is tried for a while, and not for ever.
        for act in [Act::FailAndCut("57P01"), Act::Fail("53300")] {
            let begun = tokio::time::Instant::now();
            let (status, retry_after) = put(Rule::always(PUT, act)).await;
            assert_eq!((status, retry_after.is_some()), (503, true), "{act:?} always");
            assert!(begun.elapsed() < Duration::from_secs(20), "{act:?}: {:?}", begun.elapsed());
        }
        proxy.clear();
        assert_eq!(shared.wire.put(&url, "in the end").await.unwrap().status, 202);
        assert_eq!(&shared.wire.ask("GET", &url).await.unwrap().body[..], b"in the end");
    });
    shared.stop();
}

/// Content that is there already makes no rope of its own, whose key would refuse a second one.
pub(crate) fn f12_a_put_that_was_cut_off_while_it_waited_is_done_once() {
    let shared = Shared::started(1, "");
    let url = shared.url(0, "/file");
    block_on(async {
        assert_eq!(shared.wire.put(&shared.url(0, "/elsewhere"), "known").await.unwrap().status, 202);
        let mut client = shared.database.connect().await;
        for round in 1..=5 {
            // Whatever writes waits for the tenant's row.
            let lock = client.transaction().await.unwrap();
            lock.query("SELECT tenant FROM tenants FOR UPDATE", &[]).await.unwrap();
            shared.proxies[0].clear();
            shared.proxies[0].add(Rule::once("INSERT INTO versions", Act::CutIn));
            let put = shared.wire.put(&url, "known");
            let unlock = async {
                tokio::time::sleep(Duration::from_millis(300 * round)).await;
                lock.commit().await.unwrap();
            };
            let (put, ()) = futures::future::join(put, unlock).await;
            let put = put.unwrap();
            assert_eq!((put.status, put.version), (202, Some(i64::try_from(round).unwrap())));
            assert_eq!(shared.proxies[0].hits(), 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let read = shared.wire.ask("GET", &url).await.unwrap();
            assert_eq!(read.version, put.version, "round {round}");
        }
    });
    shared.stop();
}
