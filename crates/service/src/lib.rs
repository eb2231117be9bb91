//! What can be done. The one way in is [`Service::call`] ([`Service::stream`] for answers of many parts,
//! [`Service::exchange`] for requests of many as well): it checks
//! the request against its rule, lets the noun's module do the work, and cuts the answer to what the caller may hear.
//! Nothing here knows HTTP, gRPC or SQL.

mod bootstrap;
mod caller;
mod content;
mod diags;
mod door;
mod drops;
mod error;
mod fetch;
mod files;
mod hashing;
mod health;
mod hint;
mod jobs;
mod lately;
mod links;
mod listings;
mod offers;
mod passwords;
mod principals;
mod read_only;
#[cfg(test)]
mod seams;
mod sites;
mod still;
mod streams;
mod tenants;
mod throttle;
mod tokens;
mod uploads;
mod versions;
mod vhosts;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cacheroach_api::store::PurgeResponse;
use cacheroach_auth::Keys;
use cacheroach_model::{Clock, Random, Timestamp};
use cacheroach_store::Store;
use cacheroach_store::buffers::Buffers;
use tokio::sync::Semaphore;

use sites::Sites;

pub use caller::Caller;
pub use content::{Content, Writer, Written};
pub use door::{Ask, AskStream, Exchange, Stream};
pub use drops::{Arrival, Inlet};
pub use error::{Error, Result, Unproven};
pub use fetch::{FetchSettings, Names, Network, NetworkError};
pub use hint::Hint;
pub use jobs::{PurgeSettings, purge_all};
pub use links::Linked;
pub use listings::Directory;
pub use sites::{AtHost, Site};

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an upload may take, from its beginning over gRPC, from its last progress over HTTP. Default: an hour.
    pub upload_timeout: Duration,
    /// Where it runs, for [`Diags.Echo`](cacheroach_api::method::diags::Echo). Default: nothing is told.
    pub machine: Machine,
    /// How many contents above 64 KiB may be on their way in at once, or offered; more are refused. Each takes up to 12 MiB of memory
    /// while its sender is fast, up to 512 KiB while it is slow, and a piece more in streams. Default: 1,024.
    pub large_writes: usize,
    /// Memory for files that were opened lately, of a store that can tell whether they changed. Default: 16 MiB.
    pub opened_bytes: u64,
    /// What the server may get from elsewhere.
    pub fetch: FetchSettings,
    /// How long a link may live, whatever was asked for or signed before. Default: as long as was asked.
    pub link_max_validity: Option<Duration>,
    /// What the server removes by itself.
    pub purge: PurgeSettings,
    /// Every write is refused, reads go on. Default: no.
    pub read_only: bool,
}

/// What a superuser may be told of the machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// The names of the environment variables. There are secrets among the values.
    pub environment: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            upload_timeout: Duration::from_secs(3600),
            machine: Machine::default(),
            large_writes: 1024,
            opened_bytes: 16 << 20,
            fetch: FetchSettings::default(),
            link_max_validity: None,
            purge: PurgeSettings::default(),
            read_only: false,
        }
    }
}

/// Everything that can be done.
pub struct Service {
    store: Store,
    keys: Keys,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
    /// For contents on their way in.
    room: Arc<Semaphore>,
    buffers: Buffers,
    openings: content::Openings,
    fetcher: fetch::Fetcher,
    /// For passwords.
    hashing: hashing::Hashing,
    throttle: throttle::Throttle,
    sites: Sites,
    /// Since the start.
    purged: Mutex<PurgeResponse>,
    callers: caller::Callers,
    /// Chunks that wait for true bytes.
    spoilt: Arc<content::Spoilt>,
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
        let room = Arc::new(Semaphore::new(settings.large_writes));
        let openings = content::Openings::new(settings.opened_bytes);
        let fetcher = fetch::Fetcher::new(&settings.fetch);
        let callers = caller::Callers::new(store.clone(), Arc::clone(&clock));
        let (hashing, throttle) = (hashing::Hashing::new(), throttle::Throttle::default());
        Service {
            store,
            keys,
            clock,
            random,
            settings,
            room,
            buffers: Buffers::default(),
            openings,
            fetcher,
            hashing,
            throttle,
            sites: Sites::default(),
            purged: Mutex::default(),
            callers,
            spoilt: Arc::default(),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
