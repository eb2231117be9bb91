//! A tier that does what the worst of stores do, for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::by_region::ByRegion;
use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// What a tier can be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// [`Chunks::write`].
    Write,
    /// [`Chunks::read`].
    Read,
    /// [`Chunks::erase`].
    Erase,
    /// [`Chunks::list`].
    List,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is busy, and nothing happens.
    Busy,
    /// It happens, but the answer is that it was busy.
    AnswerLost,
    /// There is no room left. Of a read: as [`Fault::Busy`].
    Full,
    /// It takes so long.
    Delay(Duration),
    /// A write is acknowledged and nothing kept.
    Lose,
    /// A write is acknowledged and half of it kept; a read answers half.
    Shorten,
    /// A write is acknowledged and other bytes are kept; a read answers other bytes.
    Swap,
    /// An erasure is acknowledged and everything kept.
    Keep,
}

/// Which calls fail and how: those of a script first, then as a seed says.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    script: VecDeque<(Call, Fault)>,
    seed: u64,
    shares: Vec<(Call, Fault, u32)>,
}

impl Faults {
    /// None.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// The next call of this kind that no other fault was planned for fails so.
    pub fn next(&self, call: Call, fault: Fault) {
        self.plan().script.push_back((call, fault));
    }

    /// From now on, so many in a thousand calls of a kind fail so; the same seed, the same calls.
    pub fn seed(&self, seed: u64, shares: &[(Call, Fault, u32)]) {
        let mut plan = self.plan();
        plan.seed = seed | 1;
        plan.shares = shares.to_vec();
    }

    /// Everything works again.
    pub fn stop(&self) {
        *self.plan() = Plan::default();
    }

    fn of(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan();
        if let Some(at) = plan.script.iter().position(|(planned, _)| *planned == call) {
            return plan.script.remove(at).map(|(_, fault)| fault);
        }
        if plan.shares.is_empty() {
            return None;
        }
        // xorshift64: enough to scatter faults, and the same everywhere.
        plan.seed ^= plan.seed << 13;
        plan.seed ^= plan.seed >> 7;
        plan.seed ^= plan.seed << 17;
        let mut drawn = plan.seed % 1000;
        for (_, fault, share) in plan.shares.iter().filter(|(planned, ..)| *planned == call) {
            match drawn.checked_sub(u64::from(*share)) {
                None => return Some(*fault),
                Some(rest) => drawn = rest,
            }
        }
        None
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Around a tier that works.
pub struct Faulty {
    inner: Arc<dyn Chunks>,
    faults: Arc<Faults>,
}

impl Faulty {
    /// With these faults, which may change while it is used.
    #[must_use]
    pub fn new(inner: Arc<dyn Chunks>, faults: Arc<Faults>) -> Self {
        Faulty { inner, faults }
    }

    /// What is planned for a call, after the delay if it is one.
    async fn fault(&self, call: Call) -> Result<Option<Fault>> {
        match self.faults.of(call) {
            Some(Fault::Delay(length)) => {
                tokio::time::sleep(length).await;
                Ok(None)
            }
            Some(Fault::Busy) => Err(busy()),
            Some(Fault::Full) if call == Call::Write => Err(Error::Full("a fault of a test".into())),
            Some(Fault::Full) => Err(busy()),
            other => Ok(other),
        }
    }
}

fn busy() -> Error {
    Error::Busy("a fault of a test".into())
}

fn shortened(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

fn swapped(bytes: &Bytes) -> Bytes {
    bytes.iter().map(|byte| !byte).collect::<Vec<u8>>().into()
}

#[async_trait]
impl Chunks for Faulty {
    async fn write(&self, mut chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        let fault = self.fault(Call::Write).await?;
        let as_given = chunks.clone();
        for chunk in &mut chunks {
            match fault {
                Some(Fault::Shorten) => chunk.bytes = shortened(&chunk.bytes),
                Some(Fault::Swap) => chunk.bytes = swapped(&chunk.bytes),
                _ => {}
            }
        }
        let places = self.inner.write(chunks).await?;
        match fault {
            Some(Fault::AnswerLost) => return Err(busy()),
            Some(Fault::Lose) => {
                for (chunk, place) in as_given.iter().zip(&places) {
                    let length = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX);
                    let (tenant, hash, place) = (chunk.tenant, chunk.hash, place.clone());
                    self.inner.erase(&KeptChunk { tenant, hash, length, place }).await?;
                }
            }
            _ => {}
        }
        Ok(places)
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let fault = self.fault(Call::Read).await?;
        let bytes = self.inner.read(chunk).await?;
        match fault {
            Some(Fault::Shorten) => Ok(shortened(&bytes)),
            Some(Fault::Swap) => Ok(swapped(&bytes)),
            Some(Fault::Lose) => Err(Error::Damaged(format!("chunk {} was lost by a test", chunk.hash))),
            Some(Fault::AnswerLost) => Err(busy()),
            _ => Ok(bytes),
        }
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        match self.fault(Call::Erase).await? {
            Some(Fault::Keep) => Ok(()),
            Some(Fault::AnswerLost) => {
                self.inner.erase(chunk).await?;
                Err(busy())
            }
            _ => self.inner.erase(chunk).await,
        }
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.fault(Call::List).await?;
        self.inner.list(after, limit).await
    }

    fn whereabouts(&self, place: &Place) -> Whereabouts {
        self.inner.whereabouts(place)
    }

    fn by_region(&self) -> Option<&ByRegion> {
        self.inner.by_region()
    }
}
