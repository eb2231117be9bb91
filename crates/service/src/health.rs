//! Whether the service can do anything at all.

use std::time::Duration;

use crate::Service;

/// Who takes longer to answer that is not well.
const PATIENCE: Duration = Duration::from_secs(2);

impl Service {
    /// Whether the store answers. Asks nobody who is allowed to know: it tells nothing else.
    pub async fn is_ready(&self) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.store.metadata.check_health()).await, Ok(Ok(())))
    }
}
