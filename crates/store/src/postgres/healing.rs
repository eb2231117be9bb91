//! Contents that are whole again, because somebody brought their bytes once more.

use bytes::Bytes;
use cacheroach_model::{Hash, RopeId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::ToSql;

use super::chunks::ensure_chunks;
use super::files::find_rope;
use super::purge::AGAIN;
use super::row::{change, get, one, signed};
use super::run::Outcome;
use super::statement::sql;
use crate::Error;

/// The bytes of a rope (`$2`) of a tenant (`$1`) that can be read: of pieces that are there, in chunks that are live.
pub(super) const THERE: &str = "SELECT COALESCE(SUM(p.length), 0)::INT8
     FROM pieces p JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
     WHERE p.tenant = $1 AND p.rope =";

/// Whether a rope that is found by the hash of its content can be read.
pub(super) async fn is_whole(
    client: &impl GenericClient,
    tenant: TenantId,
    rope: RopeId,
    size: u64,
) -> Outcome<bool> {
    let sql = sql!("SELECT ({THERE} $2) AS there");
    let values: [&(dyn ToSql + Sync); 2] = [&&tenant.as_bytes()[..], &&rope.as_bytes()[..]];
    let there = one(client, &sql, &values, |row| get::<i64>(row, "there")).await?;
    Ok(there == Some(signed(size)))
}

/// Takes all pieces of a rope away. Its row is locked against others who would do the same.
async fn empty(transaction: &Transaction<'_>, tenant: TenantId, rope: RopeId) -> Outcome<()> {
    let (tenant, rope) = (&tenant.as_bytes()[..], &rope.as_bytes()[..]);
    let sql = sql!("SELECT rope FROM ropes WHERE tenant = $1 AND rope = $2 FOR UPDATE");
    one(transaction, &sql, &[&tenant, &rope], |_| Ok(())).await?;
    let sql = sql!(
        "WITH gone AS (DELETE FROM pieces WHERE tenant = $1::BYTEA AND rope = $2 RETURNING chunk)
         INSERT INTO candidates (chunk, tenant) SELECT DISTINCT chunk, $1::BYTEA FROM gone ORDER BY chunk
         {AGAIN}"
    );
    change(transaction, &sql, &[&tenant, &rope]).await.map(drop)
}

/// Gives a rope the pieces of another one of the same content, which has none then. The chunks it had may be nobody's now.
pub(super) async fn replace_pieces(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    of: RopeId,
    by: RopeId,
) -> Outcome<()> {
    empty(transaction, tenant, of).await?;
    let sql = sql!("UPDATE pieces SET rope = $3 WHERE tenant = $1 AND rope = $2");
    let values: [&(dyn ToSql + Sync); 3] =
        [&&tenant.as_bytes()[..], &&by.as_bytes()[..], &&of.as_bytes()[..]];
    change(transaction, &sql, &values).await.map(drop)
}

/// Makes a small content that was found by its hash whole again, unless it is.
pub(super) async fn heal_inline(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    hash: &Hash,
    content: &Bytes,
) -> Outcome<()> {
    let Some(rope) = find_rope(transaction, tenant, hash).await? else { return Ok(()) };
    let size = content.len() as u64;
    if is_whole(transaction, tenant, rope, size).await? {
        return Ok(());
    }
    empty(transaction, tenant, rope).await?;
    let length = u32::try_from(size).map_err(|_| Error::Failed("a small content is large".into()))?;
    let leases = ensure_chunks(transaction, tenant, &[(*hash, length)]).await?;
    let (owner, chunk) = (&tenant.as_bytes()[..], &hash.as_bytes()[..]);
    if leases.get(hash).is_some_and(|lease| lease.needs_bytes) {
        let sql = sql!("UPDATE chunks SET state = 1, data = $3 WHERE tenant = $1 AND chunk = $2");
        change(transaction, &sql, &[&owner, &chunk, &&content[..]]).await?;
    }
    let sql = sql!("INSERT INTO pieces (tenant, rope, at, chunk, length) VALUES ($1, $2, 0, $3, $4)");
    let values: [&(dyn ToSql + Sync); 4] = [&owner, &&rope.as_bytes()[..], &chunk, &i64::from(length)];
    change(transaction, &sql, &values).await.map(drop)
}
