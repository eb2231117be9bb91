//! What clients do in these tests, each in a way of its own to the database, and what must have become of it.

use cacheroach_faults::upload::{begin, channel, commit, transfer};
use cacheroach_faults::wire::sha256;
use cacheroach_faults::{Random, Wire};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::Shared;

/// Several chunks, the last of them small; and one that takes a single statement.
pub(crate) const LARGE: usize = 512 * 1024 + 80_000;
pub(crate) const SMALL: usize = 1000;

/// Something that makes one version of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deed {
    /// A content of one statement.
    Small,
    /// One that is uploaded in steps.
    Large,
    /// A copy of another file.
    Copy,
    /// Over gRPC: begun, transferred, committed.
    Upload,
}

impl Deed {
    pub(crate) const ALL: [Deed; 4] = [Deed::Small, Deed::Large, Deed::Copy, Deed::Upload];
}

/// A path, and all that was ever put there.
pub(crate) struct Ledger<'a> {
    shared: &'a Shared,
    random: Random,
    path: String,
    /// The hash of each content, and whether somebody was told that it is there.
    sent: Vec<(String, bool)>,
}

impl<'a> Ledger<'a> {
    /// Of a path that nobody else has.
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let mut random = Random::new(Random::seed());
        let path = format!("/ledger/{:016x}", random.number());
        Ledger { shared, random, path, sent: Vec::new() }
    }

    fn url(&self) -> String {
        self.shared.url(0, &self.path)
    }

    /// Does it with a content of its own; tells whether it was acknowledged. All else must be a refusal for now.
    pub(crate) async fn does(&mut self, deed: Deed) -> bool {
        let size = if deed == Deed::Small { SMALL } else { LARGE };
        let content = self.random.bytes(size);
        let hash = sha256(&content);
        let url = self.url();
        let status = match deed {
            Deed::Small | Deed::Large => self.shared.wire.put(&url, content).await.unwrap().status,
            Deed::Copy => {
                let from = self.shared.url(0, &format!("/from/{hash}"));
                let there = self.shared.wire.put(&from, content).await.unwrap().status;
                if there == 503 {
                    return false;
                }
                assert_eq!(there, 202);
                let request = self.shared.wire.request("COPY", &from).header("destination", &self.path);
                Wire::send(request).await.unwrap().status
            }
            Deed::Upload => {
                let channel = channel(&self.shared.site.url(0));
                match upload(channel, &self.shared.token, &self.path, &content).await {
                    Ok(()) => 202,
                    Err(status) => {
                        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                        503
                    }
                }
            }
        };
        let is_done = matches!(status, 200..=202);
        assert!(is_done || status == 503, "{deed:?}: {status}");
        self.sent.push((hash, is_done));
        is_done
    }

    /// What was acknowledged is there once; what was not, at most once. Nothing else is.
    pub(crate) async fn check(&self, what: &str) {
        let versions = self.versions().await;
        for (hash, is_acknowledged) in &self.sent {
            let times = versions.iter().filter(|version| *version == hash).count();
            assert!(times <= 1, "{what}: doubled: {versions:?}");
            assert!(times == 1 || !is_acknowledged, "{what}: {hash} is lost: {versions:?}");
        }
        for version in &versions {
            assert!(self.sent.iter().any(|(hash, _)| hash == version), "{what}: nobody wrote {version}");
        }
        let Some((last, true)) = self.sent.last() else { return };
        assert_eq!(versions.last(), Some(last), "{what}: the last is the current one");
    }

    /// The contents of all versions, read whole.
    async fn versions(&self) -> Vec<String> {
        let url = self.url();
        let wire = &self.shared.wire;
        let last = wire.ask("GET", &url).await.unwrap();
        let mut found = Vec::new();
        for version in 1..=last.version.unwrap_or(0) {
            let answer = wire.ask("GET", &format!("{url}?version={version}")).await.unwrap();
            assert_eq!(answer.status, 200, "version {version}");
            found.push(sha256(&answer.body));
        }
        found
    }
}

/// All of it, each call once.
async fn upload(channel: Channel, token: &str, path: &str, content: &[u8]) -> Result<(), Status> {
    let mut state = begin(channel.clone(), token, path).await?;
    for part in content.chunks(512 * 1024) {
        state = transfer(channel.clone(), token, state, part).await?;
    }
    commit(channel, token, state).await
}
