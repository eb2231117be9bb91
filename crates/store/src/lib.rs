//! What is kept: metadata engines and chunk tiers behind traits. Nothing here knows who is calling or over which
//! protocol, and nothing reaches what is a tenant's without naming the tenant.

pub mod chunks;
mod error;

pub use error::{Error, Result};
