//! Bytes that no row names, and the walk that looks for them.

use std::time::Duration;

use cacheroach_model::Timestamp;

use super::super::Postgres;
use super::super::row::{get, time};
use super::super::statement::sql;
use crate::chunks::{Cursor, FoundChunk};
use crate::{Error, Result};

pub(super) async fn unnamed(postgres: &Postgres, found: &[FoundChunk]) -> Result<Vec<FoundChunk>> {
    let sql = sql!(
        "SELECT n.at FROM unnest($1::INT8[], $2::BYTEA[], $3::BYTEA[], $4::INT8[], $5::BYTEA[])
             AS n (at, tenant, chunk, generation, place)
         WHERE NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant = n.tenant AND c.chunk = n.chunk
                               AND (c.place = n.place OR (c.state = 0 AND c.generation = n.generation)))
             AND NOT EXISTS (SELECT 1 FROM condemned d
                             WHERE d.generation = n.generation AND d.place = n.place)
             AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.generation = n.generation)
         ORDER BY n.at"
    );
    let numbers: Vec<i64> = (0..).take(found.len()).collect();
    let tenants: Vec<&[u8]> = found.iter().map(|one| &one.chunk.tenant.as_bytes()[..]).collect();
    let chunks: Vec<&[u8]> = found.iter().map(|one| &one.chunk.hash.as_bytes()[..]).collect();
    let generations: Vec<i64> = found.iter().map(|one| one.generation).collect();
    let places: Vec<&[u8]> = found.iter().map(|one| &one.chunk.place.0[..]).collect();
    let values = &[&numbers as _, &tenants as _, &chunks as _, &generations as _, &places as _];
    let unnamed: Vec<i64> = postgres.all(&sql, values, |row| get(row, "at")).await?;
    let found = |at: i64| usize::try_from(at).ok().and_then(|at| found.get(at)).cloned();
    Ok(unnamed.into_iter().filter_map(found).collect())
}

/// If nobody knows what became of it, it is due again when whoever had it is taken to have died.
pub(super) async fn begin(postgres: &Postgres, patience: Duration) -> Result<Option<Option<Cursor>>> {
    let now = postgres.now();
    let sql = sql!(
        "INSERT INTO sweep (id, due_at) VALUES (1, $2)
         ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at WHERE sweep.due_at <= $1
         RETURNING after"
    );
    let values = &[&now.micros() as _, &now.after(patience).micros() as _];
    postgres.one(&sql, values, |row| Ok(get::<Option<Vec<u8>>>(row, "after")?.map(Cursor))).await
}

pub(super) async fn end(postgres: &Postgres, next: Option<&Cursor>, pause: Duration) -> Result<()> {
    let due_at = postgres.now().after(pause).micros();
    let sql = sql!("UPDATE sweep SET after = $1, due_at = $2 WHERE id = 1");
    postgres.set(&sql, &[&next.map(|next| &next.0[..]), &due_at]).await
}

pub(super) async fn made_at(postgres: &Postgres) -> Result<Timestamp> {
    let sql = sql!("SELECT MIN(applied_at) AS made_at FROM migrations");
    let made_at = postgres.one(&sql, &[], |row| time(row, "made_at")).await?;
    made_at.ok_or_else(|| Error::Damaged("a store without migrations".into()))
}
