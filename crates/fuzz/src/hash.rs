//! Hashes of chunks and of the whole that they make up are those that another implementation makes, however the bytes come.

use cacheroach_hash::Whole;
use cacheroach_model::Hash;
use sha2::{Digest as _, Sha256};

fn known(bytes: &[u8]) -> Hash {
    Hash::new(Sha256::digest(bytes).into())
}

/// Steps of three bytes, what is done and how many of the bytes behind all steps it is done with (repeated, so that few
/// make several blocks); then the bytes.
pub(crate) fn hash(data: &[u8]) {
    // What a stranger saved goes on like anything else, or is refused.
    if let Some(mut loaded) = Whole::load(data) {
        loaded.update(data);
        let _ = loaded.finish();
    }
    let Some((&steps, data)) = data.split_first() else { return };
    let Some((steps, bytes)) = data.split_at_checked(usize::from(steps % 16) * 3) else { return };
    let (mut whole, mut all) = (Whole::default(), Vec::new());
    for step in steps.as_chunks::<3>().0 {
        let length = usize::from(u16::from_be_bytes([step[1] & 0x0f, step[2]]));
        let part: Vec<u8> = bytes.iter().copied().cycle().take(length).collect();
        match step[0] % 4 {
            0 => whole.update(&part),
            1 | 2 => {
                let hash = whole.update_chunk(&part);
                assert_eq!(hash, known(&part), "a chunk of {length} at {}", all.len());
            }
            _ => {
                whole = Whole::load(&whole.save()).expect("it was saved");
                continue;
            }
        }
        all.extend(part);
        assert_eq!(whole.clone().finish(), known(&all), "after {} bytes", all.len());
    }
}
