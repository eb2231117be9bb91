//! Virtual hosts over gRPC.

use cacheroach_api::method::vhosts;
use cacheroach_api::vhost::{EnsureRequest, VHost, v_hosts_server::VHosts};
use tonic::{Request, async_trait};

use super::{Answer, Handlers, Parts};

#[async_trait]
impl VHosts for Handlers {
    type ListStream = Parts<VHost>;

    async fn ensure(&self, request: Request<EnsureRequest>) -> Answer<()> {
        self.unary::<vhosts::Ensure>(request).await
    }

    async fn list(&self, request: Request<()>) -> Answer<Self::ListStream> {
        self.parts::<vhosts::List>(request).await
    }
}
