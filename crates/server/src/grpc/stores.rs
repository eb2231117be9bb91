//! Looking after the store over gRPC.

use cacheroach_api::method::stores;
use cacheroach_api::store::{PurgeResponse, stores_server::Stores};
use tonic::{Request, async_trait};

use super::{Answer, Handlers};

#[async_trait]
impl Stores for Handlers {
    async fn purge(&self, request: Request<()>) -> Answer<PurgeResponse> {
        self.unary::<stores::Purge>(request).await
    }
}
