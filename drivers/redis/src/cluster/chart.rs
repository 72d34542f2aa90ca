//! Who keeps what, as far as it is known, and who waits to know it better.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use oneflight_store::StoreError;

use super::{Address, Roster, Seeds, Turn};
use crate::fault::Place;
use crate::flavour::Flavour;
use crate::line::Way as _;

/// What the calls share with whoever makes the surveys.
pub(super) struct Chart<F: Flavour> {
    pub(super) flavour: Arc<F>,
    pub(super) seeds: Arc<Seeds>,
    pub(super) roster: Arc<Roster<F::Server>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_kept: bool,
    /// The store is.
    is_closed: bool,
    /// How many surveys were asked for, and how many of these are made.
    wanted: u64,
    made: u64,
    /// Whoever waits for one of them.
    waiting: Vec<(u64, oneshot::Sender<Result<(), StoreError>>)>,
    /// Who is to know, by what another server has said.
    hint: Option<Address>,
    /// There may be something to do; and whom to wake then.
    is_rung: bool,
    keeper: Option<Waker>,
}

/// Says that nobody makes surveys any more, however that came about, even before it began.
pub(super) struct Kept<F: Flavour>(pub(super) Arc<Chart<F>>);

impl<F: Flavour> Kept<F> {
    pub(super) fn new(chart: Arc<Chart<F>>) -> Self {
        chart.lock().is_kept = true;
        Self(chart)
    }
}

impl<F: Flavour> Drop for Kept<F> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_kept = false;
        let is_closed = state.is_closed;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (_, caller) in waiting {
            // Who has given up does not listen.
            drop(caller.send(Err(self.0.unavailable(F::ENDED))));
        }
        if is_closed {
            self.0
                .roster
                .ended(&self.0.unavailable("the store is closed"));
        }
    }
}

impl<F: Flavour> Chart<F> {
    pub(super) fn new(seeds: Seeds, flavour: F) -> Arc<Self> {
        let (seeds, flavour) = (Arc::new(seeds), Arc::new(flavour));
        Arc::new_cyclic(|chart: &Weak<Self>| {
            let chart = chart.clone();
            let (like, of) = (Arc::clone(&seeds), Arc::clone(&flavour));
            let open = move |at: &Address| {
                let server = of.server(like.source(at));
                let (chart, at) = (chart.clone(), at.clone());
                server.hub().tell_turns(move |turn| {
                    if let Some(chart) = chart.upgrade() {
                        chart.doubted(turn, &at);
                    }
                });
                Arc::new(server)
            };
            Self {
                flavour,
                seeds,
                roster: Arc::new(Roster::new(open)),
                state: Mutex::default(),
            }
        })
    }

    pub(super) fn place(&self) -> &Place {
        self.seeds.place()
    }

    pub(super) fn unavailable(&self, why: &str) -> StoreError {
        StoreError::unavailable(format_args!("{}: {why}", self.place()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.lock().is_kept
    }

    /// The store is closed: once nobody makes surveys any more, all who listen are told so.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// There may be something to do.
    pub(super) fn ring(&self) {
        let mut state = self.lock();
        state.is_rung = true;
        let keeper = state.keeper.take();
        drop(state);
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    /// Until it rings. For whoever makes the surveys.
    pub(super) async fn rung(&self) {
        poll_fn(|context| {
            let mut state = self.lock();
            if std::mem::take(&mut state.is_rung) {
                return Poll::Ready(());
            }
            state.keeper = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits for a survey that begins after this; an error if nobody could be asked.
    pub(super) async fn survey(&self) -> Result<(), StoreError> {
        let told = {
            let mut state = self.lock();
            if !state.is_kept {
                return Err(self.unavailable(F::ENDED));
            }
            let (tell, told) = oneshot::channel();
            state.wanted += 1;
            let number = state.wanted;
            state.waiting.push((number, tell));
            told
        };
        self.ring();
        let told = told.await;
        told.unwrap_or_else(|oneshot::Canceled| Err(self.unavailable(F::ENDED)))
    }

    /// How many surveys were asked for.
    pub(super) fn wanted(&self) -> u64 {
        self.lock().wanted
    }

    pub(super) fn is_survey_wanted(&self) -> bool {
        let state = self.lock();
        state.wanted > state.made
    }

    /// So many of the surveys that were asked for are made, and this came of the last one.
    pub(super) fn made(&self, number: u64, outcome: &Result<(), StoreError>) {
        let mut state = self.lock();
        state.made = number;
        let told: Vec<_> = state.waiting.extract_if(.., |it| it.0 <= number).collect();
        drop(state);
        for (_, caller) in told {
            drop(caller.send(outcome.clone()));
        }
    }

    pub(super) fn take_hint(&self) -> Option<Address> {
        self.lock().hint.take()
    }

    /// A server has said that another one is to be asked: what a call is told holds from now on, unless it has
    /// been asked. With servers that name each other, all watches of the slot would go to and fro.
    pub(super) fn turned(&self, turn: &Turn, said_by: &Address, asked: &[Address]) {
        if let Turn::Moved { slot, to } = turn
            && let Some(to) = Address::of(to, &said_by.host)
            && !asked.contains(&to)
        {
            self.roster.moved(*slot, to);
        }
        self.doubted(turn, said_by);
    }

    /// The same, told to a watch: a survey is to find out who keeps the slot. For a call gives up in
    /// time, and a watch would go to and fro for ever between servers that name each other.
    fn doubted(&self, turn: &Turn, said_by: &Address) {
        let mut state = self.lock();
        if let Turn::Moved { to, .. } = turn {
            state.hint = Address::of(to, &said_by.host);
        }
        state.wanted += 1;
        drop(state);
        self.ring();
    }
}
