//! Principals.

use crate::PrincipalId;

/// Who can hold sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    /// Its name for programs.
    pub id: PrincipalId,
    /// Its name for people.
    pub label: String,
    /// Counts changes.
    pub version: i64,
    /// A JSON object of personal data, as text.
    pub claims: Option<String>,
    /// Lower-case; from the claims. Unique.
    pub email: Option<String>,
    /// Lower-case: its sessions count as held by everybody with an address in this domain. Unique.
    pub email_domain: Option<String>,
}
