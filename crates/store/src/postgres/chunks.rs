//! The rows of chunks in PostgreSQL, whose bytes are beside them or in the chunk tier.

use std::collections::HashMap;

use cacheroach_model::{Hash, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::ToSql;

use super::pieces::kept;
use super::row::{all, blob, get, length, one};
use super::run::Outcome;
use super::statement::sql;
use super::versions::collision;
use crate::uploads::{Lease, NearChunk};
use crate::{Error, Result};

/// Chunks become live by statements of at most so many bytes and rows.
pub(super) const STATEMENT_SIZE: usize = 2 << 20;
pub(super) const STATEMENT_ROWS: usize = 1_000;

/// A number that was never used before, as good as certainly: 63 random bits.
pub(super) fn new_generation() -> Result<i64> {
    let random = getrandom::u64().map_err(|error| Error::Failed(error.to_string().into()))?;
    Ok((random >> 1).max(1).cast_signed())
}

/// Sees to it that chunks have rows that no collector takes before the end of the transaction.
///
/// A row that is there is read `FOR SHARE`: a collector that is about to take it is waited for, and one that comes later
/// waits, and finds the lease. A row of one's own is invisible to others until the lease is there, too.
pub(super) async fn ensure_chunks(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    chunks: &[(Hash, u32)],
) -> Outcome<HashMap<Hash, Lease>> {
    let tenant = &tenant.as_bytes()[..];
    // Everybody goes in the order of the hashes: two that lease the same chunks must not wait for each other.
    let mut wanted: Vec<&(Hash, u32)> = chunks.iter().collect();
    wanted.sort_unstable_by_key(|(hash, _)| *hash.as_bytes());
    wanted.dedup_by_key(|(hash, _)| *hash);
    let mut leases = HashMap::with_capacity(wanted.len());
    for _ in 0..8 {
        let hashes: Vec<&[u8]> = wanted.iter().map(|(hash, _)| &hash.as_bytes()[..]).collect();
        let sql = sql!(
            "SELECT chunk, generation, state FROM chunks WHERE tenant = $1 AND chunk = ANY($2)
             ORDER BY chunk FOR SHARE"
        );
        let values: [&(dyn ToSql + Sync); 2] = [&tenant, &hashes];
        let found = all(transaction, &sql, &values, |row| {
            // Pending: somebody is writing the same bytes, and whoever is first makes it live.
            let needs_bytes = get::<i64>(row, "state")? != 1;
            Ok((blob::<Hash>(row, "chunk")?, Lease { generation: get(row, "generation")?, needs_bytes }))
        });
        leases.extend(found.await?);
        wanted.retain(|(hash, _)| !leases.contains_key(hash));
        if wanted.is_empty() {
            return Ok(leases);
        }
        let hashes: Vec<&[u8]> = wanted.iter().map(|(hash, _)| &hash.as_bytes()[..]).collect();
        let lengths: Vec<i64> = wanted.iter().map(|(_, length)| i64::from(*length)).collect();
        let generations = wanted.iter().map(|_| new_generation()).collect::<Result<Vec<_>>>()?;
        let sql = sql!(
            "INSERT INTO chunks (tenant, chunk, generation, state, length)
             SELECT $1, n.chunk, n.generation, 0, n.length
             FROM unnest($2::BYTEA[], $3::INT8[], $4::INT8[]) AS n (chunk, generation, length)
             ON CONFLICT (tenant, chunk) DO NOTHING
             RETURNING chunk, generation"
        );
        let values: [&(dyn ToSql + Sync); 4] = [&tenant, &hashes, &generations, &lengths];
        let made = all(transaction, &sql, &values, |row| {
            let lease = Lease { generation: get(row, "generation")?, needs_bytes: true };
            Ok((blob::<Hash>(row, "chunk")?, lease))
        });
        leases.extend(made.await?);
        wanted.retain(|(hash, _)| !leases.contains_key(hash));
        if wanted.is_empty() {
            return Ok(leases);
        }
        // Somebody else made the others meanwhile, or a collector took them: the next look tells.
    }
    Err(collision())
}

/// The first live one from a hash on.
pub(super) async fn find_from(
    client: &impl GenericClient,
    tenant: TenantId,
    from: Hash,
) -> Outcome<Option<NearChunk>> {
    let sql = sql!(
        "SELECT chunk, generation, length, place, data FROM chunks
         WHERE tenant = $1 AND chunk >= $2 AND state = 1 ORDER BY chunk LIMIT 1"
    );
    let values: [&(dyn ToSql + Sync); 2] = [&&tenant.as_bytes()[..], &&from.as_bytes()[..]];
    one(client, &sql, &values, |row| {
        let generation = get(row, "generation")?;
        Ok(NearChunk {
            chunk: blob(row, "chunk")?,
            generation,
            length: length(row, "length")?,
            kept: kept(row)?,
        })
    })
    .await
}
