//! The checksum of packs: much faster than SHA-256, and fastest while the bytes are in the processor's cache.

use std::hash::Hasher as _;

use cacheroach_model::Hash;
use twox_hash::XxHash3_64;

/// XXH3-64 of a chunk's hash, then its bytes.
#[must_use]
pub fn checksum(hash: &Hash, bytes: &[u8]) -> u64 {
    let mut both = XxHash3_64::new();
    both.write(hash.as_bytes());
    both.write(bytes);
    both.finish()
}
