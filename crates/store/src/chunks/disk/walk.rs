//! A walk over the records of packs, by their headers.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use cacheroach_model::Timestamp;

use super::files::PackFile;
use super::record::{self, BLOCK, HEADER, Named, Spot, room};
use crate::chunks::{Cursor, FoundChunk, KeptChunk, Page};
use crate::{Error, Result};

/// How much of a hole, or of what a crash tore, is passed at a time.
const STRIDE: usize = 1 << 20;
/// Strides of one page, so that a pack that is all holes does not hold a thread for long.
const STRIDES: usize = 64;

/// The pack, and the block to go on from; 0: the pack after this one.
pub(super) fn cursor(pack: u32, block: u32) -> Cursor {
    Cursor([pack.to_be_bytes(), block.to_be_bytes()].concat())
}

pub(super) fn parse(cursor: &Cursor) -> Result<(u32, u32)> {
    let parts = cursor.0.split_first_chunk().and_then(|(pack, block)| Some((*pack, block.try_into().ok()?)));
    let (pack, block) = parts.ok_or_else(|| Error::Failed("a cursor of another tier".into()))?;
    Ok((u32::from_be_bytes(pack), u32::from_be_bytes(block)))
}

/// Records of a pack from a block on. What was changed last in a pack is younger than all that is in it, which counts
/// where a record does not say when it was written itself: holes are changes, too.
pub(super) fn page(pack: u32, file: &dyn PackFile, block: u32, limit: usize) -> io::Result<Page> {
    let (end, changed_at) = file.extent()?;
    let mut page = Page { chunks: Vec::new(), next: Some(cursor(pack, 0)) };
    // A pack of another program, or whose first block was torn: no record of it can be told from a stranger's bytes.
    let first = file.read(0, usize::try_from(BLOCK).expect("a block is small"))?;
    let Some(seed) = record::seed(&first, pack) else {
        tracing::warn!(pack, "the first block of a pack is damaged: what is in it is not listed");
        return Ok(page);
    };
    let mut at = u64::from(block.max(1)) * BLOCK;
    for _ in 0..limit.saturating_add(STRIDES) {
        if at >= end {
            return Ok(page);
        }
        if page.chunks.len() >= limit {
            break;
        }
        let header = file.read(at, HEADER)?;
        match record::parse_header(&header, seed) {
            Some(named) => {
                let Ok(block) = u32::try_from(at / BLOCK) else { return Ok(page) };
                at += room(named.length);
                page.chunks.push(found(pack, block, &named, changed_at));
            }
            None => at = skip(file, at, seed)?,
        }
    }
    page.next = Some(cursor(pack, u32::try_from(at / BLOCK).unwrap_or(0)));
    Ok(page)
}

/// Where the next record is, or how far there is none.
fn skip(file: &dyn PackFile, at: u64, seed: u64) -> io::Result<u64> {
    let bytes = file.read(at, STRIDE)?;
    let block = usize::try_from(BLOCK).expect("a block is small");
    let next = (block..bytes.len()).step_by(block);
    let next = next.into_iter().find(|next| record::parse_header(&bytes[*next..], seed).is_some());
    Ok(at + next.unwrap_or(STRIDE) as u64)
}

fn found(pack: u32, block: u32, named: &Named, changed_at: SystemTime) -> FoundChunk {
    let spot = Spot { pack, block, length: named.length, checksum: named.checksum };
    FoundChunk {
        chunk: KeptChunk {
            tenant: named.tenant,
            hash: named.hash,
            length: named.length,
            place: spot.place(),
        },
        generation: named.generation,
        written_at: Some(named.written_at.unwrap_or_else(|| timestamp(changed_at))),
    }
}

/// As the file system tells it.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::default().after(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
