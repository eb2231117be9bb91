//! Principals in PostgreSQL.

use async_trait::async_trait;
use cacheroach_model::{Principal, PrincipalId, Region};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::Postgres;
use super::failure::Failure;
use super::row::{blob, change, get, limit, one};
use super::run::Outcome;
use super::statement::sql;
use crate::changes::Change as Told;
use crate::principals::Principals;
use crate::{Error, Result};

const COLUMNS: &str = "principal, label, version, claims, email, email_domain";

fn principal(row: &Row) -> Result<Principal> {
    Ok(Principal {
        id: blob(row, "principal")?,
        label: get(row, "label")?,
        version: get(row, "version")?,
        claims: get(row, "claims")?,
        email: get(row, "email")?,
        email_domain: get(row, "email_domain")?,
    })
}

/// What another principal has already. Two may ask at once, so it is the constraint that decides, and names it.
fn taken(failure: Failure) -> Failure {
    let field = match failure.conflict() {
        Some("principals_by_email") => "email",
        Some("principals_by_email_domain") => "email_domain",
        _ => return failure,
    };
    Error::Taken(field).into()
}

/// Whether there is one. If so, it can't be deleted until the end of the transaction.
pub(super) async fn exists(client: &impl GenericClient, id: PrincipalId) -> Outcome<bool> {
    let sql = sql!("SELECT principal FROM principals WHERE principal = $1 FOR KEY SHARE");
    Ok(one(client, &sql, &[&&id.as_bytes()[..]], |_| Ok(())).await?.is_some())
}

pub(super) async fn must_exist(client: &impl GenericClient, id: PrincipalId) -> Outcome<()> {
    if exists(client, id).await? { Ok(()) } else { Err(Error::Missing("principal").into()) }
}

async fn ensure(client: &impl GenericClient, new: &Principal, region: &Region) -> Outcome<Principal> {
    let id = &new.id.as_bytes()[..];
    let row = if new.version == 0 {
        let sql = sql!(
            "INSERT INTO principals (region, principal, label, version, claims, email, email_domain)
             VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT (principal) DO NOTHING RETURNING {COLUMNS}"
        );
        let region = region.as_str();
        let values = [&region as _, &id as _, &new.label as _, &new.claims as _, &new.email as _];
        let values: Vec<_> = values.into_iter().chain([&new.email_domain as _]).collect();
        one(client, &sql, &values, principal).await
    } else {
        // Label and address come from the claims: without new claims they stay. The domain never changes.
        let sql = sql!(
            "UPDATE principals SET version = version + 1,
                 label = CASE WHEN $4::TEXT IS NULL THEN label ELSE $2 END,
                 email = CASE WHEN $4::TEXT IS NULL THEN email ELSE $5 END,
                 claims = COALESCE($4::TEXT, claims)
             WHERE principal = $1 AND version = $3 RETURNING {COLUMNS}"
        );
        one(client, &sql, &[&id, &new.label, &new.version, &new.claims, &new.email], principal).await
    };
    Ok(row.map_err(taken)?.ok_or(Error::Skew)?)
}

#[async_trait]
impl Principals for Postgres {
    async fn ensure_principal(&self, new: &Principal) -> Result<Principal> {
        let (new, region) = (new.clone(), self.region.clone());
        self.transact_and_tell(&[Told::Principal(new.id)], move |client, _| {
            let (new, region) = (new.clone(), region.clone());
            Box::pin(async move { ensure(client, &new, &region).await })
        })
        .await
    }

    async fn delete_principal(&self, id: PrincipalId, version: i64) -> Result<()> {
        self.transact_and_tell(&[Told::Principal(id)], move |client, _| {
            Box::pin(async move {
                let id = &id.as_bytes()[..];
                // It waits for those who are just adding a session or a password.
                let sql = sql!("DELETE FROM principals WHERE principal = $1 AND version = $2");
                if change(client, &sql, &[&id, &version]).await? == 0 {
                    return Err(Error::Skew.into());
                }
                change(client, &sql!("DELETE FROM sessions WHERE principal = $1"), &[&id]).await?;
                change(client, &sql!("DELETE FROM passwords WHERE principal = $1"), &[&id]).await?;
                Ok(())
            })
        })
        .await
    }

    async fn find_principal(&self, id: PrincipalId) -> Result<Option<Principal>> {
        let sql = sql!("SELECT {COLUMNS} FROM principals WHERE principal = $1");
        self.one(&sql, &[&&id.as_bytes()[..]], principal).await
    }

    async fn find_principal_by_email(&self, email: &str) -> Result<Option<Principal>> {
        let sql = sql!("SELECT {COLUMNS} FROM principals WHERE email = $1");
        self.one(&sql, &[&email], principal).await
    }

    async fn find_principal_by_domain(&self, domain: &str) -> Result<Option<Principal>> {
        let sql = sql!("SELECT {COLUMNS} FROM principals WHERE email_domain = $1");
        self.one(&sql, &[&domain], principal).await
    }

    async fn list_principals(&self, after: Option<PrincipalId>, most: usize) -> Result<Vec<Principal>> {
        let sql = sql!("SELECT {COLUMNS} FROM principals WHERE principal > $1 ORDER BY principal LIMIT $2");
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        self.all(&sql, &[&after, &limit(most)], principal).await
    }
}
