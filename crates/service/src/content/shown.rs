//! Chunks that a caller shows to have.

use std::sync::Arc;

use bytes::Bytes;
use cacheroach_hash::prove;
use cacheroach_model::{Hash, TenantId, UploadId};
use cacheroach_store::{Error as StoreError, Store};
use futures::{StreamExt as _, stream};

use super::driven::driven;
use super::reader::read;
use super::spoilt::Spoilt;
use crate::{Error, Result, Stream};

/// A chunk of an upload, by its hash, and what shows that the caller has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) chunk: Hash,
    pub(crate) proof: Hash,
}

/// How many chunks are read at a time.
const AT_ONCE: usize = 4;

/// Where chunks are looked for.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) upload: UploadId,
    pub(crate) spoilt: Arc<Spoilt>,
}

impl Shelf {
    /// The bytes of chunks in order, up to the first one that is not there or not shown.
    pub(crate) fn find_all(self, shown: Vec<Shown>) -> Stream<Bytes> {
        let found = stream::iter(shown).map(move |one| driven(self.clone().find(one))).buffered(AT_ONCE);
        Box::pin(found.scan((), |(), one| std::future::ready(one.transpose())))
    }

    /// The bytes of a chunk, if the tenant has it and the caller shows to have it, too.
    ///
    /// One that is not there takes the same way as one that is and is not shown: another chunk is read and hashed in its
    /// place. So the time tells no more than how long it takes to read the one or the other.
    async fn find(self, shown: Shown) -> Result<Option<Bytes>> {
        let Shelf { store, tenant, upload, spoilt } = self;
        let mut near = store.metadata.find_chunk_from(tenant, shown.chunk).await?;
        if near.is_none() {
            near = store.metadata.find_chunk_from(tenant, Hash::new([0; 32])).await?;
        }
        // The tenant has nothing at all.
        let Some(near) = near else { return Ok(None) };
        let bytes = match read(&store, tenant, (near.chunk, near.length), &near.kept).await {
            Ok(bytes) => bytes,
            Err(StoreError::Damaged(_)) => {
                if near.chunk == shown.chunk {
                    spoilt.note(tenant, near.chunk, near.generation);
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let proving = tokio::task::spawn_blocking(move || (prove(upload, &bytes), bytes));
        let (proven, bytes) = proving.await.map_err(Error::internal)?;
        let is_it = proven.hash == shown.chunk && is_equal(&proven.proof, &shown.proof);
        Ok(is_it.then_some(bytes))
    }
}

/// Takes the same time whichever bytes differ: a proof must not be found out one by one.
fn is_equal(one: &Hash, other: &Hash) -> bool {
    let differing = |all, (one, other): (&u8, &u8)| all | (one ^ other);
    std::hint::black_box(one.as_bytes().iter().zip(other.as_bytes()).fold(0, differing)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_a_proof_is_compared_as_a_whole() {
        let proof = Hash::new([7; 32]);
        assert!(is_equal(&proof, &Hash::new([7; 32])));
        for at in 0..32 {
            let mut wrong = [7; 32];
            wrong[at] ^= 1;
            assert!(!is_equal(&proof, &Hash::new(wrong)), "byte {at}");
        }
    }
}
