//! The checker is able to fail: for each invariant, the smallest histories that break it, told by
//! hand, each beside one that only just does not.
#![expect(clippy::unwrap_used, reason = "this is a test")]

mod bugs;
mod cold;
mod deadlines;
mod degrading;
mod duplicates;
mod edits;
mod freed;
mod herd;
mod judgement;
mod landings;
mod leases;
mod leaving;
mod phrases;
mod promptness;
mod recorded_amnesia;
mod recorded_leases;
mod recorded_lines;
mod recorded_values;
mod recording;
mod redundant;
mod riding;
mod store;
mod story;
mod tokens;
mod values;
mod words;
