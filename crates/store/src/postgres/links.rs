//! Links in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{LinkId, LinkKind, Networks, PrincipalId, SessionId, Timestamp, Version};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::Postgres;
use super::row::{blob, change, count, get, limit, optional_blob, path, signed, time};
use super::run::Outcome;
use super::statement::sql;
use super::tenants::must_exist;
use crate::changes::Change as Told;
use crate::links::{KeptLink, LinkListing, Links};
use crate::{Error, Result};

const COLUMNS: &str = "link, tenant, path, kind, principal, session, version, created_at, expires_at, max_uses, uses, \
                       revoked_at, name, networks, max_size, content_types";

/// How long a row stays after its link has expired: a clock that is set back must revive nothing.
const REST: Duration = Duration::from_secs(24 * 3600);

/// How many that are over go when one comes.
const SWEPT: i64 = 16;

const KIND_DROP: i64 = 1;

fn link(row: &Row) -> Result<KeptLink> {
    let damaged = |what: &str| Error::Damaged(format!("a row of the database: {what}"));
    let list = |column: &str| -> Result<Vec<String>> {
        let text: &str = get(row, column)?;
        Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    };
    let unsigned = |column: &str| -> Result<Option<u64>> {
        let number: Option<i64> = get(row, column)?;
        number.map(|number| u64::try_from(number).map_err(|_| damaged(column))).transpose()
    };
    let moment = |column: &str| -> Result<Option<Timestamp>> {
        Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_micros))
    };
    Ok(KeptLink {
        id: blob(row, "link")?,
        kind: if get::<i64>(row, "kind")? == KIND_DROP { LinkKind::Drop } else { LinkKind::Read },
        tenant: blob(row, "tenant")?,
        path: path(row)?,
        version: get::<Option<i64>>(row, "version")?.map(Version),
        principal: optional_blob(row, "principal")?,
        session: optional_blob(row, "session")?,
        created_at: time(row, "created_at")?,
        expires_at: moment("expires_at")?,
        max_uses: unsigned("max_uses")?,
        uses: count(row, "uses")?,
        revoked_at: moment("revoked_at")?,
        name: get(row, "name")?,
        networks: Networks::parse(&list("networks")?).map_err(|_| damaged("networks"))?,
        max_size: unsigned("max_size")?,
        content_types: list("content_types")?,
    })
}

/// Adds a row; tells whether it was not there before.
async fn add(client: &impl GenericClient, new: &KeptLink, now: Timestamp) -> Outcome<bool> {
    must_exist(client, new.tenant).await?;
    let swept =
        sql!("DELETE FROM links WHERE link IN (SELECT link FROM links WHERE expires_at <= $1 LIMIT $2)");
    let over = now.micros().saturating_sub(i64::try_from(REST.as_micros()).unwrap_or(i64::MAX));
    change(client, &swept, &[&over, &SWEPT]).await?;
    let sql = sql!(
        "INSERT INTO links (link, tenant, path, kind, principal, session, version, created_at, expires_at, max_uses,
             name, networks, max_size, content_types)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (link) DO NOTHING"
    );
    let added = change(
        client,
        &sql,
        &[
            &&new.id.as_bytes()[..],
            &&new.tenant.as_bytes()[..],
            &new.place(),
            &if new.kind == LinkKind::Drop { KIND_DROP } else { 0 },
            &new.principal.as_ref().map(|id: &PrincipalId| &id.as_bytes()[..]),
            &new.session.as_ref().map(|id: &SessionId| &id.as_bytes()[..]),
            &new.version.map(|version| version.0),
            &new.created_at.micros(),
            &new.expires_at.map(Timestamp::micros),
            &new.max_uses.map(signed),
            &new.name,
            &new.networks.to_string(),
            &new.max_size.map(signed),
            &new.content_types.join(","),
        ],
    )
    .await;
    Ok(added? > 0)
}

#[async_trait]
impl Links for Postgres {
    async fn add_link(&self, new: &KeptLink) -> Result<()> {
        let new = new.clone();
        self.transact_once(move |client, now| {
            let new = new.clone();
            Box::pin(async move {
                if add(client, &new, now).await? { Ok(()) } else { Err(Error::Taken("link").into()) }
            })
        })
        .await
    }

    async fn find_link(&self, id: LinkId) -> Result<Option<KeptLink>> {
        let sql = sql!("SELECT {COLUMNS} FROM links WHERE link = $1");
        self.one(&sql, &[&&id.as_bytes()[..]], link).await
    }

    async fn use_link(&self, id: LinkId) -> Result<bool> {
        // The second of two waits for the first, then asks again whether there is a use left.
        self.transact_once(move |client, now| {
            Box::pin(async move {
                let sql = sql!(
                    "UPDATE links SET uses = uses + 1,
                         spent_at = CASE WHEN uses + 1 >= max_uses THEN $2::INT8 END
                     WHERE link = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2::INT8)
                         AND (max_uses IS NULL OR uses < max_uses)"
                );
                Ok(change(client, &sql, &[&&id.as_bytes()[..], &now.micros()]).await? > 0)
            })
        })
        .await
    }

    async fn return_use(&self, id: LinkId) -> Result<()> {
        self.transact_once(move |client, _| {
            Box::pin(async move {
                let sql =
                    sql!("UPDATE links SET uses = uses - 1, spent_at = NULL WHERE link = $1 AND uses > 0");
                change(client, &sql, &[&&id.as_bytes()[..]]).await.map(drop)
            })
        })
        .await
    }

    async fn revoke_link(&self, old: &KeptLink) -> Result<()> {
        let old = old.clone();
        self.transact_and_tell(&[Told::Link(old.id)], move |client, now| {
            let old = old.clone();
            Box::pin(async move {
                add(client, &old, now).await?;
                let sql = sql!("UPDATE links SET revoked_at = $1 WHERE link = $2 AND revoked_at IS NULL");
                change(client, &sql, &[&now.micros(), &&old.id.as_bytes()[..]]).await.map(drop)
            })
        })
        .await
    }

    async fn list_links(&self, listing: &LinkListing) -> Result<Vec<KeptLink>> {
        // The links to one path and those below another are two stretches of the index, the first before the second.
        let mut stretches = Vec::new();
        if let Some(exactly) = &listing.exactly {
            // No path has a control character, so nothing else is in between.
            stretches.push((exactly.to_string(), format!("{exactly}\u{1}")));
        }
        if let Some(below) = &listing.below {
            // `0` is what comes after `/`.
            let end = if below.is_root() { "0".to_owned() } else { format!("{below}0") };
            stretches.push((below.prefix(), end));
        }
        let mut found: Vec<KeptLink> = Vec::new();
        for (from, to) in stretches {
            let room = listing.limit.saturating_sub(found.len());
            found.extend(self.list_stretch(listing, &from, &to, room).await?);
        }
        Ok(found)
    }
}

impl Postgres {
    async fn list_stretch(
        &self,
        listing: &LinkListing,
        from: &str,
        to: &str,
        room: usize,
    ) -> Result<Vec<KeptLink>> {
        let (after, after_id) = match &listing.after {
            Some((place, id)) => (place.as_str(), id.as_bytes().to_vec()),
            None => ("", Vec::new()),
        };
        let (tenant, from) = (&listing.tenant.as_bytes()[..], after.max(from));
        let (now, room) = (self.now().micros(), limit(room));
        let Some(principal) = &listing.principal else {
            let sql = sql!(
                "SELECT {COLUMNS} FROM links
                 WHERE tenant = $1 AND path >= $2 AND path < $3 AND (path, link) > ($4, $5)
                     AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $6)
                 ORDER BY path, link LIMIT $7"
            );
            return self.all(&sql, &[&tenant, &from, &to, &after, &after_id, &now, &room], link).await;
        };
        // Of one signer: its own index is walked, so that a page costs what it shows.
        let sql = sql!(
            "SELECT {COLUMNS} FROM links
             WHERE tenant = $1 AND path >= $2 AND path < $3 AND (path, link) > ($4, $5) AND principal = $8
                 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $6)
             ORDER BY path, link LIMIT $7"
        );
        let principal = &principal.as_bytes()[..];
        self.all(&sql, &[&tenant, &from, &to, &after, &after_id, &now, &room, &principal], link).await
    }
}
