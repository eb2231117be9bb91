//! How a memory of what was read can be exact.

/// Stands for what a file was when it was asked for. As long as an engine gives the same for a file, what
/// [`Files::open_file`](crate::files::Files::open_file) answered after it was asked for the first one has not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    pub(crate) everything: u64,
    pub(crate) file: u64,
}
