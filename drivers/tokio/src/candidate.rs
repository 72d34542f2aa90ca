//! A value a caller may land with.

use std::sync::Arc;

use oneflight_core::{Judgement, Verdict};
use oneflight_store::{Revision, Token};
use oneflight_trace::Digest;

use crate::hub::Hub;
use crate::value::Arrived;
use crate::{Landing, Source};

/// What the local look gave.
pub(crate) enum Look<V> {
    Fresh(Candidate<V>),
    Stale(Option<Candidate<V>>),
}

/// A decoded value that a caller may land with.
pub(crate) struct Candidate<V> {
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
    pub(crate) fn cached(self) -> Landing<V> {
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
