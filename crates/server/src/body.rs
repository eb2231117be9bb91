//! What every front end answers with.

use std::error::Error;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};

/// What is sent: bytes that are at hand, or come.
pub(crate) type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>;

/// All of it is here.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// It comes bit by bit.
pub(crate) fn flowing<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Send + 'static,
{
    Either::Right(UnsyncBoxBody::new(body))
}
