//! `bench`: builds a release, finds the programs that it is compared with, and measures.

use super::{Result, cargo, ensure_installed, minio, step};

/// Tells the benchmark where MinIO is.
const MINIO: &str = "CACHEROACH_BENCH_MINIO";
/// Cases that are compared with others, by how their names begin.
const READS: &[&str] = &["get-", "range"];
const WRITES: &[&str] = &["put-", "delete"];

pub(super) fn bench(arguments: &[&str]) -> Result {
    if wants_nginx(arguments) {
        // Without it the benchmark says that it left the peer out.
        if let Err(failure) = ensure_installed("nginx", "nginx-light") {
            eprintln!("xtask: no nginx: {failure}");
        }
    }
    if wants_postgres(arguments) {
        ensure_installed("pg_ctlcluster", "postgresql")?;
    }
    // That one has no server and no peer.
    let grows = arguments.first() == Some(&"growth");
    if !grows && !asks_for_help(arguments) && !arguments.contains(&"--server") {
        // By itself: together with the benchmark it would get that one's features of shared dependencies.
        step(cargo().args(["build", "--release", "--locked", "--package", "cacheroach"]))?;
    }
    // From the same target directory, so it finds the server beside itself.
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--package", "cacheroach-bench", "--"]).args(arguments);
    if wants_minio(arguments) {
        match minio::build() {
            Ok(program) => {
                command.env(MINIO, program);
            }
            Err(failure) => eprintln!("xtask: no MinIO: {failure}"),
        }
    }
    step(&mut command)
}

/// As nginx, and for writing too.
fn wants_minio(arguments: &[&str]) -> bool {
    wants_peer(arguments, "minio", &[READS, WRITES].concat())
}

/// Only reading is compared with nginx; nothing is installed for a run that has no use for it.
fn wants_nginx(arguments: &[&str]) -> bool {
    wants_peer(arguments, "nginx", READS)
}

fn wants_peer(arguments: &[&str], peer: &str, cases: &[&str]) -> bool {
    let is_left_out = arguments.windows(2).any(|pair| pair[0] == "--peer" && !pair[1].contains(peer));
    let is_compared = arguments.iter().any(|word| cases.iter().any(|case| word.starts_with(case)));
    let alone = matches!(arguments.first(), Some(&"growth" | &"backlog")) || asks_for_help(arguments);
    !alone && !is_left_out && (is_compared || !arguments.contains(&"--case"))
}

fn wants_postgres(arguments: &[&str]) -> bool {
    !asks_for_help(arguments) && arguments.windows(2).any(|pair| pair == ["--engine", "postgres"])
}

fn asks_for_help(arguments: &[&str]) -> bool {
    arguments.iter().any(|argument| matches!(*argument, "-h" | "--help" | "help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_is_for_runs_that_compare_with_it() {
        assert!(wants_nginx(&[]));
        assert!(wants_nginx(&["--case", "put-4k", "get-4k"]));
        assert!(!wants_nginx(&["--case", "put-4k"]));
        assert!(!wants_nginx(&["--peer", "none"]));
        assert!(!wants_nginx(&["--peer", "minio"]) && wants_minio(&["--peer", "minio"]));
        assert!(wants_minio(&["--case", "put-4k"]) && !wants_minio(&["--case", "start"]));
        assert!(wants_nginx(&["--case", "range"]) && wants_minio(&["--case", "delete"]));
        assert!(!wants_nginx(&["--help"]) && !wants_minio(&["backlog"]) && !wants_nginx(&["growth"]));
        assert!(wants_postgres(&["backlog", "--engine", "postgres"]) && !wants_postgres(&["--rounds", "2"]));
    }
}
