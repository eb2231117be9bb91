//! The programs of the other peers, where they are wanted and there.

use std::path::PathBuf;

use super::Case;
use crate::Result;
use crate::options::Options;
use crate::report::{Peer, Report};
use crate::servers::{MINIO, Minio, Nginx, find_nginx};

/// Found programs.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) nginx: Option<PathBuf>,
    pub(super) minio: Option<PathBuf>,
}

impl Others {
    /// Says of those that are wanted which version there is, or that they are left out.
    pub(super) fn find(options: &Options, report: &mut Report) -> Result<Self> {
        let mut others = Self::default();
        let reads = options.cases.iter().any(|case| case.reads().is_some());
        if options.peers.contains(&Peer::Nginx) && reads {
            others.nginx = find_nginx();
            match &others.nginx {
                Some(program) => report.peer_version(Peer::Nginx, Nginx::new(program.clone())?.version()?),
                None => report.note("nginx is not installed (Debian: nginx-light), so it is left out"),
            }
        }
        let is_compared =
            |case: &Case| case.writes().is_some() || case.reads().is_some_and(|traffic| !traffic.http2);
        if options.peers.contains(&Peer::Minio) && options.cases.iter().any(is_compared) {
            others.minio = std::env::var_os(MINIO).map(PathBuf::from);
            match &others.minio {
                Some(program) => report.peer_version(Peer::Minio, Minio::version(program)?),
                None => report.note("MinIO is not there (Go builds it), so it is left out"),
            }
        }
        Ok(others)
    }
}
