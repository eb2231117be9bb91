//! What is kept: metadata engines and chunk tiers behind traits. Nothing here knows who is calling or over which
//! protocol, and nothing reaches what is a tenant's without naming the tenant.

pub mod buffers;
pub mod changes;
pub mod chunks;
mod error;
pub mod failpoint;
pub mod files;
pub mod health;
pub mod inspect;
pub mod links;
mod open;
pub mod passwords;
pub mod postgres;
pub mod principals;
pub mod purge;
pub mod regions;
pub mod sessions;
pub mod sqlite;
pub mod stamps;
pub mod tenants;
mod tier;
pub mod tools;
pub mod uploads;
pub mod vhosts;
pub mod zones;

use std::sync::Arc;

use changes::Changes;
use chunks::Chunks;
pub use error::{Error, Result};
use files::Files;
use health::Health;
use inspect::Inspect;
use links::Links;
pub use open::{CacheSettings, Location, Settings, open, open_to_read};
use passwords::Passwords;
use principals::Principals;
use purge::Purge;
use regions::Regions;
use sessions::Sessions;
use tenants::Tenants;
pub use tier::{Tier, TierError};
use uploads::Uploads;
use vhosts::Vhosts;

/// A metadata engine: all nouns together.
pub trait Metadata:
    Changes
    + Files
    + Health
    + Inspect
    + Links
    + Passwords
    + Principals
    + Purge
    + Regions
    + Sessions
    + Tenants
    + Uploads
    + Vhosts
    + Send
    + Sync
{
}

impl<T> Metadata for T where
    T: Changes
        + Files
        + Health
        + Inspect
        + Links
        + Passwords
        + Principals
        + Purge
        + Regions
        + Sessions
        + Tenants
        + Uploads
        + Vhosts
        + Send
        + Sync
{
}

/// A metadata engine and a chunk tier.
#[derive(Clone)]
pub struct Store {
    /// Facts.
    pub metadata: Arc<dyn Metadata>,
    /// Bytes.
    pub chunks: Arc<dyn Chunks>,
}
