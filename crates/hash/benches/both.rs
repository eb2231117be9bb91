//! What the second hash costs: `cargo bench --package cacheroach-hash`.

use std::hint::black_box;
use std::time::Instant;

use cacheroach_hash::{Whole, hash};

const CHUNK: usize = 512 * 1024;
const CHUNKS: usize = 1024;
const ROUNDS: usize = 5;

/// A way to make hashes of a chunk that is part of a whole.
type Way<'a> = &'a dyn Fn(&mut Whole);

fn main() {
    let bytes: Vec<u8> = (0..=250).cycle().take(CHUNK).collect();
    let ways: [(&str, Way<'_>); 3] = [
        ("one hash", &|_| {
            black_box(hash(&bytes));
        }),
        ("one after the other", &|whole| {
            whole.update(&bytes);
            black_box(hash(&bytes));
        }),
        ("both at once", &|whole| {
            black_box(whole.update_chunk(&bytes));
        }),
    ];
    // In turns, so that a machine that grows slower favours none.
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        for (best, (_, way)) in best.iter_mut().zip(&ways) {
            let (mut whole, begun) = (Whole::default(), Instant::now());
            (0..CHUNKS).for_each(|_| way(&mut whole));
            black_box(whole.finish());
            *best = best.min(begun.elapsed().as_secs_f64());
        }
    }
    for (seconds, (name, _)) in best.iter().zip(&ways) {
        println!("{name}: {:.2} GB/s", (CHUNK * CHUNKS) as f64 / seconds / 1e9);
    }
}
