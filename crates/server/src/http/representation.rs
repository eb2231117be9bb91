//! What answers say of a file, whichever part of it they have: the metadata of a representation (RFC 9110, 8).

use std::fmt::Write as _;
use std::sync::OnceLock;

use ::http::HeaderValue;
use cacheroach_model::{File, Timestamp};
use cacheroach_service::{Content, Result};
use futures::TryStreamExt as _;

use super::conditions::Validators;
use super::{date, media};

/// The length of an entity tag: a SHA-256 in hexadecimal, in quotes.
const ETAG: usize = 66;

/// Made once for as long as a file is remembered as it is.
pub(super) struct Representation {
    pub(super) validators: Validators,
    pub(super) etag: HeaderValue,
    pub(super) last_modified: HeaderValue,
    pub(super) version: HeaderValue,
    /// Once somebody has looked; nothing where it is no header.
    content_type: OnceLock<Option<HeaderValue>>,
}

impl Representation {
    pub(super) fn of(file: &File) -> Self {
        let validators = validators(file);
        let header = |text: &str| HeaderValue::from_str(text).expect("printable ASCII");
        Representation {
            etag: header(&validators.etag),
            last_modified: header(&date::format(file.modified_at)),
            version: HeaderValue::from(file.version.0),
            content_type: OnceLock::new(),
            validators,
        }
    }

    pub(super) async fn content_type(&self, content: &Content) -> Result<Option<HeaderValue>> {
        if let Some(known) = self.content_type.get() {
            return Ok(known.clone());
        }
        let found = HeaderValue::from_str(content_type(content).await?).ok();
        Ok(self.content_type.get_or_init(|| found).clone())
    }
}

/// What tells one content of a file from another.
pub(super) fn validators(file: &File) -> Validators {
    let mut etag = String::with_capacity(ETAG);
    // A string takes whatever is written to it.
    let _ = write!(etag, "\"{}\"", file.hash);
    Validators { etag, modified: whole_seconds(file.modified_at) }
}

/// The precision of `Last-Modified`.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.seconds())
}

/// The type that was given with the file, else that of its name.
pub(super) fn known_type(file: &File) -> Option<&str> {
    if file.content_type.is_empty() { media::by_name(file.path.name()) } else { Some(&file.content_type) }
}

/// As given, else by the name, else by the first bytes.
pub(super) async fn content_type(content: &Content) -> Result<&str> {
    let file = content.file();
    if let Some(known) = known_type(file) {
        return Ok(known);
    }
    let head = content.read(0..file.size.min(512)).try_next().await?.unwrap_or_default();
    Ok(media::sniff(&head))
}
