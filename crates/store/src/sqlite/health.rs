//! Whether the engine answers.

use async_trait::async_trait;

use super::Sqlite;
use crate::Result;
use crate::health::Health;

#[async_trait]
impl Health for Sqlite {
    async fn check_health(&self) -> Result<()> {
        self.readers.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }
}
