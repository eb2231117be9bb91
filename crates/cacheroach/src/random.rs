//! The randomness of the machine.

use cacheroach_model::Random;

/// What the kernel offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("Linux has had randomness for all since 3.17");
    }
}
