//! What can be done. The one way in is [`Service::call`] (and [`Service::stream`] for answers of many parts): it checks
//! the request against its rule, lets the noun's module do the work, and cuts the answer to what the caller may hear.
//! Nothing here knows HTTP, gRPC or SQL.

mod bootstrap;
mod caller;
mod content;
mod diags;
mod door;
mod error;
mod files;
mod principals;
mod tenants;
mod tokens;
mod uploads;
mod vhosts;

use std::sync::Arc;
use std::time::Duration;

use cacheroach_auth::Keys;
use cacheroach_model::{Clock, Random, Timestamp};
use cacheroach_store::Store;

pub use caller::{Caller, Linked};
pub use content::{Content, Opened, Writer, Written};
pub use door::{Ask, AskStream, Stream};
pub use error::{Error, Result};
pub use files::Directory;

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an upload may take, from its beginning over gRPC, from its last progress over HTTP. Default: an hour.
    pub upload_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { upload_timeout: Duration::from_secs(3600) }
    }
}

/// Everything that can be done.
pub struct Service {
    store: Store,
    keys: Keys,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
}

impl Service {
    /// Over a store.
    #[must_use]
    pub fn new(
        store: Store,
        keys: Keys,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Self {
        Service { store, keys, clock, random, settings }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
