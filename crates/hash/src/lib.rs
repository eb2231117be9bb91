//! SHA-256 (FIPS 180-4) of chunks and of the contents that they are parts of, in one pass over the bytes.
//!
//! A content's hash and those of its chunks are made from the same blocks of 64 bytes, as long as chunks begin at multiples
//! of 64: so the message schedule, half of the work, is made once, and the rounds of both, which wait for each other, fill
//! each other's gaps. On processors that have instructions for SHA-256 the second hash is all but free. Elsewhere, and where
//! a chunk begins in the middle of a block, one is made after the other by the crate `sha2`.

#[cfg(target_arch = "x86_64")]
mod x86;

use cacheroach_model::{Hash, UploadId};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

/// Bytes of a block.
const BLOCK: usize = 64;

/// An exbibyte: whoever says that more has come lies, and sums must not run over.
const MOST_BLOCKS: u64 = 1 << 54;

/// What both begin with: FIPS 180-4, 5.3.3.
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The hash of some bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    Hash::new(Sha256::digest(bytes).into())
}

/// What a chunk is called, and what shows that somebody has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proven {
    /// Its hash.
    pub hash: Hash,
    /// Known only to who had the bytes since the upload began.
    pub proof: Hash,
}

/// Shows to whoever began an upload that one has the bytes of a chunk, in the same pass that hashes it: the SHA-256 of a
/// block that no other upload has, its 16 bytes of id behind a fixed prefix, and the chunk's bytes. The id goes first, so whoever
/// had the bytes once can't have kept something shorter that would do.
#[must_use]
pub fn prove(upload: UploadId, chunk: &[u8]) -> Proven {
    let mut block = [0; BLOCK];
    block[..PROOF.len()].copy_from_slice(PROOF);
    block[BLOCK - 16..].copy_from_slice(upload.as_bytes());
    let mut whole = Whole::default();
    whole.update(&block);
    let hash = whole.update_chunk(chunk);
    Proven { hash, proof: whole.finish() }
}

/// What a proof begins with; zeros are between it and the id.
const PROOF: &[u8] = b"cacheroach: a chunk of upload";

/// The hash of a content, as far as its bytes have come.
#[derive(Clone, Debug)]
pub struct Whole {
    state: [u32; 8],
    /// Full blocks so far.
    blocks: u64,
    /// The beginning of the next block.
    rest: [u8; BLOCK],
    filled: usize,
}

impl Default for Whole {
    fn default() -> Self {
        Whole { state: BEGINNING, blocks: 0, rest: [0; BLOCK], filled: 0 }
    }
}

impl Whole {
    /// Bytes of [`Whole::save`].
    pub const SAVED: usize = 104;

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.rest[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            if self.filled < BLOCK {
                return;
            }
            compress256(&mut self.state, &[self.rest]);
            (self.blocks, self.filled, bytes) = (self.blocks + 1, 0, tail);
        }
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.keep(blocks.len(), rest);
    }

    /// Takes the next bytes, and answers their own hash.
    pub fn update_chunk(&mut self, chunk: &[u8]) -> Hash {
        if self.filled > 0 {
            self.update(chunk);
            return hash(chunk);
        }
        let mut own = Whole::default();
        let (blocks, rest) = chunk.as_chunks();
        compress_both(&mut self.state, &mut own.state, blocks);
        self.keep(blocks.len(), rest);
        own.keep(blocks.len(), rest);
        own.finish()
    }

    /// The hash of all that came.
    #[must_use]
    pub fn finish(mut self) -> Hash {
        let bits = (self.blocks * BLOCK as u64 + self.filled as u64).wrapping_mul(8);
        // A one, zeros, and the length in bits at the end of a block: FIPS 180-4, 5.1.1.
        let mut end = [0; 2 * BLOCK];
        end[..self.filled].copy_from_slice(&self.rest[..self.filled]);
        end[self.filled] = 0x80;
        let length = if self.filled + 1 + 8 <= BLOCK { BLOCK } else { 2 * BLOCK };
        end[length - 8..length].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, end[..length].as_chunks().0);
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Hash::new(hash)
    }

    /// How far it has come, for [`Whole::load`]: the state and the number of blocks, little-endian, then how much of the
    /// next block has come, and that, with zeros behind it. The crate `sha2` writes the same.
    #[must_use]
    pub fn save(&self) -> [u8; Whole::SAVED] {
        let mut saved = [0; Whole::SAVED];
        for (bytes, word) in saved.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        saved[32..40].copy_from_slice(&self.blocks.to_le_bytes());
        saved[40] = u8::try_from(self.filled).expect("less than a block");
        saved[41..41 + self.filled].copy_from_slice(&self.rest[..self.filled]);
        saved
    }

    /// Goes on from where another one was saved. None: nobody saved that.
    #[must_use]
    pub fn load(saved: &[u8]) -> Option<Self> {
        let saved: &[u8; Whole::SAVED] = saved.try_into().ok()?;
        let (head, rest) = saved.split_at(40);
        let (filled, rest) = rest.split_first()?;
        let filled = usize::from(*filled);
        let blocks = u64::from_le_bytes(head[32..].try_into().ok()?);
        if filled >= BLOCK || blocks > MOST_BLOCKS || rest[filled..].iter().any(|byte| *byte != 0) {
            return None;
        }
        let mut whole = Whole { filled, ..Whole::default() };
        for (word, bytes) in whole.state.iter_mut().zip(head.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        whole.blocks = blocks;
        whole.rest[..filled].copy_from_slice(&rest[..filled]);
        Some(whole)
    }

    /// Notes blocks that were taken, and keeps what is no block yet.
    fn keep(&mut self, blocks: usize, rest: &[u8]) {
        self.blocks += blocks as u64;
        self.rest[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }
}

/// Takes the same blocks into two states.
fn compress_both(one: &mut [u32; 8], other: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
    #[cfg(target_arch = "x86_64")]
    if x86::compress_both(one, other, blocks) {
        return;
    }
    compress256(one, blocks);
    compress256(other, blocks);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::digest::common::hazmat::SerializableState as _;

    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let hex = |hash: Hash| hash.to_string();
        assert_eq!(hex(hash(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            hex(Whole::default().finish()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut whole = Whole::default();
        let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(whole.update_chunk(two_blocks), hash(two_blocks));
        assert_eq!(hex(whole.finish()), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }

    #[test]
    fn a_proof_is_of_one_chunk_and_one_upload() {
        let upload = UploadId::new([7; 16]);
        let mut known = b"cacheroach: a chunk of upload".to_vec();
        known.resize(48, 0);
        known.extend([7; 16]);
        known.extend(b"abc");
        assert_eq!(prove(upload, b"abc"), Proven { hash: hash(b"abc"), proof: hash(&known) });
        assert_ne!(prove(UploadId::new([8; 16]), b"abc").proof, hash(&known));
        assert_ne!(prove(upload, b"abd").proof, hash(&known));
    }

    /// Where a content may be cut, most often at multiples of a block.
    fn cuts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let length = prop_oneof![0..200usize, (0..20usize).prop_map(|blocks| blocks * BLOCK)];
        let part = length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
        prop::collection::vec(part, 0..8)
    }

    proptest! {
        #[test]
        fn both_hashes_are_those_of_sha2_however_a_content_is_cut(parts in cuts(), kinds in any::<u8>()) {
            let (mut whole, mut known) = (Whole::default(), Sha256::new());
            for (at, part) in parts.iter().enumerate() {
                if kinds >> at & 1 == 0 {
                    prop_assert_eq!(whole.update_chunk(part), hash(part));
                } else {
                    whole.update(part);
                }
                known.update(part);
                let saved = whole.save();
                prop_assert_eq!(&saved[..], &known.serialize()[..]);
                whole = Whole::load(&saved).unwrap();
            }
            prop_assert_eq!(whole.finish(), Hash::new(known.finalize().into()));
        }

        #[test]
        fn what_nobody_saved_is_none_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..130)) {
            if let Some(whole) = Whole::load(&bytes) {
                prop_assert_eq!(&whole.save()[..], &bytes[..]);
            }
        }
    }

    /// On a processor that has the instructions, they and the portable way agree; on others this compares one with itself.
    #[test]
    fn the_fast_way_is_the_portable_way() {
        let blocks: Vec<[u8; BLOCK]> =
            (0..1000u32).map(|n| [n.to_le_bytes()[0] ^ n.to_le_bytes()[1]; BLOCK]).collect();
        let (mut one, mut other) = (BEGINNING, [7; 8]);
        let (mut known_one, mut known_other) = (one, other);
        for length in [0, 1, 2, 3, 17, 1000] {
            compress_both(&mut one, &mut other, &blocks[..length]);
            compress256(&mut known_one, &blocks[..length]);
            compress256(&mut known_other, &blocks[..length]);
            assert_eq!((one, other), (known_one, known_other), "{length} blocks");
        }
    }
}
