//! What keeps a disk cache from whoever has the disk and lacks the key.
//!
//! A file is a salt, what the bytes became, and a tag: AES-256-GCM with a key of the file's own, which HKDF makes of the cache's
//! key and the salt, so that no number of files wears a key out. The file's name is sealed with it: no file passes for
//! another. Names are keyed too, or they would tell who has the disk whether a content that he knows is there. Sizes are not hidden.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::index::Name;
use crate::chunks::KeptChunk;
use crate::{Error, Result};

const SALT: usize = 32;
const TAG: usize = 16;
/// How much longer a file is than its bytes.
pub(super) const OVERHEAD: usize = SALT + TAG;

/// Digits that all files of a key have behind their names.
pub(super) const MARK: usize = 8;

/// Seals a disk cache.
#[derive(Clone, Eq, PartialEq)]
pub struct CacheKey(Vec<u8>);

impl CacheKey {
    /// From base64 of 32 bytes or more, where line breaks are fine; `random` is [`CacheKey::random`].
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if text == "random" {
            return Self::random().map_err(|_| "the system has no random bytes");
        }
        match STANDARD.decode(text) {
            Ok(secret) if secret.len() >= 32 => Ok(CacheKey(secret)),
            Ok(_) => Err("a cache key has at least 32 bytes"),
            Err(_) => Err("a cache key is base64 text, or the word random"),
        }
    }

    /// One that nobody will ever have again: what it sealed is worth nothing once the process is gone.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self> {
        Ok(CacheKey(random::<32>()?.to_vec()))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Failed(error.to_string().into()))?;
    Ok(bytes)
}

/// A key at work.
pub(super) struct Seal {
    names: hmac::Key,
    contents: hmac::Tag,
    mark: String,
}

impl Seal {
    pub(super) fn new(key: &CacheKey) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        let derive = |label: &str| hmac::sign(&root, label.as_bytes());
        let mark = derive("cacheroach disk cache mark v1");
        Seal {
            names: hmac::Key::new(hmac::HMAC_SHA256, derive("cacheroach disk cache names v1").as_ref()),
            contents: derive("cacheroach disk cache contents v1"),
            mark: mark.as_ref()[..MARK / 2].iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// What all files of this key have behind their names, so that those of others are told without opening them.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn name(&self, chunk: &KeptChunk) -> Name {
        let mut context = hmac::Context::with_key(&self.names);
        context.update(chunk.tenant.as_bytes());
        context.update(chunk.hash.as_bytes());
        context.update(&chunk.place.0);
        *context.sign().as_ref().first_chunk().expect("an HMAC-SHA256 has 32 bytes")
    }

    /// The file of a name.
    pub(super) fn close(&self, name: &Name, bytes: &[u8]) -> Result<Vec<u8>> {
        let salt = random::<SALT>()?;
        let mut file = Vec::with_capacity(bytes.len() + OVERHEAD);
        file.extend_from_slice(&salt);
        file.extend_from_slice(bytes);
        let sealed =
            self.key(&salt)?.seal_in_place_separate_tag(only_nonce(), Aad::from(name), &mut file[SALT..]);
        let tag = sealed.map_err(|error| Error::Failed(error.into()))?;
        file.extend_from_slice(tag.as_ref());
        Ok(file)
    }

    /// The bytes in a file; none: it is not what this key made under this name.
    pub(super) fn open(&self, name: &Name, mut file: Vec<u8>) -> Option<Bytes> {
        let (salt, sealed) = file.split_at_mut_checked(SALT)?;
        let length = self.key(salt).ok()?.open_in_place(only_nonce(), Aad::from(name), sealed).ok()?.len();
        Some(Bytes::from(file).slice(SALT..SALT + length))
    }

    /// A file's own.
    fn key(&self, salt: &[u8]) -> Result<LessSafeKey> {
        let made = Salt::new(HKDF_SHA256, salt).extract(self.contents.as_ref());
        let key = made.expand(&[b"cacheroach disk cache file v1"], &AES_256_GCM).map(UnboundKey::from);
        key.map(LessSafeKey::new).map_err(|error| Error::Failed(error.into()))
    }
}

/// Each key seals one file, so it needs no other.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
