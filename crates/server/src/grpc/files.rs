//! Files over gRPC.

use cacheroach_api::file::{
    CopyRequest, CopyResponse, CreateDropLinkRequest, CreateDropLinkResponse, DeleteRequest, EditRequest,
    EditResponse, ListLinksRequest, ListLinksResponse, ListRequest, ListResponse, ListVersionsRequest,
    ListVersionsResponse, Meta, MoveRequest, RestoreRequest, RetrievalRequest, RetrievalResponse,
    RevokeLinkRequest, StatRequest, files_server::Files,
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

    async fn list_links(&self, request: Request<ListLinksRequest>) -> Answer<ListLinksResponse> {
        self.unary::<files::ListLinks>(request).await
    }

    async fn revoke_link(&self, request: Request<RevokeLinkRequest>) -> Answer<()> {
        self.unary::<files::RevokeLink>(request).await
    }

    async fn create_drop_link(
        &self,
        request: Request<CreateDropLinkRequest>,
    ) -> Answer<CreateDropLinkResponse> {
        self.unary::<files::CreateDropLink>(request).await
    }
}
