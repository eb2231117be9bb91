//! Who did what when, and whether one order explains all that was seen (P4).
//!
//! Each path is a register of its own. What a client does has a beginning and, if it was answered, an end; its effect is
//! somewhere between. Where no answer came it may have had its effect at any time since, or never. The search is Wing's
//! and Gong's, over one path at a time: it takes any operation that could have been first, and goes on from there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a path holds: a content that no other write of this path brings, or nothing.
pub type Value = Option<u64>;

/// What somebody did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// Put this there, or deleted what was there. The version, where an answer told one.
    Write(Value, Option<i64>),
    /// Saw this. The version, if there was something.
    Read(Value, Option<i64>),
}

/// Something that was done, with times since the beginning of the history.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who did it, for people to read.
    pub who: String,
    /// What.
    pub act: Act,
    /// When it was asked for.
    pub begun: Duration,
    /// When it was answered; none if it never was. A read that was not answered is none at all.
    pub ended: Option<Duration>,
}

impl Operation {
    fn has_ended_before(&self, other: &Operation) -> bool {
        self.ended.is_some_and(|ended| ended < other.begun)
    }
}

/// All that was done, by path.
pub struct History {
    since: Instant,
    paths: Mutex<BTreeMap<String, Vec<Operation>>>,
}

impl Default for History {
    fn default() -> Self {
        History { since: Instant::now(), paths: Mutex::default() }
    }
}

/// How many states of one path are looked at before the search gives up.
const MOST_STATES: usize = 2_000_000;

impl History {
    /// The time, as operations have it.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Notes what was done.
    pub fn note(&self, path: &str, operation: Operation) {
        self.paths.lock().unwrap().entry(path.to_owned()).or_default().push(operation);
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of it can be explained.
    ///
    /// # Errors
    /// What can't: a path, and what was done with it.
    pub fn check(&self) -> Result<(), String> {
        let paths = self.paths.lock().unwrap();
        for (path, operations) in &*paths {
            check(operations).map_err(|problem| {
                let lines = operations.iter().map(|one| format!("\n  {one:?}"));
                format!("{path}: {problem}{}", lines.collect::<String>())
            })?;
        }
        Ok(())
    }
}

/// Whether what was done with one path can be explained.
///
/// # Errors
/// Why not.
pub fn check(operations: &[Operation]) -> Result<(), String> {
    let seen =
        |value: &Value| operations.iter().any(|one| matches!(one.act, Act::Read(seen, _) if seen == *value));
    let mut operations: Vec<&Operation> = operations
        .iter()
        .filter(|one| match one.act {
            Act::Read(..) => one.ended.is_some(),
            // What nobody saw, and nobody was told of, changes nothing by not having happened.
            Act::Write(value @ Some(_), _) => one.ended.is_some() || seen(&value),
            Act::Write(None, _) => true,
        })
        .collect();
    operations.sort_by_key(|one| one.begun);
    versions_grow(&operations)?;
    explain(&operations)
}

/// Versions are given in the order in which writes take effect, and a read never goes back.
fn versions_grow(operations: &[&Operation]) -> Result<(), String> {
    let mut of_version = BTreeMap::new();
    for one in operations {
        let (Act::Write(value, Some(version)) | Act::Read(value, Some(version))) = one.act else { continue };
        if *of_version.entry(version).or_insert(value) != value {
            return Err(format!("version {version} is two contents"));
        }
        for other in operations.iter().filter(|other| one.has_ended_before(other)) {
            let (Act::Write(_, Some(next)) | Act::Read(_, Some(next))) = other.act else { continue };
            let grows = match other.act {
                Act::Write(..) => next > version,
                Act::Read(..) => next >= version,
            };
            if !grows {
                return Err(format!("after version {version} came version {next}"));
            }
        }
    }
    Ok(())
}

/// A state of the search: which operations have had their effect, and what is there now. All before `first` have.
#[derive(Clone, Eq, Hash, PartialEq)]
struct State {
    first: usize,
    /// Of those behind `first`, in order.
    done: Vec<usize>,
    value: Value,
}

impl State {
    fn is_done(&self, at: usize) -> bool {
        at < self.first || self.done.binary_search(&at).is_ok()
    }

    fn with(&self, at: usize, value: Value) -> State {
        let mut next = State { value, ..self.clone() };
        if let Err(place) = next.done.binary_search(&at) {
            next.done.insert(place, at);
        }
        while next.done.first() == Some(&next.first) {
            next.done.remove(0);
            next.first += 1;
        }
        next
    }
}

fn explain(operations: &[&Operation]) -> Result<(), String> {
    let mut stack = vec![State { first: 0, done: Vec::new(), value: None }];
    let mut known = HashSet::new();
    let mut furthest = 0;
    while let Some(state) = stack.pop() {
        // What must still have its effect: all that was answered.
        let open = || (state.first..operations.len()).filter(|at| !state.is_done(*at));
        let Some(horizon) = open().filter_map(|at| operations[at].ended).min() else { return Ok(()) };
        furthest = furthest.max(state.first + state.done.len());
        // Whatever began after one that was answered had ended comes after that one.
        let could_be_next = || open().take_while(|at| operations[*at].begun <= horizon);
        let is_explained =
            |at: &usize| matches!(operations[*at].act, Act::Read(value, _) if value == state.value);
        if let Some(read) = could_be_next().find(is_explained) {
            // It changes nothing, so nothing is lost by taking it right now.
            stack.push(state.with(read, state.value));
            continue;
        }
        let mut next = Vec::new();
        let mut has_lost_delete = false;
        for at in could_be_next() {
            let Act::Write(value, _) = operations[at].act else { continue };
            if operations[at].ended.is_none() && value.is_none() {
                // All that nobody was told of are alike: the first serves for the others, if there is anything to delete.
                if has_lost_delete || state.value.is_none() {
                    continue;
                }
                has_lost_delete = true;
            }
            next.push(state.with(at, value));
        }
        // The first that began is tried first.
        stack.extend(next.into_iter().rev().filter(|next| known.insert(next.clone())));
        if known.len() > MOST_STATES {
            return Err("too much at once to find an order".into());
        }
    }
    Err(format!("no order explains it; {furthest} of {} operations at most", operations.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(act: Act, begun: u64, ended: Option<u64>) -> Operation {
        let time = Duration::from_millis;
        Operation { who: String::new(), act, begun: time(begun), ended: ended.map(time) }
    }

    fn write(value: u64, begun: u64, ended: u64) -> Operation {
        operation(Act::Write(Some(value), None), begun, Some(ended))
    }

    fn lost(value: Value, begun: u64) -> Operation {
        operation(Act::Write(value, None), begun, None)
    }

    fn delete(begun: u64, ended: u64) -> Operation {
        operation(Act::Write(None, None), begun, Some(ended))
    }

    fn read(value: Value, begun: u64, ended: u64) -> Operation {
        operation(Act::Read(value, None), begun, Some(ended))
    }

    #[test]
    fn p4_what_can_be_explained_is() {
        let fine: &[&[Operation]] = &[
            &[read(None, 0, 1), write(1, 2, 3), read(Some(1), 4, 5)],
            // While it is being written, both are right, but not back again.
            &[write(1, 0, 1), write(2, 2, 9), read(Some(1), 3, 4), read(Some(2), 5, 6), read(Some(2), 7, 8)],
            // Nobody was told, and it came late, or never.
            &[write(1, 0, 1), lost(Some(2), 2), read(Some(1), 3, 4), read(Some(2), 5, 6)],
            &[write(1, 0, 1), lost(Some(2), 2), read(Some(1), 3, 4)],
            &[write(1, 0, 1), lost(None, 2), read(Some(1), 3, 4), read(None, 5, 6)],
            &[write(1, 0, 1), delete(2, 3), read(None, 4, 5), write(2, 6, 7), read(Some(2), 8, 9)],
        ];
        for history in fine {
            check(history).unwrap_or_else(|problem| panic!("{history:?}: {problem}"));
        }
    }

    #[test]
    fn p4_what_is_stale_lost_or_made_up_is_found() {
        let wrong: &[&[Operation]] = &[
            // Lost.
            &[write(1, 0, 1), read(None, 2, 3)],
            // Stale.
            &[write(1, 0, 1), write(2, 2, 3), read(Some(1), 4, 5)],
            // Never written.
            &[write(1, 0, 1), read(Some(7), 2, 3)],
            // There and back again.
            &[write(1, 0, 1), write(2, 2, 9), read(Some(2), 3, 4), read(Some(1), 5, 6)],
            &[write(1, 0, 1), lost(Some(2), 2), read(Some(2), 3, 4), read(Some(1), 5, 6)],
            // Came back after it was deleted.
            &[write(1, 0, 1), delete(2, 3), read(Some(1), 4, 5)],
            // Before it began.
            &[read(Some(1), 0, 1), write(1, 2, 3)],
        ];
        for history in wrong {
            assert!(check(history).is_err(), "{history:?}");
        }
        let version = |act, begun| operation(act, begun, Some(begun + 1));
        let write = |value, version| Act::Write(Some(value), Some(version));
        assert!(check(&[version(write(1, 2), 0), version(write(2, 1), 2)]).is_err(), "versions grow");
        assert!(check(&[version(write(1, 1), 0), version(Act::Read(Some(2), Some(1)), 2)]).is_err());
    }

    /// What several clients see of one register that works: each operation has its effect at one moment of its time.
    fn working() -> impl Strategy<Value = Vec<Operation>> {
        let one = (0..400u64, 0..30u64, 0..30u64, 0..4u8, prop::bool::weighted(0.1));
        prop::collection::vec(one, 1..60).prop_map(|drawn| {
            let mut drawn = drawn;
            drawn.sort_unstable();
            let (mut value, mut operations) = (None, Vec::new());
            for (number, (moment, before, after, kind, is_lost)) in drawn.into_iter().enumerate() {
                // Two effects never fall into one moment.
                let moment = moment * 100 + number as u64;
                let act = match kind {
                    0 => Act::Write(None, None),
                    1 => Act::Write(Some(number as u64), None),
                    _ => Act::Read(value, None),
                };
                if let Act::Write(written, _) = act {
                    value = written;
                }
                let ended = (!is_lost || kind > 1).then_some(moment + after * 100 + 1);
                operations.push(operation(act, moment.saturating_sub(before * 100), ended));
            }
            operations
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn p4_what_a_working_register_does_is_always_explained(operations in working()) {
            prop_assert!(check(&operations).is_ok(), "{:?}", check(&operations));
        }

        /// One read that nothing explains is found among all that are right.
        #[test]
        fn p4_one_wrong_read_is_always_found(operations in working(), at in any::<prop::sample::Index>()) {
            let mut operations = operations;
            let end = operations.iter().filter_map(|one| one.ended).max().unwrap_or_default();
            let wrong = at.index(operations.len() + 1);
            let begun = operations.get(wrong).map_or(end, |one| one.begun);
            let ended = Some(begun + Duration::from_millis(1));
            let act = Act::Read(Some(1_000_000), None);
            operations.push(Operation { who: String::new(), act, begun, ended });
            prop_assert!(check(&operations).is_err());
        }

        /// What was acknowledged last, and is gone when all is quiet, is found.
        #[test]
        fn p4_a_lost_write_is_always_found(operations in working()) {
            let mut operations: Vec<_> = operations.into_iter().filter(|one| one.ended.is_some()).collect();
            let end = operations.iter().filter_map(|one| one.ended).max().unwrap_or_default();
            let after = |length| end + Duration::from_millis(length);
            let act = |act, from| Operation { who: String::new(), act, begun: after(from), ended: Some(after(from + 1)) };
            operations.push(act(Act::Write(Some(1_000_000), None), 1));
            operations.push(act(Act::Read(None, None), 3));
            prop_assert!(check(&operations).is_err());
        }
    }
}
