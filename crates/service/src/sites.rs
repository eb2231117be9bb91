//! Which tenant a host shows, and how: a table of all vhosts in this process, so that no request looks them up.
//!
//! The table is read anew when it is older than [`FRESH`], when the store tells of a change, and before anybody is told
//! that this server changed it. Other servers' changes are seen within five seconds, whether their messages come or not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cacheroach_model::{Host, IndexName, Origin, Scope, TenantId, Timestamp, VhostSettings};
use cacheroach_store::changes::FRESH;
use tokio::sync::Mutex;

use crate::{Caller, Error, Result, Service};

/// How many are read at a time.
const PAGE: usize = 1000;

/// The table, which is replaced as a whole.
#[derive(Default)]
pub(crate) struct Sites {
    table: RwLock<Arc<Table>>,
    /// Held while it is read anew, so that one request does it for all, and no older one replaces a newer one.
    renewing: Mutex<()>,
    /// Counts the changes made here. A table that was read before the last of them is not used.
    changes: AtomicU64,
}

#[derive(Default)]
struct Table {
    /// None: never.
    read_at: Option<Timestamp>,
    /// How many changes had been made here before it was read.
    changes: u64,
    /// How many the store had told of.
    told: u64,
    sites: HashMap<Host, Site>,
    /// Of `*`.
    any: Option<Site>,
    /// Whether some of them are named to carry logins.
    names_logins: bool,
}

impl Table {
    fn is_fresh(&self, now: Timestamp, changes: u64, told: u64) -> bool {
        let is_young = |read_at: Timestamp| read_at <= now && now.since(read_at) < FRESH;
        (self.changes, self.told) == (changes, told) && self.read_at.is_some_and(is_young)
    }
}

/// That the vhosts are being changed. However that ends, the table of before is not used after it.
pub(crate) struct Change<'a>(&'a Sites);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Sites {
    /// To be held while vhosts are changed in the store.
    pub(crate) fn change(&self) -> Change<'_> {
        Change(self)
    }

    fn current(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A host as it is asked, before anything is known of the caller.
#[derive(Clone, Debug)]
pub struct AtHost {
    /// What is shown at that name.
    named: Option<Site>,
    /// What is shown at all others.
    any: Option<Site>,
    carries_logins: bool,
}

/// What a caller sees at a host.
#[derive(Clone, Debug)]
pub struct Site {
    /// Whose files.
    pub tenant: TenantId,
    /// How they are shown.
    pub settings: Arc<VhostSettings>,
}

impl AtHost {
    /// Whether cookies count here. As long as no vhost is named to carry logins all of them may.
    #[must_use]
    pub fn carries_logins(&self) -> bool {
        self.carries_logins
    }

    /// Whose scripts may read what is answered here.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        self.named.as_ref().or(self.any.as_ref()).map_or(&[], |site| &site.settings.cors)
    }

    /// Whether strangers are shown this tenant's files here.
    #[must_use]
    pub fn is_home_of(&self, tenant: TenantId) -> bool {
        self.named.as_ref().or(self.any.as_ref()).is_some_and(|site| site.tenant == tenant)
    }

    /// The tenant that a caller sees. A host that is mapped by name decides; a session on another tenant sees nothing
    /// there. Any other host shows a session its own tenant, and whoever has none that of `*`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a host that shows nothing.
    pub fn site(&self, caller: &Caller) -> Result<Site> {
        let own = match &caller.session().scope {
            Some(Scope::Location(location)) => Some(location.tenant),
            _ => None,
        };
        let nothing = Error::NotFound("host");
        match (&self.named, own) {
            (Some(named), Some(own)) if named.tenant != own => Err(nothing),
            (Some(named), _) => Ok(named.clone()),
            (None, own) => match (&self.any, own) {
                // What is set for a tenant's files is not meant for another's.
                (Some(any), Some(own)) if any.tenant != own => Ok(Site::plain(own)),
                (Some(any), _) => Ok(any.clone()),
                (None, Some(own)) => Ok(Site::plain(own)),
                (None, None) => Err(nothing),
            },
        }
    }
}

impl Site {
    fn plain(tenant: TenantId) -> Self {
        Site { tenant, settings: Arc::default() }
    }
}

impl Service {
    /// What is known of a host.
    ///
    /// # Errors
    /// The store's, when the table must be read.
    pub async fn host(&self, host: &Host) -> Result<AtHost> {
        let table = self.table().await?;
        let named = table.sites.get(host).cloned();
        let any = table.any.clone();
        let is_login = |site: &Site| site.settings.login;
        let carries_logins = !table.names_logins || named.as_ref().or(any.as_ref()).is_some_and(is_login);
        Ok(AtHost { named, any, carries_logins })
    }

    /// The tenant that a caller sees at a host.
    ///
    /// # Errors
    /// As [`AtHost::site`]; the store's.
    pub async fn site(&self, caller: &Caller, host: &Host) -> Result<TenantId> {
        Ok(self.host(host).await?.site(caller)?.tenant)
    }

    /// Whether a name is that of a page which some host shows in the place of a directory of the tenant.
    pub(crate) async fn is_index(&self, tenant: TenantId, name: &str) -> Result<bool> {
        let table = self.table().await?;
        let mut sites = table.sites.values().chain(table.any.as_ref());
        // A host that is not mapped has the usual name.
        Ok(name == IndexName::default().as_str()
            || sites.any(|site| site.tenant == tenant && site.settings.index.as_str() == name))
    }

    /// A table that no request has to wait for, most of the time.
    async fn table(&self) -> Result<Arc<Table>> {
        let is_fresh = |table: &Table| {
            let told = self.store.metadata.changes().vhosts();
            table.is_fresh(self.now(), self.sites.changes.load(Ordering::SeqCst), told)
        };
        let table = self.sites.current();
        if is_fresh(&table) {
            return Ok(table);
        }
        let _one_at_a_time = self.sites.renewing.lock().await;
        let table = self.sites.current();
        if is_fresh(&table) {
            return Ok(table);
        }
        self.read_table().await
    }

    /// Before a change is answered: from now on this server goes by it.
    pub(crate) async fn renew_sites(&self, change: Change<'_>) -> Result<()> {
        drop(change);
        self.table().await.map(drop)
    }

    async fn read_table(&self) -> Result<Arc<Table>> {
        let (changes, told) =
            (self.sites.changes.load(Ordering::SeqCst), self.store.metadata.changes().vhosts());
        let mut table = Table { read_at: Some(self.now()), changes, told, ..Table::default() };
        let mut after: Option<Host> = None;
        loop {
            let page = self.store.metadata.list_vhosts(after.as_ref(), PAGE).await?;
            after = page.last().map(|last| last.host.clone());
            let is_last = page.len() < PAGE;
            for vhost in page {
                table.names_logins |= vhost.settings.login;
                let site = Site { tenant: vhost.tenant, settings: Arc::new(vhost.settings) };
                table.sites.insert(vhost.host, site);
            }
            if is_last {
                break;
            }
        }
        table.any = table.sites.remove(&Host::any());
        let table = Arc::new(table);
        *self.sites.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&table);
        Ok(table)
    }
}
