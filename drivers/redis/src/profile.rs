//! What the store promises.

use oneflight_store::{Loss, Profile};

use crate::call::MAX_VALUE;

pub(crate) const PROFILE: Profile = Profile {
    name: "redis",
    atomic_claim: true,
    atomic_publish: true,
    idempotent_claim: true,
    push: true,
    store_side_lapse: true,
    lapsed_holder_may_publish: true,
    any_key: true,
    any_bytes: true,
    retains: true,
    max_value: MAX_VALUE,
    loses: Loss::LastWritesAndLeases,
};
