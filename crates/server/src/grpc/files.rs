//! Files over gRPC.

use cacheroach_api::file::{
    CopyRequest, CopyResponse, DeleteRequest, EditRequest, EditResponse, ListRequest, ListResponse,
    ListVersionsRequest, ListVersionsResponse, Meta, MoveRequest, RestoreRequest, RetrievalRequest,
    RetrievalResponse, StatRequest, files_server::Files,
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

    async fn stat(&self, request: Request<StatRequest>) -> Answer<Meta> {
        self.unary::<files::Stat>(request).await
    }

    async fn list_versions(&self, request: Request<ListVersionsRequest>) -> Answer<ListVersionsResponse> {
        self.unary::<files::ListVersions>(request).await
    }

    async fn restore(&self, request: Request<RestoreRequest>) -> Answer<Meta> {
        self.unary::<files::Restore>(request).await
    }

    async fn copy(&self, request: Request<CopyRequest>) -> Answer<CopyResponse> {
        self.unary::<files::Copy>(request).await
    }

    async fn r#move(&self, request: Request<MoveRequest>) -> Answer<CopyResponse> {
        self.unary::<files::Move>(request).await
    }

    async fn edit(&self, request: Request<EditRequest>) -> Answer<EditResponse> {
        self.unary::<files::Edit>(request).await
    }
}
