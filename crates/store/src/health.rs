//! Whether a metadata engine answers, for those who send requests to one server or another.

use async_trait::async_trait;

use crate::Result;

/// An engine that can be asked how it is.
#[async_trait]
pub trait Health {
    /// Answers when the engine does. Callers bound the time. What has answered others just now need not be asked.
    ///
    /// # Errors
    /// Why it does not answer.
    async fn check_health(&self) -> Result<()>;
}
