//! The store keeps the contract as far as its profile goes, each handle being a client of its own.

mod common;

use common::CaughtUp;
use oneflight_dust::Wire;
use oneflight_store::conformance;

mod json {
    use super::*;

    conformance!(|| CaughtUp::fresh(Wire::Json));
}

mod msgpack {
    use super::*;

    conformance!(|| CaughtUp::fresh(Wire::Msgpack));
}
