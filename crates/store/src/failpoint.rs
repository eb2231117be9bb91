//! Steps at which tests let a process die, panic or wait. A build without the feature `failpoints`, such as every
//! release, has none of them: [`hit`] is empty there.

/// A step of the server's work.
///
/// All of them are listed here and nowhere else; each is hit by some test of `crates/faults`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
#[non_exhaustive]
pub enum Step {
    /// A first start: the store is open, nothing is in it.
    StartAfterStore,
    /// A first start: there is a key.
    StartAfterKey,
    /// A first start: there is a first principal.
    StartAfterPrincipal,
    /// A first start: there are a tenant, its host and a page.
    StartAfterTenant,
    /// A first start: there are the first sessions.
    StartAfterSessions,
    /// A migration's statements are made.
    MigrateAfterFile,
    /// An upload has its row.
    UploadAfterBegin,
    /// Chunks are leased.
    UploadAfterLease,
    /// The chunks' bytes are safe in the tier.
    UploadAfterBytes,
    /// The chunks are live and appended.
    UploadAfterRow,
    /// All has come, and its hash is known.
    UploadAfterHash,
    /// There is a version, and nobody was told.
    UploadAfterCommit,
    /// A small content became a version, and nobody was told.
    PutAfterCommit,
    /// A file is deleted, and nobody was told.
    DeleteAfterCommit,
    /// A copy or a move is made, and nobody was told.
    CopyAfterCommit,
    /// The embedded engine is about to commit a group of changes.
    GroupBeforeCommit,
    /// The embedded engine has committed a group of changes.
    GroupAfterCommit,
    /// A chunk is condemned.
    PurgeAfterCondemn,
    /// A condemned chunk's bytes are erased.
    PurgeAfterErase,
    /// A condemned chunk's row is dropped.
    PurgeAfterDrop,
    /// Lives of chunks that are to be moved home are leased.
    MoveAfterLease,
    /// Their bytes are safe at home.
    MoveAfterBytes,
    /// Their rows say so.
    MoveAfterRows,
    /// A request has come through the door.
    RequestPanic,
}

impl Step {
    /// All of them.
    pub const ALL: &'static [Step] = &[
        Step::StartAfterStore,
        Step::StartAfterKey,
        Step::StartAfterPrincipal,
        Step::StartAfterTenant,
        Step::StartAfterSessions,
        Step::MigrateAfterFile,
        Step::UploadAfterBegin,
        Step::UploadAfterLease,
        Step::UploadAfterBytes,
        Step::UploadAfterRow,
        Step::UploadAfterHash,
        Step::UploadAfterCommit,
        Step::PutAfterCommit,
        Step::DeleteAfterCommit,
        Step::CopyAfterCommit,
        Step::GroupBeforeCommit,
        Step::GroupAfterCommit,
        Step::PurgeAfterCondemn,
        Step::PurgeAfterErase,
        Step::PurgeAfterDrop,
        Step::MoveAfterLease,
        Step::MoveAfterBytes,
        Step::MoveAfterRows,
        Step::RequestPanic,
    ];

    /// As it is called in the environment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Step::StartAfterStore => "start.after_store",
            Step::StartAfterKey => "start.after_key",
            Step::StartAfterPrincipal => "start.after_principal",
            Step::StartAfterTenant => "start.after_tenant",
            Step::StartAfterSessions => "start.after_sessions",
            Step::MigrateAfterFile => "migrate.after_file",
            Step::UploadAfterBegin => "upload.after_begin",
            Step::UploadAfterLease => "upload.after_lease",
            Step::UploadAfterBytes => "upload.after_bytes",
            Step::UploadAfterRow => "upload.after_row",
            Step::UploadAfterHash => "upload.after_hash",
            Step::UploadAfterCommit => "upload.after_commit",
            Step::PutAfterCommit => "put.after_commit",
            Step::DeleteAfterCommit => "delete.after_commit",
            Step::CopyAfterCommit => "copy.after_commit",
            Step::GroupBeforeCommit => "group.before_commit",
            Step::GroupAfterCommit => "group.after_commit",
            Step::PurgeAfterCondemn => "purge.after_condemn",
            Step::PurgeAfterErase => "purge.after_erase",
            Step::PurgeAfterDrop => "purge.after_drop",
            Step::MoveAfterLease => "move.after_lease",
            Step::MoveAfterBytes => "move.after_bytes",
            Step::MoveAfterRows => "move.after_rows",
            Step::RequestPanic => "request.panic",
        }
    }
}

/// Does what a test wants done at a step: nothing, most of the time.
#[cfg(feature = "failpoints")]
pub fn hit(step: Step) {
    fail::eval(step.name(), |action| act(action.as_deref().unwrap_or_default()));
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn hit(_: Step) {}

/// Takes what is to happen at which step from the environment: `FAILPOINTS=upload.after_row=2*off->return(kill)` kills
/// the process when it takes that step for the third time. `return(stop)` stops it as SIGSTOP does; `panic` and
/// `sleep(MILLISECONDS)` do what they say.
#[cfg(feature = "failpoints")]
pub fn setup() {
    // Nothing is torn down: it lasts as long as the process.
    std::mem::forget(fail::FailScenario::setup());
}

/// No handler, destructor or buffer gets a last word.
#[cfg(feature = "failpoints")]
fn act(action: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    let signal = match action {
        "kill" => Signal::KILL,
        "stop" => Signal::STOP,
        other => panic!("no such action of a failpoint: {other:?}"),
    };
    kill_process(getpid(), signal).expect("a process may signal itself");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_listed_once_under_a_name_of_its_own() {
        let mut names: Vec<_> = Step::ALL.iter().map(|step| step.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Step::ALL.len());
        // The last one: whatever stands before it and is not listed moves the count.
        assert_eq!(Step::ALL.len(), Step::RequestPanic as usize + 1);
    }
}
