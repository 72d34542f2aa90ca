//! What is to go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

/// What happens to a write.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// The connection breaks, and it is not done.
    Lost,
    /// It is done, and the others are told; then the connection breaks before its writer is.
    AnswerLost,
    /// It is done, and all are told; its writer gets no answer besides the event.
    AckLost,
    /// It is done, and nobody hears of it before [`let_go`](crate::DustServer::let_go).
    Held,
    /// It is not done, and answered with this error: see [`rate_limited`](crate::rate_limited).
    Refused(Value),
    /// It is not done, and its channel dies: `phx_error`.
    Crash,
}

/// Which writes: all, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Which {
    op: Option<String>,
    path: Option<String>,
    device: Option<String>,
}

impl Which {
    /// Every write.
    pub fn any() -> Self {
        Self::default()
    }

    /// Those of one kind: `lease`, `set`, `release`…
    pub fn op(mut self, op: &str) -> Self {
        self.op = Some(op.to_owned());
        self
    }

    /// Those of one path, as it stands in `path`.
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Those of one device.
    pub fn device(mut self, device: &str) -> Self {
        self.device = Some(device.to_owned());
        self
    }

    fn fits(&self, device: &str, op: &str, path: &str) -> bool {
        let fits = |asked: &Option<String>, is| asked.as_deref().is_none_or(|asked| asked == is);
        fits(&self.op, op) && fits(&self.path, path) && fits(&self.device, device)
    }
}

/// All that is to go wrong: nothing, by default.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) black_holes: BTreeSet<String>,
    pub(super) delays: BTreeMap<String, Duration>,
    pub(super) catch_up: Duration,
    pub(super) fates: Vec<(Which, Fate)>,
    pub(super) refuse_joins: Option<Value>,
    pub(super) forbidden: bool,
    /// How often what was held was let go.
    pub(super) let_go: u64,
    reorder: Option<(Duration, Rng)>,
}

impl Trouble {
    pub(super) fn reorder(&mut self, within: Duration, seed: u64) {
        self.reorder = Some((within, Rng::with_seed(seed)));
    }

    /// How long it takes until a write is told.
    pub(super) fn lag(&mut self) -> Duration {
        let lag = |(within, rng): &mut (Duration, Rng)| within.mul_f64(rng.f64());
        self.reorder.as_mut().map_or(Duration::ZERO, lag)
    }

    /// What is to happen to this write: it happens once.
    pub(super) fn fate(&mut self, device: &str, op: &str, path: &str) -> Option<Fate> {
        let fits = |(which, _): &(Which, Fate)| which.fits(device, op, path);
        let first = self.fates.iter().position(fits)?;
        Some(self.fates.remove(first).1)
    }
}
