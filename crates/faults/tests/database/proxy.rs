//! The proxy by itself: what it does is what a client sees.

use std::time::Duration;

use cacheroach_faults::Proxy;
use cacheroach_faults::proxy::{Act, Rule};
use cacheroach_testing::Server;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls};

use crate::block_on;

const MOMENT: Duration = Duration::from_millis(300);

fn code(error: &Error) -> &str {
    error.code().map_or("none", SqlState::code)
}

/// A connection, and the notifications it gets.
async fn connect(way: &str) -> Result<(Client, UnboundedReceiver<String>), Error> {
    let (client, mut connection) = tokio_postgres::connect(way, NoTls).await?;
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(one) = message {
                let _ = tell.send(one.payload().to_owned());
            }
        }
    });
    Ok((client, told))
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT COUNT(*) FROM trial", &[]).await.unwrap().get(0)
}

pub(crate) fn what_the_proxy_does_is_what_a_client_sees() {
    block_on(async {
        let database = Server::postgres().empty().await;
        let (proxy, way) = Proxy::before(&database.url());
        each_act(&proxy, &way).await;
    });
}

async fn each_act(proxy: &Proxy, way: &str) {
    let (mut client, mut told) = connect(way).await.unwrap();
    client
        .batch_execute("DROP TABLE IF EXISTS trial; CREATE TABLE trial (n INT); LISTEN news")
        .await
        .unwrap();
    let insert = client.prepare("INSERT INTO trial VALUES ($1)").await.unwrap();

    // A statement by itself fails, and the connection goes on.
    proxy.add(Rule::once("INSERT INTO trial", Act::Fail("40001")));
    let failed = client.execute(&insert, &[&1]).await.unwrap_err();
    assert_eq!(code(&failed), "40001");
    assert_eq!((client.execute(&insert, &[&1]).await.unwrap(), count(&client).await), (1, 1));

    // In a transaction it takes that with it, as a real failure does.
    proxy.clear();
    proxy.add(Rule { skip: 1, ..Rule::once("INSERT INTO trial", Act::Fail("40P01")) });
    let transaction = client.transaction().await.unwrap();
    transaction.execute(&insert, &[&2]).await.unwrap();
    assert_eq!(code(&transaction.execute(&insert, &[&3]).await.unwrap_err()), "40P01");
    assert_eq!(code(&transaction.execute(&insert, &[&4]).await.unwrap_err()), "25P02");
    transaction.rollback().await.unwrap();
    assert_eq!(count(&client).await, 1);

    // A COMMIT that fails is none; one whose outcome is open may be one.
    for (act, after) in [(Act::Fail("40001"), 1), (Act::DoAndFail("40003"), 2)] {
        proxy.clear();
        proxy.add(Rule::once("COMMIT", act));
        let transaction = client.transaction().await.unwrap();
        transaction.execute(&insert, &[&5]).await.unwrap();
        let failed = transaction.commit().await.unwrap_err();
        assert!(code(&failed) == "40001" || after == 2 && code(&failed) == "40003", "{failed:?}");
        assert_eq!(count(&client).await, after, "{act:?}");
    }

    // Cut before it arrives, when it has, and when it is done.
    for (act, more) in [(Act::CutBefore, 0..=0), (Act::CutIn, 0..=1), (Act::CutAfter, 1..=1)] {
        proxy.clear();
        let before = count(&client).await;
        proxy.add(Rule::once("COMMIT", act));
        let transaction = client.transaction().await.unwrap();
        transaction.execute("INSERT INTO trial VALUES (6)", &[]).await.unwrap();
        assert!(transaction.commit().await.unwrap_err().is_closed(), "{act:?}");
        (client, told) = connect(way).await.unwrap();
        client.batch_execute("LISTEN news").await.unwrap();
        tokio::time::sleep(MOMENT).await;
        assert!(more.contains(&(count(&client).await - before)), "{act:?}");
    }

    // Waiting, and silence.
    proxy.clear();
    proxy.add(Rule::once("SELECT 1", Act::Delay(MOMENT)));
    assert!(tokio::time::timeout(MOMENT / 2, client.query("SELECT 1", &[])).await.is_err());
    proxy.black_hole(true);
    let silent = tokio::time::timeout(MOMENT, client.query("SELECT 2", &[]));
    assert!(silent.await.is_err());
    assert!(tokio::time::timeout(MOMENT, connect(way)).await.is_err());
    proxy.black_hole(false);
    client.query("SELECT 3", &[]).await.unwrap();

    // Notifications come, or don't.
    client.batch_execute("NOTIFY news, 'one'").await.unwrap();
    assert_eq!(told.recv().await.as_deref(), Some("one"));
    proxy.swallow_notifications(true);
    client.batch_execute("NOTIFY news, 'two'").await.unwrap();
    proxy.swallow_notifications(false);
    client.batch_execute("NOTIFY news, 'three'").await.unwrap();
    assert_eq!(told.recv().await.as_deref(), Some("three"));

    // As a server that is told to stop does it, and one that is down.
    proxy.add(Rule::once("SELECT 4", Act::FailAndCut("57P01")));
    assert_eq!(code(&client.query("SELECT 4", &[]).await.unwrap_err()), "57P01");
    tokio::time::sleep(MOMENT).await;
    assert!(client.is_closed());
    proxy.down(true);
    assert!(connect(way).await.is_err());
    proxy.down(false);
    let (client, _) = connect(way).await.unwrap();
    client.batch_execute("DROP TABLE trial").await.unwrap();
}
