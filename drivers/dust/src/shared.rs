//! Where callers, those who watch and the connection's task meet: one mutex, never held across an await.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use oneflight_store::{StoreError, Token};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::address::Address;
use crate::audience::Audience;
use crate::clock::Moment;
use crate::path::Path;
use crate::secret::Secret;
use crate::session::{Output, Session, Settings, Ticket};
use crate::task;
use crate::wire::{Done, Failure};

/// Why nobody answers.
const GONE: &str = "the store is closed, or the runtime of its connection has ended";

/// See the [module](self).
pub(crate) struct Shared {
    pub(crate) address: Arc<Address>,
    pub(crate) secret: Secret,
    pub(crate) device: String,
    runtime: Option<Handle>,
    epoch: Instant,
    /// Wakes the task.
    pub(crate) wake: Notify,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) audience: Audience,
    asked: HashMap<Ticket, Asked>,
    /// There is a task.
    runs: bool,
    /// The task sends what comes before the next answers.
    pub(crate) sending: bool,
    /// The store is gone.
    pub(crate) closing: bool,
}

/// Somebody who waits for an answer, or has waited.
struct Asked {
    answer: Option<oneshot::Sender<Result<Done, Failure>>>,
    /// What is asked for, if it is a lease.
    lease: Option<Path>,
}

impl Shared {
    pub(crate) fn new(
        address: Address,
        secret: Secret,
        settings: Settings,
        device: String,
        runtime: Option<Handle>,
    ) -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let session = Session::new(settings, Moment::ZERO, crate::clock::ms(wall));
        Self {
            address: Arc::new(address),
            secret,
            device,
            runtime,
            epoch: Instant::now(),
            wake: Notify::new(),
            state: Mutex::new(State {
                session,
                audience: Audience::default(),
                asked: HashMap::new(),
                runs: false,
                sending: false,
                closing: false,
            }),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.epoch.elapsed()
    }

    pub(crate) fn moment(&self, at: Moment) -> Instant {
        self.epoch + at
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something under the mutex, and tells who is to be told.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, Moment) -> T) -> T {
        let mut state = self.lock();
        let now = self.now();
        let done = act(&mut state, now);
        let news = state.session.news();
        if !news.is_empty() {
            let state = &mut *state;
            state.audience.tell(&state.session, now, news);
        }
        // Answers that nothing has to be sent before.
        while !state.sending
            && let Some((ticket, answer)) = state.session.next_answer()
        {
            state.deliver(now, ticket, answer);
        }
        if state.session.has_output() {
            self.wake.notify_one();
        }
        done
    }

    /// Sees to it that there is a task.
    pub(crate) fn run(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.runs || state.closing {
            return Ok(());
        }
        let runtime = self.runtime.clone().or_else(|| Handle::try_current().ok());
        let Some(runtime) = runtime else {
            return Err(StoreError::unavailable(
                "a Dust store needs a tokio runtime: call it within one, or give the builder its handle",
            ));
        };
        state.runs = true;
        drop(state);
        drop(runtime.spawn(task::run(Arc::clone(self))));
        Ok(())
    }

    /// The task has ended, or its runtime has.
    pub(crate) fn ended(&self) {
        self.with(|state, now| {
            state.runs = false;
            state.sending = false;
            let why = StoreError::unavailable("the runtime of the connection has ended");
            state.session.abort(now, why);
        });
    }

    /// Asks for something, and answers the future of what comes of it.
    pub(crate) fn ask(
        self: &Arc<Self>,
        lease: Option<Path>,
        ask: impl FnOnce(&mut Session, Moment) -> Ticket,
    ) -> Asking {
        let (sender, answer) = oneshot::channel();
        // The runtime may have ended since the call began. Whether that has helped shows below.
        drop(self.run());
        let ticket = self.with(|state, now| {
            if state.closing || !state.runs {
                // Nobody will answer, and none has this number.
                return 0;
            }
            let ticket = ask(&mut state.session, now);
            let asked = Asked {
                answer: Some(sender),
                lease: lease.clone(),
            };
            state.asked.insert(ticket, asked);
            ticket
        });
        Asking {
            shared: Arc::clone(self),
            ticket,
            lease,
            answer,
            answered: false,
        }
    }
}

impl State {
    /// Hands an answer to who asked. A lease that is granted to nobody is given up.
    pub(crate) fn deliver(&mut self, now: Moment, ticket: Ticket, answer: Result<Done, Failure>) {
        let Some(asked) = self.asked.remove(&ticket) else {
            return;
        };
        let unheard = match asked.answer {
            Some(sender) => sender.send(answer).err(),
            None => Some(answer),
        };
        if let (Some(Ok(done)), Some(lock)) = (unheard, asked.lease) {
            self.give_up(now, lock, done);
        }
    }

    fn give_up(&mut self, now: Moment, lock: Path, done: Done) {
        if let Some(token) = done.token.and_then(Token::new) {
            self.session.release(now, lock, token);
        }
    }

    /// Nobody will be answered any more.
    pub(crate) fn close(&mut self) {
        self.asked.clear();
    }
}

/// The future of an answer. Dropped, it gives up the answer, and a lease that it would have been.
pub(crate) struct Asking {
    shared: Arc<Shared>,
    ticket: Ticket,
    /// What is asked for, if it is a lease.
    lease: Option<Path>,
    answer: oneshot::Receiver<Result<Done, Failure>>,
    answered: bool,
}

impl Future for Asking {
    type Output = Result<Done, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        answer.map(|answer| {
            self.answered = true;
            answer.unwrap_or_else(|_| Err(Failure::unavailable(GONE)))
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.shared.with(|state, now| {
            if let Ok(Ok(done)) = self.answer.try_recv() {
                // Answered, and not heard.
                if let Some(lock) = self.lease.take() {
                    state.give_up(now, lock, done);
                }
                return;
            }
            // An answer may be on its way to nobody; else the session sees to it.
            if state.session.abandon(self.ticket) || !state.session.answers(self.ticket) {
                state.asked.remove(&self.ticket);
            } else if let Some(asked) = state.asked.get_mut(&self.ticket) {
                asked.answer = None;
            }
        });
    }
}

/// What the task is to do next: so much of it that nobody waits long for an answer within.
pub(crate) fn orders(state: &mut State) -> Vec<Output> {
    const MOST: usize = 256;
    let outputs = std::iter::from_fn(|| state.session.output());
    let orders: Vec<_> = outputs.take(MOST).collect();
    state.sending = !orders.is_empty();
    orders
}
