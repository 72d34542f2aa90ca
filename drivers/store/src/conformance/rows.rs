//! The rows, by what they are about. A row added below is in the table, and in every store's tests.

mod changes;
mod claim;
mod forget;
mod herd;
mod lease;
mod list;
mod numbers;
mod publish;
mod put;
mod reopen;
mod values;
mod watch;

use super::bench::Bench;

/// Hands the names of all rows to another macro of this crate, after arguments of its own.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_rows {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            claim:
                a_free_lock_is_granted
                a_held_lock_is_not_granted
                a_repeated_claim_is_the_same_claim
                an_attempt_whose_lease_ended_is_granted_anew
                a_newer_value_comes_before_the_lock
                a_value_already_seen_is_not_newer
                a_forgotten_value_is_not_newer
                the_generation_is_the_last_revision
                latest_covers_every_standing_lease
                keys_and_locks_are_apart;
            lease:
                a_renewal_counts_from_now
                an_ended_lease_is_not_renewed
                a_lapsed_lease_is_taken_over
                an_overtaken_holder_is_fenced
                a_lapsed_holder_is_treated_as_promised
                a_release_frees_the_lock
                a_late_release_does_nothing;
            publish:
                a_publish_writes_and_frees
                a_repeated_publish_is_the_same_publish
                a_publish_repeated_after_a_new_grant_is_the_same
                a_late_repeated_publish_changes_nothing
                a_released_lease_does_not_publish
                a_forgotten_lease_does_not_publish
                a_token_never_granted_does_not_publish;
            put:
                a_put_writes_without_a_lease
                a_put_replaces_nothing_unseen
                a_put_does_not_bring_back_what_was_forgotten
                a_put_leaves_the_lease_alone;
            forget:
                a_forget_removes_the_value
                a_forget_frees_the_lock
                a_forget_of_nothing_is_a_revision_too;
            numbers:
                tokens_only_grow
                revisions_only_grow;
            values:
                any_bytes_come_back
                any_keys_come_back
                too_large_a_value_is_refused
                a_retained_value_is_over
                the_age_is_the_stores;
            reopen:
                handles_share_everything
                what_was_stored_outlives_its_handles;
            watch:
                a_watch_begins_with_how_things_stand
                a_watch_hears_a_publish
                a_watch_hears_a_put
                a_watch_hears_a_release
                a_watch_hears_a_forget
                a_watch_hears_other_handles
                a_watch_misses_no_last_value
                a_watch_misses_no_last_release
                a_watch_hears_of_its_own_key_only
                a_closed_watch_hears_nothing;
            changes:
                changes_tell_every_move
                changes_tell_of_other_handles
                changes_miss_nothing_of_many_writers
                closed_changes_tell_nothing;
            list:
                a_list_tells_values_and_leases
                a_list_leaves_out_what_is_over;
            herd:
                one_of_many_claimers_is_granted
                claimers_after_a_publish_are_all_given_the_value
                no_claimer_slips_between_the_value_and_the_release;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    (() $($module:ident: $($row:ident)*;)*) => {
        &[$($((stringify!($row), $module::$row),)*)*]
    };
}

type Run = fn(&Bench<'_>);

/// Every row by its name.
pub(super) const TABLE: &[(&str, Run)] = crate::__conformance_rows! { __conformance_table () };
