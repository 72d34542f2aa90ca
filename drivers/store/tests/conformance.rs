//! The stores of this crate keep the contract.

#![cfg(feature = "conformance")]

use oneflight_store::conformance::Waited;
use oneflight_store::{MemoryStore, Offload, conformance};

mod blocking {
    use super::*;

    conformance!(|| {
        let data = MemoryStore::new();
        move || data.clone()
    });
}

mod waited {
    use super::*;

    conformance!(|| {
        let data = MemoryStore::new();
        move || Waited::new(data.clone())
    });
}

mod offloaded {
    use super::*;

    conformance!(|| {
        let data = MemoryStore::new();
        // A thread of its own for every handle, as for every process.
        move || Waited::new(Offload::new(data.clone()))
    });
}
