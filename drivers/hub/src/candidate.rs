//! A value a caller may land with.

use std::sync::Arc;

use oneflight_core::{Judgement, Verdict};
use oneflight_store::{Revision, Token};
use oneflight_trace::Digest;

use crate::hub::Hub;
use crate::landing::{Landing, Source};
use crate::value::Arrived;

/// What the local look gave.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Look<V> {
    /// A value that will do.
    Fresh(Candidate<V>),
    /// None that will do: take off, with what there is.
    Stale(Option<Candidate<V>>),
}

/// A decoded value that a caller may land with.
#[derive(Debug)]
pub struct Candidate<V> {
    pub(crate) value: Arc<V>,
    pub(crate) revision: Revision,
    pub(crate) token: Option<Token>,
    /// For the recorder.
    pub(crate) digest: Digest,
}

impl<V> Clone for Candidate<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            revision: self.revision,
            token: self.token,
            digest: self.digest,
        }
    }
}

impl<V> Candidate<V> {
    pub(crate) fn new(value: Arc<V>, arrived: &Arrived, hub: &Hub) -> Self {
        Self {
            value,
            revision: arrived.revision,
            token: arrived.token,
            digest: hub.digest(&arrived.value),
        }
    }

    pub(crate) fn stale(&self) -> Verdict {
        Verdict {
            revision: self.revision,
            token: self.token,
            judgement: Judgement::Stale,
        }
    }

    /// A landing without a flight.
    #[inline]
    #[must_use]
    pub fn cached(self) -> Landing<V> {
        self.land(Source::Cached, false)
    }

    #[inline]
    pub(crate) fn land(self, source: Source, stale: bool) -> Landing<V> {
        Landing {
            value: self.value,
            source,
            stale,
            coordinated: true,
            revision: Some(self.revision),
            token: self.token,
        }
    }
}
