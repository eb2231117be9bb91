//! Requests for files, as many as make a round about a second of CPU: the kernel counts it in hundredths.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::NAMES_PER_DIRECTORY;
use crate::Result;
use crate::load::{self, Ask, Content, Plan, Target, mix};
use crate::report::Unit;
use crate::servers::{Minio, Server};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What is larger is checked in parts.
const CHECKED_WHOLE: usize = 64 * MIB;

/// Files of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files {
    /// Their directory, in which there are more.
    pub(super) name: &'static str,
    pub(super) length: usize,
    /// How many are read, or written before the measured ones are.
    pub(super) count: u64,
}

pub(super) const FILES_4K: Files = Files { name: "4k", length: 4 * KIB, count: 64 };
const FILES_256K: Files = Files { name: "256k", length: 256 * KIB, count: 16 };
const FILES_64M: Files = Files { name: "64m", length: 64 * MIB, count: 2 };
const FILES_3G: Files = Files { name: "3g", length: 3 * 1024 * MIB, count: 1 };
const MORE_4K: Files = Files { count: 200, ..FILES_4K };
const ONE_64M: Files = Files { count: 1, ..FILES_64M };
pub(super) const MANY_64M: Files = Files { count: 16, ..FILES_64M };

/// What is done with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Read,
    /// So many bytes from anywhere in it.
    ReadPart(usize),
    Write,
    /// The content of the first one, under other names.
    WriteSame,
    Delete,
}

/// A case that is nothing but requests over HTTP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    pub(super) case: &'static str,
    pub(super) work: Work,
    pub(super) files: Files,
    pub(super) connections: usize,
    pub(super) requests: u64,
    pub(super) unit: Unit,
    pub(super) http2: bool,
}

const SMALL: Traffic = Traffic {
    case: "get-4k",
    work: Work::Read,
    files: FILES_4K,
    connections: 8,
    requests: 50_000,
    unit: Unit::Requests,
    http2: false,
};
const LARGE: Traffic = Traffic {
    case: "get-64m",
    work: Work::Read,
    files: FILES_64M,
    connections: 4,
    requests: 64,
    unit: Unit::Bytes,
    http2: false,
};

pub(super) const GET_4K: Traffic = SMALL;
pub(super) const GET_256K: Traffic =
    Traffic { case: "get-256k", files: FILES_256K, connections: 8, requests: 8_000, ..LARGE };
pub(super) const GET_64M: Traffic = LARGE;
pub(super) const RANGE: Traffic = Traffic {
    case: "range",
    work: Work::ReadPart(MIB),
    files: FILES_3G,
    connections: 4,
    requests: 2_000,
    ..LARGE
};
pub(super) const GET_4K_H2: Traffic = Traffic { case: "get-4k-h2", http2: true, ..SMALL };
pub(super) const GET_64M_H2: Traffic = Traffic { case: "get-64m-h2", http2: true, ..LARGE };
pub(super) const GET_64M_COLD: Traffic =
    Traffic { case: "get-64m-cold", files: MANY_64M, requests: MANY_64M.count, ..LARGE };

pub(super) const PUT_4K: Traffic =
    Traffic { case: "put-4k", work: Work::Write, files: MORE_4K, connections: 64, requests: 20_000, ..SMALL };
pub(super) const PUT_4K_1: Traffic = Traffic { case: "put-4k-1", connections: 1, requests: 2_000, ..PUT_4K };
pub(super) const PUT_64M: Traffic =
    Traffic { case: "put-64m", work: Work::Write, files: ONE_64M, requests: 16, ..LARGE };
pub(super) const PUT_64M_1: Traffic = Traffic { case: "put-64m-1", connections: 1, requests: 8, ..PUT_64M };
pub(super) const PUT_SAME: Traffic = Traffic { case: "put-same", work: Work::WriteSame, ..PUT_64M };
pub(super) const DELETE: Traffic = Traffic {
    case: "delete",
    work: Work::Delete,
    files: FILES_4K,
    connections: 64,
    requests: 10_000,
    ..SMALL
};

impl Files {
    pub(super) fn path(self, index: u64) -> String {
        format!("/{}/{:04}/{:03}", self.name, index / NAMES_PER_DIRECTORY, index % NAMES_PER_DIRECTORY)
    }

    /// Never the same for two files of a run, whatever the case and the round.
    pub(super) fn content(self, round: u64, index: u64) -> Content {
        Content::new(((self.length / KIB) as u64) << 40 | round << 32 | index, self.length)
    }

    /// Writes them all, as those that are there before anything is measured.
    pub(super) async fn write(self, target: &Target, paths: &Paths) -> Result<()> {
        let paths = paths.clone();
        let ask = move |index| Ask::put(paths.of(self, index), self.content(0, index));
        load::run(target, Plan { connections: 4, requests: self.count, ask }).await?;
        Ok(())
    }
}

impl Traffic {
    /// What a write writes.
    pub(super) fn content(self, round: u64, index: u64) -> Content {
        self.files.content(round, if self.work == Work::WriteSame { 0 } else { index })
    }

    /// So many requests of it, from file number `first` on; those that read go round.
    pub(super) fn plan(
        self,
        round: u64,
        first: u64,
        requests: u64,
        paths: &Paths,
    ) -> Plan<impl Fn(u64) -> Ask + Send + Sync + 'static> {
        let (paths, files) = (paths.clone(), self.files);
        let ask = move |index| match self.work {
            Work::Read => Ask::get(paths.of(files, index % files.count)),
            Work::ReadPart(length) => {
                let places = (files.length - length) as u64;
                let place = usize::try_from(mix(round << 32 | index) % places).expect("a place in memory");
                Ask::part(paths.of(files, index % files.count), place, length)
            }
            Work::Write | Work::WriteSame => {
                Ask::put(paths.of(files, first + index), self.content(round, first + index))
            }
            Work::Delete => Ask::delete(paths.of(files, first + index)),
        };
        Plan { connections: self.connections, requests, ask }
    }

    /// How many bytes of bodies so many requests move.
    pub(super) fn bytes(self, requests: u64) -> u64 {
        let each = if let Work::ReadPart(length) = self.work { length } else { self.files.length };
        requests * each as u64
    }
}

/// How a server is asked for files.
#[derive(Debug, Clone)]
pub(super) enum Paths {
    Plain,
    /// With a signature each, in the order of the files.
    Signed(Arc<[String]>),
}

impl Paths {
    pub(super) async fn signed(
        minio: &Minio,
        server: &Server,
        method: Method,
        files: Files,
        count: u64,
    ) -> Result<Self> {
        let paths = (0..count).map(|index| files.path(index));
        Ok(Self::Signed(minio.sign(server.address, &method, paths).await?))
    }

    pub(super) fn of(&self, files: Files, index: u64) -> String {
        match self {
            Self::Plain => files.path(index),
            Self::Signed(paths) => paths[usize::try_from(index).expect("an index of a list")].clone(),
        }
    }
}

/// A fast server of wrong bytes would win every comparison.
pub(super) async fn check(server: &Server, path: &str, content: &Content, length: usize) -> Result<()> {
    let target = Target::anonymous(server.address);
    let mut parts = Vec::new();
    if length <= CHECKED_WHOLE {
        parts.push((Ask::get(path), StatusCode::OK, content.bytes()));
    } else {
        for first in [0, length / 2 - 7, length - MIB] {
            let bytes = content.part(first, MIB);
            parts.push((Ask::part(path, first, MIB), StatusCode::PARTIAL_CONTENT, bytes));
        }
    }
    let path = path.split('?').next().unwrap_or_default();
    for (ask, expected, bytes) in parts {
        let (status, body) = load::once(&target, ask).await?;
        if status != expected || body != bytes {
            let length = body.len();
            return Err(format!("{path}: {status} with {length} bytes, not what was stored").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_of_files_differ_unless_they_are_to_be_the_same() {
        let first = PUT_64M.content(1, 0).part(0, 64);
        assert_ne!(first, PUT_64M.content(1, 1).part(0, 64));
        assert_ne!(first, PUT_64M.content(2, 0).part(0, 64));
        assert_eq!(first, PUT_SAME.content(1, 9).part(0, 64));
    }

    #[test]
    fn parts_are_counted_by_their_length() {
        assert_eq!(RANGE.bytes(2), 2 << 20);
        assert_eq!(GET_4K.bytes(10), 40_960);
        assert_eq!(GET_64M_COLD.bytes(16), 1 << 30);
    }
}
