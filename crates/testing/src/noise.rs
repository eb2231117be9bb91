//! Contents for tests.

/// Bytes without any pattern, others for each seed, the same each time; nothing makes them fewer (`SplitMix64`).
#[must_use]
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut state = u64::from(seed) << 32;
    for part in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..part.len()]);
    }
    bytes
}
