//! No threat is forgotten: each id of `docs/threats.md` has a test that is named after it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What this release does not offer yet, so that there is nothing to attack: OpenID Connect.
const LATER: std::ops::RangeInclusive<u32> = 77..=83;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The attacks: rows of tables that begin with `| A12 |`.
fn attacks(text: &str) -> BTreeSet<u32> {
    let ids = text.lines().filter_map(|line| line.strip_prefix("| A")?.split(' ').next()?.parse().ok());
    ids.collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The number in `a12_what_is_attacked`.
fn attack(name: &str) -> Option<u32> {
    let (id, rest) = name.trim().strip_prefix('a')?.split_once('_')?;
    id.parse().ok().filter(|_| !rest.is_empty())
}

/// The attacks that tests of a source are named after: functions with a test attribute shortly before them, and the
/// cases of the conformance suite, which are listed by name.
fn tested(source: &str) -> BTreeSet<u32> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = BTreeSet::new();
    for (at, line) in lines.iter().enumerate() {
        let name = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("async ");
        if let Some(name) = name.strip_prefix("fn ") {
            let before = &lines[at.saturating_sub(4)..at];
            if before.iter().any(|line| line.contains("test]") || line.contains("test(")) {
                found.extend(attack(name));
            }
        } else if source.contains("const CASES") && line.trim_end().ends_with(',') {
            found.extend(attack(line));
        }
    }
    found
}

#[test]
fn every_attack_has_a_test_of_its_name() {
    let attacks = attacks(&fs::read_to_string(root().join("docs/threats.md")).unwrap());
    assert!(attacks.len() > 80 && attacks.contains(&1) && attacks.contains(&91), "{attacks:?}");
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let tested: BTreeSet<u32> =
        files.iter().flat_map(|file| tested(&fs::read_to_string(file).unwrap())).collect();
    let forgotten: Vec<_> = attacks.iter().filter(|id| !tested.contains(id) && !LATER.contains(id)).collect();
    assert!(forgotten.is_empty(), "no test is named after A{forgotten:?}");
    let unknown: Vec<_> = tested.difference(&attacks).collect();
    assert!(unknown.is_empty(), "tests are named after attacks that nobody described: A{unknown:?}");
}

#[test]
fn a_function_without_a_test_attribute_counts_for_nothing() {
    let source =
        "#[tokio::test]\nasync fn a12_x() {}\n\n\n\n\nfn a13_y() {}\n    #[test]\n    fn a014_z() {}\n";
    assert_eq!(tested(source), BTreeSet::from([12, 14]));
    assert_eq!(tested("const CASES = {\n a39_x,\n b_y,\n};"), BTreeSet::from([39]));
    assert_eq!(attacks("| A1 | x |\n| F2 | y |\nA3"), BTreeSet::from([1]));
}
