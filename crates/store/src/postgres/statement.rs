//! The text of statements, and in tests, where each of them is written.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A statement: a literal as for `format!`. Tests know all of them by it: each is prepared on PostgreSQL, and searched
/// for what CockroachDB lacks.
macro_rules! sql {
    ($($text:tt)*) => {
        $crate::postgres::statement::seen(file!(), line!(), format!($($text)*))
    };
}

pub(super) use sql;

/// Where a statement is written: file and line.
pub type Site = (&'static str, u32);

static SEEN: LazyLock<Mutex<BTreeMap<Site, Vec<String>>>> = LazyLock::new(Mutex::default);

/// Where it is written is told for tests alone.
pub(super) fn seen(file: &'static str, line: u32, text: String) -> String {
    if cfg!(feature = "testing") {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = seen.entry((file, line)).or_default();
        if !texts.contains(&text) {
            texts.push(text.clone());
        }
    }
    text
}

/// All statements that were made so far, with feature `testing`.
#[must_use]
pub fn all_seen() -> BTreeMap<Site, Vec<String>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
