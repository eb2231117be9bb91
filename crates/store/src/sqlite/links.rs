//! Links in SQLite.

use async_trait::async_trait;
use cacheroach_model::{LinkId, LinkKind, Networks, PrincipalId, SessionId, Timestamp, Version};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, count, get, limit, one, optional_blob, path, signed, time};
use super::stamps::Touches;
use super::tenants::must_exist;
use crate::changes::Change as Told;
use crate::links::{KeptLink, LinkListing, Links};
use crate::purge::REST;
use crate::{Error, Result};

/// How many that are over go when one comes.
const SWEPT: i64 = 16;

const KIND_DROP: i64 = 1;

fn link(row: &Row<'_>) -> Result<KeptLink> {
    let damaged = |what: &str| Error::Damaged(format!("a row of the database: {what}"));
    let list = |column: &str| -> Result<Vec<String>> {
        let text: String = get(row, column)?;
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
fn add(connection: &Connection, new: &KeptLink, now: Timestamp) -> Result<bool> {
    must_exist(connection, new.tenant)?;
    let swept = "DELETE FROM links WHERE link IN (SELECT link FROM links WHERE expires_at <= ? LIMIT ?)";
    let over = now.micros().saturating_sub(i64::try_from(REST.as_micros()).unwrap_or(i64::MAX));
    change(connection, swept, params![over, SWEPT])?;
    let added = change(
        connection,
        "INSERT INTO links (link, tenant, path, kind, principal, session, version, created_at, expires_at,
             max_uses, name, networks, max_size, content_types)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (link) DO NOTHING",
        params![
            new.id.as_bytes(),
            new.tenant.as_bytes(),
            new.place(),
            if new.kind == LinkKind::Drop { KIND_DROP } else { 0 },
            new.principal.as_ref().map(PrincipalId::as_bytes),
            new.session.as_ref().map(SessionId::as_bytes),
            new.version.map(|version| version.0),
            new.created_at.micros(),
            new.expires_at.map(Timestamp::micros),
            new.max_uses.map(signed),
            new.name,
            new.networks.to_string(),
            new.max_size.map(signed),
            new.content_types.join(","),
        ],
    )?;
    Ok(added > 0)
}

#[async_trait]
impl Links for Sqlite {
    async fn add_link(&self, new: &KeptLink) -> Result<()> {
        let new = new.clone();
        let add = move |connection: &Connection, now| {
            if add(connection, &new, now)? { Ok(()) } else { Err(Error::Taken("link")) }
        };
        self.writer.write_touching(Touches::Nothing, add).await
    }

    async fn find_link(&self, id: LinkId) -> Result<Option<KeptLink>> {
        let sql = "SELECT * FROM links WHERE link = ?";
        self.readers.look_up(move |connection| one(connection, sql, [id.as_bytes()], link)).await
    }

    async fn use_link(&self, id: LinkId) -> Result<bool> {
        let use_one = move |connection: &Connection, now: Timestamp| {
            let sql =
                "UPDATE links SET uses = uses + 1, spent_at = CASE WHEN uses + 1 >= max_uses THEN ?2 END
                       WHERE link = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
                           AND (max_uses IS NULL OR uses < max_uses)";
            Ok(change(connection, sql, params![id.as_bytes(), now.micros()])? > 0)
        };
        self.writer.write_touching(Touches::Nothing, use_one).await
    }

    async fn return_use(&self, id: LinkId) -> Result<()> {
        let give_back = move |connection: &Connection, _| {
            let sql = "UPDATE links SET uses = uses - 1, spent_at = NULL WHERE link = ? AND uses > 0";
            change(connection, sql, [id.as_bytes()]).map(drop)
        };
        self.writer.write_touching(Touches::Nothing, give_back).await
    }

    async fn revoke_link(&self, old: &KeptLink) -> Result<()> {
        let (old, tells) = (old.clone(), vec![Told::Link(old.id)]);
        let revoke = move |connection: &Connection, now: Timestamp| {
            add(connection, &old, now)?;
            let sql = "UPDATE links SET revoked_at = ? WHERE link = ? AND revoked_at IS NULL";
            change(connection, sql, params![now.micros(), old.id.as_bytes()]).map(drop)
        };
        self.writer.write_and_tell(Touches::Nothing, tells, revoke).await
    }

    async fn list_links(&self, listing: &LinkListing) -> Result<Vec<KeptLink>> {
        let (listing, now) = (listing.clone(), self.now());
        self.readers.read(move |connection| list(connection, &listing, now)).await
    }
}

/// The links to one path and those below another are two stretches of the index, the first before the second.
fn list(connection: &Connection, listing: &LinkListing, now: Timestamp) -> Result<Vec<KeptLink>> {
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
    // Of one signer: its own index is walked, so that a page costs what it shows. Unasked, the other one is.
    let (index, whose) = match listing.principal {
        Some(_) => ("links_of_principal", "principal = ?7"),
        None => ("links_of_path", "?7 IS NULL"),
    };
    let sql = format!(
        "SELECT * FROM links INDEXED BY {index}
         WHERE tenant = ?1 AND path >= ?2 AND path < ?3 AND (path, link) > (?4, ?5) AND {whose}
             AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?6)
         ORDER BY path, link LIMIT ?8"
    );
    let (after, after_id) = match &listing.after {
        Some((place, id)) => (place.as_str(), id.as_bytes().to_vec()),
        None => ("", Vec::new()),
    };
    let principal = listing.principal.as_ref().map(PrincipalId::as_bytes);
    let mut found: Vec<KeptLink> = Vec::new();
    for (from, to) in stretches {
        let room = limit(listing.limit.saturating_sub(found.len()));
        let from = after.max(from.as_str());
        let values =
            params![listing.tenant.as_bytes(), from, to, after, after_id, now.micros(), principal, room];
        found.extend(all(connection, &sql, values, link)?);
    }
    Ok(found)
}
