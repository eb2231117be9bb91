//! Sessions in PostgreSQL.

use async_trait::async_trait;
use cacheroach_model::{PrincipalId, Region, Scope, Session, SessionId, TenantId, Timestamp};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::failure::Failure;
use super::row::{blob, change, get, one, optional_blob, session, time};
use super::run::Outcome;
use super::statement::sql;
use super::{Postgres, principals, tenants};
use crate::changes::Change as Told;
use crate::sessions::{KeptSession, Origin, Sessions, Standing};
use crate::{Error, Result};

const COLUMNS: &str = "session, principal, capabilities, is_super, on_principal, tenant, path, version, expires_at, \
                       name, note, tenant_gone";

/// More grants than this and the rest does not count; reading them all on each call would be the worse failure.
const MOST_GRANTS: i64 = 10_000;

fn kept(row: &Row, now: Timestamp) -> Result<KeptSession> {
    let standing = if get::<bool>(row, "tenant_gone")? {
        Standing::TenantGone
    } else if time(row, "expires_at")? <= now {
        Standing::Ended
    } else {
        Standing::Live
    };
    Ok(KeptSession { session: session(row)?, standing })
}

/// Two may ask for one name at once: the constraint decides.
fn taken(failure: Failure) -> Failure {
    match failure.conflict() {
        Some("sessions_by_name") => Error::Taken("name").into(),
        _ => failure,
    }
}

async fn add(
    client: &impl GenericClient,
    new: &Session,
    origin: Origin,
    region: &Region,
    now: Timestamp,
) -> Outcome<()> {
    let (Some(id), Some(principal), Some(expires_at), Some(scope)) =
        (new.id, new.principal, new.expires_at, &new.scope)
    else {
        return Err(Error::Failed("a session without id, principal, expiry or scope".into()).into());
    };
    principals::must_exist(client, principal).await?;
    let (on_principal, location) = match scope {
        Scope::Super => (None, None),
        Scope::Principal(id) => (Some(*id), None),
        Scope::Location(location) => (None, Some(location)),
    };
    if let Some(location) = location {
        tenants::must_exist(client, location.tenant).await?;
    }
    let principal = &principal.as_bytes()[..];
    let name = (!new.name.is_empty()).then_some(&new.name);
    if name.is_some() {
        // A session that is over gives up its name, but only when somebody asks for it.
        let free =
            sql!("UPDATE sessions SET name = NULL WHERE principal = $1 AND name = $2 AND expires_at <= $3");
        change(client, &free, &[&principal, &name, &now.micros()]).await?;
    }
    let sql = sql!(
        "INSERT INTO sessions (region, session, principal, parent, capabilities, is_super, on_principal, tenant, path,
             version, issued_at, expires_at, life, not_after, name, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    );
    let added = change(
        client,
        &sql,
        &[
            &region.as_str(),
            &&id.as_bytes()[..],
            &principal,
            &origin.parent.as_ref().map(|id| &id.as_bytes()[..]),
            &i64::from(new.capabilities.bits()),
            &(*scope == Scope::Super),
            &on_principal.as_ref().map(|id| &id.as_bytes()[..]),
            &location.map(|location| &location.tenant.as_bytes()[..]),
            &location.map(|location| location.pattern.to_string()),
            &location.and_then(|location| location.version).map(|version| version.0),
            &now.micros(),
            &expires_at.micros(),
            &expires_at.micros().saturating_sub(now.micros()),
            &origin.not_after.map(Timestamp::micros),
            &name,
            &new.note,
        ],
    )
    .await;
    added.map(drop).map_err(taken)
}

async fn renew(
    client: &impl GenericClient,
    old: SessionId,
    new: SessionId,
    region: &Region,
    now: Timestamp,
) -> Outcome<Option<Session>> {
    let (old, now) = (&old.as_bytes()[..], now.micros());
    // Whoever deletes its principal or its tenant ends all sessions there are: this one must not come after them unseen.
    let holders = sql!("SELECT principal, tenant FROM sessions WHERE session = $1");
    let read =
        |row: &Row| Ok((blob::<PrincipalId>(row, "principal")?, optional_blob::<TenantId>(row, "tenant")?));
    let Some((principal, tenant)) = one(client, &holders, &[&old], read).await? else { return Ok(None) };
    if !principals::exists(client, principal).await? {
        return Ok(None);
    }
    if let Some(tenant) = tenant
        && !tenants::exists(client, tenant).await?
    {
        return Ok(None);
    }
    // The name is taken from the old one first: it may stand on one session only. The lock makes sure that of two who
    // renew it one finds it ended.
    let name = sql!(
        "SELECT name FROM sessions WHERE session = $1 AND expires_at > $2 AND NOT tenant_gone FOR UPDATE"
    );
    let Some(name) = one(client, &name, &[&old, &now], |row| get::<Option<String>>(row, "name")).await?
    else {
        return Ok(None);
    };
    let end =
        sql!("UPDATE sessions SET expires_at = $2, note = note || $3::TEXT, name = NULL WHERE session = $1");
    change(client, &end, &[&old, &now, &format!(" replaced by {new}")]).await?;
    let add = sql!(
        "INSERT INTO sessions (region, session, principal, parent, capabilities, is_super, on_principal, tenant, path,
             version, issued_at, expires_at, life, not_after, name)
         SELECT $6, $2, principal, session, capabilities, is_super, on_principal, tenant, path, version, $3,
             LEAST($3 + life, COALESCE(not_after, $3 + life), $5), life, not_after, $4
         FROM sessions WHERE session = $1
         RETURNING {COLUMNS}"
    );
    let latest = Timestamp::MAX.micros();
    let values =
        [&old as _, &&new.as_bytes()[..] as _, &now as _, &name as _, &latest as _, &region.as_str() as _];
    one(client, &add, &values, session).await
}

#[async_trait]
impl Sessions for Postgres {
    async fn add_session(&self, new: &Session, origin: Origin) -> Result<()> {
        let (new, region, id) = (new.clone(), self.region.clone(), new.id);
        self.transact_once(move |client, now| {
            let (new, region) = (new.clone(), region.clone());
            Box::pin(async move { add(client, &new, origin, &region, now).await })
        })
        .await?;
        // Other servers look at what is new to them when they would refuse something.
        id.into_iter().for_each(|id| self.news.tell(Told::Session(id)));
        Ok(())
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<KeptSession>> {
        let now = self.now();
        let sql = sql!("SELECT {COLUMNS} FROM sessions WHERE session = $1");
        self.one(&sql, &[&&id.as_bytes()[..]], |row| kept(row, now)).await
    }

    async fn find_session_by_name(&self, principal: PrincipalId, name: &str) -> Result<Option<KeptSession>> {
        let now = self.now();
        let sql = sql!("SELECT {COLUMNS} FROM sessions WHERE principal = $1 AND name = $2");
        self.one(&sql, &[&&principal.as_bytes()[..], &name], |row| kept(row, now)).await
    }

    async fn list_grants(&self, principal: PrincipalId) -> Result<Vec<Session>> {
        // The domain is what comes after the last @, for which there is no function that both databases have.
        let address = sql!("SELECT email FROM principals WHERE principal = $1");
        let id = &principal.as_bytes()[..];
        let email = self.one(&address, &[&id], |row| get::<Option<String>>(row, "email")).await?.flatten();
        let domain = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        let sql = sql!(
            "SELECT {COLUMNS} FROM sessions
             WHERE principal IN ($1, (SELECT principal FROM principals WHERE email_domain = $2))
                 AND expires_at > $3 AND NOT tenant_gone
             LIMIT $4"
        );
        self.all(&sql, &[&id, &domain, &self.now().micros(), &MOST_GRANTS], session).await
    }

    async fn end_session(&self, id: SessionId) -> Result<()> {
        self.transact_and_tell(&[Told::Session(id)], move |client, now| {
            Box::pin(async move {
                let sql = sql!("UPDATE sessions SET expires_at = $2 WHERE session = $1 AND expires_at > $2");
                change(client, &sql, &[&&id.as_bytes()[..], &now.micros()]).await.map(drop)
            })
        })
        .await
    }

    async fn renew_session(&self, old: SessionId, new: SessionId) -> Result<Option<Session>> {
        let region = self.region.clone();
        self.transact_and_tell(&[Told::Session(old)], move |client, now| {
            let region = region.clone();
            Box::pin(async move { renew(client, old, new, &region, now).await })
        })
        .await
    }
}
