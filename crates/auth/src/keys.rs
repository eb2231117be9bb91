//! Signing keys. Session tokens are signed with the keys themselves, since clients that hold one mint tokens with it;
//! everything else with keys derived per purpose, so that a signature made for one thing is worth nothing for another.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, EncodingKey};

/// What a derived key signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Signed URLs.
    Link,
    /// Drop links.
    Drop,
    /// The state of an upload.
    UploadState,
    /// Where a listing goes on.
    Cursor,
}

impl Purpose {
    const ALL: [Purpose; 4] = [Purpose::Link, Purpose::Drop, Purpose::UploadState, Purpose::Cursor];

    const fn label(self) -> &'static [u8] {
        match self {
            Purpose::Link => b"cacheroach link v1",
            Purpose::Drop => b"cacheroach drop link v1",
            Purpose::UploadState => b"cacheroach upload state v1",
            Purpose::Cursor => b"cacheroach cursor v1",
        }
    }
}

/// A key that can't be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// None given.
    #[error("HMAC signing keys must be specified")]
    None,
    /// Not base64.
    #[error("a signing key is base64 text")]
    Encoding,
    /// Too easy to guess.
    #[error("a signing key has at least 32 bytes")]
    Short,
    /// The same twice.
    #[error("a signing key is given twice")]
    Repeated,
}

/// The keys of a deployment: the first signs, all verify.
pub struct Keys {
    keys: Vec<Key>,
}

struct Key {
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// For [`Purpose::Link`] and [`Purpose::Drop`], which are JWTs too.
    link: (EncodingKey, DecodingKey),
    drop: (EncodingKey, DecodingKey),
    derived: [hmac::Key; Purpose::ALL.len()],
}

impl Keys {
    /// From base64 texts; line breaks in them are fine.
    ///
    /// # Errors
    /// None, or one that can't be used.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, KeyError> {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for text in texts {
            let text: String = text.as_ref().chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let secret = STANDARD.decode(text).map_err(|_| KeyError::Encoding)?;
            if secret.len() < 32 {
                return Err(KeyError::Short);
            }
            if secrets.contains(&secret) {
                return Err(KeyError::Repeated);
            }
            secrets.push(secret);
        }
        if secrets.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Keys { keys: secrets.iter().map(|secret| Key::new(secret)).collect() })
    }

    /// Signs what the parts say; they can't run into each other.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> Vec<u8> {
        hmac::sign(self.first().derived(purpose), &join(parts)).as_ref().to_vec()
    }

    /// Whether one of the keys made the signature. Takes the same time for all wrong ones.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], signature: &[u8]) -> bool {
        let message = join(parts);
        self.keys.iter().any(|key| hmac::verify(key.derived(purpose), &message, signature).is_ok())
    }

    pub(crate) fn session_signer(&self) -> &EncodingKey {
        &self.first().encoding
    }

    pub(crate) fn session_verifiers(&self) -> impl Iterator<Item = &DecodingKey> {
        self.keys.iter().map(|key| &key.decoding)
    }

    pub(crate) fn link_signer(&self) -> &EncodingKey {
        &self.first().link.0
    }

    pub(crate) fn link_verifiers(&self) -> impl Iterator<Item = &DecodingKey> {
        self.keys.iter().map(|key| &key.link.1)
    }

    pub(crate) fn drop_signer(&self) -> &EncodingKey {
        &self.first().drop.0
    }

    pub(crate) fn drop_verifiers(&self) -> impl Iterator<Item = &DecodingKey> {
        self.keys.iter().map(|key| &key.drop.1)
    }

    fn first(&self) -> &Key {
        self.keys.first().expect("parse refuses an empty list")
    }
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA512, secret);
        let derive = |purpose: Purpose| hmac::sign(&root, purpose.label());
        let jwt = |purpose: Purpose| {
            let secret = derive(purpose);
            (EncodingKey::from_secret(secret.as_ref()), DecodingKey::from_secret(secret.as_ref()))
        };
        Key {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            link: jwt(Purpose::Link),
            drop: jwt(Purpose::Drop),
            derived: Purpose::ALL.map(|purpose| hmac::Key::new(hmac::HMAC_SHA512, derive(purpose).as_ref())),
        }
    }

    fn derived(&self, purpose: Purpose) -> &hmac::Key {
        &self.derived[purpose as usize]
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.keys.len())
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn a11_a_signature_for_one_purpose_is_worth_nothing_for_another() {
        let keys = Keys::parse(&[key(1)]).unwrap();
        let signature = keys.sign(Purpose::Cursor, &[b"a", b"b"]);
        assert!(keys.verify(Purpose::Cursor, &[b"a", b"b"], &signature));
        assert!(!keys.verify(Purpose::UploadState, &[b"a", b"b"], &signature));
        assert!(!keys.verify(Purpose::Cursor, &[b"ab", b""], &signature));
    }

    /// That it takes the same time is the library's promise; that all of the signature counts is ours.
    #[test]
    fn a16_a_signature_is_compared_as_a_whole() {
        let keys = Keys::parse(&[key(1)]).unwrap();
        let signature = keys.sign(Purpose::Cursor, &[b"x"]);
        for at in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            assert!(!keys.verify(Purpose::Cursor, &[b"x"], &wrong), "byte {at}");
            assert!(!keys.verify(Purpose::Cursor, &[b"x"], &signature[..at]), "the first {at}");
        }
        assert!(!keys.verify(Purpose::Cursor, &[b"x"], &[&signature[..], &[0]].concat()));
    }

    #[test]
    fn a12_keys_rotate_and_bad_ones_are_refused() {
        let old = Keys::parse(&[key(1)]).unwrap();
        let both = Keys::parse(&[key(2), key(1)]).unwrap();
        let new = Keys::parse(&[key(2)]).unwrap();
        let signature = old.sign(Purpose::Cursor, &[b"x"]);
        assert!(both.verify(Purpose::Cursor, &[b"x"], &signature));
        assert!(!new.verify(Purpose::Cursor, &[b"x"], &signature));

        let none: [&str; 0] = [];
        assert_eq!(Keys::parse(&none).unwrap_err(), KeyError::None);
        assert_eq!(Keys::parse(&[""]).unwrap_err(), KeyError::Short);
        assert_eq!(Keys::parse(&[STANDARD.encode([1; 31])]).unwrap_err(), KeyError::Short);
        assert_eq!(Keys::parse(&["!"]).unwrap_err(), KeyError::Encoding);
        assert_eq!(Keys::parse(&[key(1), format!("{}\n", key(1))]).unwrap_err(), KeyError::Repeated);
    }
}
