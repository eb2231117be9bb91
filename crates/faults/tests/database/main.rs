//! Faults of the database and of the way to it, each by the id it has in `docs/threats.md`, under real servers that share
//! a real PostgreSQL. Without one these show as ignored, but for CI, which must have one.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails; clippy sees none in a harness of its own"
)]

mod away;
mod deeds;
mod lost;
mod proxy;
mod releases;
mod trips;
mod two;

use std::process::ExitCode;

use cacheroach_faults::{Place, Proxy, Site, Wire};
use cacheroach_testing::{Database, Server};
use libtest_mimic::{Arguments, Failed, Trial};

/// The program with failpoints.
const PROGRAM: &str = env!("CARGO_BIN_EXE_faulty");

macro_rules! cases {
    ($($file:ident { $($name:ident),* $(,)? })*) => {
        &[$($((concat!(stringify!($file), "::", stringify!($name)), $file::$name as fn())),*),*]
    };
}

const CASES: &[(&str, fn())] = cases! {
    proxy {
        what_the_proxy_does_is_what_a_client_sees,
    }
    lost {
        f11_a_connection_cut_at_any_statement_loses_and_doubles_nothing,
        f12_the_outcome_of_a_commit_is_looked_up_never_guessed,
        f12_a_put_that_was_cut_off_while_it_waited_is_done_once,
        f13_conflicts_at_any_statement_lose_and_double_nothing,
        f13_conflicts_under_load_lose_and_double_nothing,
        f15_what_the_database_says_decides_what_the_client_is_told,
    }
    away {
        f14_a_database_that_is_restarted_is_waited_for_and_found_again,
        f14_a_database_that_crashed_has_all_that_was_acknowledged,
        f16_a_slow_database_has_a_queue_with_an_end,
        f16_no_connection_is_held_while_a_client_is_slow,
        f37_a_database_that_is_not_heard_of_makes_the_server_unready_until_it_is,
    }
    trips {
        a_small_get_takes_one_trip_to_the_database_and_so_does_a_small_put,
        the_first_get_of_a_larger_file_takes_one_trip_and_a_head_brings_no_chunk,
        what_is_granted_on_one_server_counts_at_once_on_another_that_hears_of_nothing,
    }
    two {
        f21_of_two_commits_at_once_on_two_servers_both_exist_or_one_wins,
        f22_an_upload_is_taken_further_by_another_server,
        f22_a_stream_is_taken_further_by_another_server,
        f26_a_session_ends_on_every_server_within_five_seconds_without_notifications,
        f26_hosts_change_on_every_server_within_five_seconds_without_notifications,
        p10_a_session_ends_on_every_server,
        f31_f32_two_purges_and_two_writers_of_the_same_content_lose_nothing,
        f36_servers_that_start_at_once_on_an_empty_database_all_serve,
        f38_servers_are_restarted_one_after_the_other_and_no_request_fails,
    }
};

/// Those that need a program of the previous release, too.
const OF_RELEASES: &[(&str, fn())] = cases! {
    releases {
        f35_the_previous_release_and_this_one_work_on_one_database,
    }
};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time they wait.
    arguments.test_threads.get_or_insert(6);
    let is_absent = !cacheroach_testing::has_postgres();
    let is_set = |variable| std::env::var_os(variable).is_some();
    let is_demanded = is_set(cacheroach_testing::ALL) || is_set("CI");
    let trial = |(name, case): &(&'static str, fn()), is_ignored: bool| {
        let case = *case;
        let run = move || {
            if is_absent {
                return Err(Failed::from("there is no PostgreSQL"));
            }
            case();
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(is_ignored)
    };
    let trials = CASES.iter().map(|case| trial(case, is_absent && !is_demanded));
    let of_releases = OF_RELEASES.iter().map(|case| trial(case, !is_set(releases::PREVIOUS)));
    libtest_mimic::run(&arguments, trials.chain(of_releases).collect()).exit_code()
}

/// Drives a future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Servers on one database, each with a proxy of its own before it.
struct Shared {
    site: Site,
    proxies: Vec<Proxy>,
    wire: Wire,
    token: String,
    /// Dropped after those who use it.
    database: Database,
}

impl Shared {
    /// All of them serve. What `more` says is added to each connect string: `pool_max_conns=2`.
    fn started(servers: usize, more: &str) -> Shared {
        let database = block_on(Server::postgres().empty());
        let place = place(&database.url(), servers, more);
        let (place, proxies) = place;
        let mut site = Site::started(PROGRAM, &place, servers);
        let token = site.token();
        Shared { site, proxies, wire: Wire::new(&token), token, database }
    }

    fn url(&self, at: usize, path: &str) -> String {
        format!("{}{path}", self.site.url(at))
    }

    /// Ends it as it should end, whatever happened.
    fn stop(mut self) {
        self.proxies.iter().for_each(Proxy::clear);
        (0..self.site.servers()).for_each(|at| self.site.stop(at));
    }
}

/// Chunks are in the database, as they are when nobody says where: so each byte goes through the proxy.
fn place(url: &str, servers: usize, more: &str) -> (Place, Vec<Proxy>) {
    let join = if url.contains('?') { "&" } else { "?" };
    let (proxies, ways) = (0..servers)
        .map(|_| {
            let (proxy, way) = Proxy::before(url);
            (proxy, if more.is_empty() { way } else { format!("{way}{join}{more}") })
        })
        .unzip();
    let place = Place { connect: Some(url.into()), chunks: Some("db".into()), ways };
    (place, proxies)
}
