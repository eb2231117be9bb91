//! Principals over gRPC.

use cacheroach_api::method::principals;
use cacheroach_api::principal::{
    EnsureRequest, EnsureResponse, LoadRequest, Principal, SetPasswordRequest, WatchRequest,
    principals_server::Principals,
};
use tonic::{Request, async_trait};

use super::{Answer, Handlers, Parts};

#[async_trait]
impl Principals for Handlers {
    type ListStream = Parts<Principal>;
    type WatchStream = Parts<Principal>;

    async fn ensure(&self, request: Request<EnsureRequest>) -> Answer<EnsureResponse> {
        self.unary::<principals::Ensure>(request).await
    }

    async fn list(&self, request: Request<()>) -> Answer<Self::ListStream> {
        self.parts::<principals::List>(request).await
    }

    async fn load(&self, request: Request<LoadRequest>) -> Answer<Principal> {
        self.unary::<principals::Load>(request).await
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        self.parts::<principals::Watch>(request).await
    }

    async fn set_password(&self, request: Request<SetPasswordRequest>) -> Answer<()> {
        self.unary::<principals::SetPassword>(request).await
    }
}
