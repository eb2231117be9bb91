//! What breaks servers on purpose, and sees what survives. Never shipped.
//!
//! - [`Site`]: a store and the servers on it, which can be killed, stopped and started anew.
//! - [`Proxy`]: between a server and PostgreSQL; it cuts, delays, swallows, and answers in the database's place.
//! - [`Wire`] and [`upload`]: clients, over HTTP and over gRPC.
//! - [`is_unserved`]: which of their errors say that nothing was done.
//! - [`Journal`]: what was acknowledged, so that it can be looked for afterwards.
//! - [`History`]: who did what when; whether one order explains all that was seen.

#![allow(clippy::unwrap_used, reason = "all of this is for tests")]

pub mod history;
pub mod journal;
pub mod proxy;
pub mod random;
pub mod site;
pub mod unserved;
pub mod upload;
pub mod wire;

pub use history::History;
pub use journal::Journal;
pub use proxy::Proxy;
pub use random::Random;
pub use site::{Launch, Place, Site};
pub use unserved::is_unserved;
pub use wire::Wire;
