//! Chunks in memory: for tests, and for stores that need not outlive the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::by_region::ByRegion;
use super::{Chunks, Cursor, FoundChunk, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// Holds chunks until it is dropped. Its places are numbers that count up, big-endian.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Given out last.
    last: u64,
    chunks: BTreeMap<u64, NewChunk>,
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic can leave a number unused, which is fine.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a place says, unless it was made elsewhere.
fn number(place: &[u8]) -> Option<u64> {
    place.try_into().ok().map(u64::from_be_bytes)
}

fn found((number, chunk): (&u64, &NewChunk)) -> FoundChunk {
    FoundChunk {
        chunk: KeptChunk {
            tenant: chunk.tenant,
            hash: chunk.hash,
            length: u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX),
            place: Place(number.to_be_bytes().to_vec()),
        },
        generation: chunk.generation,
        written_at: None,
    }
}

fn is(kept: &NewChunk, chunk: &KeptChunk) -> bool {
    kept.tenant == chunk.tenant && kept.hash == chunk.hash && kept.bytes.len() == chunk.length as usize
}

#[async_trait]
impl Chunks for Memory {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        let mut kept = self.kept();
        let mut places = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            kept.last += 1;
            let number = kept.last;
            kept.chunks.insert(number, chunk);
            places.push(Place(number.to_be_bytes().to_vec()));
        }
        Ok(places)
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let kept = self.kept();
        let found = number(&chunk.place.0).and_then(|number| kept.chunks.get(&number));
        match found {
            Some(found) if is(found, chunk) => Ok(found.bytes.clone()),
            _ => Err(Error::Damaged(format!(
                "chunk {} is not at {:02x?} in memory",
                chunk.hash, chunk.place.0
            ))),
        }
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let Some(number) = number(&chunk.place.0) else {
            return Err(Error::Damaged(format!(
                "chunk {}: {:02x?} is no place in memory",
                chunk.hash, chunk.place.0
            )));
        };
        let mut kept = self.kept();
        match kept.chunks.get(&number) {
            Some(found) if !is(found, chunk) => Err(Error::Damaged(format!(
                "chunk {} is not at {number} in memory, so it is not erased",
                chunk.hash
            ))),
            _ => {
                kept.chunks.remove(&number);
                Ok(())
            }
        }
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let wrong = || Error::Failed("a cursor of another tier".into());
        let after = after.map_or(Ok(0), |after| number(&after.0).ok_or_else(wrong))?;
        let kept = self.kept();
        let mut rest = kept.chunks.range((Bound::Excluded(after), Bound::Unbounded));
        let chunks: Vec<FoundChunk> = rest.by_ref().take(limit.max(1)).map(found).collect();
        let last = chunks.last().filter(|_| rest.next().is_some());
        let next = last.map(|last| Cursor(last.chunk.place.0.clone()));
        Ok(Page { chunks, next })
    }

    fn whereabouts(&self, _: &Place) -> Whereabouts {
        Whereabouts { region: None, tier: "memory".to_owned() }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        None
    }
}

#[cfg(test)]
mod tests {
    use cacheroach_model::{Hash, TenantId};

    use super::*;

    fn chunk(byte: u8) -> NewChunk {
        NewChunk {
            tenant: TenantId::SCRATCHPAD,
            hash: Hash::new([byte; 32]),
            generation: 1,
            bytes: Bytes::from(vec![byte; 100]),
            checksum: None,
        }
    }

    fn kept(chunk: &NewChunk, place: &Place) -> KeptChunk {
        KeptChunk { tenant: chunk.tenant, hash: chunk.hash, length: 100, place: place.clone() }
    }

    #[tokio::test]
    async fn what_is_put_is_got_until_it_is_erased() {
        let memory = Memory::new();
        let places = memory.write(vec![chunk(1), chunk(2)]).await.unwrap();
        let (one, two) = (kept(&chunk(1), &places[0]), kept(&chunk(2), &places[1]));
        assert_eq!(memory.read(&one).await.unwrap(), chunk(1).bytes);
        memory.erase(&one).await.unwrap();
        memory.erase(&one).await.unwrap();
        assert!(matches!(memory.read(&one).await, Err(Error::Damaged(_))));
        assert_eq!(memory.read(&two).await.unwrap(), chunk(2).bytes);
        let again = memory.write(vec![chunk(1)]).await.unwrap();
        assert!(!places.contains(&again[0]), "a place is never given out twice");
    }

    #[tokio::test]
    async fn a_wrong_place_length_or_tenant_is_damage() {
        let memory = Memory::new();
        let good = kept(&chunk(1), &memory.write(vec![chunk(1)]).await.unwrap()[0]);
        for wrong in [
            KeptChunk { place: Place(vec![1]), ..good.clone() },
            KeptChunk { length: 99, ..good.clone() },
            KeptChunk { tenant: TenantId::new([1; 16]), ..good.clone() },
            KeptChunk { hash: Hash::EMPTY, ..good.clone() },
        ] {
            assert!(matches!(memory.read(&wrong).await, Err(Error::Damaged(_))));
            assert!(matches!(memory.erase(&wrong).await, Err(Error::Damaged(_))));
        }
        assert_eq!(memory.read(&good).await.unwrap(), chunk(1).bytes);
    }
}
