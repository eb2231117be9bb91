//! What the guides say is to be typed, word for word, on the real binary: each block that is marked `sh guide`. A guide whose
//! server is absent shows as ignored.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails; clippy sees none in a harness of its own"
)]

mod program;

use std::process::ExitCode;
use std::time::Duration;

use cacheroach_testing::Server;
use libtest_mimic::{Arguments, Trial};
use program::block_on;
use program::desk::{Desk, commands, on_free_ports};

/// How the guides write the database of whoever reads them.
const DATABASE: &str = "postgres://cacheroach@db.example/cacheroach?sslmode=verify-full";

/// Ends the servers that were begun.
const STOP: &str = "stop";

/// What whoever reads a guide has done before.
const HAS_A_STORE: &[&str] = &[
    "cacheroach start &",
    "cacheroach bootstrap",
    "head -c 700000 /dev/urandom > big && echo small > small",
    "cacheroach file put / big small",
];

struct Guide {
    name: &'static str,
    text: &'static str,
    before: &'static [&'static [&'static str]],
}

const GUIDES: &[Guide] = &[
    Guide { name: "store", text: include_str!("../../../docs/store.md"), before: &[HAS_A_STORE, &[STOP]] },
    Guide { name: "regions", text: include_str!("../../../docs/regions.md"), before: &[HAS_A_STORE] },
    Guide { name: "purge", text: include_str!("../../../docs/purge.md"), before: &[HAS_A_STORE] },
    Guide { name: "chunks", text: include_str!("../../../docs/chunks.md"), before: &[] },
    Guide { name: "postgres", text: include_str!("../../../docs/postgres.md"), before: &[] },
];

impl Guide {
    fn needs_database(&self) -> bool {
        self.text.contains(DATABASE)
    }

    fn follow(&self) {
        let database = self.needs_database().then(|| block_on(Server::postgres().empty()));
        let marked = commands(self.text, "sh guide");
        assert!(!marked.is_empty(), "{} has a block marked `sh guide`", self.name);
        let before = self.before.concat().into_iter().map(str::to_owned);
        let desk = Desk::new();
        let mut servers = Vec::new();
        for line in on_free_ports(before.chain(marked).collect()) {
            let line = match &database {
                Some(database) => line.replace(DATABASE, &database.url()),
                None => line,
            };
            match line.strip_suffix(" &") {
                Some(server) => servers.push(desk.begin(server)),
                None if line == STOP => stop(&mut servers),
                None => drop(desk.run(&line)),
            }
        }
        stop(&mut servers);
    }
}

fn stop(servers: &mut Vec<program::Process>) {
    for mut server in servers.drain(..) {
        server.terminate();
        assert!(server.wait(Duration::from_secs(20)).success(), "a server ends well");
    }
}

fn main() -> ExitCode {
    let is_set = |variable| std::env::var_os(variable).is_some();
    let is_demanded = is_set("CI") || is_set(cacheroach_testing::ALL);
    let has_database = cacheroach_testing::has_postgres();
    let trial = |guide: &'static Guide| {
        let ignored = guide.needs_database() && !has_database && !is_demanded;
        let run = || {
            guide.follow();
            Ok(())
        };
        Trial::test(format!("the_guide_to_{}_works_as_it_is_written", guide.name), run)
            .with_ignored_flag(ignored)
    };
    libtest_mimic::run(&Arguments::from_args(), GUIDES.iter().map(trial).collect()).exit_code()
}
