//! Writing and deleting, in a store of its own each time, so that every round finds the same: nothing.

use http::{Method, StatusCode};

use super::traffic::{Paths, Traffic, Work, check};
use super::{Bench, in_turns};
use crate::Result;
use crate::load::{self, Ask, Plan, Target};
use crate::report::Peer;
use crate::servers::{Minio, Server};

pub(super) async fn measure(bench: &mut Bench, traffic: Traffic, round: u64) -> Result<()> {
    for peer in in_turns(&[Peer::Cacheroach, Peer::Minio], round) {
        match (peer, bench.others.minio.clone()) {
            (Peer::Minio, Some(program)) => in_minio(bench, &Minio::new(&program)?, traffic, round).await?,
            (Peer::Cacheroach, _) => in_cacheroach(bench, traffic, round).await?,
            _ => {}
        }
    }
    Ok(())
}

/// How many files there are in the end, deleted ones among them.
fn files(traffic: Traffic) -> u64 {
    traffic.files.count + traffic.requests
}

async fn in_cacheroach(bench: &mut Bench, traffic: Traffic, round: u64) -> Result<()> {
    let store = bench.cacheroach.empty_store().await?;
    let server = store.start().await?;
    let superuser = store.superuser(&server)?;
    let paths = [&Paths::Plain, &Paths::Plain];
    work(bench, &server, &superuser, traffic, round, paths).await?;
    let last = files(traffic) - 1;
    check_last(&server, &traffic.files.path(last), traffic, round).await
}

async fn in_minio(bench: &mut Bench, minio: &Minio, traffic: Traffic, round: u64) -> Result<()> {
    let server = minio.start().await?;
    let put = Paths::signed(minio, &server, Method::PUT, traffic.files, files(traffic)).await?;
    let delete = Paths::signed(minio, &server, Method::DELETE, traffic.files, files(traffic)).await?;
    let target = Target::anonymous(server.address);
    work(bench, &server, &target, traffic, round, [&put, &delete]).await?;
    let path = std::iter::once(traffic.files.path(files(traffic) - 1));
    let last = minio.sign(server.address, &Method::GET, path).await?;
    check_last(&server, &last[0], traffic, round).await
}

/// With paths to write to, and to delete from.
async fn work(
    bench: &mut Bench,
    server: &Server,
    target: &Target,
    traffic: Traffic,
    round: u64,
    [put, delete]: [&Paths; 2],
) -> Result<()> {
    let first = traffic.files.count;
    // What is deleted must be there first; what is written comes after a few that are not measured.
    let (before, paths) = match traffic.work {
        Work::Delete => (files(traffic), delete),
        _ => (first, put),
    };
    let (own, content) = (put.clone(), traffic);
    let ask = move |index| Ask::put(own.of(content.files, index), content.content(round, index));
    load::run(target, Plan { connections: traffic.connections, requests: before, ask }).await?;
    let measured = load::run(target, traffic.plan(round, first, traffic.requests, paths));
    bench.measure(traffic.case, traffic.unit, server, measured).await
}

async fn check_last(server: &Server, path: &str, traffic: Traffic, round: u64) -> Result<()> {
    let last = files(traffic) - 1;
    if traffic.work != Work::Delete {
        return check(server, path, &traffic.content(round, last), traffic.files.length).await;
    }
    let (status, _) = load::once(&Target::anonymous(server.address), Ask::get(path)).await?;
    if status == StatusCode::NOT_FOUND {
        return Ok(());
    }
    Err(format!("{}: {status}, after it was deleted", traffic.files.path(last)).into())
}
