//! Uploads.

use crate::{Path, TenantId, Timestamp, UploadId, Version};

/// A content on its way in, piece by piece.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// Where to.
    pub tenant: TenantId,
    /// Where to.
    pub path: Path,
    /// Until when it can go on.
    pub deadline: Timestamp,
    /// How many bytes have come, each of them safe.
    pub offset: u64,
    /// How many calls brought them.
    pub transfers: u64,
    /// The version it became.
    pub outcome: Option<Version>,
}
