//! Chunks that were read lately, in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Hash, TenantId};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::by_region::ByRegion;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// What a chunk is taken to have, to guess how many there will be.
const USUAL_SIZE: u64 = 256 << 10;
/// Of an entry without its bytes.
const OVERHEAD: u64 = 256;

/// A tier with a memory. What is in it was verified by the tier; a chunk that many ask for is read once.
pub struct Cached {
    inner: Arc<dyn Chunks>,
    shared: Arc<Memory>,
}

struct Memory {
    cache: Cache<Key, Bytes, Weight>,
    /// Reads under way, for others to join.
    flights: Mutex<HashMap<Key, WeakShared<Flight>>>,
}

/// The tenant is part of it: equal bytes of two are two entries, and neither's speed tells of the other's.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    tenant: TenantId,
    hash: Hash,
    place: Vec<u8>,
}

type Flight = BoxFuture<'static, Result<Bytes, Arc<Error>>>;

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, key: &Key, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + key.place.len() as u64 + OVERHEAD
    }
}

impl Cached {
    /// Around a tier, with so much memory at most; it is taken as it is needed.
    #[must_use]
    pub fn new(inner: Arc<dyn Chunks>, capacity_bytes: u64) -> Self {
        let items = usize::try_from(capacity_bytes / USUAL_SIZE).unwrap_or(usize::MAX).max(1);
        let cache = Cache::with_weighter(items, capacity_bytes, Weight);
        Cached { inner, shared: Arc::new(Memory { cache, flights: Mutex::default() }) }
    }

    /// Joins the read of a chunk that is under way, or begins one.
    fn join(&self, key: &Key, chunk: &KeptChunk) -> Shared<Flight> {
        let mut flights = self.shared.flights();
        if let Some(flight) = flights.get(key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let landing = Landing { shared: Arc::clone(&self.shared), key: key.clone() };
        let flight = read(Arc::clone(&self.inner), chunk.clone(), landing).boxed().shared();
        flights.extend(flight.downgrade().map(|flight| (key.clone(), flight)));
        flight
    }
}

impl Memory {
    fn flights(&self) -> MutexGuard<'_, HashMap<Key, WeakShared<Flight>>> {
        // Each change is a single step.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight, also when all who waited have gone.
struct Landing {
    shared: Arc<Memory>,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.shared.flights().remove(&self.key);
    }
}

async fn read(inner: Arc<dyn Chunks>, chunk: KeptChunk, landing: Landing) -> Result<Bytes, Arc<Error>> {
    let bytes = inner.read(&chunk).await?;
    landing.shared.cache.insert(landing.key.clone(), bytes.clone());
    Ok(bytes)
}

fn key(chunk: &KeptChunk) -> Key {
    Key { tenant: chunk.tenant, hash: chunk.hash, place: chunk.place.0.clone() }
}

/// One failure for each who waited.
fn copy(error: &Arc<Error>) -> Error {
    match &**error {
        Error::Damaged(what) => Error::Damaged(what.clone()),
        Error::Busy(_) => Error::Busy(Box::new(Arc::clone(error))),
        Error::Full(_) => Error::Full(Box::new(Arc::clone(error))),
        _ => Error::Failed(Box::new(Arc::clone(error))),
    }
}

#[async_trait]
impl Chunks for Cached {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        self.inner.write(chunks).await
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let key = key(chunk);
        match self.shared.cache.get(&key) {
            Some(bytes) if bytes.len() == chunk.length as usize => return Ok(bytes),
            // A length that is not the chunk's is for the tier to judge.
            Some(_) => return self.inner.read(chunk).await,
            None => {}
        }
        self.join(&key, chunk).await.map_err(|error| copy(&error))
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        self.shared.cache.remove(&key(chunk));
        self.inner.erase(chunk).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.inner.list(after, limit).await
    }

    fn whereabouts(&self, place: &Place) -> Whereabouts {
        self.inner.whereabouts(place)
    }

    fn by_region(&self) -> Option<&ByRegion> {
        self.inner.by_region()
    }
}
