//! Random operations on the engine and on a simple model of it: they must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cacheroach_model::{Entry, Expected, Path, TenantId, Timestamp, Version};
use cacheroach_store::files::{Browsing, Listing, Moment};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::files::browsing;
use crate::subject::{Subject, path};

#[derive(Clone, Debug)]
enum Operation {
    Put(String, u8),
    Delete(String),
    Check { dir: String, limit: usize, ago: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let name = "(/[ab!0]){1,3}";
    prop_oneof![
        4 => (name, any::<u8>()).prop_map(|(at, seed)| Operation::Put(at, seed)),
        1 => name.prop_map(Operation::Delete),
        2 => ("(/[ab]){0,2}", 1_usize..5, 0_usize..10)
            .prop_map(|(dir, limit, ago)| Operation::Check { dir, limit, ago }),
    ]
}

/// When it was written, its content, and since when it is deleted.
type Versions = Vec<(Timestamp, u8, Option<Timestamp>)>;

#[derive(Default)]
struct Model {
    files: BTreeMap<String, Versions>,
}

impl Model {
    fn put(&mut self, at: &str, seed: u8, now: Timestamp) -> Version {
        let versions = self.files.entry(at.to_owned()).or_default();
        versions.push((now, seed, None));
        Version(i64::try_from(versions.len()).unwrap())
    }

    fn delete(&mut self, at: &str, now: Timestamp) {
        for version in self.files.get_mut(at).into_iter().flatten() {
            version.2.get_or_insert(now);
        }
    }

    fn is_live(versions: &Versions) -> bool {
        versions.last().is_some_and(|last| last.2.is_none())
    }

    /// Path and version of what was there then and is not deleted since.
    fn list(&self, dir: &str, as_of: Timestamp) -> Vec<(String, i64)> {
        let prefix = format!("{dir}/");
        let below =
            self.files.iter().filter(|(at, versions)| at.starts_with(&prefix) && Self::is_live(versions));
        below
            .filter_map(|(at, versions)| {
                let version =
                    versions.iter().rposition(|(time, _, deleted)| *time <= as_of && deleted.is_none())?;
                Some((at.clone(), i64::try_from(version + 1).unwrap()))
            })
            .collect()
    }

    /// Path and version of what was there then, deleted since or not.
    fn list_past(&self, dir: &str, then: Timestamp) -> Vec<(String, i64)> {
        let prefix = format!("{dir}/");
        let below = self.files.iter().filter(|(at, _)| at.starts_with(&prefix));
        below
            .filter_map(|(at, versions)| {
                let there = |(time, _, deleted): &(Timestamp, u8, Option<Timestamp>)| {
                    *time <= then && deleted.is_none_or(|deleted| deleted > then)
                };
                let version = versions.iter().rposition(there)?;
                Some((at.clone(), i64::try_from(version + 1).unwrap()))
            })
            .collect()
    }

    fn browse(&self, dir: &str) -> Vec<String> {
        let live = self.files.iter().filter(|(_, versions)| Self::is_live(versions));
        Self::names(dir, live.map(|(at, _)| at.as_str()))
    }

    fn browse_past(&self, dir: &str, then: Timestamp) -> Vec<String> {
        let there = self.list_past(dir, then);
        Self::names(dir, there.iter().map(|(at, _)| at.as_str()))
    }

    fn names<'a>(dir: &str, paths: impl Iterator<Item = &'a str>) -> Vec<String> {
        let prefix = format!("{dir}/");
        let names = paths.filter_map(|at| at.strip_prefix(&prefix)).map(|rest| match rest.split_once('/') {
            Some((directory, _)) => format!("{directory}/"),
            None => rest.to_owned(),
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

pub(crate) async fn the_engine_agrees_with_a_simple_model(subject: &Subject) {
    // A fixed seed: what fails once fails again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..12 {
        let operations = prop::collection::vec(operation(), 60).new_tree(&mut runner).unwrap().current();
        let tenant = subject.tenant().await;
        let (mut model, mut times) = (Model::default(), vec![subject.now()]);
        for operation in operations {
            subject.advance(Duration::from_millis(1));
            match &operation {
                Operation::Put(at, seed) => {
                    let version = subject.put(tenant, at, &[*seed]).await;
                    assert_eq!(version, model.put(at, *seed, subject.now()), "{operation:?}");
                    assert_eq!(subject.read(tenant, at, Some(version)).await.unwrap(), [*seed]);
                }
                Operation::Delete(at) => {
                    subject
                        .store()
                        .metadata
                        .delete_file(tenant, &path(at), Expected::Anything)
                        .await
                        .unwrap();
                    model.delete(at, subject.now());
                }
                Operation::Check { dir, limit, ago } => {
                    let as_of = times[times.len() - 1 - ago % times.len()];
                    let (steady, past) = (Moment::Steady(as_of), Moment::Past(as_of));
                    let listed = list(subject, tenant, dir, *limit, steady).await;
                    assert_eq!(listed, model.list(dir, as_of), "{operation:?}");
                    let listed = list(subject, tenant, dir, *limit, past).await;
                    assert_eq!(listed, model.list_past(dir, as_of), "{operation:?}");
                    let browsed = browse(subject, tenant, dir, *limit, None).await;
                    assert_eq!(browsed, model.browse(dir), "{operation:?}");
                    let browsed = browse(subject, tenant, dir, *limit, Some(as_of)).await;
                    assert_eq!(browsed, model.browse_past(dir, as_of), "{operation:?}");
                }
            }
            times.push(subject.now());
        }
    }
}

fn directory(dir: &str) -> Path {
    if dir.is_empty() { Path::root() } else { Path::parse(dir).unwrap() }
}

async fn list(
    subject: &Subject,
    tenant: TenantId,
    dir: &str,
    limit: usize,
    at: Moment,
) -> Vec<(String, i64)> {
    let below = Some(directory(dir));
    let mut listing = Listing { tenant, exactly: None, below, after: None, at, limit };
    let mut found = Vec::new();
    loop {
        let page = subject.store().metadata.list_files(&listing).await.unwrap();
        found.extend(page.files.iter().map(|file| (file.path.to_string(), file.version.0)));
        match page.next {
            None => return found,
            next => listing.after = next,
        }
    }
}

async fn browse(
    subject: &Subject,
    tenant: TenantId,
    dir: &str,
    limit: usize,
    past: Option<Timestamp>,
) -> Vec<String> {
    let dir = directory(dir);
    let mut shown: Vec<String> = Vec::new();
    loop {
        let after = shown.last().map(String::as_str);
        let page = subject
            .store()
            .metadata
            .browse(&Browsing { past, ..browsing(tenant, &dir, after, limit) })
            .await
            .unwrap();
        let full = page.len() == limit;
        shown.extend(page.iter().map(|entry| match entry {
            Entry::Directory(name) => format!("{name}/"),
            Entry::File(file) => file.path.name().to_owned(),
        }));
        if !full {
            return shown;
        }
    }
}
