//! Passwords as they are kept: hashed.

use std::fmt;

use async_trait::async_trait;
use cacheroach_model::PrincipalId;

use crate::Result;

/// How a principal logs in.
#[derive(Clone, Eq, PartialEq)]
pub struct Password {
    /// Whose it is.
    pub principal: PrincipalId,
    /// What the principal calls itself.
    pub user: String,
    /// Of the password, in the form of the PHC string format: with its parameters and its salt.
    pub hash: String,
}

/// Without the hash, which can be tried out at leisure by whoever has it.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Keeps passwords: one for a principal at most.
#[async_trait]
pub trait Passwords {
    /// Sets the password of a principal, in the place of the hash given if any: one that was changed meanwhile stays.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) without the principal; [`Error::Taken`](crate::Error::Taken) for a user
    /// that another principal is, in whatever case; [`Error::Skew`](crate::Error::Skew) for another hash than the one
    /// to be replaced.
    async fn set_password(&self, new: &Password, instead_of: Option<&str>) -> Result<()>;

    /// The password of a principal.
    ///
    /// # Errors
    /// The store's.
    async fn find_password(&self, principal: PrincipalId) -> Result<Option<Password>>;

    /// The password of the user that is spelled so.
    ///
    /// # Errors
    /// The store's.
    async fn find_password_by_user(&self, user: &str) -> Result<Option<Password>>;

    /// Takes a principal's password away. One that has none is fine.
    ///
    /// # Errors
    /// The store's.
    async fn delete_password(&self, principal: PrincipalId) -> Result<()>;
}
