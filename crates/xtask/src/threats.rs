//! No threat is forgotten: each id of `docs/threats.md` has a test that is named after it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What this release does not offer yet, so that there is nothing to attack: OpenID Connect.
const LATER: std::ops::RangeInclusive<u32> = 77..=83;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Attacks (A) or faults (F): rows of tables that begin with `| A12 |`.
fn described(letter: char, text: &str) -> BTreeSet<u32> {
    let row = format!("| {letter}");
    let ids = text.lines().filter_map(|line| line.strip_prefix(&row)?.split(' ').next()?.parse().ok());
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

/// The number in `a12_what_is_attacked`, or in `f07_` or `f7_what_breaks`.
fn threat(letter: char, name: &str) -> Option<u32> {
    let (id, rest) = name.trim().strip_prefix(letter.to_ascii_lowercase())?.split_once('_')?;
    id.parse().ok().filter(|_| !rest.is_empty())
}

/// The threats of a letter that tests of a source are named after: functions with a test attribute shortly before them, and the
/// cases of the conformance suite, which are listed by name.
fn tested(letter: char, source: &str) -> BTreeSet<u32> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = BTreeSet::new();
    for (at, line) in lines.iter().enumerate() {
        let name = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("async ");
        if let Some(name) = name.strip_prefix("fn ") {
            let before = &lines[at.saturating_sub(4)..at];
            if before.iter().any(|line| line.contains("test]") || line.contains("test(")) {
                found.extend(threat(letter, name));
            }
        } else if source.contains("const CASES") && line.trim_end().ends_with(',') {
            found.extend(threat(letter, line));
        }
    }
    found
}

/// The threats of a letter that no test is named after, all but some.
#[track_caller]
fn none_is_forgotten(letter: char, described: &BTreeSet<u32>, is_later: impl Fn(u32) -> bool) {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let tested: BTreeSet<u32> =
        files.iter().flat_map(|file| tested(letter, &fs::read_to_string(file).unwrap())).collect();
    let forgotten: Vec<_> = described.iter().filter(|id| !tested.contains(id) && !is_later(**id)).collect();
    assert!(forgotten.is_empty(), "no test is named after {letter}{forgotten:?}");
    let unknown: Vec<_> = tested.difference(described).collect();
    assert!(unknown.is_empty(), "tests are named after threats that nobody described: {letter}{unknown:?}");
}

#[test]
fn every_attack_has_a_test_of_its_name() {
    let attacks = described('A', &fs::read_to_string(root().join("docs/threats.md")).unwrap());
    assert!(attacks.len() > 80 && attacks.contains(&1) && attacks.contains(&91), "{attacks:?}");
    none_is_forgotten('A', &attacks, |id| LATER.contains(&id));
}

#[test]
fn every_fault_has_a_test_of_its_name() {
    let faults = described('F', &fs::read_to_string(root().join("docs/threats.md")).unwrap());
    assert!(faults.iter().copied().eq(1..=39), "{faults:?}");
    none_is_forgotten('F', &faults, |_| false);
}

/// What is released is `cargo build --package cacheroach`; failpoints are for `crates/faults` alone.
#[test]
fn a_release_has_no_failpoints() {
    let tree = |package: &str| {
        let mut command = super::cargo();
        command.args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"]);
        let ran = command.args(["--package", package]).current_dir(root()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let has_them = |tree: &str| tree.lines().any(|line| line.starts_with("fail v"));
    assert!(!has_them(&tree("cacheroach")), "cacheroach is built with the crate `fail`");
    assert!(has_them(&tree("cacheroach-faults")), "this test would find it");
}

#[test]
fn a_function_without_a_test_attribute_counts_for_nothing() {
    let source =
        "#[tokio::test]\nasync fn a12_x() {}\n\n\n\n\nfn a13_y() {}\n    #[test]\n    fn a014_z() {}\n";
    assert_eq!(tested('A', source), BTreeSet::from([12, 14]));
    assert_eq!(tested('A', "const CASES = {\n a39_x,\n b_y,\n};"), BTreeSet::from([39]));
    assert_eq!(tested('F', "#[test]\nfn f07_x() {}\n#[test]\nfn f8_y() {}"), BTreeSet::from([7, 8]));
    assert_eq!(described('A', "| A1 | x |\n| F2 | y |\nA3"), BTreeSet::from([1]));
}
