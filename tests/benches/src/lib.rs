//! What is measured: the same job done by oneflight and by its peers.

mod hit;
mod machine;
mod stampede;
mod threads;

pub use hit::{Bed, Value};
pub use machine::{FLIGHT_STEPS, FLIGHTS_STEPS, flight_life, flights_life};
pub use stampede::{Herd, TASKS, stampede};
pub use threads::{Crowd, stampede_of_threads};
