//! Bytes that no row names, and the walk that looks for them.

use std::time::Duration;

use cacheroach_model::Timestamp;
use tokio_postgres::Row;

use super::super::Postgres;
use super::super::row::{get, time};
use super::super::statement::sql;
use crate::chunks::{Cursor, FoundChunk, Place};
use crate::purge::Names;
use crate::{Error, Result};

pub(super) async fn unnamed(postgres: &Postgres, found: &[FoundChunk]) -> Result<Vec<FoundChunk>> {
    let sql = sql!(
        "SELECT n.at, c.generation, c.state, c.place, d.place AS condemned, m.generation AS moving
         FROM unnest($1::INT8[], $2::BYTEA[], $3::BYTEA[], $4::INT8[]) AS n (at, tenant, chunk, generation)
             LEFT JOIN chunks c ON c.tenant = n.tenant AND c.chunk = n.chunk
             LEFT JOIN condemned d ON d.generation = n.generation
             LEFT JOIN moves m ON m.generation = n.generation
         ORDER BY n.at"
    );
    let numbers: Vec<i64> = (0..).take(found.len()).collect();
    let tenants: Vec<&[u8]> = found.iter().map(|one| &one.chunk.tenant.as_bytes()[..]).collect();
    let chunks: Vec<&[u8]> = found.iter().map(|one| &one.chunk.hash.as_bytes()[..]).collect();
    let generations: Vec<i64> = found.iter().map(|one| one.generation).collect();
    let values = &[&numbers as _, &tenants as _, &chunks as _, &generations as _];
    let rows = postgres.all(&sql, values, |row| Ok((get::<i64>(row, "at")?, names(row)?))).await?;
    let unnamed = rows.into_iter().filter_map(|(at, names)| {
        let found = found.get(usize::try_from(at).ok()?)?;
        (!names.name(found)).then(|| found.clone())
    });
    Ok(unnamed.collect())
}

fn names(row: &Row) -> Result<Names> {
    let place = |column| Ok::<_, Error>(get::<Option<Vec<u8>>>(row, column)?.map(Place));
    let chunk = match get::<Option<i64>>(row, "generation")? {
        Some(generation) => Some((generation, get::<i64>(row, "state")? == 0, place("place")?)),
        None => None,
    };
    let is_moving = get::<Option<i64>>(row, "moving")?.is_some();
    Ok(Names { chunk, condemned: place("condemned")?, is_moving })
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
