//! Reading what is there: from the same files on all peers, and once from a server that has seen nothing yet.

use http::Method;

use super::traffic::{Files, GET_64M_COLD, Paths, Traffic, check};
use super::{Bench, in_turns};
use crate::Result;
use crate::load::{self, Target};
use crate::report::Peer;
use crate::servers::{Minio, Nginx, Server, Store};

/// MiB of memory for what was read: what is measured as cached must fit.
const ROOM: &[&str] = &["--cacheMemory", "512"];

/// A server with files in it.
struct Reader {
    server: Server,
    /// By the names of the files.
    paths: Vec<(&'static str, Paths)>,
}

impl Reader {
    fn paths(&self, files: Files) -> &Paths {
        let found = self.paths.iter().find(|(name, _)| *name == files.name);
        found.map_or(&Paths::Plain, |(_, paths)| paths)
    }
}

/// All peers with the same files in them, for the reading cases.
pub(super) struct Readers {
    readers: Vec<Reader>,
    superuser: Target,
    /// Removed after the servers are stopped: fields drop in this order.
    _folders: (Store, Option<Nginx>, Option<Minio>),
}

impl Readers {
    pub(super) async fn start(bench: &Bench, all: &[Files]) -> Result<Self> {
        let store = bench.cacheroach.empty_store().await?;
        let server = store.start_with(ROOM).await?;
        let superuser = store.superuser(&server)?;
        for files in all {
            files.write(&superuser, &Paths::Plain).await?;
        }
        let mut readers = vec![Reader { server, paths: Vec::new() }];
        let nginx = bench.others.nginx.as_ref().map(|program| Nginx::new(program.clone())).transpose()?;
        if let Some(nginx) = &nginx {
            for files in all {
                for index in 0..files.count {
                    nginx.add_file(&files.path(index), &files.content(0, index))?;
                }
            }
            readers.push(Reader { server: nginx.start().await?, paths: Vec::new() });
        }
        let minio = bench.others.minio.as_ref().map(|program| Minio::new(program)).transpose()?;
        if let Some(minio) = &minio {
            readers.push(fill_minio(minio, all).await?);
        }
        for reader in &readers {
            for files in all {
                for index in 0..files.count {
                    let path = reader.paths(*files).of(*files, index);
                    check(&reader.server, &path, &files.content(0, index), files.length).await?;
                }
            }
        }
        Ok(Self { readers, superuser, _folders: (store, nginx, minio) })
    }

    /// Ours, and its superuser.
    pub(super) fn own(&self) -> (&Server, &Target) {
        (&self.readers[0].server, &self.superuser)
    }

    pub(super) async fn measure(&self, bench: &mut Bench, traffic: Traffic, round: u64) -> Result<()> {
        for reader in in_turns(&self.readers, round) {
            let server = &reader.server;
            let mut target = Target::anonymous(server.address);
            if traffic.http2 {
                let Some(address) = server.http2 else {
                    let name = server.peer.name();
                    // MinIO speaks it over TLS alone.
                    if server.peer != Peer::Minio {
                        bench
                            .report
                            .note(&format!("{name} was built without HTTP/2, so it is left out there"));
                    }
                    continue;
                };
                target = target.by_http2(address);
            }
            let paths = reader.paths(traffic.files);
            load::run(&target, traffic.plan(round, 0, warm_up(traffic), paths)).await?;
            let work = async {
                let outcome = load::run(&target, traffic.plan(round, 0, traffic.requests, paths)).await?;
                outcome.of_bytes(traffic.bytes(traffic.requests))
            };
            bench.measure(traffic.case, traffic.unit, server, work).await?;
        }
        Ok(())
    }
}

/// Every file twice, and a few times more than there are connections.
fn warm_up(traffic: Traffic) -> u64 {
    (traffic.files.count * 2).max(traffic.connections as u64 * 2)
}

async fn fill_minio(minio: &Minio, all: &[Files]) -> Result<Reader> {
    let server = minio.start().await?;
    let (target, mut paths) = (Target::anonymous(server.address), Vec::new());
    for files in all {
        let put = Paths::signed(minio, &server, Method::PUT, *files, files.count).await?;
        files.write(&target, &put).await?;
        let get = Paths::signed(minio, &server, Method::GET, *files, files.count).await?;
        paths.push((files.name, get));
    }
    Ok(Reader { server, paths })
}

/// A store whose servers have nothing in memory: each reads every file once.
pub(super) struct Cold(Store);

impl Cold {
    pub(super) async fn fill(bench: &Bench) -> Result<Self> {
        let store = bench.cacheroach.empty_store().await?;
        let server = store.start().await?;
        GET_64M_COLD.files.write(&store.superuser(&server)?, &Paths::Plain).await?;
        Ok(Self(store))
    }

    pub(super) async fn measure(&self, bench: &mut Bench, round: u64) -> Result<()> {
        let traffic = GET_64M_COLD;
        let server = self.0.start().await?;
        let target = Target::anonymous(server.address);
        let work = async {
            let plan = traffic.plan(round, 0, traffic.requests, &Paths::Plain);
            load::run(&target, plan).await?.of_bytes(traffic.bytes(traffic.requests))
        };
        bench.measure(traffic.case, traffic.unit, &server, work).await?;
        let (files, index) = (traffic.files, round % traffic.files.count);
        check(&server, &files.path(index), &files.content(0, index), files.length).await
    }
}
