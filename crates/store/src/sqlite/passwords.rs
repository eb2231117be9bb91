//! Passwords in SQLite.

use async_trait::async_trait;
use cacheroach_model::PrincipalId;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{blob, change, get, one};
use crate::passwords::{Password, Passwords};
use crate::{Error, Result};

const COLUMNS: &str = "principal, user_name, hash";

fn password(row: &Row<'_>) -> Result<Password> {
    Ok(Password { principal: blob(row, "principal")?, user: get(row, "user_name")?, hash: get(row, "hash")? })
}

#[async_trait]
impl Passwords for Sqlite {
    async fn set_password(&self, new: &Password, instead_of: Option<&str>) -> Result<()> {
        let (new, old) = (new.clone(), instead_of.map(str::to_owned));
        let set = move |connection: &Connection, now: cacheroach_model::Timestamp| {
            let (id, folded) = (new.principal.as_bytes(), new.user.to_lowercase());
            let there = "SELECT 1 FROM principals WHERE principal = ?";
            if one(connection, there, [id], |_| Ok(()))?.is_none() {
                return Err(Error::Missing("principal"));
            }
            let taken = "SELECT 1 FROM passwords WHERE user_folded = ? AND principal <> ?";
            if one(connection, taken, params![folded, id], |_| Ok(()))?.is_some() {
                return Err(Error::Taken("user"));
            }
            let current = "SELECT 1 FROM passwords WHERE principal = ? AND hash = ?";
            if old.is_some() && one(connection, current, params![id, old], |_| Ok(()))?.is_none() {
                return Err(Error::Skew);
            }
            let sql = "INSERT INTO passwords (principal, user_name, user_folded, hash, changed_at)
                VALUES (?, ?, ?, ?, ?) ON CONFLICT (principal) DO UPDATE SET user_name = excluded.user_name,
                    user_folded = excluded.user_folded, hash = excluded.hash, changed_at = excluded.changed_at";
            change(connection, sql, params![id, new.user, folded, new.hash, now.micros()])?;
            Ok(())
        };
        self.writer.write(set).await
    }

    async fn find_password(&self, principal: PrincipalId) -> Result<Option<Password>> {
        let sql = format!("SELECT {COLUMNS} FROM passwords WHERE principal = ?");
        self.readers.look_up(move |connection| one(connection, &sql, [principal.as_bytes()], password)).await
    }

    async fn find_password_by_user(&self, user: &str) -> Result<Option<Password>> {
        // The folded form has the index, the spelling decides.
        let sql = format!("SELECT {COLUMNS} FROM passwords WHERE user_folded = ? AND user_name = ?");
        let (folded, user) = (user.to_lowercase(), user.to_owned());
        self.readers.look_up(move |connection| one(connection, &sql, [folded, user], password)).await
    }

    async fn delete_password(&self, principal: PrincipalId) -> Result<()> {
        let delete = move |connection: &Connection, _| {
            change(connection, "DELETE FROM passwords WHERE principal = ?", [principal.as_bytes()])?;
            Ok(())
        };
        self.writer.write(delete).await
    }
}
