//! What a client says over HTTP, and what it is answered.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use sha2::{Digest as _, Sha256};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with a token.
#[derive(Clone)]
pub struct Wire {
    client: Client,
    authorization: String,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Of the file that was read or written.
    pub version: Option<i64>,
    /// The entity tag without its quotes.
    pub tag: Option<String>,
    /// After how many seconds to ask again.
    pub retry_after: Option<String>,
    /// All of it.
    pub body: Bytes,
}

impl Wire {
    /// A client that follows nothing and knows no proxies.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Wire::with(Client::builder(), token)
    }

    /// One that does all over a single connection.
    #[must_use]
    pub fn over_one_connection(token: &str) -> Self {
        Wire::with(Client::builder().http2_prior_knowledge(), token)
    }

    fn with(builder: ClientBuilder, token: &str) -> Self {
        let builder = builder.redirect(reqwest::redirect::Policy::none()).no_proxy();
        Wire { client: builder.timeout(PATIENCE).build().unwrap(), authorization: format!("Bearer {token}") }
    }

    /// A request that is to be sent.
    pub fn request(&self, method: &str, url: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, url).header("authorization", &self.authorization)
    }

    /// Sends a request, and takes all of the answer.
    ///
    /// # Errors
    /// There was none, or it was cut off.
    pub async fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let version = header("x-cacheroach-version").and_then(|text| text.parse().ok());
        let tag = header("etag").map(|tag| tag.trim_matches('"').to_owned());
        let retry_after = header("retry-after");
        Ok(Answer { status, version, tag, retry_after, body: response.bytes().await? })
    }

    /// A request without a body.
    ///
    /// # Errors
    /// There was no answer, or it was cut off.
    pub async fn ask(&self, method: &str, url: &str) -> Result<Answer, reqwest::Error> {
        Wire::send(self.request(method, url)).await
    }

    /// A content to be stored.
    ///
    /// # Errors
    /// There was no answer, or it was cut off.
    pub async fn put(&self, url: &str, content: impl Into<Bytes>) -> Result<Answer, reqwest::Error> {
        Wire::send(self.request("PUT", url).body(content.into())).await
    }
}

/// The SHA-256 of some bytes, as entity tags have it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
