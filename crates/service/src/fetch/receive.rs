//! A remote's body on its way into a file.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::client::silent;
use super::slots::Slot;
use crate::{Error, Result, Writer};

/// How far a fetch has come, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Reached {
    pub(super) received: u64,
    /// If the remote has told.
    pub(super) total: Option<u64>,
}

/// All that receiving takes. It runs as a task of its own, so that a caller who goes away in the middle of a write does
/// not leave half of one behind.
pub(super) struct Receiving {
    pub(super) host: String,
    pub(super) answer: Response,
    pub(super) writer: Writer,
    pub(super) max_size: u64,
    pub(super) idle_timeout: Duration,
    pub(super) deadline: Instant,
    pub(super) reached: watch::Sender<Reached>,
    /// Told when all has come.
    pub(super) arrived: oneshot::Sender<()>,
    /// Given when what has come may be stored. Whoever goes away without takes it back.
    pub(super) consent: oneshot::Receiver<()>,
    pub(super) slot: Slot,
}

impl Receiving {
    /// To the end: stored as a whole, or not at all.
    pub(super) async fn run(self) -> Result<()> {
        let Receiving { arrived, mut consent, mut writer, .. } = self;
        let mut body = Body {
            host: self.host,
            answer: self.answer,
            max_size: self.max_size,
            idle_timeout: self.idle_timeout,
            deadline: self.deadline,
            reached: self.reached,
        };
        let _slot = self.slot;
        let all = async {
            body.receive(&mut writer, &mut consent).await?;
            let _ = arrived.send(());
            consent.await.map_err(|_| gone())
        };
        if let Err(error) = all.await {
            writer.abandon().await;
            return Err(error);
        }
        writer.finish().await?;
        Ok(())
    }
}

struct Body {
    host: String,
    answer: Response,
    max_size: u64,
    idle_timeout: Duration,
    deadline: Instant,
    reached: watch::Sender<Reached>,
}

impl Body {
    async fn receive(&mut self, writer: &mut Writer, consent: &mut oneshot::Receiver<()>) -> Result<()> {
        let total = self.answer.content_length();
        let mut reached = Reached { received: 0, total };
        self.fits(total.unwrap_or(0))?;
        self.reached.send_replace(reached);
        loop {
            let next = tokio::select! {
                // Before the body ends it can only have been dropped.
                _ = &mut *consent => return Err(gone()),
                next = self.next() => next?,
            };
            let Some(bytes) = next else { break };
            reached.received += bytes.len() as u64;
            self.fits(reached.received)?;
            writer.write(bytes).await?;
            self.reached.send_replace(reached);
        }
        match total {
            Some(total) if total != reached.received => Err(self.broke_off()),
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + '_ {
        let idle = Instant::now() + self.idle_timeout;
        async move {
            match timeout_at(idle.min(self.deadline), self.answer.chunk()).await {
                Ok(next) => next.map_err(|_| self.broke_off()),
                Err(_) if idle < self.deadline => Err(silent(&self.host)),
                Err(_) => Err(took_too_long(&self.host)),
            }
        }
    }

    fn fits(&self, size: u64) -> Result<()> {
        if size <= self.max_size {
            return Ok(());
        }
        Err(Error::TooLarge(format!("remote_url: {} sends more than {} bytes", self.host, self.max_size)))
    }

    fn broke_off(&self) -> Error {
        Error::Unreachable(format!("remote_url: the answer of {} broke off", self.host))
    }
}

pub(super) fn took_too_long(host: &str) -> Error {
    Error::TookTooLong(format!("remote_url: {host} takes too long"))
}

/// Read by nobody.
fn gone() -> Error {
    Error::State("nobody waits for this any more".into())
}

/// Whether the bytes are the content itself. Nothing is decoded here, so that what is small on the wire stays small; and
/// bytes that were asked for plainly and come packed are not what the caller means.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .all(|one| matches!(one.trim().to_ascii_lowercase().as_str(), "" | "identity"))
}

/// The type that the remote declares, if it can be repeated to others; otherwise it is told by name or content.
pub(super) fn declared_type(headers: &HeaderMap) -> String {
    let is_token = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_type = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    let is_short = text.len() <= 255 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_type && is_short { text.trim().to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a72_only_a_type_that_is_one_is_kept() {
        let kept = |value: &str| declared_type(&headers(&header::CONTENT_TYPE, &[value]));
        for value in ["text/html", "text/html; charset=utf-8", "image/svg+xml", "a/b;c=\"d e\""] {
            assert_eq!(kept(value), value);
        }
        for value in
            ["", "text", "/", "text/", "/html", "a b/c", "a/b c", "text/html, text/plain", "te\u{e4}xt/x"]
        {
            assert_eq!(kept(value), "", "{value:?}");
        }
        assert_eq!(kept(&format!("a/{}", "b".repeat(300))), "");
        assert_eq!(declared_type(&HeaderMap::new()), "");
    }

    #[test]
    fn a54_packed_bodies_are_known_as_such() {
        let plain = |values: &[&str]| is_plain(&headers(&header::CONTENT_ENCODING, values));
        assert!(plain(&[]) && plain(&["identity"]) && plain(&["Identity, identity", ""]));
        for values in
            [&["gzip"][..], &["br"], &["identity", "gzip"], &["identity, zstd"], &["x-unknown"], &["\u{e4}"]]
        {
            assert!(!plain(values), "{values:?}");
        }
    }
}
