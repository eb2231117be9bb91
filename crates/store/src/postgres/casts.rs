//! The casts of a statement's values. CockroachDB takes the type of a value that is cast in one place and not in another
//! from whichever it reads first: if that is the cast, the value is text, and the other place an error.

use std::collections::{BTreeMap, BTreeSet};

/// Whether a value is cast in one place and not, or to another type, in another.
pub(super) fn is_mixed(statement: &str) -> bool {
    let mut casts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for after in statement.split('$').skip(1) {
        let (number, rest) = after.split_at(leading(after, |c| c.is_ascii_digit()));
        let kind = rest.strip_prefix("::").unwrap_or_default();
        let kind = &kind[..leading(kind, |c| c.is_ascii_alphanumeric() || c == '[' || c == ']')];
        casts.entry(number).or_default().insert(kind);
    }
    casts.iter().any(|(number, kinds)| !number.is_empty() && kinds.len() > 1)
}

fn leading(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cast_everywhere_or_nowhere() {
        for fine in [
            "SELECT 1",
            "SELECT a FROM b WHERE c = $1 AND d = $1 AND e = $2::INT8",
            "SELECT n.a FROM unnest($1::BYTEA[], $2::INT8[]) AS n (a, b)",
            "SELECT $1::BYTEA, $11 WHERE x = $1::BYTEA",
        ] {
            assert!(!is_mixed(fine), "{fine}");
        }
        for mixed in [
            "SELECT COALESCE(rope, $11::BYTEA) FROM ropes WHERE rope = $11",
            "SELECT a FROM b WHERE c = $1::TEXT OR d = $1::BYTEA",
            "SELECT a FROM unnest($1::TEXT[]) AS n (a) WHERE a = $1::TEXT",
        ] {
            assert!(is_mixed(mixed), "{mixed}");
        }
    }
}
