//! From the service's errors to the statuses of each front end: one `match` each, without a wildcard.

use ::http::StatusCode;
use cacheroach_service::Error;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// For gRPC: the field's right code, the original's text.
pub(crate) fn grpc(error: &Error) -> Status {
    let code = match error {
        Error::Unauthenticated(_) => Code::Unauthenticated,
        Error::Denied { .. } => Code::PermissionDenied,
        Error::NotFound(_) => Code::NotFound,
        Error::Conflict(_) => Code::Aborted,
        Error::Taken(_) => Code::AlreadyExists,
        Error::State(_) => Code::FailedPrecondition,
        Error::Invalid { .. } | Error::MediaType(_) => Code::InvalidArgument,
        Error::TooLarge(_) | Error::TooMany(_) | Error::Full => Code::ResourceExhausted,
        Error::Busy | Error::ReadOnly | Error::Unreachable(_) => Code::Unavailable,
        Error::TookTooLong(_) => Code::DeadlineExceeded,
        Error::Damaged => Code::DataLoss,
        Error::Unsupported(_) => Code::Unimplemented,
        Error::Internal(_) => Code::Internal,
    };
    let mut metadata = MetadataMap::new();
    if let Some(hint) = error.hint()
        && let Ok(value) = percent_encode(hint.sentence.as_bytes(), UNSAFE).to_string().parse()
    {
        metadata.insert(HINT, value);
    }
    Status::with_metadata(code, error.to_string(), metadata)
}

/// Beside a status: what to do about it, percent-encoded as `grpc-message` is.
const HINT: &str = cacheroach_api::text::HINT;

/// What can't stand in a header, and the percent sign.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

/// For HTTP. Where the caller reaches nothing, it must not learn that something is there.
pub(crate) fn http(error: &Error) -> StatusCode {
    match error {
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::Denied { reaches: true, .. } => StatusCode::FORBIDDEN,
        Error::Denied { reaches: false, .. } | Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Conflict(_) | Error::Taken(_) | Error::State(_) => StatusCode::CONFLICT,
        Error::Invalid { .. } => StatusCode::BAD_REQUEST,
        Error::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::Full => StatusCode::INSUFFICIENT_STORAGE,
        Error::Busy | Error::ReadOnly => StatusCode::SERVICE_UNAVAILABLE,
        Error::Unreachable(_) => StatusCode::BAD_GATEWAY,
        Error::TookTooLong(_) => StatusCode::GATEWAY_TIMEOUT,
        Error::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
        Error::Damaged | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
