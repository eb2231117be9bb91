//! What statements cost, for the tests that hold them to it; elsewhere nothing is noted.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use rusqlite::{Statement, StatementStatus};

/// What all runs of a statement came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Steps of the virtual machine: some for each row or entry of an index that is touched.
    pub steps: i64,
    /// Rows that were passed because no index led past them.
    pub scanned: i64,
    /// How often rows had to be sorted.
    pub sorted: i64,
}

static NOTED: LazyLock<Mutex<BTreeMap<String, Cost>>> = LazyLock::new(Mutex::default);

/// Notes what a statement cost that has run.
pub(super) fn note(sql: &str, statement: &Statement<'_>) {
    if cfg!(feature = "testing") {
        let of = |status| i64::from(statement.reset_status(status));
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = noted.entry(sql.to_owned()).or_default();
        cost.steps += of(StatementStatus::VmStep);
        cost.scanned += of(StatementStatus::FullscanStep);
        cost.sorted += of(StatementStatus::Sort);
    }
}

/// All statements that ran in this process since the last time, with feature `testing`.
#[must_use]
pub fn take_costs() -> BTreeMap<String, Cost> {
    std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}
