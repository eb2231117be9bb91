//! Virtual hosts as they are kept.

use async_trait::async_trait;
use cacheroach_model::{Host, Vhost};

use crate::Result;

/// Keeps virtual hosts.
#[async_trait]
pub trait Vhosts {
    /// Maps the host to the tenant with these settings, whatever it was mapped to before.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist.
    async fn ensure_vhost(&self, vhost: &Vhost) -> Result<()>;

    /// Ends this mapping, however it is set. If there is none such, that is fine.
    ///
    /// # Errors
    /// The store's.
    async fn delete_vhost(&self, vhost: &Vhost) -> Result<()>;

    /// What a host is mapped to.
    ///
    /// # Errors
    /// The store's.
    async fn find_vhost(&self, host: &Host) -> Result<Option<Vhost>>;

    /// Mappings by host, after one.
    ///
    /// # Errors
    /// The store's.
    async fn list_vhosts(&self, after: Option<&Host>, limit: usize) -> Result<Vec<Vhost>>;
}
