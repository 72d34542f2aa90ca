//! Every store under every scenario, on a runtime of one thread and of two.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use oneflight_tests::fleet::{self, Dust, DustBehind, Ground, Memory, Sqlite};

/// Runs a scenario on both runtimes.
fn on_both<G: Ground, F: Future<Output = ()>>(scenario: fn(G) -> F) {
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    one.unwrap().block_on(scenario(G::new()));
    let two = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    two.unwrap().block_on(scenario(G::new()));
}

macro_rules! fleets {
    ($($store:ident: $ground:ty, $($own:ident)*;)*) => { $(
        mod $store {
            use super::*;

            fleets!(of $ground:
                $($own)*
                an_abort_hands_over
                a_panic_hands_over
                a_caller_that_leaves_hands_over
                a_dead_holder_is_taken_over
                a_holder_that_is_cut_off_rides_the_newer_value
                a_forget_voids_the_fill_under_way
                copies_follow
                a_waiter_that_leaves_changes_nothing
            );
        }
    )* };
    (of $ground:ty: $($scenario:ident)*) => { $(
        #[test]
        fn $scenario() {
            on_both::<$ground, _>(fleet::$scenario);
        }
    )* };
}

fleets! {
    memory: Memory, every_key_is_filled_once every_key_is_filled_once_without_copies;
    sqlite: Sqlite, every_key_is_filled_once every_key_is_filled_once_without_copies;
    dust: Dust, eight_processes_fill_every_key_once;
    dust_behind: DustBehind, eight_processes_fill_every_key_once;
}
