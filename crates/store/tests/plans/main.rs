//! What is done often costs the same however much there is: hot operations are done on a store with 1,000 of everything
//! and on one with many more. Their statements must find what they need by an index, and touch as many rows in both.
//! `CACHEROACH_TEST_ALL` makes it 1,000,000.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails; clippy sees none in a harness of its own"
)]

mod filled;
mod hot;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use cacheroach_model::{Clock, Timestamp};
use cacheroach_store::{CacheSettings, Location, Settings, Store, Tier};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::filled::NOW;
use crate::hot::{Hot, OPERATIONS};

const SMALL: u64 = 1_000;

fn large() -> u64 {
    if std::env::var_os(cacheroach_testing::ALL).is_some() { 1_000_000 } else { 200_000 }
}

/// So often each operation is done: PostgreSQL plans a statement for its values some times, then maybe once for all.
const ROUNDS: u64 = 8;

/// A statement that ran.
struct Ran {
    text: String,
    /// Rows and entries of indexes.
    touched: u64,
    /// What is wrong with its plan.
    problems: Vec<String>,
}

/// Sees what statements an engine runs.
trait Watch {
    /// Those since the last time.
    fn ran(&mut self) -> Vec<Ran>;
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

async fn open(metadata: Location) -> Store {
    let mut settings = Settings::new(metadata, Tier::Db);
    settings.cache = CacheSettings::NONE;
    settings.database_time = false;
    cacheroach_store::open(&settings, Arc::new(Fixed)).await.unwrap()
}

/// Does all operations: what each touches at most, and what is wrong with the plans.
async fn watched(hot: &mut Hot, watch: &mut dyn Watch) -> (BTreeMap<&'static str, u64>, Vec<String>) {
    let (mut touched, mut problems) = (BTreeMap::new(), Vec::new());
    watch.ran();
    for (name, operation) in OPERATIONS {
        for round in 0..ROUNDS {
            hot.round = round;
            operation(hot).await;
            let ran = watch.ran();
            let sum: u64 = ran.iter().map(|one| one.touched).sum();
            let most = touched.entry(*name).or_default();
            *most = sum.max(*most);
            for one in ran {
                for problem in one.problems {
                    problems.push(format!("{name}: {problem}\n{}\n", one.text));
                }
            }
        }
    }
    problems.sort_unstable();
    problems.dedup();
    (touched, problems)
}

/// What costs more with more rows, though it should not.
fn grown(small: &BTreeMap<&'static str, u64>, large: &BTreeMap<&'static str, u64>) -> String {
    let mut report = String::new();
    for (name, of_large) in large {
        let of_small = small[name];
        // Another plan may serve a small table better.
        let mark = if *of_large > of_small * 2 + 20 { " <- grows" } else { "" };
        let _ = writeln!(report, "{name:<30} {of_small:>8} {of_large:>8}{mark}");
    }
    report
}

fn judged(
    small: &BTreeMap<&'static str, u64>,
    large: &BTreeMap<&'static str, u64>,
    problems: &[String],
) -> Result<(), Failed> {
    let report = grown(small, large);
    println!("{report}");
    match problems.is_empty() && !report.contains("grows") {
        true => Ok(()),
        false => Err(format!("{report}\n{}", problems.join("\n")).into()),
    }
}

fn run(case: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Runtime::new()?.block_on(case)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_set = |variable| std::env::var_os(variable).is_some();
    let demanded = is_set(cacheroach_testing::ALL) || is_set("CI");
    let absent = !cacheroach_testing::can_start_postgres();
    let name = "hot_statements_use_indexes_and_touch_as_much_in_a_large_store_as_in_a_small_one";
    let trials = vec![
        Trial::test(name, || run(sqlite::case())).with_kind("sqlite"),
        Trial::test(name, || run(postgres::case()))
            .with_kind("postgres")
            .with_ignored_flag(absent && !demanded),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
