//! The definition of an engine: each case holds on each engine. An engine whose server is absent shows as ignored; with
//! `CACHEROACH_TEST_ALL` set it fails instead.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails; clippy sees none in a harness of its own"
)]

mod changes;
mod chunks;
mod durable;
mod files;
mod inspect;
mod links;
mod model;
mod passwords;
mod principals;
mod purge;
mod regions;
mod sessions;
mod statements;
mod subject;
mod sweep;
mod tenants;
mod tools;
mod uploads;
mod vhosts;

use std::env;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use subject::{Metadatabase, Subject, Tier};

struct Engine {
    name: &'static str,
    metadata: Metadatabase,
    tier: Tier,
}

const ENGINES: &[Engine] = &[
    Engine::sqlite("sqlite, disk", Tier::Disk),
    Engine::sqlite("sqlite, memory", Tier::Memory),
    Engine::sqlite("sqlite, db", Tier::Db),
    Engine::sqlite("sqlite, objects in a folder", Tier::Folder),
    Engine::sqlite("sqlite, cached objects", Tier::Cached),
    Engine::sqlite("sqlite, faultless disk", Tier::Faulty),
    Engine::sqlite("sqlite, by region", Tier::Regions),
    Engine::sqlite("sqlite, s3", Tier::S3),
    Engine::postgres("postgres, disk", Tier::Disk),
    Engine::postgres("postgres, memory", Tier::Memory),
    Engine::postgres("postgres, db", Tier::Db),
    Engine::postgres("postgres, objects in a folder", Tier::Folder),
    Engine::postgres("postgres, cached objects", Tier::Cached),
    Engine::postgres("postgres, by region", Tier::Regions),
    Engine::postgres("postgres, s3", Tier::S3),
    Engine::cockroach("cockroach, disk", Tier::Disk),
    Engine::cockroach("cockroach, memory", Tier::Memory),
    Engine::cockroach("cockroach, db", Tier::Db),
    Engine::cockroach("cockroach, objects in a folder", Tier::Folder),
    Engine::cockroach("cockroach, cached objects", Tier::Cached),
    Engine::cockroach("cockroach, by region", Tier::Regions),
    Engine::cockroach("cockroach, s3", Tier::S3),
];

impl Engine {
    const fn sqlite(name: &'static str, tier: Tier) -> Self {
        Engine { name, metadata: Metadatabase::Sqlite, tier }
    }

    const fn postgres(name: &'static str, tier: Tier) -> Self {
        Engine { name, metadata: Metadatabase::Postgres, tier }
    }

    const fn cockroach(name: &'static str, tier: Tier) -> Self {
        Engine { name, metadata: Metadatabase::Cockroach, tier }
    }

    fn is_absent(&self) -> bool {
        self.lacks_objects()
            || match self.metadata {
                Metadatabase::Sqlite => false,
                Metadatabase::Postgres => !cacheroach_testing::has_postgres(),
                Metadatabase::Cockroach => !cacheroach_testing::has_cockroach(),
            }
    }

    fn lacks_objects(&self) -> bool {
        matches!(self.tier, Tier::S3) && env::var_os(subject::S3_URL).is_none()
    }

    /// CI installs PostgreSQL, and builds an S3 server where there is Go; there is no CockroachDB in any registry. So only
    /// who asks for everything must have all of them.
    fn is_demanded(&self) -> bool {
        let is_set = |variable| env::var_os(variable).is_some();
        let is_in_ci = self.metadata == Metadatabase::Postgres && !self.lacks_objects();
        is_set(cacheroach_testing::ALL) || (is_in_ci && is_set("CI"))
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Subject) -> Running<'a>,
}

macro_rules! cases {
    ($($file:ident { $($name:ident),* $(,)? })*) => {
        &[$($(Case {
            name: concat!(stringify!($file), "::", stringify!($name)),
            run: |subject| Box::pin($file::$name(subject)),
        }),*),*]
    };
}

/// A case that is not here is dead code, which the build refuses.
const CASES: &[Case] = cases! {
    tenants {
        a_tenant_is_created_once_and_changed_from_its_version,
        a_tenant_takes_all_that_is_its_own_with_it,
        tenants_are_listed_by_id_a_page_at_a_time,
        a84_text_is_data_never_sql,
        a_tenant_keeps_its_region_and_its_retention,
    }
    changes {
        p10_what_takes_authority_away_is_told_before_it_is_answered,
        p10_what_changes_hosts_is_told_before_it_is_answered,
        p10_what_failed_is_not_told,
    }
    regions {
        where_bytes_are_is_told_by_their_rows,
        a_tenant_that_is_moved_is_noted_until_it_is_home,
        all_tenants_are_noted_a_page_at_a_time,
        f29_a_chunk_moves_with_its_leases_and_its_old_life_goes,
        f29_of_two_writers_and_a_mover_each_ends_well,
        f31_of_two_movers_the_second_changes_nothing,
        f29_what_is_purged_meanwhile_is_not_moved,
        f01_bytes_of_a_mover_that_died_are_left_once_its_lease_is_over,
    }
    principals {
        a_principal_is_created_once_and_changed_from_its_version,
        what_is_unique_is_named_when_it_is_taken,
        a_principal_takes_its_sessions_with_it,
        principals_are_found_and_listed,
    }
    passwords {
        a_password_is_set_found_changed_and_taken_away,
        a_user_is_one_principal_in_whatever_case,
        p8_a_password_that_was_changed_meanwhile_stays,
        a_principal_takes_its_password_with_it,
    }
    sessions {
        a_session_is_read_as_it_was_added,
        a_session_ends_and_stays_known,
        a09_no_session_outlives_its_principal_or_its_tenant,
        a_name_is_free_again_when_its_session_is_over,
        grants_are_ones_own_and_those_of_ones_domain,
        a10_a_session_is_renewed_once_with_all_it_had,
        a09_a_session_on_a_deleted_tenant_knows_it,
        a_session_needs_its_principal_and_its_tenant,
    }
    vhosts {
        a_host_is_mapped_mapped_anew_and_let_go,
        a_host_keeps_its_settings_and_a_mapping_anew_resets_them,
        a_host_needs_its_tenant,
    }
    files {
        what_is_put_is_found_and_read,
        versions_only_grow_and_stay_readable,
        a_deleted_file_is_gone_in_all_versions_and_comes_back_anew,
        equal_contents_of_a_tenant_share_a_rope,
        a_file_needs_its_tenant,
        s12_names_are_bytes_in_listings,
        a_directory_shows_what_is_right_in_it,
        a_listing_is_of_its_time,
        pieces_are_found_from_any_byte_on,
        a_change_is_made_from_what_was_expected_or_not_at_all,
        f21_of_many_with_one_expectation_one_wins,
        versions_are_listed_deleted_ones_too,
        a_copy_is_a_version_of_the_same_content,
        a_deleted_version_comes_back_as_a_new_one,
        a_moved_file_is_gone_where_it_was,
        a_content_is_repeated_while_it_is_there,
        directories_are_copied_moved_and_deleted_a_page_at_a_time,
        what_is_remembered_by_its_stamp_is_what_is_there,
    }
    links {
        a_link_is_read_as_it_was_added,
        a_link_is_used_at_most_as_often_as_it_may,
        p10_a_link_that_was_taken_back_stays_so,
        links_are_listed_by_place_a_page_at_a_time,
        a_link_that_is_over_is_not_listed_and_goes_in_the_end,
        a39_links_go_with_their_tenant,
    }
    chunks {
        what_is_written_is_read_until_it_is_erased,
        a_place_of_another_tenant_is_damage,
        what_is_there_is_listed_a_page_at_a_time,
        two_writers_of_one_life_erase_each_their_own,
        a_walk_is_not_fooled_by_what_is_gone,
    }
    uploads {
        an_upload_becomes_one_version,
        f20_committing_again_answers_the_version_made_before,
        p2_nobody_sees_half_an_upload,
        f19_a_step_from_elsewhere_is_refused,
        f18_two_steps_from_one_place_are_one,
        an_upload_past_its_deadline_is_over,
        a_commit_needs_every_lease_and_every_chunk,
        the_loser_of_two_writers_is_told_which_bytes_are_nobodys,
        one_chunk_may_come_many_times,
        p7_a_chunk_is_looked_for_from_its_hash_on,
        p7_chunks_of_another_tenant_are_not_there,
        an_abandoned_upload_leaves_nothing,
        what_an_upload_has_is_listed_while_it_goes_on,
        a39_an_upload_into_a_deleted_tenant_is_over,
        an_empty_upload_is_an_empty_file,
        c09_many_at_once_make_as_many_versions,
    }
    purge {
        p6_a_deleted_file_goes_with_its_bytes_when_its_time_is_over,
        p6_nothing_is_removed_without_a_limit,
        p4_numbers_of_a_path_grow_beyond_its_purge,
        the_newest_versions_stay_as_many_as_the_rule_says,
        old_versions_go_when_they_were_overwritten_long_enough_ago,
        a_tenants_own_rule_is_above_the_servers,
        f34_a_batch_is_never_exceeded,
        f02_another_collector_takes_over_from_one_that_died,
        f31_a_slow_collector_does_not_harm_the_next_life,
        f29_what_an_upload_leased_stays,
        f29_a_chunk_condemned_before_the_lease_is_written_again,
        f30_an_upload_past_its_deadline_fails_cleanly,
        a_finished_upload_is_remembered_for_a_while,
        p6_an_abandoned_upload_leaves_no_bytes,
        p6_a_content_cut_otherwise_leaves_no_bytes,
        f32_the_same_content_written_while_it_is_purged_is_whole,
        f29_a_copy_keeps_a_rope_that_was_to_go,
        f33_a_reader_of_what_is_purged_gets_an_error_never_other_bytes,
        p6_the_walk_finds_what_no_list_names,
        sessions_and_links_rest_for_a_day_and_go,
        a_tenant_goes_in_batches_and_is_never_seen_again,
    }
    sweep {
        f01_bytes_whose_writer_died_are_left_once_its_lease_is_over,
        f01_the_copy_of_a_writer_that_came_second_and_died_is_left,
        p6_what_is_condemned_is_its_collectors_to_erase,
        what_has_no_time_is_never_old,
        f31_all_servers_share_one_sweep_which_outlives_them,
    }
    inspect {
        rows_are_walked_in_the_order_of_their_keys_a_page_at_a_time,
        rows_are_restored_as_they_were_and_removed,
        what_is_drawn_after_a_restore_meets_nothing,
        a_snapshot_stays_what_it_was,
        what_a_tenant_has_is_counted,
    }
    tools {
        f06_a_damaged_chunk_is_named_and_healed_by_bringing_its_content_again,
        f06_a_small_content_is_healed_too,
        p1_a_tier_of_somebody_else_is_not_taken_for_a_lost_one,
        f28_lost_bytes_are_found_and_nothing_else_is_touched,
        f39_a_database_older_or_newer_than_its_bytes_is_reported,
        a_store_in_order_has_no_problems,
        heads_that_are_not_the_newest_version_are_put_right,
        contents_whose_pieces_are_wrong_are_healed,
        a_copy_becomes_what_its_source_is_and_nothing_else_is_overwritten,
        a_damaged_chunk_is_not_copied,
        a_dump_is_loaded_as_it_was_written,
    }
    durable {
        a_store_answers_and_knows_when_it_was_made,
        p1_what_was_answered_is_there_after_a_restart,
        generations_are_never_used_again_after_a_restart,
    }
    model {
        the_engine_agrees_with_a_simple_model,
    }
};

/// What no tier has a part in. Of the rows that differ in their tiers alone one is enough.
const WITHOUT_BYTES: &[&str] =
    &["tenants::", "changes::", "principals::", "passwords::", "sessions::", "vhosts::", "links::"];

fn is_of_use(engine: &Engine, case: &Case) -> bool {
    matches!(engine.tier, Tier::Db) || !WITHOUT_BYTES.iter().any(|noun| case.name.starts_with(noun))
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let pairs = ENGINES.iter().flat_map(|engine| CASES.iter().map(move |case| (engine, case)));
    let trials = pairs.filter(|(engine, case)| is_of_use(engine, case));
    let trials = trials.map(|(engine, case)| trial(engine, case)).collect();
    let cases = libtest_mimic::run(&arguments, trials);
    // Only after all of them: it knows the statements that they made.
    let some = arguments.filter.is_some() || !arguments.skip.is_empty();
    let statements = libtest_mimic::run(&arguments, vec![statements(some)]);
    if cases.has_failed() { cases.exit_code() } else { statements.exit_code() }
}

/// What holds of the engine for PostgreSQL as it is written. When only some cases ran, it shows as ignored.
fn statements(some: bool) -> Trial {
    let engine = Engine { name: "postgres", metadata: Metadatabase::Postgres, tier: Tier::Memory };
    let ignored = some || (engine.is_absent() && !engine.is_demanded());
    let check = || Ok(tokio::runtime::Runtime::new()?.block_on(statements::check())?);
    let name = "statements::each_is_prepared_on_postgres_and_lacks_nothing_on_cockroach";
    Trial::test(name, check).with_kind(engine.name).with_ignored_flag(ignored)
}

fn trial(engine: &'static Engine, case: &'static Case) -> Trial {
    let absent = engine.is_absent();
    let run = move || {
        if absent {
            return Err(Failed::from("its server is absent"));
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let subject = Subject::new(engine.metadata, engine.tier);
        runtime.block_on(async {
            subject.open().await;
            (case.run)(&subject).await;
        });
        Ok(())
    };
    let ignored = absent && !engine.is_demanded();
    Trial::test(case.name, run).with_kind(engine.name).with_ignored_flag(ignored)
}
