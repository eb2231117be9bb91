//! Requests, before and after they belong to a server.

use std::net::SocketAddr;

use http::header::HeaderValue;
use http::{Method, Request, StatusCode, header};

use super::Content;
use crate::Result;

/// Where requests go, as whom and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The `Authorization` header.
    pub(crate) authorization: Option<HeaderValue>,
    /// HTTP/2 without asking first, in place of HTTP/1.1.
    pub(crate) http2: bool,
}

impl Target {
    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        Self { address, authorization: None, http2: false }
    }

    /// The same by HTTP/2, at the address where that is spoken.
    pub(crate) fn by_http2(self, address: SocketAddr) -> Self {
        Self { address, http2: true, ..self }
    }

    pub(super) fn request(&self, ask: Ask) -> Result<Request<Content>> {
        let mut builder = Request::builder();
        builder = if self.http2 {
            builder.uri(format!("http://{}{}", self.address, ask.path))
        } else {
            builder.uri(ask.path).header(header::HOST, self.address.to_string())
        };
        if let Some(value) = &self.authorization {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        let request = match ask.what {
            What::Get => builder.body(Content::empty())?,
            What::Part { first, length } => {
                let range = format!("bytes={first}-{}", first + length - 1);
                builder.header(header::RANGE, range).body(Content::empty())?
            }
            What::List => builder.header(header::ACCEPT, "application/json").body(Content::empty())?,
            What::Put(content) => builder.method(Method::PUT).body(content)?,
            What::Delete => builder.method(Method::DELETE).body(Content::empty())?,
        };
        Ok(request)
    }
}

/// One request, before it belongs to a server.
#[derive(Debug)]
pub(crate) struct Ask {
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Get,
    Part { first: usize, length: usize },
    List,
    Put(Content),
    Delete,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), what: What::Get }
    }

    /// So many bytes from one on.
    pub(crate) fn part(path: impl Into<String>, first: usize, length: usize) -> Self {
        Self { path: path.into(), what: What::Part { first, length } }
    }

    pub(crate) fn list(path: impl Into<String>) -> Self {
        Self { path: path.into(), what: What::List }
    }

    pub(crate) fn put(path: impl Into<String>, content: Content) -> Self {
        Self { path: path.into(), what: What::Put(content) }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { path: path.into(), what: What::Delete }
    }

    /// Good answers. Of a file that is stored some say OK, and some that they took it; of one that is gone some have
    /// nothing to say.
    pub(super) fn expected(&self) -> &'static [StatusCode] {
        match self.what {
            What::Put(_) => &[StatusCode::OK, StatusCode::ACCEPTED],
            What::Delete => &[StatusCode::OK, StatusCode::NO_CONTENT],
            What::Part { .. } => &[StatusCode::PARTIAL_CONTENT],
            What::Get | What::List => &[StatusCode::OK],
        }
    }

    pub(super) fn uploads(&self) -> u64 {
        if let What::Put(content) = &self.what { content.len() as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_spelled_as_its_protocol_wants() {
        let target = Target::anonymous(SocketAddr::from(([127, 0, 0, 1], 80)));
        let request = target.request(Ask::part("/a", 10, 5)).unwrap();
        assert_eq!(
            (request.uri().to_string(), request.headers()[header::RANGE].as_bytes()),
            ("/a".into(), &b"bytes=10-14"[..])
        );
        assert!(request.headers().contains_key(header::HOST));
        let target = target.by_http2(SocketAddr::from(([127, 0, 0, 1], 81)));
        let request = target.request(Ask::delete("/a")).unwrap();
        assert_eq!(
            (request.uri().to_string(), request.method()),
            ("http://127.0.0.1:81/a".into(), &Method::DELETE)
        );
        assert!(!request.headers().contains_key(header::HOST));
    }
}
