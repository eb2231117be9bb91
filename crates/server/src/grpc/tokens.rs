//! Tokens over gRPC.

use cacheroach_api::method::tokens;
use cacheroach_api::session::{Scope, Session};
use cacheroach_api::token::{
    InvalidateRequest, IssueRequest, IssueResponse, LoadRequest, LoginRequest, Token, tokens_server::Tokens,
};
use tonic::{Request, async_trait};

use super::{Answer, Handlers, Parts};

#[async_trait]
impl Tokens for Handlers {
    type FindStream = Parts<Session>;

    async fn current(&self, request: Request<()>) -> Answer<Session> {
        self.unary::<tokens::Current>(request).await
    }

    async fn issue(&self, request: Request<IssueRequest>) -> Answer<IssueResponse> {
        self.unary::<tokens::Issue>(request).await
    }

    async fn find(&self, request: Request<Scope>) -> Answer<Self::FindStream> {
        self.parts::<tokens::Find>(request).await
    }

    async fn load(&self, request: Request<LoadRequest>) -> Answer<Session> {
        self.unary::<tokens::Load>(request).await
    }

    async fn invalidate(&self, request: Request<InvalidateRequest>) -> Answer<()> {
        self.unary::<tokens::Invalidate>(request).await
    }

    async fn refresh(&self, request: Request<()>) -> Answer<IssueResponse> {
        self.unary::<tokens::Refresh>(request).await
    }

    async fn validate(&self, request: Request<Token>) -> Answer<Session> {
        self.unary::<tokens::Validate>(request).await
    }

    async fn login(&self, request: Request<LoginRequest>) -> Answer<IssueResponse> {
        self.unary::<tokens::Login>(request).await
    }
}
