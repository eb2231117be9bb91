//! Principals as they are kept.

use async_trait::async_trait;
use cacheroach_model::{Principal, PrincipalId};

use crate::Result;

/// Keeps principals.
#[async_trait]
pub trait Principals {
    /// Creates the principal if its version is 0, else changes it from that version. Absent claims keep the old ones,
    /// with label and e-mail address; the domain never changes. Answers the principal as it is then, one version higher.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when the current version is another one;
    /// [`Error::Taken`](crate::Error::Taken) for an address or a domain that another principal has.
    async fn ensure_principal(&self, principal: &Principal) -> Result<Principal>;

    /// Deletes the principal in that version, its sessions and its password.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when it is in another version, or not there.
    async fn delete_principal(&self, principal: PrincipalId, version: i64) -> Result<()>;

    /// One principal.
    ///
    /// # Errors
    /// The store's.
    async fn find_principal(&self, principal: PrincipalId) -> Result<Option<Principal>>;

    /// The principal with this lower-case address.
    ///
    /// # Errors
    /// The store's.
    async fn find_principal_by_email(&self, email: &str) -> Result<Option<Principal>>;

    /// The principal whose sessions everybody of this lower-case domain holds.
    ///
    /// # Errors
    /// The store's.
    async fn find_principal_by_domain(&self, domain: &str) -> Result<Option<Principal>>;

    /// Principals by id, after one.
    ///
    /// # Errors
    /// The store's.
    async fn list_principals(&self, after: Option<PrincipalId>, limit: usize) -> Result<Vec<Principal>>;
}
