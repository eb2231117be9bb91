//! Hashing passwords: argon2id, a few at a time on the blocking pool, since each takes much memory and time on purpose.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// So many are hashed at once, 19 MiB each.
const AT_ONCE: usize = 2;
/// And so many wait for that; whoever comes then is told to come later.
const WAITING: usize = 32;

/// Nobody's: it is compared with where there is no hash, so that this takes as long. It has the parameters of the others.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCAxNg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The pool.
pub(crate) struct Hashing {
    at_once: Arc<Semaphore>,
    room: Arc<Semaphore>,
    #[cfg(test)]
    pub(crate) compared: std::sync::atomic::AtomicU64,
}

/// A place on the pool; held by the work itself, which goes on when nobody waits for it any more.
struct Place {
    _room: OwnedSemaphorePermit,
    _at_once: OwnedSemaphorePermit,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        Hashing {
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            room: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            #[cfg(test)]
            compared: Default::default(),
        }
    }

    async fn place(&self) -> Result<Place> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Error::Busy)?;
        let at_once = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| Error::Busy)?;
        Ok(Place { _room: room, _at_once: at_once })
    }

    /// The hash of a password, in the form of the PHC string format.
    pub(crate) async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String> {
        let place = self.place().await?;
        let hashing = tokio::task::spawn_blocking(move || {
            let hash: Result<PasswordHash, _> =
                Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            drop(place);
            hash.map(|hash| hash.to_string())
        });
        let hash = hashing.await.map_err(Error::internal)?;
        hash.map_err(|error| Error::internal(error.to_string()))
    }

    /// Whether a password is the one that a hash was made of. Without a hash it is not, after the same work.
    pub(crate) async fn matches(&self, password: String, hash: Option<String>) -> Result<bool> {
        let place = self.place().await?;
        #[cfg(test)]
        self.compared.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let comparing = tokio::task::spawn_blocking(move || {
            let against = hash.as_deref().unwrap_or(DECOY);
            let same = Argon2::default().verify_password(password.as_bytes(), against);
            drop(place);
            same.is_ok() && hash.is_some()
        });
        comparing.await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(hash: &str) -> (String, usize, usize) {
        let parsed = PasswordHash::new(hash).unwrap();
        let salt = parsed.salt.as_ref().unwrap().len();
        (hash.rsplitn(3, '$').last().unwrap().to_owned(), salt, parsed.hash.unwrap().len())
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let hashing = Hashing::new();
        let hash = hashing.hash("correct horse".into(), [1; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hashing.hash("correct horse".into(), [2; 16]).await.unwrap());
        assert!(hashing.matches("correct horse".into(), Some(hash.clone())).await.unwrap());
        for wrong in ["correct hors", "", "Correct horse"] {
            assert!(!hashing.matches(wrong.into(), Some(hash.clone())).await.unwrap(), "{wrong}");
        }
        assert!(!hashing.matches("correct horse".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_decoy_costs_what_a_hash_costs() {
        let hash = Hashing::new().hash("correct horse".into(), [1; 16]).await.unwrap();
        assert_eq!(parameters(DECOY), parameters(&hash));
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_told_at_once() {
        let hashing = Arc::new(Hashing::new());
        let all = u32::try_from(AT_ONCE + WAITING).unwrap();
        let all = Arc::clone(&hashing.room).acquire_many_owned(all).await.unwrap();
        assert!(matches!(hashing.matches("x".into(), None).await, Err(Error::Busy)));
        assert!(matches!(hashing.hash("x".into(), [0; 16]).await, Err(Error::Busy)));
        drop(all);
        assert!(hashing.hash("x".into(), [0; 16]).await.is_ok());
    }
}
