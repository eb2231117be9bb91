//! A start on CockroachDB, and what comes over its changefeed, as far as that can be played.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cacheroach_model::{PrincipalId, Region, SessionId, TenantId};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span;

use super::super::changes::{Listening, dial};
use super::super::lint::lacking;
use super::super::{Dialect, Postgres};
use super::{Part, Played, Script, code};
use crate::changes::{Change, Listener, News};

const MOMENT: Duration = Duration::from_secs(30);

const ID: [u8; 16] = [0xab; 16];

/// As a changefeed writes it.
fn id() -> String {
    format!(r#""\\x{}""#, "ab".repeat(16))
}

#[tokio::test]
async fn a_start_says_what_cockroachdb_understands_one_schema_change_at_a_time() {
    let script = Script { region: Some("eu-west-1"), ..Script::default() };
    *script.contended.lock().unwrap() = vec![
        "CREATE TABLE IF NOT EXISTS migration_lease",
        "CREATE TABLE IF NOT EXISTS ropes",
        "INSERT INTO migrations",
    ];
    let played = Played::start(script).await;
    let store = Postgres::open(&played.connect, None, None).await.unwrap();
    assert_eq!(store.dialect, Dialect::Cockroach);
    assert_eq!(store.region, Region::parse("eu-west-1").unwrap());
    let said = played.said();
    for statement in said.iter().filter(|statement| !statement.starts_with("EXPERIMENTAL")) {
        assert_eq!(lacking(statement), Vec::<&str>::new(), "{statement}");
        assert!(!statement.contains("BEGIN"), "{statement}");
        assert!(code(statement).matches(';').count() <= 1, "{statement}");
    }
    let times = |words: &str| said.iter().filter(|statement| statement.contains(words)).count();
    assert_eq!(times("CREATE TABLE IF NOT EXISTS ropes"), 2, "the first time others were in the way");
    assert_eq!(times("CREATE TABLE IF NOT EXISTS identity"), 1, "the last file");
    assert_eq!(times("STORAGE"), 0, "what is for PostgreSQL alone");
}

#[tokio::test]
async fn a_server_that_was_told_its_region_does_not_ask() {
    let played = Played::start(Script { region: Some("eu"), ..Script::default() }).await;
    let store = Postgres::open(&played.connect, Region::parse("moon").unwrap(), None).await.unwrap();
    assert_eq!(store.region.as_str(), "moon");
    assert!(played.said().iter().all(|statement| !statement.contains("locality")));
    let again = Postgres::open(&Played::start(Script::default()).await.connect, None, None).await.unwrap();
    assert_eq!(again.region.as_str(), "global", "its node is nowhere");
}

/// Follows the changefeeds of a script.
async fn follow(feeds: Vec<Vec<Part>>) -> (Played, Listening, Listener) {
    let script = Script::default();
    *script.feeds.lock().unwrap() = feeds.into();
    let played = Played::start(script).await;
    let news = Arc::new(News::default());
    let listener = news.listen();
    let line = dial(played.connect.config.clone(), played.connect.tls.clone());
    (played, Listening::start(line, Dialect::Cockroach, news), listener)
}

#[tokio::test]
async fn p10_a_changefeed_is_told_row_by_row_and_taken_up_again_when_it_ends() {
    let heard = Arc::new(Notify::new());
    let first = vec![
        Part::Resolved,
        Part::Row("sessions", format!(r#"["eu-west-1", {}]"#, id()), Some(r#"{"note": "x"}"#)),
        Part::Row("vhosts", r#"["a.example"]"#.into(), None),
        Part::Resolved,
        Part::Row("tenants", format!("[{}]", id()), None),
        Part::CutAfter(Arc::clone(&heard)),
    ];
    let second = vec![Part::Resolved, Part::Fails("40001", "restart transaction")];
    // It does not end: what comes of it is told all the same.
    let third = vec![Part::Row("principals", format!(r#"["local", {}]"#, id()), None)];
    let (played, _listening, mut listener) = follow(vec![first, second, third]).await;
    for change in [
        Change::Everything,
        Change::Session(SessionId::new(ID)),
        Change::Vhosts,
        Change::Tenant(TenantId::new(ID)),
        Change::Everything,
        Change::Everything,
        Change::Principal(PrincipalId::new(ID)),
    ] {
        assert_eq!(timeout(MOMENT, listener.next()).await.unwrap(), change);
        if change == Change::Tenant(TenantId::new(ID)) {
            heard.notify_one();
        }
    }
    let feed = "EXPERIMENTAL CHANGEFEED FOR sessions, principals, vhosts, tenants \
                WITH resolved = '1s', cursor = '1700000000000000000.0000000003'";
    assert_eq!(played.said().iter().filter(|statement| *statement == feed).count(), 3);
}

/// Keeps the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

#[tokio::test]
async fn p10_without_changefeeds_it_is_said_once_how_changes_are_seen_and_how_to_mend_it() {
    let warnings = Warnings::default();
    let _here = tracing::subscriber::set_default(warnings.clone());
    let off =
        || vec![Part::Fails("XXUUU", "rangefeeds require the kv.rangefeed.enabled setting. See the docs")];
    // Somebody turns them on in the end.
    let (_played, _listening, mut listener) =
        follow(vec![off(), off(), off(), vec![Part::Resolved, Part::Row("vhosts", "[]".into(), None)]]).await;
    // A feed that is refused is one that is asked for, so nothing is known.
    while timeout(MOMENT, listener.next()).await.unwrap() != Change::Vhosts {}
    let said = warnings.0.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("only seen by looking every few seconds"), "{said:?}");
    assert!(said[0].contains("SET CLUSTER SETTING kv.rangefeed.enabled = true"), "{said:?}");
}
