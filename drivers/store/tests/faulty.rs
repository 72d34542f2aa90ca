//! The conformance suite finds what it is there to find: a store with one fault fails the rows
//! about it, and without the fault passes them all.

#![cfg(feature = "conformance")]
mod faulty {
    pub(super) mod store;
}

use std::panic::catch_unwind;
use std::thread;

use faulty::store::{Fault, Faulty};
use oneflight_store::{MemoryStore, conformance};

/// Each of these rows fails the store with this fault, saying so by its name.
#[track_caller]
fn found_out(fault: Fault, by: &[&str]) {
    for row in by {
        let panic = catch_unwind(|| conformance::check(row, || faulty(Some(fault))))
            .expect_err("a store with this fault passes the row");
        let message = panic
            .downcast_ref::<String>()
            .expect("the row fails with a message");
        assert!(
            message.starts_with(&format!("row {row}: ")) && message.contains("expected"),
            "{row} failed with {message:?}"
        );
    }
}

fn faulty(fault: Option<Fault>) -> impl Fn() -> Faulty {
    let data = Faulty::new(MemoryStore::new(), fault);
    move || data.clone()
}

#[test]
fn without_a_fault_every_row_passes() {
    conformance::check_all(|| faulty(None));
}

#[test]
fn check_all_names_the_rows_that_failed() {
    let panic = catch_unwind(|| conformance::check_all(|| faulty(Some(Fault::HidesLatest))))
        .expect_err("a store with a fault passes");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert_eq!(
        message,
        "the store failed the rows [\"latest_covers_every_standing_lease\"]"
    );
}

#[test]
#[should_panic = "has no row no_such_row"]
fn a_row_that_does_not_exist_is_no_pass() {
    conformance::check("no_such_row", || faulty(None));
}

macro_rules! found_out {
    ($($test:ident: $fault:ident by $($row:ident)*;)*) => { $(
        #[test]
        fn $test() {
            found_out(Fault::$fault, &[$(stringify!($row)),*]);
        }
    )* };
}

found_out! {
    accepting_a_fenced_publish: AcceptsFenced by
        an_overtaken_holder_is_fenced
        a_released_lease_does_not_publish
        a_forgotten_lease_does_not_publish
        a_token_never_granted_does_not_publish
        handles_share_everything;
    reusing_a_token_after_a_release: ReusesTokens by
        tokens_only_grow
        a_release_frees_the_lock
        an_attempt_whose_lease_ended_is_granted_anew;
    forgetting_the_attempt: ForgetsAttempts by
        a_repeated_claim_is_the_same_claim;
    ignoring_what_was_seen: IgnoresSeen by
        a_newer_value_comes_before_the_lock
        claimers_after_a_publish_are_all_given_the_value;
    putting_over_a_newer_value: PutsOver by
        a_put_replaces_nothing_unseen
        a_put_does_not_bring_back_what_was_forgotten;
    claiming_in_two_steps: ClaimsInTwoSteps by
        one_of_many_claimers_is_granted;
    publishing_in_two_steps: PublishesInTwoSteps by
        no_claimer_slips_between_the_value_and_the_release;
    fencing_a_repeated_publish: FencesRepeats by
        a_repeated_publish_is_the_same_publish
        a_publish_repeated_after_a_new_grant_is_the_same
        what_was_stored_outlives_its_handles;
    leaving_the_lease_at_a_forget: ForgetLeavesLease by
        a_forget_frees_the_lock
        a_forgotten_lease_does_not_publish
        an_ended_lease_is_not_renewed;
    not_telling_the_latest_token: HidesLatest by
        latest_covers_every_standing_lease;
    telling_who_has_closed: KeepsTelling by
        a_closed_watch_hears_nothing
        closed_changes_tell_nothing;
    cutting_keys_short: CutsKeys by
        any_keys_come_back;
    lapsing_too_late: LapsesLate by
        a_renewal_counts_from_now;
    lapsing_too_early: LapsesEarly by
        a_held_lock_is_not_granted
        a_renewal_counts_from_now;
}

/// These rows wait for what never comes, so all of them at once.
#[test]
fn what_never_comes_is_found_out() {
    let rows = [
        (
            Fault::SkipsSnapshots,
            "a_watch_begins_with_how_things_stand",
        ),
        (Fault::DropsReleaseNotices, "a_watch_hears_a_release"),
        (Fault::DropsReleaseNotices, "a_watch_hears_other_handles"),
        (Fault::DropsReleaseNotices, "a_watch_misses_no_last_release"),
        (Fault::DropsChanges, "changes_tell_every_move"),
        (Fault::DropsChanges, "changes_tell_of_other_handles"),
        (Fault::DropsChanges, "changes_miss_nothing_of_many_writers"),
        (Fault::IgnoresRetention, "a_retained_value_is_over"),
        (Fault::IgnoresRetention, "a_list_leaves_out_what_is_over"),
        (Fault::Ageless, "the_age_is_the_stores"),
        (Fault::LapsesLate, "a_lapsed_lease_is_taken_over"),
    ];
    thread::scope(|scope| {
        for (fault, row) in rows {
            scope.spawn(move || found_out(fault, &[row]));
        }
    });
}
