//! Contents: between streams of bytes and chunks. Whatever the size, a bounded number of chunks is in memory.

mod chunks;
mod driven;
mod reader;
mod writer;

pub(crate) use chunks::{discard, keep};
pub use reader::{Content, Opened};
pub(crate) use writer::Target;
pub use writer::{Writer, Written};
