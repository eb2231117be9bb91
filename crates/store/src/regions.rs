//! Where the bytes of a tenant are, by the rows that name them, and who keeps those rows where.

use async_trait::async_trait;
use cacheroach_model::{Hash, Region, TenantId};

use crate::chunks::Place;
use crate::zones::Cluster;
use crate::{Error, Result};

/// Where a server is that was not told and has nobody to ask.
pub(crate) fn local() -> Region {
    Region::parse("local").expect("lower-case letters")
}

/// A live chunk and where its bytes are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Which.
    pub chunk: Hash,
    /// In bytes.
    pub length: u32,
    /// In the chunk tier; none: in its row.
    pub place: Option<Place>,
}

/// Tells where bytes are, and keeps rows in regions.
#[async_trait]
pub trait Regions {
    /// The live chunks of a tenant by hash, after one; at most so many.
    ///
    /// # Errors
    /// The store's.
    async fn list_places(&self, tenant: TenantId, after: Option<Hash>, limit: usize) -> Result<Vec<Placed>>;

    /// The cluster that keeps the rows, if it is one that can keep them in regions. Default: it is none.
    ///
    /// # Errors
    /// The store's.
    async fn cluster(&self) -> Result<Option<Cluster>> {
        Ok(None)
    }

    /// Says one statement of a [plan](Cluster::plan) to the cluster.
    ///
    /// # Errors
    /// The store's; that there is no cluster.
    async fn say_to_cluster(&self, statement: &str) -> Result<()> {
        let _ = statement;
        Err(Error::Failed("this engine has no zones".into()))
    }
}
