//! Files over gRPC.

use cacheroach_api::file::{
    DeleteRequest, ListRequest, ListResponse, RetrievalRequest, RetrievalResponse, files_server::Files,
};
use cacheroach_api::method::files;
use tonic::{Request, async_trait};

use super::{Answer, Handlers};

#[async_trait]
impl Files for Handlers {
    async fn delete(&self, request: Request<DeleteRequest>) -> Answer<()> {
        self.unary::<files::Delete>(request).await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        self.unary::<files::List>(request).await
    }

    async fn retrieve(&self, request: Request<RetrievalRequest>) -> Answer<RetrievalResponse> {
        self.unary::<files::Retrieve>(request).await
    }
}
