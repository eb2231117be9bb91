//! Chunks that take less room than they have bytes.
//!
//! Each chunk is compressed by itself, so a range costs no more than the chunks it touches, and nothing of one tenant can be
//! told from what another one has.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use zstd::bulk::{Compressor, decompress};

use super::by_region::ByRegion;
use super::checksum::checksum;
use super::{Chunks, Cursor, FoundChunk, KeptChunk, NewChunk, Page, Place, Whereabouts};
use crate::{Error, Result};

/// How chunks are compressed before they are kept. What was kept is read whatever this says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By Zstandard (RFC 8878), at a level from 1, fast, to 19, small.
    Zstd(i32),
}

/// As it is written: `none`, `zstd`, `zstd:LEVEL`.
impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither none nor zstd nor zstd:LEVEL with a level from 1 to 19");
        match text.split_once(':') {
            None if text == "none" => Ok(Compression::None),
            None if text == "zstd" => Ok(Compression::Zstd(1)),
            Some(("zstd", level)) => {
                let level = level.parse().ok().filter(|level| (1..=19).contains(level));
                level.map(Compression::Zstd).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compression::None => f.write_str("none"),
            Compression::Zstd(1) => f.write_str("zstd"),
            Compression::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

/// A tier whose chunks are compressed where that pays.
///
/// The place of one that is: a 4, the length of what is kept (4 bytes, big-endian), and the place that the tier below gave
/// it. That tier is told the generation with its sign turned, so that a walk tells what is compressed from what is not.
pub struct Packed {
    inner: Arc<dyn Chunks>,
    compression: Compression,
}

const MARK: u8 = 4;
/// The length of the places of rows as they were at first, which begin with anything.
const BARE_ROW: usize = 16;

/// What is looked at first: so many samples of so many bytes.
const SAMPLES: usize = 4;
const SAMPLE: usize = 4 << 10;

/// Whether it is so much smaller that it is worth the work of reading it.
fn pays(packed: usize, bytes: usize) -> bool {
    packed <= bytes - bytes / 16
}

fn pack_all(chunks: Vec<NewChunk>, level: i32) -> Vec<NewChunk> {
    // One for all: what it works with is dear to make.
    match Compressor::new(level) {
        Ok(mut compressor) => chunks.into_iter().map(|chunk| pack(chunk, &mut compressor)).collect(),
        Err(error) => {
            tracing::warn!(%error, "chunks are kept as they are: there is no compressor");
            chunks
        }
    }
}

/// The chunk as it is kept, if that is smaller. What does not look like it is hardly looked at.
fn pack(chunk: NewChunk, compressor: &mut Compressor<'_>) -> NewChunk {
    let bytes = &chunk.bytes;
    let mut shrinks = |bytes: &[u8]| {
        let packed = compressor.compress(bytes).ok();
        packed.filter(|packed| pays(packed.len(), bytes.len()))
    };
    if bytes.len() > 2 * SAMPLES * SAMPLE {
        let stride = bytes.len() / SAMPLES;
        let samples: Vec<_> = (0..SAMPLES).map(|sample| &bytes[sample * stride..][..SAMPLE]).collect();
        if shrinks(&samples.concat()).is_none() {
            return chunk;
        }
    }
    match shrinks(bytes) {
        Some(packed) => NewChunk {
            checksum: Some(checksum(&chunk.hash, &packed)),
            bytes: packed.into(),
            generation: -chunk.generation,
            ..chunk
        },
        None => chunk,
    }
}

fn place_of(length: usize, inner: &Place) -> Place {
    let length = u32::try_from(length).expect("a chunk is small");
    Place([&[MARK][..], &length.to_be_bytes(), &inner.0].concat())
}

/// What is kept at a place, if it is compressed: its length, and its place in the tier below.
fn split(place: &Place) -> Option<(u32, Place)> {
    match &place.0[..] {
        [MARK, rest @ ..] if place.0.len() != BARE_ROW => {
            let (length, inner) = rest.split_first_chunk()?;
            Some((u32::from_be_bytes(*length), Place(inner.to_vec())))
        }
        _ => None,
    }
}

/// How many bytes are kept for a chunk of this length, by the place that it has in its tier.
#[must_use]
pub(crate) fn kept_length(length: u32, place: &Place) -> u32 {
    split(place).map_or(length, |(length, _)| length)
}

impl Packed {
    /// Around a tier.
    #[must_use]
    pub fn new(inner: Arc<dyn Chunks>, compression: Compression) -> Self {
        Packed { inner, compression }
    }
}

/// A chunk as the tier below knows it.
fn below(chunk: &KeptChunk) -> KeptChunk {
    match split(&chunk.place) {
        Some((length, place)) => KeptChunk { length, place, ..chunk.clone() },
        None => chunk.clone(),
    }
}

fn found(found: FoundChunk) -> FoundChunk {
    if found.generation >= 0 {
        return found;
    }
    let place = place_of(found.chunk.length as usize, &found.chunk.place);
    let chunk = KeptChunk { place, ..found.chunk };
    FoundChunk { chunk, generation: -found.generation, ..found }
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|gone| Error::Failed(gone.into()))
}

#[async_trait]
impl Chunks for Packed {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        let Compression::Zstd(level) = self.compression else { return self.inner.write(chunks).await };
        let chunks = on_a_thread(move || pack_all(chunks, level)).await?;
        let packed: Vec<_> =
            chunks.iter().map(|chunk| (chunk.generation < 0).then_some(chunk.bytes.len())).collect();
        let places = self.inner.write(chunks).await?;
        let outer = |(place, length): (Place, Option<usize>)| match length {
            Some(length) => place_of(length, &place),
            None => place,
        };
        Ok(places.into_iter().zip(packed).map(outer).collect())
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        if split(&chunk.place).is_none() {
            return self.inner.read(chunk).await;
        }
        let packed = self.inner.read(&below(chunk)).await?;
        let length = chunk.length as usize;
        // It never makes more than the chunk has, whatever is there.
        let bytes = on_a_thread(move || decompress(&packed, length)).await?;
        match bytes {
            Ok(bytes) if bytes.len() == length => Ok(bytes.into()),
            _ => Err(Error::Damaged(format!(
                "chunk {}, place {:02x?}: what is kept is no such chunk, compressed",
                chunk.hash, chunk.place.0
            ))),
        }
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        self.inner.erase(&below(chunk)).await
    }

    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let Page { chunks, next } = self.inner.list(after, limit).await?;
        Ok(Page { chunks: chunks.into_iter().map(found).collect(), next })
    }

    fn whereabouts(&self, place: &Place) -> Whereabouts {
        match split(place) {
            Some((_, inner)) => self.inner.whereabouts(&inner),
            None => self.inner.whereabouts(place),
        }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        self.inner.by_region()
    }
}

#[cfg(test)]
mod tests {
    use cacheroach_model::{CHUNK_SIZE, Hash, TenantId};

    use super::*;
    use crate::chunks::memory::Memory;

    fn chunk(bytes: Vec<u8>) -> NewChunk {
        NewChunk {
            tenant: TenantId::SCRATCHPAD,
            hash: Hash::new([1; 32]),
            generation: 7,
            bytes: bytes.into(),
            checksum: None,
        }
    }

    fn kept(chunk: &NewChunk, place: &Place) -> KeptChunk {
        let length = u32::try_from(chunk.bytes.len()).unwrap();
        KeptChunk { tenant: chunk.tenant, hash: chunk.hash, length, place: place.clone() }
    }

    fn random(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        getrandom::fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in ["none", "zstd", "zstd:7"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for text in ["", "gzip", "zstd:0", "zstd:20", "zstd:", "none:1"] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn what_shrinks_is_kept_small_and_all_is_read_as_it_was() {
        let (inner, text) = (Arc::new(Memory::default()), b"all the same, ".repeat(20_000));
        let tier = Packed::new(inner.clone(), Compression::Zstd(1));
        // Whose first bytes alone would shrink, all of it, none of it, and too little to look at first.
        let half = [vec![0; 1000], random(CHUNK_SIZE - 1000)].concat();
        let chunks = [text, half, random(CHUNK_SIZE), vec![1; 100]].map(chunk);
        let places = tier.write(chunks.to_vec()).await.unwrap();
        for ((chunk, place), is_small) in chunks.iter().zip(&places).zip([true, false, false, true]) {
            let length = u32::try_from(chunk.bytes.len()).unwrap();
            assert_eq!(kept_length(length, place) < length, is_small);
            assert_eq!(tier.read(&kept(chunk, place)).await.unwrap(), chunk.bytes);
        }
        // Found as the rows name them, and read as well when nothing is compressed any more.
        let listed = tier.list(None, 10).await.unwrap().chunks;
        let found: Vec<_> =
            listed.iter().map(|found| (found.generation, found.chunk.place.clone())).collect();
        assert!(places.iter().all(|place| found.contains(&(7, place.clone()))), "{found:?}");
        let plain = Packed::new(inner, Compression::None);
        for (chunk, place) in chunks.iter().zip(&places) {
            assert_eq!(plain.read(&kept(chunk, place)).await.unwrap(), chunk.bytes);
            plain.erase(&kept(chunk, place)).await.unwrap();
        }
        assert!(tier.list(None, 10).await.unwrap().chunks.is_empty());
    }

    #[tokio::test]
    async fn a54_what_would_swell_beyond_its_length_is_damage() {
        let inner = Arc::new(Memory::default());
        let tier = Packed::new(inner, Compression::Zstd(1));
        let chunk = chunk(vec![0; CHUNK_SIZE]);
        let place = tier.write(vec![chunk.clone()]).await.unwrap().remove(0);
        let longer = kept(&chunk, &place);
        for length in [longer.length - 1, 1, 0] {
            let read = tier.read(&KeptChunk { length, ..longer.clone() }).await;
            assert!(matches!(read, Err(Error::Damaged(_))), "{length}");
        }
    }
}
