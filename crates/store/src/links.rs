//! Links as they are kept: those that are listed, counted or taken back, and all drop links.

use async_trait::async_trait;
use cacheroach_model::{
    LinkId, LinkKind, Networks, Path, PrincipalId, SessionId, TenantId, Timestamp, Version,
};

use crate::Result;

/// A link with a row of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptLink {
    /// Its name.
    pub id: LinkId,
    /// For reading a file, or for uploading into a directory.
    pub kind: LinkKind,
    /// Whose file or directory.
    pub tenant: TenantId,
    /// Which.
    pub path: Path,
    /// Of the file, if only that.
    pub version: Option<Version>,
    /// Who signed it.
    pub principal: Option<PrincipalId>,
    /// And by which session.
    pub session: Option<SessionId>,
    /// When it was signed.
    pub created_at: Timestamp,
    /// At the latest.
    pub expires_at: Option<Timestamp>,
    /// How often it may be used, if that is counted.
    pub max_uses: Option<u64>,
    /// How often it was used, if that is counted.
    pub uses: u64,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// For people: the name to save a file by, or what a drop link is called.
    pub name: String,
    /// From where it can be used.
    pub networks: Networks,
    /// The largest file that a drop link takes, in bytes.
    pub max_size: Option<u64>,
    /// The types that a drop link takes: `image/png`, `image/*`. None of them means all.
    pub content_types: Vec<String>,
}

impl KeptLink {
    /// Where it is in a listing: a drop link is below its directory, with a last slash.
    #[must_use]
    pub fn place(&self) -> String {
        match self.kind {
            LinkKind::Read => self.path.to_string(),
            LinkKind::Drop => self.path.prefix(),
        }
    }
}

/// Which links a listing is about. It shows those that are not over and not taken back.
#[derive(Clone, Debug)]
pub struct LinkListing {
    /// Whose.
    pub tenant: TenantId,
    /// Those to this path.
    pub exactly: Option<Path>,
    /// And to all below this one.
    pub below: Option<Path>,
    /// Only those that this principal signed.
    pub principal: Option<PrincipalId>,
    /// Only those after the one at this [place](KeptLink::place).
    pub after: Option<(String, LinkId)>,
    /// At most so many.
    pub limit: usize,
}

/// Keeps links. A row may go a day after its link has expired, not before.
#[async_trait]
pub trait Links {
    /// Adds a link.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist;
    /// [`Error::Taken`](crate::Error::Taken) for an id that is there already.
    async fn add_link(&self, link: &KeptLink) -> Result<()>;

    /// One link, over or not.
    ///
    /// # Errors
    /// The store's.
    async fn find_link(&self, link: LinkId) -> Result<Option<KeptLink>>;

    /// Counts one use, in one step with the question whether there is one left: not if the link is over, was taken back
    /// or is unknown.
    ///
    /// # Errors
    /// The store's.
    async fn use_link(&self, link: LinkId) -> Result<bool>;

    /// Gives back a use that came to nothing.
    ///
    /// # Errors
    /// The store's.
    async fn return_use(&self, link: LinkId) -> Result<()>;

    /// Takes a link back, whether it was kept before or is kept from now on. Once is for ever.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a tenant that does not exist.
    async fn revoke_link(&self, link: &KeptLink) -> Result<()>;

    /// Links in the order of their places, then ids. Costs what it returns and what it leaves out for being over.
    ///
    /// # Errors
    /// The store's.
    async fn list_links(&self, listing: &LinkListing) -> Result<Vec<KeptLink>>;
}
