//! What a caller wants done in which case.

use core::time::Duration;

/// The rules of one call.
///
/// Plain data: a run is a pure function of its policies and its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Policy {
    /// How long a lease lives unless renewed; it is renewed at a third of this. Default 30 s.
    ///
    /// A dead holder blocks its key for at most this long.
    pub lease_ttl: Duration,
    /// How long the call waits for somebody else's fill. Default 35 s (`lease_ttl` + 5 s).
    ///
    /// A fill of the caller's own may take longer. Zero asks the store once and never waits.
    pub wait_timeout: Duration,
    /// How long the store may take to answer, before it counts as unreachable. Default 5 s.
    pub store_timeout: Duration,
    /// How long the caller's own fill may hold the lease; after that it is no longer renewed, and
    /// the fill is warned. Default `None`: as long as it takes.
    pub fill_timeout: Option<Duration>,
    /// The upper bound of the jittered pauses before a claim is repeated. Default 250 ms.
    ///
    /// The first pause after a release is at most a sixty-fourth of this, and doubles with every
    /// failure in a row.
    pub max_backoff: Duration,
    /// What to do when the store cannot be reached.
    pub on_unavailable: OnUnavailable,
    /// What to do when the caller's own fill was overtaken.
    pub on_fenced: OnFenced,
    /// What to do when the fill of another caller in the same process fails.
    pub on_abort: OnAbort,
    /// The seed of the jitter. Callers that differ in it spread their claims.
    pub seed: u64,
}

impl Policy {
    /// The defaults of the protocol.
    pub const DEFAULT: Self = Self {
        lease_ttl: Duration::from_secs(30),
        wait_timeout: Duration::from_secs(35),
        store_timeout: Duration::from_secs(5),
        fill_timeout: None,
        max_backoff: Duration::from_millis(250),
        on_unavailable: OnUnavailable::RunLocal,
        on_fenced: OnFenced::Ride,
        on_abort: OnAbort::Share,
        seed: 0,
    };

    /// The `wait_timeout` that goes with a lease of this ttl unless the caller says otherwise: 5 s longer,
    /// so that a dead holder is replaced within it.
    #[must_use]
    pub const fn wait_timeout_for(lease_ttl: Duration) -> Duration {
        lease_ttl.saturating_add(Duration::from_secs(5))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What to do when the store cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Fill without a lease; the landing says that it was not coordinated.
    #[default]
    RunLocal,
    /// Land with an error.
    Error,
}

/// What to do when the caller's own fill was overtaken by a newer lease or voided by a forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OnFenced {
    /// Drop the own result and ride the newer holder's: the whole fleet ends with one value.
    #[default]
    Ride,
    /// Land with an error.
    Error,
}

/// What to do when the fill of another caller in the same process fails or panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OnAbort {
    /// Land with the same error: a failing fill runs once, not once per caller.
    #[default]
    Share,
    /// Try the own fill under a new lease.
    Promote,
}
