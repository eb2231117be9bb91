//! Paths, what a scope says of them, and what a request wants of them.

use std::fmt;

use crate::{TenantId, Version};

/// The canonical path of a file: absolute, clean, at most 1,024 bytes, without control characters. Compared byte by byte.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Path(String);

/// Not a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with a slash.
    #[error("a path begins with /")]
    Relative,
    /// Longer than [`Path::MAX_LENGTH`].
    #[error("a path has at most 1024 bytes")]
    TooLong,
    /// A control character, a line break or DEL.
    #[error("a path has no control characters")]
    Control,
    /// `/` where a file is meant.
    #[error("/ is a directory, not a file")]
    Root,
    /// `*` in a scope other than as its whole last segment.
    #[error("a scope may have * as its last segment only")]
    Star,
}

impl Path {
    /// In bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// From any spelling of an absolute path.
    ///
    /// # Errors
    /// What has no canonical form.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text)?;
        Ok(Path(canonical(text)))
    }

    /// The same, but `/` is refused: it can't be a file.
    ///
    /// # Errors
    /// What has no canonical form, and `/`.
    pub fn parse_file(text: &str) -> Result<Self, PathError> {
        Self::parse(text).and_then(|path| if path.is_root() { Err(PathError::Root) } else { Ok(path) })
    }

    /// The top.
    #[must_use]
    pub fn root() -> Self {
        Path("/".into())
    }

    /// Whether this is the top.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What every path below this one begins with: the path and a slash.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.is_root() { "/".into() } else { format!("{}/", self.0) }
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether this is below `other`. Everything, itself included, is below the top.
    #[must_use]
    pub fn is_below(&self, other: &Path) -> bool {
        other.is_root()
            || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<(), PathError> {
    if !text.starts_with('/') {
        return Err(PathError::Relative);
    }
    if text.len() > Path::MAX_LENGTH {
        return Err(PathError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    Ok(())
}

/// Cleans an absolute path lexically, as POSIX has it: `//` and `.` go, `..` takes a segment away but never climbs above
/// the top, a last slash goes.
#[must_use]
pub fn canonical(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            segment => {
                clean.push('/');
                clean.push_str(segment);
            }
        }
    }
    if clean.is_empty() { "/".into() } else { clean }
}

/// The paths of a scope: one, or all below one (written with a last segment `*`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Pattern {
    /// This path only.
    Exactly(Path),
    /// Everything below this path and its listing, but not a file of that name.
    Below(Path),
}

impl Pattern {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Pattern::Below(Path::root())
    }

    /// From `/a/b` or `/a/*`.
    ///
    /// # Errors
    /// What is no path, and `*` anywhere but as the whole last segment.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text)?;
        let clean = canonical(text);
        let (pattern, rest) = match clean.strip_suffix("/*") {
            Some(dir) => {
                let dir = if dir.is_empty() { "/" } else { dir };
                (Pattern::Below(Path(dir.into())), dir)
            }
            None => (Pattern::Exactly(Path(clean.clone())), clean.as_str()),
        };
        if rest.contains('*') { Err(PathError::Star) } else { Ok(pattern) }
    }

    /// Whether all that `other` covers is covered here too.
    #[must_use]
    pub fn contains(&self, other: &Pattern) -> bool {
        match other {
            Pattern::Exactly(path) => self.covers(&Goal::File(path.clone())),
            Pattern::Below(dir) => self.covers(&Goal::Listing(dir.clone())),
        }
    }

    /// Whether the goal is within this pattern.
    #[must_use]
    pub fn covers(&self, goal: &Goal) -> bool {
        match (self, goal) {
            (Pattern::Exactly(held), Goal::File(path)) => held == path,
            (Pattern::Exactly(_), Goal::Listing(_)) => false,
            (Pattern::Below(dir), Goal::File(path)) => path.is_below(dir),
            (Pattern::Below(dir), Goal::Listing(path)) => path == dir || path.is_below(dir),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exactly(path) => path.fmt(f),
            Pattern::Below(dir) => write!(f, "{}*", dir.prefix()),
        }
    }
}

/// What a request wants of a path. `*` has no meaning here: it is a character like any other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Goal {
    /// The file of that name.
    File(Path),
    /// What is below: written with a last slash.
    Listing(Path),
}

impl Goal {
    /// From the path of a request.
    ///
    /// # Errors
    /// What is no path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = Path::parse(text)?;
        Ok(if text.ends_with('/') || path.is_root() { Goal::Listing(path) } else { Goal::File(path) })
    }

    /// The path, whichever way it is meant.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Goal::File(path) | Goal::Listing(path) => path,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::File(path) => path.fmt(f),
            Goal::Listing(path) => f.write_str(&path.prefix()),
        }
    }
}

/// The location of a scope: paths of a tenant, maybe in one version only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// Whose.
    pub tenant: TenantId,
    /// Which paths.
    pub pattern: Pattern,
    /// Only this version, and only for reading.
    pub version: Option<Version>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_cleaned_as_posix_has_it() {
        for (given, clean) in [
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/a/", "/a"),
            ("/../a", "/a"),
            ("/a/../b", "/b"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(Path::parse(given).unwrap().as_str(), clean, "{given}");
        }
    }

    #[test]
    fn a23_paths_without_a_canonical_form_are_refused() {
        for (given, error) in [
            ("", PathError::Relative),
            ("a", PathError::Relative),
            ("./a", PathError::Relative),
            ("/a\0", PathError::Control),
            ("/a\nb", PathError::Control),
            ("/a\r", PathError::Control),
            ("/a\u{7f}", PathError::Control),
            ("/a\u{85}", PathError::Control),
        ] {
            assert_eq!(Path::parse(given), Err(error), "{given:?}");
        }
        assert!(Path::parse(&format!("/{}", "a".repeat(1023))).is_ok());
        assert_eq!(Path::parse(&format!("/{}", "a".repeat(1024))), Err(PathError::TooLong));
        assert_eq!(Path::parse_file("/a/.."), Err(PathError::Root));
    }

    #[test]
    fn a24_spellings_stay_apart() {
        let nfc = Path::parse("/caf\u{e9}").unwrap();
        assert_ne!(nfc, Path::parse("/cafe\u{301}").unwrap());
        assert_ne!(Path::parse("/A").unwrap(), Path::parse("/a").unwrap());
        assert_ne!(Path::parse("/\u{ff41}").unwrap(), Path::parse("/a").unwrap());
    }

    /// The table of the original, narrowed: a scope is exactly its path or, with a last `*`, all below it.
    #[test]
    fn a21_a_scope_covers_what_the_table_says() {
        for (held, goal, allowed) in [
            ("/*", "/", true),
            ("/*", "/a/b/c", true),
            ("/*", "/*", true),
            ("/a", "/a", true),
            ("/a", "/a/b", false),
            ("/a", "/ab", false),
            ("/a", "/A", false),
            ("/a", "/a.", false),
            ("/a", "/a ", false),
            ("/a", "/a%00", false),
            ("/a", "/a/", false),
            ("/a/", "/a/x", false),
            ("/a/*", "/a", false),
            ("/a/*", "/a/", true),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a/b/", true),
            ("/a/*", "/a/../b", false),
            ("/a/*", "/a/*", true),
            ("/a/*", "/ab/c", false),
            ("/", "/a", false),
            ("/a/b", "/a", false),
            ("/a/b", "/a/", false),
        ] {
            let covers = Pattern::parse(held).unwrap().covers(&Goal::parse(goal).unwrap());
            assert_eq!(covers, allowed, "{held} over {goal}");
        }
    }

    #[test]
    fn a25_a_star_elsewhere_is_refused_in_a_scope_and_plain_in_a_request() {
        for scope in ["/*/x", "/a*", "/*/*", "/a/**", "/*a/*"] {
            assert_eq!(Pattern::parse(scope), Err(PathError::Star), "{scope}");
        }
        assert_eq!(Goal::parse("/*/x").unwrap(), Goal::File(Path("/*/x".into())));
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent_and_clean(text in "[a-c./]{0,40}") {
            let clean = canonical(&text);
            prop_assert_eq!(&canonical(&clean), &clean);
            prop_assert!(clean.starts_with('/'));
            prop_assert!(clean == "/" || !clean.ends_with('/'));
            prop_assert!(clean.split('/').skip(1).all(|s| clean == "/" || !matches!(s, "" | "." | "..")));
        }

        #[test]
        fn a_pattern_is_shown_as_it_is_read(text in "/[a-c./]{0,20}(/\\*)?") {
            let pattern = Pattern::parse(&text).unwrap();
            prop_assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
        }

        /// What a contained pattern covers, the containing one covers.
        #[test]
        fn containing_is_covering_all_of_it(
            held in "(/[ab]){0,3}(/\\*)?", inner in "(/[ab]){0,3}(/\\*)?", goal in "(/[ab]){0,4}/?",
        ) {
            let parse = |text: &str| Pattern::parse(if text.is_empty() { "/" } else { text }).unwrap();
            let (held, inner) = (parse(&held), parse(&inner));
            let goal = Goal::parse(if goal.is_empty() { "/" } else { &goal }).unwrap();
            if held.contains(&inner) && inner.covers(&goal) {
                prop_assert!(held.covers(&goal), "{held} {inner} {goal}");
            }
        }
    }
}
