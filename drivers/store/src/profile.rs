//! What a store promises.

use serde::Serialize;

/// What a store keeps of the contract: the docs' table of guarantees is made from these, and the
/// conformance suite checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// The store's name, as in a store URL: `memory`, `sqlite`, …
    pub name: &'static str,
    /// Comparing the key's revision and granting the lease is one atomic step.
    pub atomic_claim: bool,
    /// Writing the value and freeing the lock is one atomic step.
    pub atomic_publish: bool,
    /// A claim repeated by its own attempt is the same claim.
    pub idempotent_claim: bool,
    /// Waiters are told of changes; without it they look again on a timer.
    pub push: bool,
    /// The store itself judges when a lease has lapsed.
    pub store_side_lapse: bool,
    /// A holder whose lease lapsed, but was not taken, may still renew or publish.
    pub lapsed_holder_may_publish: bool,
    /// Every key is taken; without it some are refused by name, because of how they are spelt.
    pub any_key: bool,
    /// Every value is taken; without it only UTF-8 text is, and other values are refused.
    pub any_bytes: bool,
    /// A value can be kept for a time only; without it `retain` is refused.
    pub retains: bool,
    /// The largest value in bytes; larger ones are refused.
    pub max_value: u64,
    /// The worst that a failure of the store itself may lose.
    pub loses: Loss,
}

/// What a failure of the store (not of a caller) may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Loss {
    /// Everything, and every caller with it: the store lives in the callers' own process.
    DiesWithItsCallers,
    /// The last writes before a loss of power; tokens and revisions still only grow.
    LastWrites,
    /// The last writes before a failure, or all of them, and the leases among them: a second holder may
    /// be elected while the first still fills, and waiters may be told late. Tokens and revisions still
    /// grow, unless the clock has gone back as well.
    LastWritesAndLeases,
    /// Nothing that was acknowledged.
    Nothing,
}
