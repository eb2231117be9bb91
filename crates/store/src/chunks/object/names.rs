//! Names of objects, and the places that stand for them.

use cacheroach_model::{Hash, TenantId};
use object_store::path::Path;

use crate::chunks::{KeptChunk, NewChunk, Place, elsewhere};
use crate::{Error, Result};

const PLACE_VERSION: u8 = 2;

/// What the name of an object says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Name {
    pub(super) tenant: TenantId,
    pub(super) hash: Hash,
    pub(super) generation: i64,
    pub(super) attempt: u64,
}

impl Name {
    /// One that was never used.
    pub(super) fn new(chunk: &NewChunk) -> Result<Self> {
        let attempt = getrandom::u64().map_err(|error| Error::Failed(error.to_string().into()))?;
        Ok(Name { tenant: chunk.tenant, hash: chunk.hash, generation: chunk.generation, attempt })
    }

    /// The name of a chunk's object; its place is 17 bytes: the version (1), the generation (8), the attempt (8).
    pub(super) fn of(chunk: &KeptChunk) -> Result<Self> {
        let parts = || {
            let (version, rest) = chunk.place.0.split_first()?;
            let (generation, rest) = rest.split_first_chunk()?;
            let attempt = rest.try_into().ok()?;
            (*version == PLACE_VERSION)
                .then_some((i64::from_be_bytes(*generation), u64::from_be_bytes(attempt)))
        };
        let (generation, attempt) = parts().ok_or_else(|| elsewhere(chunk, "an object"))?;
        Ok(Name { tenant: chunk.tenant, hash: chunk.hash, generation, attempt })
    }

    pub(super) fn place(&self) -> Place {
        let mut place = vec![PLACE_VERSION];
        place.extend(self.generation.to_be_bytes());
        place.extend(self.attempt.to_be_bytes());
        Place(place)
    }

    pub(super) fn path(&self, prefix: &Path) -> Path {
        let hash = self.hash.to_string();
        let last = format!("{hash}-{}-{:016x}", self.generation, self.attempt);
        prefix.clone().join(self.tenant.to_string()).join(&hash[..2]).join(last)
    }

    /// `None` for what [`path`](Self::path) cannot have made.
    pub(super) fn parse(prefix: &Path, path: &Path) -> Option<Self> {
        let mut parts = path.prefix_match(prefix)?;
        let (tenant, _, last) = (parts.next()?, parts.next()?, parts.next()?);
        let (hash, rest) = last.as_ref().split_once('-')?;
        let (generation, attempt) = rest.rsplit_once('-')?;
        let name = Name {
            tenant: tenant.as_ref().parse().ok()?,
            hash: hash.parse().ok()?,
            generation: generation.parse().ok()?,
            attempt: u64::from_str_radix(attempt, 16).ok()?,
        };
        (name.path(prefix) == *path).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_made_and_nothing_else_is() {
        for prefix in ["", "a", "a/b c"] {
            let prefix = Path::from(prefix);
            for generation in [1, i64::MAX, -3] {
                let hash = Hash::new([0xab; 32]);
                let name = Name { tenant: TenantId::SCRATCHPAD, hash, generation, attempt: 7 };
                let path = name.path(&prefix);
                assert_eq!(Name::parse(&prefix, &path), Some(name));
                let kept = KeptChunk { tenant: name.tenant, hash, length: 1, place: name.place() };
                assert_eq!(Name::of(&kept).unwrap(), name);
                assert_eq!(Name::parse(&prefix, &path.clone().join("x")), None);
                assert_eq!(Name::parse(&prefix, &Path::from(format!("{path}0"))), None);
                assert_eq!(Name::parse(&prefix, &Path::from(path.as_ref().to_uppercase())), None);
                assert_eq!(Name::parse(&Path::from("other"), &path), None);
            }
        }
    }
}
