//! Uploads over gRPC.

use cacheroach_api::method::uploads;
use cacheroach_api::upload::{
    BeginRequest, BeginResponse, CommitRequest, CommitResponse, FetchProgress, FetchRequest, FetchResponse,
    OfferRequest, OfferResponse, StreamRequest, StreamResponse, TransferRequest, TransferResponse,
    uploads_server::Uploads,
};
use tonic::{Request, Streaming, async_trait};

use super::{Answer, Handlers, Parts};

#[async_trait]
impl Uploads for Handlers {
    async fn begin(&self, request: Request<BeginRequest>) -> Answer<BeginResponse> {
        self.unary::<uploads::Begin>(request).await
    }

    async fn commit(&self, request: Request<CommitRequest>) -> Answer<CommitResponse> {
        self.unary::<uploads::Commit>(request).await
    }

    async fn fetch(&self, request: Request<FetchRequest>) -> Answer<FetchResponse> {
        self.unary::<uploads::Fetch>(request).await
    }

    type FetchProgressStream = Parts<FetchProgress>;

    async fn fetch_progress(&self, request: Request<FetchRequest>) -> Answer<Parts<FetchProgress>> {
        self.parts::<uploads::FetchProgress>(request).await
    }

    async fn offer(&self, request: Request<OfferRequest>) -> Answer<OfferResponse> {
        self.unary::<uploads::Offer>(request).await
    }

    type StreamStream = Parts<StreamResponse>;

    async fn stream(&self, request: Request<Streaming<StreamRequest>>) -> Answer<Parts<StreamResponse>> {
        self.exchange::<uploads::Stream>(request).await
    }

    async fn transfer(&self, request: Request<TransferRequest>) -> Answer<TransferResponse> {
        self.unary::<uploads::Transfer>(request).await
    }
}
