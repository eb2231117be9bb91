//! The front ends: HTTP and gRPC on one port. A handler parses, calls the service and renders; there is no way from here
//! to the store but through the service's door.

mod body;
mod caller;
mod grpc;
mod http;
mod listen;
mod patience;
mod peer;
mod route;
mod site;
mod stalled;
mod status;

#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use http::fuzz;
pub use listen::{Settings, serve};
