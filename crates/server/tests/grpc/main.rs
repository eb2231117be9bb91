//! gRPC, in process over real sockets: file by service, and what is the same for all of them.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod credentials;
mod diags;
mod fetch;
mod files;
mod listings;
mod offers;
mod passwords;
mod paths;
mod principals;
mod sessions;
mod streams;
mod tenants;
mod tokens;
mod transport;
mod uploads;
mod versions;
mod vhosts;

use tonic::{Code, Response, Status, Streaming};

/// Code and text of a refusal.
fn refusal<T>(answer: Result<Response<T>, Status>) -> (Code, String) {
    match answer {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

/// Only the code; of what was granted too.
fn code<T>(answer: &Result<Response<T>, Status>) -> Code {
    answer.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

/// All parts of an answer.
async fn parts<T>(answer: Result<Response<Streaming<T>>, Status>) -> Vec<T> {
    let mut stream = answer.unwrap().into_inner();
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        parts.push(part);
    }
    parts
}
