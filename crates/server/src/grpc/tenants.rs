//! Tenants over gRPC.

use cacheroach_api::method::tenants;
use cacheroach_api::tenant::{
    EnsureRequest, EnsureResponse, GetRequest, GetResponse, Tenant, WhereRequest, WhereResponse,
    tenants_server::Tenants,
};
use tonic::{Request, async_trait};

use super::{Answer, Handlers, Parts};

#[async_trait]
impl Tenants for Handlers {
    type ListStream = Parts<Tenant>;

    async fn ensure(&self, request: Request<EnsureRequest>) -> Answer<EnsureResponse> {
        self.unary::<tenants::Ensure>(request).await
    }

    async fn get(&self, request: Request<GetRequest>) -> Answer<GetResponse> {
        self.unary::<tenants::Get>(request).await
    }

    async fn list(&self, request: Request<()>) -> Answer<Self::ListStream> {
        self.parts::<tenants::List>(request).await
    }

    async fn r#where(&self, request: Request<WhereRequest>) -> Answer<WhereResponse> {
        self.unary::<tenants::Where>(request).await
    }
}
