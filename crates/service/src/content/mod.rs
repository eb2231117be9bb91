//! Contents: between streams of bytes and chunks. Whatever the size, a bounded number of chunks is in memory.

mod chunks;
mod reader;
mod writer;

pub(crate) use chunks::{hash, keep, settle};
pub use reader::{Content, Opened};
pub use writer::{Writer, Written};
