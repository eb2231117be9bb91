//! One download: it has its name only once it is complete and is what the server announced.

use std::fs::{File, Permissions};
use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cacheroach_model::Hash;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode, redirect};

use super::Site;
use super::sink::Sink;
use crate::client::{CONNECT_TIMEOUT, USER_AGENT};
use crate::error::Error;
use crate::progress::{Progress, Transfer};
use crate::retry::Backoff;

/// How long a signed URL for a download is good for.
const URL_VALIDITY: Duration = Duration::from_secs(60);
/// How long a server may pause in the middle.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Downloads files from a site.
pub(super) struct Downloader<'a> {
    site: &'a Site,
    http: reqwest::Client,
    progress: &'a Progress,
}

/// A version of a file; 0 is the current one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) path: &'a str,
    pub(super) version: i64,
}

/// What has arrived of a file.
struct Arrived {
    /// None once it failed.
    to: Option<Sink>,
    /// Whether what was written can be taken back.
    is_file: bool,
    length: u64,
    etag: Option<String>,
    total: Option<u64>,
    transfer: Option<Transfer>,
}

impl<'a> Downloader<'a> {
    pub(super) fn new(site: &'a Site, progress: &'a Progress) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            // As the calls do, and the URL that a download uses is a secret.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|e| Error::because("cannot use HTTP", e))?;
        Ok(Downloader { site, http, progress })
    }

    /// To a file, which is replaced if it exists.
    pub(super) async fn to_file(&self, wish: Wish<'_>, place: &Path) -> Result<(), Error> {
        let failed = |e| Error::because(format!("cannot write {}", place.display()), e);
        let beside: PathBuf = place.parent().map_or_else(|| ".".into(), Path::to_owned);
        let part = tempfile::Builder::new()
            .prefix(".cacheroach-")
            .suffix(".part")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(beside)
            .map_err(failed)?;
        let to = part.as_file().try_clone().map_err(failed)?;
        self.fetch(wish, Arrived::new(to, true)).await?;
        part.persist(place).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// To standard output.
    pub(super) async fn to_stdout(&self, wish: Wish<'_>) -> Result<(), Error> {
        let to = io::stdout().as_fd().try_clone_to_owned().map_err(Error::Output)?;
        self.fetch(wish, Arrived::new(to.into(), false)).await
    }

    /// Goes on after a lost connection, from where it was lost if the server can.
    async fn fetch(&self, wish: Wish<'_>, mut arrived: Arrived) -> Result<(), Error> {
        let mut backoff = Backoff::default();
        loop {
            let before = arrived.length;
            match self.attempt(wish, &mut arrived).await {
                Ok(()) => break,
                Err(error) if error.is_loss() => {
                    if arrived.length > before {
                        backoff.reset();
                    }
                    if !backoff.pause().await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let (_, hash) = arrived.end().await?;
        arrived.verify(&hash)?;
        arrived.transfer.iter().for_each(Transfer::finish);
        Ok(())
    }

    async fn attempt(&self, wish: Wish<'_>, arrived: &mut Arrived) -> Result<(), Error> {
        let mut request = self.http.get(self.site.sign(wish.path, wish.version, URL_VALIDITY).await?);
        if let (Some(etag), 1..) = (&arrived.etag, arrived.length) {
            request = request.header(RANGE, format!("bytes={}-", arrived.length)).header(IF_RANGE, etag);
        }
        let mut response = request.send().await.map_err(Error::http)?;
        match response.status() {
            StatusCode::OK => arrived.begin(&response).await?,
            StatusCode::PARTIAL_CONTENT if arrived.goes_on(&response) => {}
            status => return Err(Error::HttpStatus(status)),
        }
        let transfer = arrived
            .transfer
            .get_or_insert_with(|| self.progress.start(wish.path, arrived.total.unwrap_or(0)));
        transfer.resume(arrived.length);
        while let Some(bytes) = response.chunk().await.map_err(Error::http)? {
            arrived.take(&bytes).await?;
        }
        Ok(())
    }
}

impl Arrived {
    fn new(to: File, is_file: bool) -> Self {
        Arrived { to: Some(Sink::new(to)), is_file, length: 0, etag: None, total: None, transfer: None }
    }

    /// The answer starts with the first byte.
    async fn begin(&mut self, response: &Response) -> Result<(), Error> {
        if self.length > 0 {
            if !self.is_file {
                return Err(Error::new("the download broke off and cannot go on"));
            }
            let (mut to, _) = self.end().await?;
            to.set_len(0).and_then(|()| to.rewind()).map_err(Error::Output)?;
            self.to = Some(Sink::new(to));
        }
        self.length = 0;
        self.etag = etag(response);
        self.total = response.content_length();
        Ok(())
    }

    /// Whether the answer is the rest of the same content.
    fn goes_on(&self, response: &Response) -> bool {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let here = range.is_some_and(|range| range.starts_with(&format!("bytes {}-", self.length)));
        self.length > 0 && here && self.etag.is_some() && etag(response) == self.etag
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(to) = &mut self.to else { return Err(gone()) };
        if !to.take(bytes).await {
            self.end().await?;
            return Err(gone());
        }
        self.length += bytes.len() as u64;
        self.transfer.iter().for_each(|transfer| transfer.reach(self.length));
        Ok(())
    }

    /// The file with all that came, and its hash.
    async fn end(&mut self) -> Result<(File, Hash), Error> {
        let to = self.to.take().ok_or_else(gone)?;
        let (file, hash) = to.end().await.map_err(Error::Output)?;
        Ok((file, hash.map_err(Error::Output)?))
    }

    /// Servers that do not say what the content's hash is are believed its length.
    fn verify(&self, hash: &Hash) -> Result<(), Error> {
        if self.total.is_some_and(|total| total != self.length) {
            return Err(Error::new("the file arrived incomplete"));
        }
        let Some(announced) = self.etag.as_deref().and_then(hash_in) else { return Ok(()) };
        if announced == hash.to_string() {
            Ok(())
        } else {
            Err(Error::new("what arrived is not what the server announced"))
        }
    }
}

fn gone() -> Error {
    Error::new("the file could not be written")
}

fn etag(response: &Response) -> Option<String> {
    Some(response.headers().get(ETAG)?.to_str().ok()?.to_owned())
}

/// The SHA-256 that an entity tag of ours is made of.
fn hash_in(etag: &str) -> Option<&str> {
    let hash = etag.strip_prefix('"')?.strip_suffix('"')?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_X: &str = "\"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"";

    async fn verified(bytes: &[u8], etag: &str, total: u64) -> Result<(), Error> {
        let mut arrived = Arrived::new(tempfile::tempfile().unwrap(), true);
        (arrived.etag, arrived.total) = (Some(etag.into()), Some(total));
        arrived.take(bytes).await.unwrap();
        let (_, hash) = arrived.end().await.unwrap();
        arrived.verify(&hash)
    }

    #[tokio::test]
    async fn a89_only_what_was_announced_is_accepted() {
        assert!(verified(b"x", OF_X, 1).await.is_ok());
        assert!(verified(b"y", OF_X, 1).await.is_err());
        assert!(verified(b"x", OF_X, 2).await.is_err());
        assert!(verified(b"x", "\"opaque\"", 1).await.is_ok());
    }
}
