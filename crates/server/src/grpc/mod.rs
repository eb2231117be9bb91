//! gRPC: the services of the contract, reflection and health.

mod arriving;
mod diags;
mod files;
mod health;
mod principals;
mod stores;
mod tenants;
mod tokens;
mod uploads;
mod vhosts;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, Response};
use cacheroach_api::method::METHODS;
use cacheroach_api::{DESCRIPTORS, diag, file, principal, store, tenant, token, upload, vhost};
use cacheroach_service::{Ask, AskStream, Caller, Error, Exchange, Service};
use futures::StreamExt as _;
use hyper::body::Incoming;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};
use tonic_health::server::HealthReporter;
use tower::ServiceExt as _;

use crate::body::{self, Body};
use crate::patience::IDLE;
use crate::{caller, peer, status};
use arriving::Arriving;

/// The largest message taken, in bytes.
const MAX_MESSAGE: usize = 4 << 20;

/// The gRPC front end.
#[derive(Clone)]
pub(crate) struct Grpc {
    routes: Routes,
}

/// What the services share.
#[derive(Clone)]
pub(crate) struct Handlers {
    service: Arc<Service>,
}

type Answer<T> = Result<tonic::Response<T>, Status>;
type Parts<T> = std::pin::Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

impl Handlers {
    async fn caller<T>(&self, request: &tonic::Request<T>) -> Result<Caller, Status> {
        let caller = caller::of_grpc(&self.service, request.metadata().as_ref()).await;
        let caller = caller.map_err(|error| status::grpc(&error))?;
        Ok(caller.from(peer::of(request.extensions())))
    }

    /// Asks for one answer.
    async fn unary<M: Ask>(&self, request: tonic::Request<M::Request>) -> Answer<M::Answer> {
        let caller = self.caller(&request).await?;
        let answer = self.service.call::<M>(&caller, request.into_inner()).await;
        answer.map(tonic::Response::new).map_err(|error| status::grpc(&error))
    }

    /// Asks for an answer of many parts.
    async fn parts<M: AskStream>(&self, request: tonic::Request<M::Request>) -> Answer<Parts<M::Response>>
    where
        M::Response: 'static,
    {
        let caller = self.caller(&request).await?;
        let parts = self.service.stream::<M>(&caller, request.into_inner()).await;
        let parts = parts.map_err(|error| status::grpc(&error))?;
        Ok(tonic::Response::new(Box::pin(parts.map(|part| part.map_err(|error| status::grpc(&error))))))
    }

    /// Asks with many parts for many.
    async fn exchange<M: Exchange>(
        &self,
        request: tonic::Request<Streaming<M::Request>>,
    ) -> Answer<Parts<M::Response>>
    where
        M::Request: Default + 'static,
        M::Response: 'static,
    {
        let caller = self.caller(&request).await?;
        let parts = request.into_inner().map(|part| part.map_err(|status| broken(&status)));
        let answers = self.service.exchange::<M>(&caller, Box::pin(parts)).await;
        let answers = answers.map_err(|error| status::grpc(&error))?;
        Ok(tonic::Response::new(Box::pin(answers.map(|part| part.map_err(|error| status::grpc(&error))))))
    }
}

impl Grpc {
    /// Within a runtime: a task looks after what health says, as long as somebody has the service.
    pub(crate) fn new(service: Arc<Service>) -> Self {
        let health = HealthReporter::new();
        tokio::spawn(health::watch(Arc::downgrade(&service), health.clone()));
        let handlers = Handlers { service };
        let mut routes = Routes::builder();
        routes
            .add_service(diag::diags_server::DiagsServer::new(handlers.clone()))
            .add_service(file::files_server::FilesServer::new(handlers.clone()))
            .add_service(principal::principals_server::PrincipalsServer::new(handlers.clone()))
            .add_service(store::stores_server::StoresServer::new(handlers.clone()))
            .add_service(tenant::tenants_server::TenantsServer::new(handlers.clone()))
            .add_service(token::tokens_server::TokensServer::new(handlers.clone()))
            .add_service(
                upload::uploads_server::UploadsServer::new(handlers.clone())
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(vhost::v_hosts_server::VHostsServer::new(handlers))
            .add_service(tonic_health::pb::health_server::HealthServer::new(
                tonic_health::server::HealthService::from_health_reporter(health),
            ));
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // Each version knows of both, so that both list the same.
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
                .include_reflection_service(false)
        };
        let proof = "the descriptors were made by the build";
        routes.add_service(reflection().build_v1().expect(proof));
        routes.add_service(reflection().build_v1alpha().expect(proof));
        Grpc { routes: routes.routes().prepare() }
    }

    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(status) = unknown(request.uri().path()) {
            return respond(status.into_http());
        }
        let deadline = match timeout(request.headers()) {
            Ok(deadline) => deadline,
            Err(status) => return respond(status.into_http()),
        };
        // Who looks at the contract may take its time.
        let is_ours = !request.uri().path().starts_with("/grpc.");
        let request = request.map(|body| match is_ours {
            true => tonic::body::Body::new(Arriving::new(body, IDLE)),
            false => tonic::body::Body::new(body),
        });
        let answering = self.routes.clone().oneshot(request);
        let answer = match deadline {
            None => answering.await,
            Some(deadline) => match tokio::time::timeout(deadline, answering).await {
                Ok(answer) => answer,
                Err(_) => return respond(Status::deadline_exceeded("the deadline has passed").into_http()),
            },
        };
        let mut answer = answer.unwrap_or_else(|never| match never {});
        translate(answer.headers_mut());
        respond(answer)
    }
}

fn respond(response: Response<tonic::body::Body>) -> Response<Body> {
    use http_body_util::BodyExt as _;
    response.map(|body| body::flowing(body.map_err(Into::into)))
}

/// What the path asks for, if there is no such thing.
fn unknown(path: &str) -> Option<Status> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    if service.starts_with("grpc.")
        || METHODS.binary_search(&&path[1..]).is_ok() && !service.ends_with(".Contents")
    {
        return None;
    }
    let is_served = |name: &&str| name.split_once('/').is_some_and(|(known, _)| known == service);
    Some(Status::unimplemented(if METHODS.iter().any(is_served) && !service.ends_with(".Contents") {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    }))
}

/// The deadline that a call brings: at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let malformed = || Status::invalid_argument("grpc-timeout: at most eight digits and one of H M S m u n");
    let text = value.to_str().map_err(|_| malformed())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(malformed)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(malformed());
    }
    let count: u64 = digits.parse().map_err(|_| malformed())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(malformed()),
    }))
}

/// The library's answers to messages it does not take, in the codes and words that clients know.
fn translate(headers: &mut HeaderMap) {
    let Some(status) = headers.get("grpc-status") else { return };
    let code = Code::from_bytes(status.as_bytes());
    let text = headers.get("grpc-message").map(|text| percent_encoding::percent_decode(text.as_bytes()));
    let text = text.map(|text| text.decode_utf8_lossy().into_owned()).unwrap_or_default();
    let Some((code, text)) = not_taken(code, text) else { return };
    headers.insert("grpc-status", HeaderValue::from(code as i32));
    let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::CONTROLS).to_string();
    if let Ok(value) = HeaderValue::from_str(&encoded) {
        headers.insert("grpc-message", value);
    }
}

/// What is said of a message that the library does not take; none: it is no such answer.
fn not_taken(code: Code, text: String) -> Option<(Code, String)> {
    match code {
        Code::OutOfRange if text.contains("message length too large") => {
            let digits =
                text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty()).unwrap_or("?");
            let text = format!("grpc: received message larger than max ({digits} vs. {MAX_MESSAGE})");
            Some((Code::ResourceExhausted, text))
        }
        Code::Internal if text.starts_with("failed to decode Protobuf message") => {
            Some((Code::InvalidArgument, text))
        }
        _ => None,
    }
}

/// Why the next part of a request did not come.
fn broken(status: &Status) -> Error {
    let (code, text) = (status.code(), status.message().to_owned());
    match not_taken(code, text.clone()).unwrap_or((code, text)) {
        (Code::ResourceExhausted, text) => Error::TooLarge(text),
        (Code::InvalidArgument, problem) => Error::Invalid { field: String::new(), problem },
        _ => Error::invalid("body", "it ended too early or was malformed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a68_deadlines_are_read_as_the_protocol_has_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
            timeout(&headers).map_err(|status| status.code())
        };
        assert_eq!(read("0n"), Ok(Some(Duration::ZERO)));
        assert_eq!(read("99999999H"), Ok(Some(Duration::from_secs(99_999_999 * 3600))));
        for text in ["1000000000000000000S", "S", "5", "-1S", "1x", ""] {
            assert_eq!(read(text), Err(Code::InvalidArgument), "{text}");
        }
    }

    #[test]
    fn unknown_methods_are_named_as_the_original_names_them() {
        let text = |path: &str| unknown(path).map(|status| status.message().to_owned());
        assert_eq!(text("/cacheroach.file.Files/List"), None);
        assert_eq!(
            text("/cacheroach.file.Files/X").unwrap(),
            "unknown method X for service cacheroach.file.Files"
        );
        assert_eq!(text("/a.B/X").unwrap(), "unknown service a.B");
        assert_eq!(
            text("/cacheroach.content.Contents/Open").unwrap(),
            "unknown service cacheroach.content.Contents"
        );
    }
}
