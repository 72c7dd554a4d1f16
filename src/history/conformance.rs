//! One suite over both stores: what the contract promises, told as short scenarios.
//!
//! Every case runs on the store in memory and on a real PostgreSQL. What only a database can promise (privileges, triggers, a kill) is in
//! `database.rs`; that the two agree on what nobody thought of is tried in `twins.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod commits;
mod database;
mod ownership;
mod reads;
mod repairs;
mod retention;
mod scenario;
mod twins;

/// Runs each case on both stores.
macro_rules! on_both_stores {
    ($($module:ident::{$($case:ident),+ $(,)?})+) => {
        mod in_memory {
            $($(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case(std::sync::Arc::new(crate::history::memory::MemoryStore::default())).await;
                }
            )+)+
        }
        mod in_postgres {
            $($(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case(std::sync::Arc::new(crate::history::test_database::store().await)).await;
                }
            )+)+
        }
    };
}

on_both_stores! {
    ownership::{
        a_held_environment_is_refused_and_names_its_holder,
        an_owner_is_known_as_long_as_its_lease_runs,
        an_ended_owner_is_replaced_at_once,
        an_expired_lease_is_taken,
        a_renewed_lease_holds_and_one_lease_holds_all_environments,
        the_same_owner_takes_again_with_a_higher_epoch,
        a_taken_over_owner_writes_nothing,
        a_released_environment_is_free_and_its_fence_worthless,
        of_two_takers_exactly_one_wins,
        a_forgotten_environment_is_gone_and_may_come_back,
    }
    commits::{
        a_batch_whose_reply_was_lost_is_committed_once,
        a_batch_that_skips_a_number_finds_history_short,
        a_refused_batch_writes_nothing,
        versions_are_gap_free,
        an_attempt_is_granted_once_and_ends_once,
        a_row_appears_once_in_a_batch,
        a_grant_of_a_dry_run_is_refused,
        a_nul_is_refused_with_the_place,
        a_new_owner_counts_its_batches_from_one,
        a_batch_of_thousands_is_one_batch,
        what_comes_in_great_numbers_comes_back_as_it_was,
    }
    repairs::{
        a_probe_answers_like_a_commit_and_writes_nothing,
        of_many_records_only_the_poisoned_ones_are_stripped,
        a_log_that_cannot_be_stored_is_escaped_and_its_attempt_marked,
        a_request_that_cannot_be_stored_keeps_its_author_and_says_why,
        what_decides_something_is_not_stripped,
        a_mending_ends_with_its_ownership,
    }
    retention::{
        s7_old_versions_go_and_what_kept_ones_want_stays,
        s7_a_version_that_waits_for_its_release_stays,
        s7_old_attempts_go_in_the_order_of_their_numbers,
        s7_ended_requests_and_dry_runs_go,
        s7_a_taken_over_owner_drops_nothing,
    }
    reads::{
        a_new_environment_is_empty,
        what_is_committed_is_loaded,
        only_grants_without_an_outcome_are_open,
        gone_resources_are_not_loaded_but_keep_their_numbers,
        what_waits_for_its_release_comes_back,
        current_state_is_the_last_that_was_written,
        each_row_has_its_own_policy_and_its_own_flags,
        every_version_can_be_rebuilt,
        versions_are_paged_newest_first,
        attempts_are_paged_newest_first,
        attempts_of_one_name_are_found,
        every_kind_of_outcome_comes_back,
        q5_a_late_result_is_kept_beside_the_outcome_once,
        q5_who_lost_what_is_loaded_until_there_is_a_late_result,
        dry_runs_are_read_by_name,
        requests_are_open_until_done,
        unknown_environments_are_empty_or_none,
    }
}
