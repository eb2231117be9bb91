//! Sessions in SQLite.

use async_trait::async_trait;
use cacheroach_model::{PrincipalId, Scope, Session, SessionId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, change, get, one, session, time};
use super::stamps::Touches;
use super::tenants::must_exist;
use crate::changes::Change;
use crate::sessions::{KeptSession, Origin, Sessions, Standing};
use crate::{Error, Result};

const COLUMNS: &str = "session, principal, capabilities, is_super, on_principal, tenant, path, version, expires_at, \
                       name, note, tenant_gone";

/// More grants than this and the rest does not count; reading them all on each call would be the worse failure.
const MOST_GRANTS: i64 = 10_000;

fn kept(row: &Row<'_>, now: Timestamp) -> Result<KeptSession> {
    let standing = if get::<bool>(row, "tenant_gone")? {
        Standing::TenantGone
    } else if time(row, "expires_at")? <= now {
        Standing::Ended
    } else {
        Standing::Live
    };
    Ok(KeptSession { session: session(row)?, standing })
}

fn add(connection: &Connection, new: &Session, origin: Origin, now: Timestamp) -> Result<()> {
    let (Some(id), Some(principal), Some(expires_at), Some(scope)) =
        (new.id, new.principal, new.expires_at, &new.scope)
    else {
        return Err(Error::Failed("a session without id, principal, expiry or scope".into()));
    };
    if one(connection, "SELECT 1 FROM principals WHERE principal = ?", [principal.as_bytes()], |_| Ok(()))?
        .is_none()
    {
        return Err(Error::Missing("principal"));
    }
    let (on_principal, location) = match scope {
        Scope::Super => (None, None),
        Scope::Principal(id) => (Some(*id), None),
        Scope::Location(location) => (None, Some(location)),
    };
    if let Some(location) = location {
        must_exist(connection, location.tenant)?;
    }
    let name = (!new.name.is_empty()).then_some(&new.name);
    // A session that is over gives up its name, but only when somebody asks for it.
    let free = "UPDATE sessions SET name = NULL WHERE principal = ? AND name = ? AND expires_at <= ?";
    change(connection, free, params![principal.as_bytes(), name, now.micros()])?;
    let taken = "SELECT 1 FROM sessions WHERE principal = ? AND name = ?";
    if one(connection, taken, params![principal.as_bytes(), name], |_| Ok(()))?.is_some() {
        return Err(Error::Taken("name"));
    }
    change(
        connection,
        "INSERT INTO sessions (session, principal, parent, capabilities, is_super, on_principal, tenant, path,
             version, issued_at, expires_at, life, not_after, name, note, region)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
             (SELECT region FROM principals WHERE principal = ?2))",
        params![
            id.as_bytes(),
            principal.as_bytes(),
            origin.parent.as_ref().map(SessionId::as_bytes),
            new.capabilities.bits(),
            *scope == Scope::Super,
            on_principal.as_ref().map(PrincipalId::as_bytes),
            location.map(|location| location.tenant.as_bytes()),
            location.map(|location| location.pattern.to_string()),
            location.and_then(|location| location.version).map(|version| version.0),
            now.micros(),
            expires_at.micros(),
            expires_at.micros().saturating_sub(now.micros()),
            origin.not_after.map(Timestamp::micros),
            name,
            new.note,
        ],
    )?;
    Ok(())
}

#[async_trait]
impl Sessions for Sqlite {
    async fn add_session(&self, new: &Session, origin: Origin) -> Result<()> {
        let new = new.clone();
        let tells = new.id.map(Change::Session).into_iter().collect();
        let add = move |connection: &Connection, now| add(connection, &new, origin, now);
        self.writer.write_and_tell(Touches::Nothing, tells, add).await
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<KeptSession>> {
        let now = self.now();
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE session = ?");
        self.readers
            .look_up(move |connection| one(connection, &sql, [id.as_bytes()], |row| kept(row, now)))
            .await
    }

    async fn find_session_by_name(&self, principal: PrincipalId, name: &str) -> Result<Option<KeptSession>> {
        let (now, name) = (self.now(), name.to_owned());
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE principal = ? AND name = ?");
        self.readers
            .look_up(move |connection| {
                one(connection, &sql, params![principal.as_bytes(), name], |row| kept(row, now))
            })
            .await
    }

    async fn list_grants(&self, principal: PrincipalId) -> Result<Vec<Session>> {
        let now = self.now();
        let list = move |connection: &Connection| {
            let address = "SELECT email FROM principals WHERE principal = ?";
            let email: Option<String> =
                one(connection, address, [principal.as_bytes()], |row| get(row, "email"))?.flatten();
            let domain = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
            let sql = format!(
                "SELECT {COLUMNS} FROM sessions
                 WHERE principal IN (?1, (SELECT principal FROM principals WHERE email_domain = ?2))
                     AND expires_at > ?3 AND tenant_gone = 0
                 LIMIT ?4"
            );
            all(connection, &sql, params![principal.as_bytes(), domain, now.micros(), MOST_GRANTS], session)
        };
        self.readers.read(list).await
    }

    async fn end_session(&self, id: SessionId) -> Result<()> {
        let end = move |connection: &Connection, now: Timestamp| {
            let sql = "UPDATE sessions SET expires_at = ?2 WHERE session = ?1 AND expires_at > ?2";
            change(connection, sql, params![id.as_bytes(), now.micros()]).map(drop)
        };
        self.writer.write_and_tell(Touches::Nothing, vec![Change::Session(id)], end).await
    }

    async fn renew_session(&self, old: SessionId, new: SessionId) -> Result<Option<Session>> {
        let renew = move |connection: &Connection, now: Timestamp| {
            let values = params![old.as_bytes(), now.micros(), format!(" replaced by {new}")];
            // The name is taken from the old one first: it may stand on one session only.
            let name = "SELECT name FROM sessions WHERE session = ? AND expires_at > ? AND tenant_gone = 0";
            let Some(name): Option<Option<String>> =
                one(connection, name, params![old.as_bytes(), now.micros()], |row| get(row, "name"))?
            else {
                return Ok(None);
            };
            let end =
                "UPDATE sessions SET expires_at = ?2, note = note || ?3, name = NULL WHERE session = ?1";
            change(connection, end, values)?;
            let add = format!(
                "INSERT INTO sessions (session, principal, parent, capabilities, is_super, on_principal, tenant, path,
                     version, issued_at, expires_at, life, not_after, name, region)
                 SELECT ?2, principal, session, capabilities, is_super, on_principal, tenant, path, version, ?3,
                     MIN(?3 + life, COALESCE(not_after, ?3 + life), ?5), life, not_after, ?4, region
                 FROM sessions WHERE session = ?1
                 RETURNING {COLUMNS}"
            );
            let latest = Timestamp::MAX.micros();
            one(
                connection,
                &add,
                params![old.as_bytes(), new.as_bytes(), now.micros(), name, latest],
                session,
            )
        };
        self.writer.write_and_tell(Touches::Nothing, vec![Change::Session(old)], renew).await
    }
}
