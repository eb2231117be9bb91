//! A tenant with somebody who may read and write all of it, and what tests want to know of it.

use std::fmt::Write as _;

use bytes::Bytes;
use cacheroach_api::{file, principal, token};
use cacheroach_model::{Capabilities, PrincipalId, TenantId};
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, Server, on_tenant};

pub(crate) const READ: Capabilities = Capabilities::READ;
pub(crate) const WRITE: Capabilities = Capabilities::WRITE;

/// When everything is written unless a test moves the clock.
pub(crate) const START: &str = "Wed, 01 Jul 2026 00:00:00 GMT";

/// A server with a tenant of its own.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) tenant: TenantId,
    pub(crate) owner: PrincipalId,
    /// Of a session that may read and write all of the tenant.
    pub(crate) token: String,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::on(Server::start().await).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let tenant = server.tenant().await;
        let owner = server.principal().await;
        let token = server.issue(&on_tenant(owner, READ | WRITE, tenant, "/*")).await;
        Site { server, tenant, owner, token }
    }

    /// As the owner.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.ask_as(&self.token, method, target, headers, body).await
    }

    /// As the holder of a token.
    pub(crate) async fn ask_as(
        &self,
        token: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        self.server.http(method, target, &all, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "").await
    }

    pub(crate) async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", target, headers, "").await
    }

    /// Writes a file, which must work.
    pub(crate) async fn put(&self, target: &str, body: impl Into<Bytes>) {
        let answer = self.ask("PUT", target, &[], body).await;
        assert_eq!(answer.status, 202, "{target}: {answer:?}");
    }

    /// A token of a new principal with a session on paths of the tenant.
    pub(crate) async fn token_for(&self, capabilities: Capabilities, path: &str) -> String {
        let principal = self.server.principal().await;
        self.server.issue(&on_tenant(principal, capabilities, self.tenant, path)).await
    }

    /// Shows the tenant at a host, to everybody.
    pub(crate) async fn publish(&self, host: &str, path: &str) {
        self.server.vhost(host, self.tenant).await;
        self.server.issue(&on_tenant(PrincipalId::UNAUTHENTICATED, READ, self.tenant, path)).await;
    }

    /// The current version of a file; 0 if there is none.
    pub(crate) async fn version(&self, path: &str) -> i64 {
        let files = self.server.list(self.tenant).await;
        files.iter().find(|(name, ..)| name == path).map_or(0, |(_, version, _)| *version)
    }

    /// The paths of all files.
    pub(crate) async fn paths(&self) -> Vec<String> {
        self.server.list(self.tenant).await.into_iter().map(|(path, ..)| path).collect()
    }

    /// The version that the next write of a path gets: 1 only if there never was one before.
    pub(crate) async fn next_version(&self, path: &str) -> i64 {
        self.put(path, "probe").await;
        self.version(path).await
    }

    /// A signed URL for the holder of a token.
    pub(crate) async fn link(&self, token: &str, path: &str, version: i64, seconds: Option<i64>) -> String {
        let request = file::RetrievalRequest {
            tenant: Some(self.tenant.into()),
            path: path.into(),
            version,
            valid_for: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        self.server.files(token).retrieve(request).await.unwrap().into_inner().get_uri
    }

    /// Ends a session.
    pub(crate) async fn log_out(&self, token: &str) {
        let request = token::InvalidateRequest { kind: Some(token::invalidate_request::Kind::Current(true)) };
        self.server.tokens(token).invalidate(request).await.unwrap();
    }

    /// Deletes a principal that was not changed since it was made.
    pub(crate) async fn delete_principal(&self, id: PrincipalId) {
        let principal = principal::Principal { id: Some(id.into()), version: 1, ..Default::default() };
        let request = principal::EnsureRequest { principal: Some(principal), delete: true };
        self.server.principals(&self.server.super_token()).ensure(request).await.unwrap();
    }

    /// The head of a request of the owner, without its last empty line.
    pub(crate) fn head(&self, method: &str, target: &str) -> String {
        head(&self.token, method, target)
    }
}

/// The head of a request, without its last empty line.
pub(crate) fn head(token: &str, method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n")
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Bytes without any pattern, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
