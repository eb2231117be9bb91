//! Which front end a request is for.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::{Request, Response, Version, header};
use cacheroach_service::Service;
use hyper::body::Incoming;

use crate::body::Body;
use crate::grpc::Grpc;
use crate::http::Http;
use crate::peer::Peer;

/// All front ends.
#[derive(Clone)]
pub(crate) struct Router {
    grpc: Grpc,
    http: Arc<Http>,
}

impl Router {
    pub(crate) fn new(service: Arc<Service>, assume_secure: bool) -> Self {
        Router { grpc: Grpc::new(Arc::clone(&service)), http: Arc::new(Http::new(service, assume_secure)) }
    }

    /// gRPC is known by protocol and content type; everything else, and all below `/_/`, is HTTP's.
    pub(crate) async fn route(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let content_type =
            request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let is_grpc = request.version() == Version::HTTP_2
            && content_type.starts_with(b"application/grpc")
            && !request.uri().path().starts_with("/_/");
        if is_grpc {
            request.extensions_mut().insert(Peer(peer));
            // Boxed, like whatever else is not a small answer over HTTP: those are moved with what they might have been.
            Box::pin(self.grpc.serve(request)).await
        } else {
            self.http.serve(request, peer).await
        }
    }
}
