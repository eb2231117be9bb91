//! What calls bring of an upload: cut into chunks, hashed, and known again when it is brought once more.

use std::mem;

use bytes::{Bytes, BytesMut};
use cacheroach_hash::{Whole, hash};
use cacheroach_model::{CHUNK_SIZE, Hash};

use super::Hashed;
use crate::Result;

/// Bytes cut into chunks.
#[derive(Clone)]
pub(crate) struct Cut {
    /// How many of them, from the first one on, the upload has already, as its tail.
    pub(crate) known: usize,
    /// Full ones.
    pub(crate) chunks: Vec<Bytes>,
    /// What is no full chunk yet.
    pub(crate) rest: Bytes,
}

impl Cut {
    /// Of bytes that come behind a tail.
    pub(crate) fn new(tail: &Bytes, data: &Bytes) -> Self {
        // Most calls find no tail: then the chunks are slices of what came.
        let mut rest = if tail.is_empty() {
            data.clone()
        } else {
            let mut all = BytesMut::with_capacity(tail.len() + data.len());
            all.extend_from_slice(tail);
            all.extend_from_slice(data);
            all.freeze()
        };
        let mut chunks = Vec::new();
        while rest.len() >= CHUNK_SIZE {
            chunks.push(rest.split_to(CHUNK_SIZE));
        }
        Cut { known: tail.len(), chunks, rest }
    }

    /// How many bytes are new.
    pub(crate) fn new_bytes(&self) -> u64 {
        (self.chunks.len() * CHUNK_SIZE + self.rest.len() - self.known) as u64
    }
}

/// What a call brought, hashed.
pub(crate) struct Brought {
    /// The whole content so far.
    pub(crate) whole: Whole,
    /// Its full chunks.
    pub(crate) chunks: Vec<Hashed>,
    /// What is no full chunk yet.
    pub(crate) tail: Bytes,
    /// To know the same call again.
    pub(crate) digest: Hash,
}

impl Brought {
    /// Behind what was hashed before.
    pub(crate) fn new(mut whole: Whole, cut: Cut) -> Self {
        let Cut { mut known, chunks, rest } = cut;
        if known == 0 {
            let chunks: Vec<_> =
                chunks.into_iter().map(|chunk| Hashed::new(whole.update_chunk(&chunk), chunk)).collect();
            let last = whole.update_chunk(&rest);
            let digest = digest(chunks.iter().map(|chunk| chunk.hash).chain([last]));
            return Brought { whole, chunks, tail: rest, digest };
        }
        let mut data = Whole::default();
        for part in chunks.iter().chain([&rest]) {
            let new = &part[mem::take(&mut known)..];
            whole.update(new);
            data.update(new);
        }
        let chunks = chunks.into_iter().map(|chunk| Hashed::new(hash(&chunk), chunk)).collect();
        Brought { whole, chunks, tail: rest, digest: data.finish() }
    }
}

/// Bytes that begin a chunk are known again by the hashes of their chunks, which are needed anyway.
pub(crate) fn digest(hashes: impl Iterator<Item = Hash>) -> Hash {
    hash(&hashes.flat_map(|hash| *hash.as_bytes()).collect::<Vec<_>>())
}

/// What was called the digest of these bytes when they were brought, from an offset.
pub(crate) fn digest_again(from: u64, data: &Bytes) -> Hash {
    // All chunks before are full ones.
    if !from.is_multiple_of(CHUNK_SIZE as u64) {
        return hash(data);
    }
    let Cut { chunks, rest, .. } = Cut::new(&Bytes::new(), data);
    digest(chunks.iter().chain([&rest]).map(|chunk| hash(chunk)))
}

/// A half-done hash from the row of an upload.
pub(crate) fn resume(state: &[u8]) -> Result<Whole> {
    if state.is_empty() {
        return Ok(Whole::default());
    }
    let broken = || cacheroach_store::Error::Damaged("the hash of an upload".into());
    Ok(Whole::load(state).ok_or_else(broken)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Error;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// However a content is cut into calls, it becomes the same chunks and the same hash.
        #[test]
        fn calls_of_any_size_make_the_same_chunks(cuts in prop::collection::vec(1..2 * CHUNK_SIZE + 3, 1..6)) {
            let size = cuts.iter().sum::<usize>();
            let content: Bytes = (0..size).map(|at| u8::try_from(at * at % 251).expect("below 251")).collect();
            let (mut rest, mut tail, mut state, mut chunks) = (content.clone(), Bytes::new(), Vec::new(), Vec::new());
            for cut in cuts {
                let data = rest.split_to(cut);
                let from = (chunks.len() * CHUNK_SIZE + tail.len()) as u64;
                let cut = Cut::new(&tail, &data);
                prop_assert_eq!(cut.new_bytes(), data.len() as u64);
                let brought = Brought::new(resume(&state).unwrap(), cut);
                prop_assert_eq!(brought.digest, digest_again(from, &data));
                state = brought.whole.save().to_vec();
                for Hashed { hash: known, bytes: chunk, .. } in brought.chunks {
                    prop_assert_eq!(known, hash(&chunk));
                    chunks.push(chunk);
                }
                tail = brought.tail;
            }
            prop_assert!(chunks.iter().all(|chunk| chunk.len() == CHUNK_SIZE) && tail.len() < CHUNK_SIZE);
            chunks.push(tail);
            prop_assert_eq!(chunks.concat(), &content[..]);
            prop_assert_eq!(resume(&state).unwrap().finish(), hash(&content));
        }
    }

    #[test]
    fn a_half_done_hash_that_is_none_is_damage() {
        for state in [&[1][..], &[0; 103], &[255; 105]] {
            assert!(matches!(resume(state), Err(Error::Damaged)), "{} bytes", state.len());
        }
    }
}
