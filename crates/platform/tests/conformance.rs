//! One suite for every world: what `ports.rs` promises, as laws, run against each implementation.
//!
//! A law is a function over a [`worlds::Setup`]; [`suite`] makes one test of each law and world. The AWS world needs an
//! endpoint: `MILLRACE_TEST_ENDPOINT` names an emulator, `cargo xtask test` starts one and sets it. Without it the AWS
//! tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a law is test code: it stops at what it does not expect")]

mod conformance {
    pub(crate) mod changes;
    pub(crate) mod commits;
    #[cfg(feature = "aws")]
    pub(crate) mod emulated;
    pub(crate) mod entries;
    pub(crate) mod epochs;
    pub(crate) mod findings;
    pub(crate) mod objects;
    pub(crate) mod queries;
    pub(crate) mod records;
    pub(crate) mod shards;
    pub(crate) mod worlds;
}

#[cfg(feature = "aws")]
use conformance::emulated;
use conformance::{changes, commits, entries, epochs, findings, objects, queries, shards, worlds};

/// One module a world, one test a law.
macro_rules! suite {
    ($($(#[$when:meta])? $world:ident),*; $laws:tt) => {
        $($(#[$when])? mod $world { suite!(@laws $world $laws); })*
    };
    (@laws $world:ident { $($room:ident: [$($law:ident),* $(,)?]),* $(,)? }) => {
        $($(
            #[tokio::test]
            async fn $law() {
                if let Some(setup) = super::worlds::$world().await {
                    super::$room::$law(&setup).await;
                }
            }
        )*)*
    };
}

suite! {
    sim, embedded, #[cfg(feature = "aws")] aws;
    {
        objects: [
            an_object_is_stored_once_and_never_changed,
            one_of_two_writers_at_a_time_stores_the_object,
            a_missing_object_is_none,
            an_object_is_read_up_to_the_bound_and_refused_above_it,
            an_object_is_read_with_the_tag_that_it_is_listed_with,
            a_stretch_of_an_object_is_read_without_the_rest,
            objects_below_a_prefix_are_listed_in_order_of_key,
            folders_are_the_next_level_of_the_keys,
            a_listing_has_a_bound,
            a_read_that_must_match_its_hash_finds_damage,
        ],
        commits: [
            a_checkpoint_is_read_back_as_it_was_committed,
            a_commit_on_a_moved_checkpoint_changes_nothing,
            an_expectation_must_hold_both_ways,
            anomalies_that_are_there_are_named_and_nothing_changes,
            a_state_is_replaced_only_by_a_newer_one,
            a_moved_checkpoint_is_told_before_anything_else,
            a_repeated_transaction_is_refused,
            one_of_two_commits_at_a_time_wins,
            shards_have_checkpoints_of_their_own,
            a_transaction_changes_1_to_100_items,
            chunks_go_without_a_checkpoint,
            a_chunk_is_on_condition_of_its_guard,
        ],
        epochs: [
            the_checkpoints_of_a_stream_and_region_are_listed_in_order,
            an_epoch_is_replaced_only_by_a_newer_one,
            a_newer_epoch_refuses_a_transaction_and_changes_nothing,
            a_state_of_a_newer_epoch_wins_whatever_its_number,
            an_epoch_guard_is_one_of_the_items,
        ],
        queries: [
            a_devices_anomalies_come_newest_first,
            a_days_anomalies_come_newest_first,
            a_search_has_a_bound,
            a_tenant_sees_nothing_of_another,
            numbers_come_back_exactly,
            a_device_without_a_state_has_none,
        ],
        shards: [
            shards_name_their_parents_and_cover_every_hash_key,
        ],
        entries: [
            an_entry_comes_back_as_it_was_written,
            a_large_body_comes_back_as_it_was_written,
            an_entry_is_changed_only_as_expected,
            a_repeated_change_is_refused,
            all_entries_of_a_transaction_are_changed_or_none,
            one_of_two_changes_at_a_time_wins,
            a_transaction_changes_1_to_100_entries,
            what_no_store_bears_is_refused_and_named,
        ],
        findings: [
            entries_are_listed_by_their_beginning_in_the_order_asked_for,
            a_list_of_entries_has_a_bound,
            what_is_due_is_found_earliest_first,
            an_entry_leaves_and_moves_in_the_queue_as_it_changes,
            a_days_entries_come_newest_first,
            anomalies_states_and_entries_are_kept_apart,
        ],
    }
}

/// DynamoDB tells its changes through Lambda; `aws::parse_change` reads them.
mod with_changes {
    use super::{changes, worlds};

    suite! {
        sim, embedded;
        {
            changes: [
                every_commit_is_told_once_and_in_order,
                what_was_refused_is_not_told,
                changes_are_read_from_any_number_with_a_bound,
                what_is_forgotten_is_gone_and_numbers_go_on_rising,
            ],
        }
    }
}

#[cfg(feature = "aws")]
mod aws_alone {
    suite! {
        @laws aws {
            emulated: [
                a_listing_goes_over_several_pages,
                a_name_that_is_not_there_is_permanent_and_names_its_setting,
                metrics_arrive_in_cloudwatch,
                a_request_without_credentials_is_permanent,
                a_service_that_does_not_answer_is_worth_another_try,
            ],
        }
    }
}
