//! Wall-clock time of the stampede of threads, the fill aside: the crowds take turns, so that whatever else
//! the machine does meets them all.

use oneflight_benches::{Crowd, stampede_of_threads};

const ROUNDS: usize = 51;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // Only being tested to start.
    }
    let mut times = [const { Vec::new() }; Crowd::ALL.len()];
    for _ in 0..ROUNDS {
        for (crowd, times) in Crowd::ALL.iter().zip(&mut times) {
            times.push(stampede_of_threads(*crowd));
        }
    }
    for (crowd, times) in Crowd::ALL.iter().zip(&mut times) {
        times.sort_unstable();
        let median = times[times.len() / 2].as_micros();
        println!("| {} | {median} | | |", crowd.name());
    }
}
