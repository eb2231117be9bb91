//! Looking after what is kept, whatever the engine and the tier: [how much there is](stat), [whether it is all
//! right](verify), [a copy elsewhere](copy), and [metadata as a file](dump).

pub mod copy;
pub mod dump;
mod rows;
pub mod stat;
pub mod verify;

use bytes::Bytes;
use cacheroach_model::{Hash, TenantId};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::chunks::{KeptChunk, Place};
use crate::inspect::Row;
use crate::{Error, Result, Store};

/// A live chunk, as its row says.
#[derive(Clone, Debug)]
struct LiveChunk {
    tenant: TenantId,
    hash: Hash,
    generation: i64,
    length: u32,
    /// None: it is in the chunk tier.
    data: Option<Bytes>,
    place: Option<Place>,
}

impl LiveChunk {
    /// None: the row is of a chunk that is not live.
    fn parse(row: &Row) -> Result<Option<Self>> {
        if row.number("state") != 1 {
            return Ok(None);
        }
        let length = u32::try_from(row.number("length"));
        Ok(Some(LiveChunk {
            tenant: row.tenant()?,
            hash: row.hash("chunk")?,
            generation: row.number("generation"),
            length: length.map_err(|_| Error::Damaged("chunks: length".into()))?,
            data: row.bytes("data").map(Bytes::copy_from_slice),
            place: row.bytes("place").map(|place| Place(place.to_vec())),
        }))
    }

    fn kept(&self) -> Option<KeptChunk> {
        let (tenant, hash, length) = (self.tenant, self.hash, self.length);
        self.place.clone().map(|place| KeptChunk { tenant, hash, length, place })
    }

    /// Its bytes, compared with their SHA-256 wherever they come from.
    async fn read(&self, store: &Store) -> Result<Bytes> {
        let bytes = match (&self.data, self.kept()) {
            (Some(data), _) => data.clone(),
            (None, Some(kept)) => store.chunks.read(&kept).await?,
            (None, None) => {
                return Err(Error::Damaged(format!("chunk {}: neither bytes nor a place", self.hash)));
            }
        };
        if bytes.len() as u64 != u64::from(self.length) {
            return Err(Error::Damaged(format!(
                "chunk {}: {} bytes of {}",
                self.hash,
                bytes.len(),
                self.length
            )));
        }
        let hashed = bytes.clone();
        let found = spawn_blocking(move || Hash::new(Sha256::digest(&hashed).into()));
        match found.await.map_err(|stopped| Error::Failed(stopped.into()))? {
            found if found == self.hash => Ok(bytes),
            _ => Err(Error::Damaged(format!("chunk {}: its bytes are others", self.hash))),
        }
    }
}
