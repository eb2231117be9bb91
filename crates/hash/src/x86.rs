//! Two states at once, by the SHA extensions of x86-64.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128,
};

/// The constants of the rounds: FIPS 180-4, 4.2.2.
#[rustfmt::skip]
static K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// Takes the same blocks into both states, if this processor can; tells whether it did.
pub(crate) fn compress_both(one: &mut [u32; 8], other: &mut [u32; 8], blocks: &[[u8; 64]]) -> bool {
    let can = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1");
    if can {
        // SAFETY: the processor has all that the function was compiled for.
        unsafe { compress(one, other, blocks) };
    }
    can
}

/// A state as the instructions have it: words A, B, E, F and C, D, G, H, the first of each in the highest place.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn load(words: &[u32; 8]) -> State {
    let pointer = words.as_ptr().cast::<__m128i>();
    // SAFETY: eight words are two times 16 bytes, and these loads need no alignment.
    let (dcba, hgfe) = unsafe { (_mm_loadu_si128(pointer), _mm_loadu_si128(pointer.add(1))) };
    let (cdab, efgh) = (_mm_shuffle_epi32(dcba, 0xb1), _mm_shuffle_epi32(hgfe, 0x1b));
    State { abef: _mm_alignr_epi8(cdab, efgh, 8), cdgh: _mm_blend_epi16(efgh, cdab, 0xf0) }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn store(state: State, words: &mut [u32; 8]) {
    let (feba, dchg) = (_mm_shuffle_epi32(state.abef, 0x1b), _mm_shuffle_epi32(state.cdgh, 0xb1));
    let pointer = words.as_mut_ptr().cast::<__m128i>();
    // SAFETY: eight words are two times 16 bytes, and these stores need no alignment.
    unsafe {
        _mm_storeu_si128(pointer, _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128(pointer.add(1), _mm_alignr_epi8(dchg, feba, 8));
    }
}

impl State {
    /// Four rounds, with the sums of schedule and constants.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn rounds(&mut self, sums: __m128i) {
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, sums);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, _mm_shuffle_epi32(sums, 0x0e));
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn add(&mut self, before: State) {
        self.abef = _mm_add_epi32(self.abef, before.abef);
        self.cdgh = _mm_add_epi32(self.cdgh, before.cdgh);
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress(one: &mut [u32; 8], other: &mut [u32; 8], blocks: &[[u8; 64]]) {
    // The words of a message are big-endian.
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let constants = K.as_ptr().cast::<__m128i>();
    let (mut first, mut second) = (load(one), load(other));
    for block in blocks {
        let pointer = block.as_ptr().cast::<__m128i>();
        // SAFETY: a block is four times 16 bytes, and these loads need no alignment.
        let mut words =
            unsafe { [0, 1, 2, 3].map(|at| _mm_shuffle_epi8(_mm_loadu_si128(pointer.add(at)), swap)) };
        let before = (first, second);
        // Four words of the schedule at a time, the last sixteen are at hand; the compiler unrolls this.
        for group in 0..16 {
            if group >= 4 {
                let [w0, w1, w2, w3] = words;
                let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
                words = [w1, w2, w3, _mm_sha256msg2_epu32(sum, w3)];
            }
            let next = if group < 4 { words[group] } else { words[3] };
            // SAFETY: there are sixteen times four constants.
            let sums = _mm_add_epi32(next, unsafe { _mm_loadu_si128(constants.add(group)) });
            first.rounds(sums);
            second.rounds(sums);
        }
        first.add(before.0);
        second.add(before.1);
    }
    store(first, one);
    store(second, other);
}
