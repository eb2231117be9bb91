//! Time and chance as the tests of this crate want them.

use cacheroach_model::{Clock, Random, Timestamp};

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
}

/// Never the same twice.
pub(crate) struct Fresh;

impl Random for Fresh {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }
}
