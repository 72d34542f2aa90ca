//! Wall-clock time and allocations of the machine's steps.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use oneflight_benches::{FLIGHT_STEPS, FLIGHTS_STEPS, flight_life, flights_life};
use oneflight_core::{Flights, Policy, Token};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn token() -> Token {
    Token::new(7).expect("not zero")
}

/// One life of a flight: see `FLIGHT_STEPS`.
#[divan::bench(sample_count = 300, sample_size = 1_000)]
fn flight(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(FLIGHT_STEPS))
        .bench_local(|| flight_life(black_box(Policy::DEFAULT), black_box(token())));
}

/// One life of a flight among all flights of a process: see `FLIGHTS_STEPS`.
#[divan::bench(sample_count = 300, sample_size = 1_000)]
fn flights(bencher: Bencher<'_, '_>) {
    let mut flights = Flights::new();
    let key: Arc<str> = "artifacts/3f9a".into();
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(FLIGHTS_STEPS))
        .bench_local(|| {
            number += 1;
            flights_life(&mut flights, &key, number, token());
        });
}
