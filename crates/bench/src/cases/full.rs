//! A store of many small files, for the cases that must not notice how many.

use std::collections::HashSet;
use std::time::Instant;

use cacheroach_model::TenantId;
use http::StatusCode;
use rusqlite::{Connection, OpenFlags};

use super::{Bench, NAMES_PER_DIRECTORY};
use crate::Result;
use crate::load::{self, Ask, Content, Outcome, Plan, Target};
use crate::report::{Peer, Round, Unit};
use crate::servers::{Cacheroach, Store, Usage, cpu_of};

/// How often `fill` says how far it is.
const STEPS: u64 = 10;
const WRITERS: usize = 64;
const LIST_CONNECTIONS: usize = 4;
const LIST_REQUESTS: u64 = 400;
/// The bare engine is much faster than the kernel's clock is fine.
const ROW_PAGES: u64 = 2_000;

/// A thousand of them in each directory.
pub(crate) struct Full {
    pub(crate) store: Store,
    pub(crate) directories: u64,
}

pub(crate) fn directory(index: u64) -> String {
    format!("/fill/{index:06}/")
}

impl Full {
    /// Answers also what that cost.
    pub(crate) async fn fill(cacheroach: &Cacheroach, files: u64) -> Result<(Self, Round)> {
        let store = cacheroach.empty_store().await?;
        let server = store.start().await?;
        let superuser = store.superuser(&server)?;
        let step = files.div_ceil(STEPS);
        let mut whole = Round::default();
        for first in (0..files).step_by(usize::try_from(step)?) {
            let ask = move |index| {
                let index = first + index;
                let path = format!(
                    "{}file-{:03}",
                    directory(index / NAMES_PER_DIRECTORY),
                    index % NAMES_PER_DIRECTORY
                );
                Ask::put(path, Content::new(index, 64))
            };
            let plan = Plan { connections: WRITERS, requests: step.min(files - first), ask };
            let part = super::cost(&server, load::run(&superuser, plan)).await?;
            whole.append(&part);
            eprintln!("fill: {} of {files} files, {:.0} a second", first + part.operations, part.rate());
        }
        Ok((Self { store, directories: files / NAMES_PER_DIRECTORY }, whole))
    }

    /// Pages of a thousand files.
    pub(super) async fn list(&self, bench: &mut Bench) -> Result<()> {
        let directories = self.directories;
        let page = move |index| Ask::list(format!("{}?limit=1000", directory((index * 7 + 3) % directories)));
        self.pages(bench, "list-1000", page, "file-", NAMES_PER_DIRECTORY).await
    }

    /// The page of the directory above all of them, which shows directories and nothing of what is in them.
    pub(super) async fn list_delimiter(&self, bench: &mut Bench) -> Result<()> {
        let page = |_| Ask::list("/fill/?limit=1000");
        self.pages(bench, "list-delimiter", page, "00", self.directories.min(NAMES_PER_DIRECTORY)).await
    }

    /// Each page is to have so many names that begin like that and go on with three digits or four.
    async fn pages(
        &self,
        bench: &mut Bench,
        case: &'static str,
        page: impl Fn(u64) -> Ask + Copy + Send + Sync + 'static,
        begin: &str,
        expected: u64,
    ) -> Result<()> {
        let server = self.store.start().await?;
        let target = Target::anonymous(server.address);
        let (status, body) = load::once(&target, page(0)).await?;
        let names = names(&String::from_utf8_lossy(&body), begin);
        if status != StatusCode::OK || names as u64 != expected {
            return Err(format!("{case}: a listing answers {status} with {names} names").into());
        }
        let plan = |requests| Plan { connections: LIST_CONNECTIONS, requests, ask: page };
        load::run(&target, plan(LIST_REQUESTS / 20)).await?;
        bench.measure(case, Unit::Requests, &server, load::run(&target, plan(LIST_REQUESTS))).await
    }

    /// What a page costs at least: as many consecutive rows, by the engine alone. Only when no server has the store.
    pub(super) fn rows(&self, bench: &mut Bench) -> Result<()> {
        let file = self.store.data().join("metadata.sqlite");
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = database.prepare(
            "SELECT path, version, hash, size, content_type, created_at, modified_at, metadata FROM files
             WHERE tenant = ?1 AND path > ?2 ORDER BY path LIMIT 1000",
        )?;
        let tenant = TenantId::SCRATCHPAD;
        let (begun, before) = (Instant::now(), cpu_of(std::process::id())?);
        let mut outcome = Outcome::default();
        for page in 0..ROW_PAGES {
            let begun = Instant::now();
            let after = directory((page * 7 + 3) % self.directories);
            let mut rows = statement.query(rusqlite::params![tenant.as_bytes(), after])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                // Columns are read where they lie, as one who only looks would.
                for column in 0..8 {
                    std::hint::black_box(row.get_ref(column)?);
                }
                count += 1;
            }
            if count != NAMES_PER_DIRECTORY {
                return Err(format!("{count} rows below {}", directory(page)).into());
            }
            outcome.latencies.push(begun.elapsed());
        }
        outcome.wall = begun.elapsed();
        outcome.latencies.sort_unstable();
        let usage = Usage { cpu: cpu_of(std::process::id())?.saturating_sub(before), written: 0 };
        bench.report.add("rows-1000", Peer::Sqlite, Unit::Requests, Round::new(&outcome, usage, None, 0));
        Ok(())
    }
}

/// Whatever the shape of a listing, it holds every name.
fn names(listing: &str, begin: &str) -> usize {
    let is_name = |word: &&str| word.starts_with(begin) && word.trim_end_matches('/').len() >= 6;
    listing.split(['"', '<', '>']).filter(is_name).collect::<HashSet<_>>().len()
}

/// One start of a server, until it answers.
pub(super) async fn start(bench: &mut Bench, store: &Store, case: &'static str) -> Result<()> {
    let server = store.start().await?;
    let outcome = Outcome { wall: server.started_in, body_bytes: 0, latencies: vec![server.started_in] };
    let round = Round::new(&outcome, server.usage()?, None, server.peak_bytes()?);
    bench.report.add(case, Peer::Cacheroach, Unit::Start, round);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_listing_are_counted_once() {
        let listing = r#"{"files":[{"name":"file-001","size":64},{"name":"file-002"},{"name":"file-002"}]}"#;
        assert_eq!(names(listing, "file-"), 2);
        assert_eq!(names(r#"["000000/","000001/","0"]"#, "00"), 2);
    }
}
