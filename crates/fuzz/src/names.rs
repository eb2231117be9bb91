//! Paths, scopes and hosts: whatever is accepted has one spelling, and that spelling means the same again.

use cacheroach_model::{Goal, Host, Path, Pattern};

fn segments(path: &Path) -> Vec<&str> {
    path.as_str().split('/').filter(|segment| !segment.is_empty()).collect()
}

/// A path as text.
pub(crate) fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(path) = Path::parse(&text) else {
        assert!(Path::parse_file(&text).is_err() && Goal::parse(&text).is_err());
        return;
    };
    let clean = path.as_str();
    assert!(clean.starts_with('/') && clean.len() <= Path::MAX_LENGTH && clean.len() <= text.len());
    assert!(!clean.chars().any(char::is_control));
    let is_clean = |segment: &str| !matches!(segment, "" | "." | "..");
    assert!(path.is_root() || clean[1..].split('/').all(is_clean), "{clean:?}");
    assert_eq!(Path::parse(clean).as_ref(), Ok(&path));
    assert_eq!(Path::parse_file(&text).is_ok(), !path.is_root());
    assert!(path.is_below(&Path::root()));

    let goal = Goal::parse(&text).expect("it is a path");
    assert_eq!(goal.path(), &path);
    assert_eq!(Goal::parse(&goal.to_string()).as_ref(), Ok(&goal));
}

/// Lines: a scope, one within it perhaps, and what is asked for.
pub(crate) fn scope(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut pattern = || lines.next().and_then(|line| Pattern::parse(line).ok());
    let Some(held) = pattern() else { return };
    assert_eq!(Pattern::parse(&held.to_string()).as_ref(), Ok(&held));
    assert!(held.contains(&held) && Pattern::everything().contains(&held));
    let Some(inner) = pattern() else { return };
    if held.contains(&inner) && inner.contains(&held) {
        assert_eq!(held, inner);
    }
    let Some(goal) = lines.next().and_then(|line| Goal::parse(line).ok()) else { return };
    assert_eq!(held.covers(&goal), covers(&held, &goal), "{held} {goal}");
    if held.contains(&inner) && inner.covers(&goal) {
        assert!(held.covers(&goal), "{held} {inner} {goal}");
    }
}

/// The same by segments, as the design has it.
fn covers(held: &Pattern, goal: &Goal) -> bool {
    match (held, goal) {
        (Pattern::Exactly(held), Goal::File(path)) => segments(held) == segments(path),
        (Pattern::Exactly(_), Goal::Listing(_)) => false,
        (Pattern::Below(dir), goal) => {
            let (dir, path) = (segments(dir), segments(goal.path()));
            let deeper = path.len() > dir.len() || dir.is_empty() || matches!(goal, Goal::Listing(_));
            deeper && path.starts_with(&dir)
        }
    }
}

/// The host of a request, or as an operator names it.
pub(crate) fn host(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(host) = Host::of_authority(&text) {
        let name = host.as_str();
        assert!(!name.is_empty() && name.len() <= 253 && name.is_ascii());
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(!name.contains(['/', '@', ' ', '*', '?', '#', '%']));
        assert_eq!(Host::of_authority(name).as_ref(), Ok(&host), "{text:?} is {name:?}");
        assert_eq!(Host::of_authority(&format!("{name}:8080")).as_ref(), Ok(&host));
        assert_eq!(Host::parse(&text).as_ref(), Ok(&host));
    }
    if let Ok(host) = Host::parse(&text) {
        assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(&host), "{text:?}");
    }
}
