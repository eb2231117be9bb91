//! The bytes of headers and places. The format is described in [`super`].

use cacheroach_model::{CHUNK_SIZE, Hash, TenantId, Timestamp};
use twox_hash::XxHash3_64;

use crate::buffers::HEAD;
use crate::chunks::checksum;
use crate::chunks::{KeptChunk, NewChunk, Place};

/// Packs and records begin and end at multiples of this.
pub(super) const BLOCK: u64 = 4096;
/// Of a record; the chunk's bytes follow.
pub(super) const HEADER: usize = HEAD;

const PACK_MAGIC: &[u8; 8] = b"crpacks\x01";
const RECORD_MAGIC: &[u8; 8] = b"crchunk\x01";
/// Where the hash is: the header's end, so that the checksum's input (the hash, then the bytes) lies in one piece.
const HASH: usize = HEADER - 32;
const PLACE_VERSION: u8 = 1;
const PLACE_LENGTH: usize = 21;

/// The first block of a pack.
pub(super) fn pack_header(number: u32, seed: u64) -> Vec<u8> {
    let mut header = vec![0; usize::try_from(BLOCK).expect("4096 fits")];
    header[..8].copy_from_slice(PACK_MAGIC);
    header[8..12].copy_from_slice(&number.to_be_bytes());
    header[16..24].copy_from_slice(&seed.to_be_bytes());
    let checksum = XxHash3_64::oneshot(&header[..24]);
    header[24..32].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// A chunk's header, and its checksum.
pub(super) fn header(chunk: &NewChunk, written_at: Timestamp, seed: u64) -> ([u8; HEADER], u64) {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(RECORD_MAGIC);
    let length = u32::try_from(chunk.bytes.len()).expect("a chunk is small");
    header[8..12].copy_from_slice(&length.to_be_bytes());
    header[16..24].copy_from_slice(&chunk.generation.to_be_bytes());
    header[24..40].copy_from_slice(chunk.tenant.as_bytes());
    header[48..56].copy_from_slice(&written_at.micros().to_be_bytes());
    header[HASH..].copy_from_slice(chunk.hash.as_bytes());
    let checksum = chunk.checksum.unwrap_or_else(|| checksum::checksum(&chunk.hash, &chunk.bytes));
    header[40..48].copy_from_slice(&checksum.to_be_bytes());
    let own = XxHash3_64::oneshot_with_seed(seed, &header);
    header[88..96].copy_from_slice(&own.to_be_bytes());
    (header, checksum)
}

/// Whether a record's header is that of this chunk.
pub(super) fn names(header: &[u8], chunk: &KeptChunk) -> bool {
    header.len() >= HEADER
        && header[..8] == *RECORD_MAGIC
        && header[8..12] == chunk.length.to_be_bytes()
        && header[24..40] == *chunk.tenant.as_bytes()
        && header[HASH..HEADER] == *chunk.hash.as_bytes()
}

/// The seed in the first block of this pack; `None`: it is not that.
pub(super) fn seed(block: &[u8], number: u32) -> Option<u64> {
    let seed = u64::from_be_bytes(block.get(16..24)?.try_into().ok()?);
    (*block == pack_header(number, seed)).then_some(seed)
}

/// What the header of a record says.
pub(super) struct Named {
    pub(super) tenant: TenantId,
    pub(super) hash: Hash,
    pub(super) generation: i64,
    pub(super) length: u32,
    pub(super) checksum: u64,
    /// None: nobody noted it.
    pub(super) written_at: Option<Timestamp>,
}

/// `None` for what is no header that was written under this seed, holes and torn ones among them.
pub(super) fn parse_header(bytes: &[u8], seed: u64) -> Option<Named> {
    let mut header: [u8; HEADER] = *bytes.first_chunk()?;
    let own = u64::from_be_bytes(part(&header, 88));
    header[88..96].fill(0);
    if header[..8] != *RECORD_MAGIC || XxHash3_64::oneshot_with_seed(seed, &header) != own {
        return None;
    }
    let length = u32::from_be_bytes(part(&header, 8));
    let written_at = i64::from_be_bytes(part(&header, 48));
    (length as usize <= CHUNK_SIZE).then_some(Named {
        tenant: TenantId::new(part(&header, 24)),
        hash: Hash::new(part(&header, HASH)),
        generation: i64::from_be_bytes(part(&header, 16)),
        length,
        checksum: u64::from_be_bytes(part(&header, 40)),
        written_at: (written_at != 0).then(|| Timestamp::from_micros(written_at)),
    })
}

fn part<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    *header[at..].first_chunk().expect("a part of a header lies within it")
}

/// The [`checksum`](checksum::checksum) of a record that has its header and nothing behind the chunk's bytes: there both lie in
/// one piece.
pub(super) fn checksum(record: &[u8]) -> u64 {
    XxHash3_64::oneshot(&record[HASH..])
}

/// How much of a pack a chunk of this length takes.
pub(super) const fn room(length: u32) -> u64 {
    (HEADER as u64 + length as u64).next_multiple_of(BLOCK)
}

/// What a [`Place`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spot {
    pub(super) pack: u32,
    /// Of the record, in blocks.
    pub(super) block: u32,
    /// Of the chunk's bytes.
    pub(super) length: u32,
    pub(super) checksum: u64,
}

impl Spot {
    /// Of the record, in bytes.
    pub(super) fn offset(&self) -> u64 {
        u64::from(self.block) * BLOCK
    }

    pub(super) fn place(&self) -> Place {
        let mut place = Vec::with_capacity(PLACE_LENGTH);
        place.push(PLACE_VERSION);
        place.extend(self.pack.to_be_bytes());
        place.extend(self.block.to_be_bytes());
        place.extend(self.length.to_be_bytes());
        place.extend(self.checksum.to_be_bytes());
        Place(place)
    }

    /// `None` for what [`place`](Self::place) cannot have made. A length is at most a chunk's, so that no damaged place
    /// asks for gigabytes of memory, and the first block is no record's.
    pub(super) fn parse(place: &Place) -> Option<Spot> {
        let (version, rest) = place.0.split_first()?;
        let (pack, rest) = rest.split_first_chunk()?;
        let (block, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let spot = Spot {
            pack: u32::from_be_bytes(*pack),
            block: u32::from_be_bytes(*block),
            length: u32::from_be_bytes(*length),
            checksum: u64::from_be_bytes(rest.try_into().ok()?),
        };
        let plausible = spot.pack > 0 && spot.block > 0 && spot.length as usize <= CHUNK_SIZE;
        (*version == PLACE_VERSION && plausible).then_some(spot)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SPOT: Spot = Spot { pack: 7, block: 9, length: 70_000, checksum: 0x0102_0304_0506_0708 };

    #[test]
    fn a_place_is_read_as_it_was_made() {
        assert_eq!(Spot::parse(&SPOT.place()), Some(SPOT));
        assert_eq!(SPOT.place().0, b"\x01\0\0\0\x07\0\0\0\x09\0\x01\x11\x70\x01\x02\x03\x04\x05\x06\x07\x08");
    }

    #[test]
    fn a_place_that_was_never_given_out_is_refused() {
        let good = SPOT.place().0;
        for length in 0..good.len() {
            assert_eq!(Spot::parse(&Place(good[..length].to_vec())), None);
        }
        assert_eq!(Spot::parse(&Place([&good[..], &[0]].concat())), None);
        assert_eq!(Spot::parse(&Place(vec![0xff; PLACE_LENGTH])), None);
        assert_eq!(Spot::parse(&Place(vec![0; PLACE_LENGTH])), None);
        for wrong in [Spot { pack: 0, ..SPOT }, Spot { block: 0, ..SPOT }, Spot { length: 524_289, ..SPOT }] {
            assert_eq!(Spot::parse(&wrong.place()), None);
        }
    }

    /// As packs have it that were written by another library: of a short input, of one that is hashed in stripes, and with a seed.
    #[test]
    fn checksums_are_those_of_packs_that_are_there_already() {
        let bytes: Vec<u8> = (0..100_000).map(|at| u8::try_from(at % 251).unwrap()).collect();
        assert_eq!(checksum::checksum(&Hash::new([3; 32]), b"some bytes"), 0xfe4b_af54_57e1_9b05);
        assert_eq!(checksum::checksum(&Hash::new([3; 32]), &bytes), 0x4d27_9f76_46da_0aa7);
        let seeded: Vec<u8> = (0..128).collect();
        assert_eq!(XxHash3_64::oneshot_with_seed(99, &seeded), 0x7a6a_cf8f_3f1b_802d);
    }

    #[test]
    fn a_record_says_what_it_is() {
        let chunk = NewChunk {
            tenant: TenantId::SCRATCHPAD,
            hash: Hash::new([3; 32]),
            generation: -2,
            bytes: Bytes::from_static(b"some bytes"),
            checksum: None,
        };
        let written_at = Timestamp::from_micros(5);
        let (header, sum) = header(&chunk, written_at, 99);
        let record = [&header[..], &chunk.bytes].concat();
        let named = parse_header(&record[..HEADER], 99).unwrap();
        assert_eq!((named.written_at, named.checksum, named.length), (Some(written_at), sum, 10));
        assert_eq!(checksum(&record), sum);
        assert_eq!(sum, 0xfe4b_af54_57e1_9b05);
        assert_ne!(checksum(&record[..HEADER + 9]), sum);
        let kept = KeptChunk { tenant: chunk.tenant, hash: chunk.hash, length: 10, place: Place(Vec::new()) };
        assert!(names(&record, &kept));
        assert!(!names(&record, &KeptChunk { length: 11, ..kept.clone() }));
        assert!(!names(&record, &KeptChunk { tenant: TenantId::new([1; 16]), ..kept.clone() }));
        assert!(!names(&record[..64], &kept));
    }

    #[test]
    fn records_take_whole_blocks() {
        assert_eq!(room(1), 4096);
        assert_eq!(room(4096 - 128), 4096);
        assert_eq!(room(4096 - 127), 8192);
        assert_eq!(room(512 * 1024), 129 * 4096);
    }
}
