//! Principals in SQLite.

use async_trait::async_trait;
use cacheroach_model::{Principal, PrincipalId};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one};
use super::stamps::Touches;
use crate::changes::Change;
use crate::principals::Principals;
use crate::{Error, Result};

const COLUMNS: &str = "principal, label, version, claims, email, email_domain";

fn principal(row: &Row<'_>) -> Result<Principal> {
    Ok(Principal {
        id: blob(row, "principal")?,
        label: get(row, "label")?,
        version: get(row, "version")?,
        claims: get(row, "claims")?,
        email: get(row, "email")?,
        email_domain: get(row, "email_domain")?,
    })
}

/// Names what another principal has already, rather than leave it to the text of a violated constraint.
fn must_be_free(connection: &Connection, new: &Principal) -> Result<()> {
    for (sql, value, field) in [
        ("SELECT 1 FROM principals WHERE email = ? AND principal <> ?", &new.email, "email"),
        (
            "SELECT 1 FROM principals WHERE email_domain = ? AND principal <> ?",
            &new.email_domain,
            "email_domain",
        ),
    ] {
        if one(connection, sql, params![value, new.id.as_bytes()], |_| Ok(()))?.is_some() {
            return Err(Error::Taken(field));
        }
    }
    Ok(())
}

#[async_trait]
impl Principals for Sqlite {
    async fn ensure_principal(&self, new: &Principal) -> Result<Principal> {
        let (new, region, tells) = (new.clone(), self.region.clone(), vec![Change::Principal(new.id)]);
        let ensure = move |connection: &Connection, _| {
            must_be_free(connection, &new)?;
            let (id, label, version) = (new.id.as_bytes(), &new.label, new.version);
            let row = if version == 0 {
                let sql = format!(
                    "INSERT INTO principals (principal, label, version, claims, email, email_domain, region)
                     VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
                );
                let (claims, region) = (&new.claims, region.as_str());
                let values = params![id, label, claims, new.email, new.email_domain, region];
                one(connection, &sql, values, principal)?
            } else {
                // Label and address come from the claims: without new claims they stay. The domain never changes.
                let sql = format!(
                    "UPDATE principals SET version = version + 1,
                         label = IIF(?4 IS NULL, label, ?2),
                         email = IIF(?4 IS NULL, email, ?5),
                         claims = COALESCE(?4, claims)
                     WHERE principal = ?1 AND version = ?3 RETURNING {COLUMNS}"
                );
                one(connection, &sql, params![id, label, version, new.claims, new.email], principal)?
            };
            row.ok_or(Error::Skew)
        };
        self.writer.write_and_tell(Touches::Nothing, tells, ensure).await
    }

    async fn delete_principal(&self, id: PrincipalId, version: i64) -> Result<()> {
        let delete = move |connection: &Connection, _| {
            let sql = "DELETE FROM principals WHERE principal = ? AND version = ?";
            if change(connection, sql, params![id.as_bytes(), version])? == 0 {
                return Err(Error::Skew);
            }
            change(connection, "DELETE FROM sessions WHERE principal = ?", [id.as_bytes()])?;
            change(connection, "DELETE FROM passwords WHERE principal = ?", [id.as_bytes()])?;
            Ok(())
        };
        self.writer.write_and_tell(Touches::Nothing, vec![Change::Principal(id)], delete).await
    }

    async fn find_principal(&self, id: PrincipalId) -> Result<Option<Principal>> {
        let sql = format!("SELECT {COLUMNS} FROM principals WHERE principal = ?");
        self.readers.look_up(move |connection| one(connection, &sql, [id.as_bytes()], principal)).await
    }

    async fn find_principal_by_email(&self, email: &str) -> Result<Option<Principal>> {
        let (email, sql) = (email.to_owned(), format!("SELECT {COLUMNS} FROM principals WHERE email = ?"));
        self.readers.read(move |connection| one(connection, &sql, [email], principal)).await
    }

    async fn find_principal_by_domain(&self, domain: &str) -> Result<Option<Principal>> {
        let (domain, sql) =
            (domain.to_owned(), format!("SELECT {COLUMNS} FROM principals WHERE email_domain = ?"));
        self.readers.read(move |connection| one(connection, &sql, [domain], principal)).await
    }

    async fn list_principals(&self, after: Option<PrincipalId>, most: usize) -> Result<Vec<Principal>> {
        let sql = format!("SELECT {COLUMNS} FROM principals WHERE principal > ? ORDER BY principal LIMIT ?");
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        self.readers
            .read(move |connection| all(connection, &sql, params![after, limit(most)], principal))
            .await
    }
}
