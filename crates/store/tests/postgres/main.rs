//! The engine for PostgreSQL against a real server, as far as no other engine has the same: migrations, and what becomes of
//! work when the database gets in its way. Without a server these show as ignored.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails; clippy sees none in a harness of its own"
)]

mod ahead;
mod counter;
mod migrations;
mod retries;
mod round_trips;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use cacheroach_model::{Hash, Region};
use cacheroach_store::postgres::{Connect, Postgres};
use cacheroach_store::{Error, Result};
use libtest_mimic::{Arguments, Trial};
use sha2::{Digest as _, Sha256};

fn hash(bytes: &[u8]) -> Hash {
    Hash::new(Sha256::digest(bytes).into())
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($file:ident { $($name:ident),* $(,)? })*) => {
        &[$($((concat!(stringify!($file), "::", stringify!($name)), || Box::pin($file::$name()) as Running)),*),*]
    };
}

type Case = (&'static str, fn() -> Running);

const CASES: &[Case] = cases! {
    migrations {
        the_schema_on_file_is_the_one_the_migrations_make,
        f36_ten_servers_start_at_once_on_an_empty_database,
        f03_a_migration_that_was_cut_off_is_taken_up_again,
        f35_an_unknown_newer_schema_is_refused,
    }
    retries {
        f11_a_connection_that_was_cut_is_replaced,
        f13_serialization_failures_are_tried_again,
        f15_a_full_disk_is_said_to_be_one,
        f12_a_commit_that_was_cut_off_is_looked_up,
        p10_another_server_hears_of_a_change,
    }
    round_trips {
        a_small_file_takes_one_to_be_put_and_one_to_be_opened,
        a_chunk_takes_one_to_be_written_and_one_to_be_read,
    }
    ahead {
        a_file_and_its_first_chunk_take_one,
        what_is_remembered_does_not_come_again,
        where_nothing_is_remembered_it_comes_each_time,
        p3_equal_bytes_of_another_tenant_are_not_found_among_what_came_ahead,
        p4_what_was_erased_is_not_found_among_what_came_ahead,
        p7_damaged_bytes_that_came_ahead_are_found_out,
    }
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let ignored = !cacheroach_testing::has_postgres() && std::env::var_os(cacheroach_testing::ALL).is_none();
    let trial = |(name, case): &Case| {
        let case = *case;
        let run = move || {
            tokio::runtime::Runtime::new()?.block_on(case());
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(ignored)
    };
    libtest_mimic::run(&arguments, CASES.iter().map(trial).collect()).exit_code()
}

async fn open(url: &str) -> Result<Postgres> {
    let connect = Connect::parse(url).map_err(|error| Error::Failed(error.into()))?;
    Postgres::open(&connect, Region::parse("local").unwrap(), None).await
}
