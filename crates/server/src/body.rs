//! What every front end answers with.

use std::error::Error;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// What is sent.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;
