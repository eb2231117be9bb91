//! Contents whose pieces don't make them up.

use cacheroach_model::{Hash, RopeId, TenantId};
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::{PAGE, Problem, Touches, Verify, Wrong};
use crate::chunks::KeptChunk;
use crate::files::{Kept, Piece};
use crate::inspect::{Key, PIECES, ROPES, Row, Value};
use crate::{Error, Result, Store};

/// A content.
#[derive(Clone, Copy)]
struct Rope {
    tenant: TenantId,
    id: RopeId,
    hash: Hash,
    size: u64,
}

/// What a look at a content came to.
enum Looked {
    Whole,
    /// A chunk is not there, or could not be read.
    Lacks(Option<Hash>, String),
    /// It is another content, or none at all.
    Wrong(String),
}

impl Rope {
    fn parse(row: &Row) -> Result<Self> {
        let id = row.bytes("rope").and_then(|id| RopeId::try_from(id).ok());
        Ok(Rope {
            tenant: row.tenant()?,
            id: id.ok_or_else(|| Error::Damaged("ropes: rope".into()))?,
            hash: row.hash("hash")?,
            size: row.number("size").unsigned_abs(),
        })
    }

    fn key(&self) -> Key {
        [&self.tenant.as_bytes()[..], self.id.as_bytes()].map(|id| Value::Bytes(id.to_vec())).to_vec()
    }

    /// What a reader of it would get.
    async fn look(self, store: &Store) -> Result<Looked> {
        let (mut at, mut hash) = (0, Sha256::new());
        while at < self.size {
            let page = store.metadata.list_pieces(self.tenant, self.id, at..self.size).await?;
            if page.is_empty() {
                return self.gap(store, at).await;
            }
            for piece in page {
                if piece.at != at {
                    return self.gap(store, at).await;
                }
                at += u64::from(piece.length);
                // One chunk with the content's own name: it was read before.
                if piece.chunk == self.hash && u64::from(piece.length) == self.size {
                    return Ok(Looked::Whole);
                }
                match self.read(store, piece).await {
                    Ok(bytes) => {
                        let update = move || {
                            hash.update(&bytes);
                            hash
                        };
                        hash =
                            spawn_blocking(update).await.map_err(|stopped| Error::Failed(stopped.into()))?;
                    }
                    Err((chunk, problem)) => return Ok(Looked::Lacks(Some(chunk), problem)),
                }
            }
        }
        if at != self.size {
            return Ok(Looked::Wrong(format!("{at} bytes of {}", self.size)));
        }
        let found = Hash::new(hash.finalize().into());
        if found == self.hash { Ok(Looked::Whole) } else { Ok(Looked::Wrong(format!("its hash is {found}"))) }
    }

    async fn read(&self, store: &Store, piece: Piece) -> Result<bytes::Bytes, (Hash, String)> {
        let (tenant, hash, length) = (self.tenant, piece.chunk, piece.length);
        let read = match piece.kept {
            Kept::Here(bytes) => Ok(bytes),
            Kept::At(place) => store.chunks.read(&KeptChunk { tenant, hash, length, place }).await,
        };
        match read {
            Ok(bytes) if bytes.len() as u64 == u64::from(length) => Ok(bytes),
            Ok(_) => Err((hash, format!("chunk {hash}: its length is another"))),
            Err(error) => Err((hash, super::text(&error))),
        }
    }

    /// A reader finds no piece that begins here: there is none, or its chunk is not live.
    async fn gap(&self, store: &Store, at: u64) -> Result<Looked> {
        let mut key = self.key();
        key.push(Value::Number(i64::try_from(at).unwrap_or(i64::MAX)));
        Ok(match store.metadata.find_row(&PIECES, &key).await? {
            Some(piece) => {
                let chunk = piece.hash("chunk")?;
                Looked::Lacks(Some(chunk), format!("chunk {chunk} has no bytes"))
            }
            None => Looked::Wrong(format!("no piece begins at {at}, of {} bytes", self.size)),
        })
    }
}

impl<F: FnMut(super::Finding) + Send> Verify<'_, F> {
    /// Looks at every content as a reader would.
    pub(super) async fn ropes(&mut self) -> Result<()> {
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.metadata.list_rows(&ROPES, after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(Row::key);
            let ropes = page.iter().map(Rope::parse).collect::<Result<Vec<_>>>()?;
            let store = self.store;
            let looks = stream::iter(ropes).map(|rope| async move { (rope, rope.look(store).await) });
            let mut looks = looks.buffer_unordered(self.settings.concurrency.max(1));
            let mut bad = Vec::new();
            while let Some((rope, looked)) = looks.next().await {
                self.done.ropes += 1;
                if !matches!(looked?, Looked::Whole) {
                    bad.push(rope);
                }
            }
            drop(looks);
            for rope in bad {
                self.bad_rope(rope).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn bad_rope(&mut self, rope: Rope) -> Result<()> {
        let looked = rope.look(self.store).await?;
        // It may be gone, or its pieces be on their way out, since its row was read.
        if self.store.metadata.find_row(&ROPES, &rope.key()).await?.is_none() {
            return Ok(());
        }
        let (problem, detail, repaired) = match looked {
            Looked::Whole => return Ok(()),
            // Told with the chunk.
            Looked::Lacks(Some(chunk), _) if self.told.contains(&(rope.tenant, chunk)) => return Ok(()),
            Looked::Lacks(_, detail) => (Problem::MissingChunk, detail, false),
            Looked::Wrong(detail) => {
                let repair = self.settings.repair;
                if repair {
                    self.remove_pieces(&rope).await?;
                }
                (Problem::WrongPieces, detail, repair)
            }
        };
        let (tenant, touches) = (rope.tenant, Touches::Rope(rope.id));
        self.found(Wrong { problem, tenant, detail, repaired, touches }).await
    }

    /// A content without pieces can't be read, and gets new ones when it is brought again.
    async fn remove_pieces(&self, rope: &Rope) -> Result<()> {
        let metadata = &self.store.metadata;
        let mut before = rope.key();
        before.push(Value::Number(-1));
        loop {
            let page = metadata.list_rows(&PIECES, Some(&before), PAGE).await?;
            let own = page.iter().map(Row::key).take_while(|key| key.starts_with(&rope.key()));
            let own: Vec<_> = own.collect();
            let is_last = own.len() < PAGE;
            metadata.remove_rows(&PIECES, own).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}
