//! Counts what changes, so that others can remember what does not. All changes of an embedded store come from one
//! thread, which counts before it commits them and once more when they are visible: a count that is odd says that
//! something is about to change, and nothing that was read meanwhile is worth remembering.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use cacheroach_model::{Path, TenantId};

use crate::stamps::Stamp;

/// Files share counts. More of them would only make the sharing rarer.
const COUNTS: usize = 4096;

/// What a change may change of what opening a file answers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Touches {
    Nothing,
    File(TenantId, Path),
    #[default]
    Everything,
}

pub(super) struct Stamps {
    everything: AtomicU64,
    files: Vec<AtomicU64>,
}

/// What is about to change; whoever drops it says that it has.
pub(super) struct Changing<'a>(Vec<&'a AtomicU64>);

impl Default for Stamps {
    fn default() -> Self {
        let files = std::iter::repeat_with(AtomicU64::default).take(COUNTS).collect();
        Stamps { everything: AtomicU64::default(), files }
    }
}

fn place(tenant: TenantId, path: &Path) -> usize {
    let mut hasher = DefaultHasher::new();
    (tenant, path).hash(&mut hasher);
    usize::try_from(hasher.finish() % COUNTS as u64).unwrap_or_default()
}

fn count_on(counts: &[&AtomicU64]) {
    for count in counts {
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Stamps {
    pub(super) fn of(&self, tenant: TenantId, path: &Path) -> Option<Stamp> {
        let everything = self.everything.load(Ordering::SeqCst);
        let file = self.files[place(tenant, path)].load(Ordering::SeqCst);
        (everything.is_multiple_of(2) && file.is_multiple_of(2)).then_some(Stamp { everything, file })
    }

    /// Called by the one who makes all changes, before any of these can be seen.
    pub(super) fn change<'a>(&self, all: impl Iterator<Item = &'a Touches>) -> Changing<'_> {
        let (mut everything, mut files) = (false, Vec::new());
        for touches in all {
            match touches {
                Touches::Nothing => {}
                Touches::File(tenant, path) => files.push(place(*tenant, path)),
                Touches::Everything => everything = true,
            }
        }
        files.sort_unstable();
        files.dedup();
        let counts = files.into_iter().map(|at| &self.files[at]);
        let counts: Vec<_> = counts.chain(everything.then_some(&self.everything)).collect();
        count_on(&counts);
        Changing(counts)
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        count_on(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse_file(text).unwrap()
    }

    #[test]
    fn a_file_has_another_stamp_after_it_changed_and_none_meanwhile() {
        let (stamps, tenant) = (Stamps::default(), TenantId::SCRATCHPAD);
        let touches = Touches::File(tenant, path("/a"));
        let (before, other) = (stamps.of(tenant, &path("/a")), stamps.of(tenant, &path("/b")));
        // Twice in one commit.
        let changing = stamps.change([touches.clone(), Touches::Nothing, touches].iter());
        assert_eq!(stamps.of(tenant, &path("/a")), None);
        assert_eq!(stamps.of(tenant, &path("/b")), other);
        drop(changing);
        assert!(stamps.of(tenant, &path("/a")).is_some_and(|now| Some(now) != before));
        assert_eq!(stamps.of(tenant, &path("/b")), other);
    }

    #[test]
    fn every_file_has_another_stamp_after_everything_changed() {
        let (stamps, tenant) = (Stamps::default(), TenantId::SCRATCHPAD);
        let before = stamps.of(tenant, &path("/b"));
        let changing = stamps.change([Touches::Everything, Touches::Everything].iter());
        assert_eq!(stamps.of(tenant, &path("/b")), None);
        drop(changing);
        assert!(stamps.of(tenant, &path("/b")).is_some_and(|now| Some(now) != before));
    }
}
