//! Passwords in PostgreSQL.

use async_trait::async_trait;
use cacheroach_model::{PrincipalId, Timestamp};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::Postgres;
use super::failure::Failure;
use super::principals::must_exist;
use super::row::{blob, change, get, one};
use super::run::Outcome;
use super::statement::sql;
use crate::passwords::{Password, Passwords};
use crate::{Error, Result};

const COLUMNS: &str = "principal, user_name, hash";

fn password(row: &Row) -> Result<Password> {
    Ok(Password { principal: blob(row, "principal")?, user: get(row, "user_name")?, hash: get(row, "hash")? })
}

async fn set(client: &impl GenericClient, new: &Password, old: Option<&str>, now: Timestamp) -> Outcome<()> {
    must_exist(client, new.principal).await?;
    let (id, folded) = (&new.principal.as_bytes()[..], new.user.to_lowercase());
    let taken = sql!("SELECT principal FROM passwords WHERE user_folded = $1 AND principal <> $2");
    if one(client, &taken, &[&folded, &id], |_| Ok(())).await?.is_some() {
        return Err(Error::Taken("user").into());
    }
    let changed = match old {
        None => {
            let sql = sql!(
                "INSERT INTO passwords (principal, user_name, user_folded, hash, changed_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (principal) DO UPDATE SET user_name = excluded.user_name,
                     user_folded = excluded.user_folded, hash = excluded.hash, changed_at = excluded.changed_at"
            );
            change(client, &sql, &[&id, &new.user, &folded, &new.hash, &now.micros()]).await
        }
        // In one statement with the question whether the old one is still there: of two who replace it, one does.
        Some(old) => {
            let sql = sql!(
                "UPDATE passwords SET user_name = $2, user_folded = $3, hash = $4, changed_at = $5
                 WHERE principal = $1 AND hash = $6"
            );
            change(client, &sql, &[&id, &new.user, &folded, &new.hash, &now.micros(), &old]).await
        }
    };
    // Somebody may have taken the name since we looked.
    let changed = changed.map_err(|failure| match failure.conflict() {
        Some("passwords_by_user") => Failure::from(Error::Taken("user")),
        _ => failure,
    });
    if changed? == 0 { Err(Error::Skew.into()) } else { Ok(()) }
}

#[async_trait]
impl Passwords for Postgres {
    async fn set_password(&self, new: &Password, instead_of: Option<&str>) -> Result<()> {
        let (new, old) = (new.clone(), instead_of.map(str::to_owned));
        self.transact_once(move |client, now| {
            let (new, old) = (new.clone(), old.clone());
            Box::pin(async move { set(client, &new, old.as_deref(), now).await })
        })
        .await
    }

    async fn find_password(&self, principal: PrincipalId) -> Result<Option<Password>> {
        let sql = sql!("SELECT {COLUMNS} FROM passwords WHERE principal = $1");
        self.one(&sql, &[&&principal.as_bytes()[..]], password).await
    }

    async fn find_password_by_user(&self, user: &str) -> Result<Option<Password>> {
        // The folded form has the index, the spelling decides.
        let sql = sql!("SELECT {COLUMNS} FROM passwords WHERE user_folded = $1 AND user_name = $2");
        self.one(&sql, &[&user.to_lowercase(), &user], password).await
    }

    async fn delete_password(&self, principal: PrincipalId) -> Result<()> {
        let sql = sql!("DELETE FROM passwords WHERE principal = $1");
        self.set(&sql, &[&&principal.as_bytes()[..]]).await
    }
}
