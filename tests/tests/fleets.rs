//! Every store and every driver under every scenario; the async driver on a runtime of one thread and of
//! two.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use oneflight_tests::fleet::{self, Threads, Tokio};
use oneflight_tests::ground::{Dust, DustBehind, Ground, Memory, Redis, Sqlite};
use tokio::runtime::Builder;

/// Runs a scenario of the async driver on both runtimes.
fn on_both<G: Ground, F: Future<Output = ()>>(scenario: fn(G) -> F) {
    on_one(scenario);
    let two = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    two.unwrap().block_on(scenario(G::new()));
}

/// Runs a scenario whose callers, if need be, have threads of their own.
fn on_one<G: Ground, F: Future<Output = ()>>(scenario: fn(G) -> F) {
    let one = Builder::new_current_thread().enable_all().build();
    one.unwrap().block_on(scenario(G::new()));
}

/// What every driver does over every store, beside what is its own.
macro_rules! scenarios {
    ($on:ident, $ground:ty, $driver:ty: $($own:ident)*) => {
        scenarios!(these $on, $ground, $driver:
            $($own)*
            an_abort_hands_over
            a_panic_hands_over
            a_dead_holder_is_taken_over
            a_holder_that_is_cut_off_rides_the_newer_value
            a_forget_voids_the_fill_under_way
            copies_follow
            a_waiter_that_leaves_changes_nothing
        );
    };
    (these $on:ident, $ground:ty, $driver:ty: $($scenario:ident)*) => { $(
        #[test]
        fn $scenario() {
            $on::<$ground, _>(fleet::$scenario::<$driver>);
        }
    )* };
}

macro_rules! fleets {
    ($($store:ident: $ground:ty, $($own:ident)*;)*) => { $(
        mod $store {
            use super::*;

            scenarios!(on_both, $ground, Tokio: $($own)*);

            #[test]
            fn a_caller_that_leaves_hands_over() {
                on_both::<$ground, _>(fleet::a_caller_that_leaves_hands_over);
            }
        }
    )* };
}

macro_rules! fleets_of_threads {
    ($($store:ident: $ground:ty, $($own:ident)*;)*) => { $(
        mod $store {
            use super::*;

            scenarios!(on_one, $ground, Threads: $($own)*);
        }
    )* };
}

fleets! {
    memory: Memory, every_key_is_filled_once every_key_is_filled_once_without_copies;
    sqlite: Sqlite, every_key_is_filled_once every_key_is_filled_once_without_copies;
    redis: Redis, every_key_is_filled_once every_key_is_filled_once_without_copies;
    dust: Dust, eight_processes_fill_every_key_once;
    dust_behind: DustBehind, eight_processes_fill_every_key_once;
}

mod threads {
    use super::*;

    fleets_of_threads! {
        memory: Memory, every_key_is_filled_once every_key_is_filled_once_without_copies;
        sqlite: Sqlite, every_key_is_filled_once every_key_is_filled_once_without_copies;
        redis: Redis, every_key_is_filled_once every_key_is_filled_once_without_copies;
    }
}
