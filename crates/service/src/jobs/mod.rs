//! What the server does by itself.

mod purge;
mod sweep;

pub use purge::{PurgeSettings, purge_all};
