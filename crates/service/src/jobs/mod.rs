//! What the server does by itself.

mod purge;

pub use purge::{PurgeReport, PurgeSettings, purge_all};
