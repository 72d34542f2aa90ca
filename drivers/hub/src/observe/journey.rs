//! One call, from its beginning to its landing.

use std::time::{Duration, Instant};

use oneflight_core::FillResult;
use oneflight_store::{Revision, Token};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Span, info_span, trace_span};

use super::{Ending, Meters};
use crate::error::Error;
use crate::hub::Hub;
use crate::landing::Landing;
use crate::lease::Lease;

/// A call on its way; tells how it went when it is dropped.
pub(crate) struct Journey<'a> {
    hub: &'a Hub,
    span: Span,
    started: Instant,
    /// The fill that is under way began then.
    filling: Option<Instant>,
    /// How long fills of this call's own took.
    filled: Option<Duration>,
    token: Option<Token>,
    /// What the call's own fill was to replace.
    generation: Option<Revision>,
    ending: Ending,
    /// After this the driver gives the call up for lack of an answer, and not its caller.
    patience: Duration,
}

impl<'a> Journey<'a> {
    pub(crate) fn begin(hub: &'a Hub, key: &str, started: Instant) -> Self {
        let span = info_span!(
            target: "oneflight::call",
            "call",
            key,
            source = Empty,
            outcome = Empty,
            token = Empty,
            generation = Empty,
            waited = Empty,
            filled = Empty,
        );
        Self {
            hub,
            span,
            started,
            filling: None,
            filled: None,
            token: None,
            generation: None,
            ending: Ending::Left,
            patience: Duration::MAX,
        }
    }

    /// The same for a call that its driver gives up after a time.
    pub(crate) fn bounded(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether anybody hears of it: else there is no need to read the clock.
    fn is_told(&self) -> bool {
        Meters::COUNT || !self.span.is_disabled()
    }

    pub(crate) fn fill_began(&mut self, lease: &Lease) {
        self.filling = self.is_told().then(|| self.hub.clock.read());
        self.token = lease.token();
        self.generation = self.token.map(|_| lease.generation());
    }

    pub(crate) fn fill_ended(&mut self, result: FillResult) {
        if result == FillResult::Panic {
            self.ending = Ending::Panicked;
        }
        self.fill_over(match result {
            FillResult::Value => "value",
            FillResult::Error => "error",
            FillResult::Panic | _ => "panic",
        });
    }

    fn fill_over(&mut self, result: &'static str) {
        if let Some(began) = self.filling.take() {
            let took = self.hub.clock.read().saturating_duration_since(began);
            self.hub.meters.filled(result, took);
            *self.filled.get_or_insert_default() += took;
        }
    }

    /// The call has ended with this.
    pub(crate) fn landed<V, E>(&mut self, result: Result<&Landing<V>, &Error<V, E>>) {
        self.ending = match result {
            Ok(landing) => {
                self.token = landing.token;
                Ending::of(landing.source, landing.stale, landing.coordinated)
            }
            Err(error) => Ending::of_error(error),
        };
    }

    /// The call has found nothing fresh, and was to do no more.
    pub(crate) fn found_nothing(&mut self) {
        self.ending = Ending::Absent;
    }
}

impl Drop for Journey<'_> {
    fn drop(&mut self) {
        if !self.is_told() {
            return;
        }
        self.fill_over("left");
        let took = self
            .hub
            .clock
            .read()
            .saturating_duration_since(self.started);
        if self.ending == Ending::Left && took >= self.patience {
            self.ending = Ending::Unavailable;
        }
        let waited = took.saturating_sub(self.filled.unwrap_or_default());
        self.hub.meters.landed(self.ending, waited);
        let span = &self.span;
        if span.is_disabled() {
            return;
        }
        span.record("source", self.ending.source());
        span.record("outcome", self.ending.outcome());
        span.record("token", self.token.map(Token::get));
        span.record("generation", self.generation.map(Revision::get));
        span.record("waited", waited.as_secs_f64());
        span.record("filled", self.filled.map(|filled| filled.as_secs_f64()));
    }
}

/// Whether somebody may want to hear of each hit: one look at a static, for it is asked at each.
#[inline]
pub(crate) fn hits_are_told() -> bool {
    LevelFilter::current() >= LevelFilter::TRACE
}

/// Tells of a call that a local copy has served: the same span, on a level of its own.
pub(crate) fn tell_hit(key: &str, token: Option<Token>) {
    drop(trace_span!(
        target: "oneflight::call",
        "call",
        key,
        source = Ending::Local.source(),
        outcome = Ending::Local.outcome(),
        token = token.map(Token::get),
        waited = 0.0,
    ));
}
