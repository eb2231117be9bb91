//! What we promised ourselves, and which of our own cases another one is held against.

/// How a case stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// So many times its CPU.
    Times(&'static str),
    /// So many times its CPU together with that of the database.
    TimesBoth(&'static str),
    /// So many microseconds of CPU more, each.
    More(&'static str),
}

/// The other case. A row of the bare engine is held against nothing.
pub(super) fn beside(case: &str) -> Option<Beside> {
    match case {
        "get-64m-cold" | "get-64m-h2" => Some(Beside::Times("get-64m")),
        "get-4k-h2" | "get-signed" => Some(Beside::Times("get-4k")),
        "check-plain" | "check-delegated" => Some(Beside::More("get-4k")),
        "put-same" | "put-64m-1" => Some(Beside::Times("put-64m")),
        "put-4k-1" => Some(Beside::Times("put-4k")),
        "insert-chunk" => Some(Beside::TimesBoth("insert-bare")),
        "list-1000" | "list-delimiter" => Some(Beside::Times("rows-1000")),
        _ => None,
    }
}

/// The absolute ones are for two shared cores.
pub(super) fn budget(case: &str) -> &'static str {
    match case {
        "get-4k" => "at most 1.00 of nginx, 0.10 of MinIO",
        "get-64m" => "at most 1.25 of nginx, 0.40 of MinIO",
        "get-64m-h2" => "below nginx",
        "get-64m-cold" => "at most 2.00 of get-64m",
        "put-4k" => "at least 10000 req/s, at most 0.05 of MinIO",
        "put-64m" => "at most 0.60 of MinIO, 1.05 written per byte",
        "insert-chunk" => "at most 1.30 of insert-bare",
        "round-trips-put-4k" | "round-trips-get-4k" | "round-trips-get-300k" => "1 round trip",
        "list-1000" => "at most 3.00 of rows-1000",
        "check-plain" => "at most 2 us more than get-4k",
        "check-delegated" => "at most 5 us more than get-4k",
        "start-empty" => "below 0.3 s",
        "start-full" => "below 1 s at 1000000 files",
        "memory-idle" => "below 64 MiB",
        "memory-slow" => "below 512 MiB beside the caches (128 MiB)",
        _ => "",
    }
}
