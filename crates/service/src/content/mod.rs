//! Contents: between streams of bytes and chunks. Whatever the size, a bounded number of chunks is in memory.

mod buffers;
mod chunks;
mod driven;
mod openings;
mod reader;
mod writer;

pub(crate) use buffers::Buffers;
pub(crate) use chunks::{discard, keep};
pub(crate) use openings::{Found, Openings};
pub use reader::{Content, Opened};
pub(crate) use writer::Target;
pub use writer::{Writer, Written};
