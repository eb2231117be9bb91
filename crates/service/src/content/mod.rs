//! Contents: between streams of bytes and chunks. Whatever the size, a bounded number of chunks is in memory.

mod brought;
mod chain;
mod chunks;
mod driven;
mod gathering;
mod openings;
mod reader;
mod shown;
mod spoilt;
mod writer;

pub(crate) use brought::{Brought, Cut, digest, digest_again, resume};
pub(crate) use chain::{AT_ONCE, After, Before, link};
pub(crate) use chunks::{Hashed, discard, keep};
pub(crate) use gathering::{GROUP, Gathering};
pub(crate) use openings::{Found, Openings};
pub use reader::Content;
pub(crate) use shown::{Shelf, Shown};
pub(crate) use spoilt::Spoilt;
pub(crate) use writer::Target;
pub use writer::{Writer, Written};
