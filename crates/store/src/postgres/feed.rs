//! How servers on CockroachDB hear of each other's changes: a changefeed, which is a statement that answers a row for each
//! change, as it comes, until its connection is closed. It needs `kv.rangefeed.enabled`.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::changes::{Line, SILENCE, failed, silent};
use crate::changes::{Change, News};
use crate::{Error, Result};

/// Links are not among them: each use of one would be told. That one was taken back is seen by looking.
const TABLES: &str = "sessions, principals, vhosts, tenants";

/// After which silence there is nobody there any more. Something comes each second; before the first word the database
/// closes a moment, which takes it some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows a changefeed, until it fails.
pub(super) async fn follow((client, messages): Line, news: &News, heard: &mut bool) -> Result<()> {
    let pump = messages.try_for_each(|_| std::future::ready(Ok(())));
    let read = async {
        // A limit that the connect string or a role has would end it again and again.
        let unlimited = timeout(SILENCE, client.batch_execute("SET statement_timeout = 0")).await;
        unlimited.map_err(|_| silent())?.map_err(failed)?;
        let now = timeout(SILENCE, client.query_one("SELECT cluster_logical_timestamp()::STRING", &[])).await;
        let cursor: String = now.map_err(|_| silent())?.and_then(|row| row.try_get(0)).map_err(failed)?;
        // It is part of the statement: a changefeed takes no values.
        if !cursor.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
            return Err(Error::Failed("the database's time is no number".into()));
        }
        let feed = format!("EXPERIMENTAL CHANGEFEED FOR {TABLES} WITH resolved = '1s', cursor = '{cursor}'");
        let nothing: [&(dyn ToSql + Sync); 0] = [];
        let rows = timeout(PATIENCE, client.query_raw(&feed, nothing)).await;
        let mut rows = Box::pin(rows.map_err(|_| silent())?.map_err(failed)?);
        // What was changed before the cursor was not told.
        news.tell(Change::Everything);
        loop {
            let row = timeout(PATIENCE, rows.next()).await.map_err(|_| silent())?;
            let row = row.ok_or_else(|| Error::Busy("the changefeed ended".into()))?.map_err(failed)?;
            *heard = true;
            told(&row).into_iter().for_each(|change| news.tell(change));
        }
    };
    tokio::select! {
        ended = pump => ended.map_err(failed),
        never = read => never,
    }
}

/// What a row tells: its table and its key, and what became of it, which is not looked at. A row without a table only says
/// that all before a time has come.
fn told(row: &Row) -> Option<Change> {
    match (row.try_get::<_, Option<&str>>(0), row.try_get::<_, Option<&[u8]>>(1)) {
        (Ok(None), _) => None,
        (Ok(Some(table)), Ok(key)) => Some(changed(table, key.unwrap_or_default())),
        _ => Some(Change::Everything),
    }
}

/// From a table and a key in JSON: an array, whose last element is the id, whatever region comes before it.
fn changed(table: &str, key: &[u8]) -> Change {
    let id = || {
        let key: Value = serde_json::from_slice(key).ok()?;
        bytes(key.as_array()?.last()?.as_str()?)
    };
    let understood = match table {
        "vhosts" => Some(Change::Vhosts),
        "sessions" => id().map(|id| Change::Session(cacheroach_model::SessionId::new(id))),
        "principals" => id().map(|id| Change::Principal(cacheroach_model::PrincipalId::new(id))),
        "tenants" => id().map(|id| Change::Tenant(cacheroach_model::TenantId::new(id))),
        _ => None,
    };
    understood.unwrap_or(Change::Everything)
}

/// An id as changefeeds write bytes: `\x` and hexadecimal digits.
fn bytes(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("\\x").filter(|digits| digits.len() == 32 && digits.is_ascii())?;
    let mut id = [0; 16];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use cacheroach_model::{SessionId, TenantId};

    use super::*;

    #[test]
    fn rows_of_a_changefeed_are_understood() {
        let id = "\\\\x0102030405060708090a0b0c0d0e0f10";
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        let of = |table: &str, key: String| changed(table, key.as_bytes());
        assert_eq!(of("sessions", format!("[\"eu\", \"{id}\"]")), Change::Session(SessionId::new(bytes)));
        assert_eq!(of("tenants", format!("[\"{id}\"]")), Change::Tenant(TenantId::new(bytes)));
        assert_eq!(of("vhosts", "[\"example.org\"]".into()), Change::Vhosts);
    }

    #[test]
    fn f26_a_row_that_is_not_understood_is_everything() {
        for key in [
            "",
            "[]",
            "{}",
            "[1]",
            "[\"x\"]",
            "[\"\\\\x01\"]",
            "[\"\\\\xéééééééééééééééé\"]",
            "[\"\\\\x+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"]",
        ] {
            let told = changed("sessions", key.as_bytes());
            assert!(matches!(told, Change::Everything | Change::Session(_)), "{key}");
        }
        assert_eq!(changed("sessions", b"[]"), Change::Everything);
        assert_eq!(changed("moons", b"[]"), Change::Everything);
    }
}
