//! One call: a process that runs from top to bottom and blocks on each answer.
//!
//! ```text
//! look ─▶ Claiming ──granted──▶ Filling ──value──▶ Publishing ──▶ Releasing ──▶ landed
//!            ▲  │ held
//!            │  ▼
//!            │ Waiting ──fresh──▶ landed
//!            │  │ released, or a whole lease has passed
//!            └─ BackingOff
//! ```

use oneflight_core::{FillResult, OnUnavailable, Outcome, Revision, Token};

use crate::fates::Dice;
use crate::plan::{CallPlan, Predicate};
use crate::trace::{Answer, Nanos};

/// What a look at the process's own replica shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// No value.
    Absent,
    /// A value, and what the predicate says of it now.
    Stale(Revision),
    Fresh(Revision),
    /// A value that does not decode: to look at it is to crash.
    Malformed,
    /// A value upon which the predicate crashes.
    Panics(Revision),
}

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    Begun,
    /// The request it is blocked on has been answered.
    Answered(Answer),
    /// The replica tells that the key has changed.
    KeyEvent,
    /// The replica tells that the lock has changed.
    LockEvent {
        released: bool,
    },
    Filled(FillResult),
    /// It has slept long enough.
    Slept,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Claim,
    Subscribe,
    Unsubscribe,
    StartHeartbeat(Token),
    StopHeartbeat,
    Fill(Option<Token>),
    Publish(Token),
    Release(Token),
    /// Shown by the replica at once, queued for the store, not waited for.
    Put,
    Land(Outcome),
}

#[derive(Clone, Debug)]
pub(crate) struct Caller {
    ttl: Nanos,
    wait: Nanos,
    max_backoff: Nanos,
    /// There is a predicate: a value that is not fresh is better than none.
    judges: bool,
    on_unavailable: OnUnavailable,
    dice: Dice,
    deadline: Nanos,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Before,
    Claiming,
    Waiting { until: Nanos },
    BackingOff { until: Nanos },
    Filling { token: Option<Token> },
    Publishing { token: Token },
    Releasing { then: Outcome },
    Over,
}

impl Caller {
    pub(crate) fn new(plan: &CallPlan, seed: u64) -> Self {
        Self {
            ttl: plan.ttl,
            wait: plan.wait,
            max_backoff: plan.max_backoff,
            judges: plan.max_age.is_some() || plan.predicate != Predicate::None,
            on_unavailable: plan.on_unavailable,
            dice: Dice::new(seed),
            deadline: 0,
            state: State::Before,
        }
    }

    /// When it wakes by itself.
    pub(crate) fn timer(&self) -> Option<Nanos> {
        match self.state {
            State::Waiting { until } | State::BackingOff { until } => Some(until),
            State::Before
            | State::Claiming
            | State::Filling { .. }
            | State::Publishing { .. }
            | State::Releasing { .. }
            | State::Over => None,
        }
    }

    /// Goes on until it blocks again; `look` is how it looks at the replica.
    pub(crate) fn handle(
        &mut self,
        now: Nanos,
        input: Input,
        look: &mut impl FnMut() -> Look,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        match (self.state, input) {
            (State::Before, Input::Begun) => match look() {
                Look::Fresh(revision) => {
                    let stale = false;
                    self.land(Outcome::Cached { revision, stale }, &mut actions);
                }
                Look::Malformed => self.land(Outcome::Malformed, &mut actions),
                Look::Panics(_) => self.land(Outcome::Panicked, &mut actions),
                Look::Absent | Look::Stale(_) => {
                    self.deadline = now + self.wait;
                    self.claim(&mut actions);
                }
            },
            (State::Claiming, Input::Answered(answer)) => {
                self.claimed(now, answer, look, &mut actions);
            }
            (State::Waiting { until }, Input::KeyEvent) => match look() {
                Look::Fresh(revision) => self.awaited(revision, &mut actions),
                Look::Malformed => self.land(Outcome::Malformed, &mut actions),
                Look::Panics(_) => self.land(Outcome::Panicked, &mut actions),
                Look::Absent | Look::Stale(_) if now >= until => {
                    self.retry(now, look, &mut actions);
                }
                Look::Absent | Look::Stale(_) => {}
            },
            (State::Waiting { until }, Input::LockEvent { released })
                if released || now >= until =>
            {
                self.retry(now, look, &mut actions);
            }
            (State::Waiting { .. }, Input::Slept) => self.retry(now, look, &mut actions),
            (State::BackingOff { .. }, Input::Slept) => self.claim(&mut actions),
            (State::Filling { token }, Input::Filled(result)) => {
                self.filled(token, result, &mut actions);
            }
            (State::Publishing { token }, Input::Answered(answer)) => match answer {
                Answer::Published { revision } => {
                    let revision = Some(revision);
                    self.release(token, Outcome::Computed { revision }, &mut actions);
                }
                Answer::Fenced => self.land(Outcome::Fenced, &mut actions),
                other => self.release(token, failure(other), &mut actions),
            },
            // Whatever the answer is, it is waited for.
            (State::Releasing { then }, Input::Answered(_)) => self.land(then, &mut actions),
            _ => {}
        }
        actions
    }

    fn claim(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Claiming;
        actions.push(Action::Claim);
    }

    fn claimed(
        &mut self,
        now: Nanos,
        answer: Answer,
        look: &mut impl FnMut() -> Look,
        actions: &mut Vec<Action>,
    ) {
        match answer {
            // It does not look again at the value.
            Answer::Granted { token, .. } => {
                actions.push(Action::StartHeartbeat(token));
                self.fill(Some(token), actions);
            }
            // It does not look at the lock.
            Answer::Held { .. } => {
                actions.push(Action::Subscribe);
                match look() {
                    Look::Fresh(revision) => self.awaited(revision, actions),
                    Look::Malformed => self.land(Outcome::Malformed, actions),
                    Look::Panics(_) => self.land(Outcome::Panicked, actions),
                    Look::Absent | Look::Stale(_) if self.deadline <= now => {
                        self.retry(now, look, actions);
                    }
                    Look::Absent | Look::Stale(_) => {
                        let until = self.deadline.min(now + self.ttl);
                        self.state = State::Waiting { until };
                    }
                }
            }
            Answer::Unavailable if self.on_unavailable == OnUnavailable::RunLocal => {
                self.fill(None, actions);
            }
            other => self.land(failure(other), actions),
        }
    }

    fn fill(&mut self, token: Option<Token>, actions: &mut Vec<Action>) {
        self.state = State::Filling { token };
        actions.push(Action::Fill(token));
    }

    fn filled(&mut self, token: Option<Token>, result: FillResult, actions: &mut Vec<Action>) {
        if token.is_some() && result != FillResult::Panic {
            actions.push(Action::StopHeartbeat);
        }
        match (result, token) {
            (FillResult::Value, Some(token)) => {
                self.state = State::Publishing { token };
                actions.push(Action::Publish(token));
            }
            (FillResult::Value, None) => {
                actions.push(Action::Put);
                self.land(Outcome::Computed { revision: None }, actions);
            }
            (FillResult::Error, Some(token)) => self.release(token, Outcome::Aborted, actions),
            (FillResult::Error, None) => self.land(Outcome::Aborted, actions),
            // The process dies, its heartbeat with it; the lease is left to lapse.
            (FillResult::Panic | _, _) => self.land(Outcome::Panicked, actions),
        }
    }

    fn release(&mut self, token: Token, then: Outcome, actions: &mut Vec<Action>) {
        self.state = State::Releasing { then };
        actions.push(Action::Release(token));
    }

    /// It stops listening, pauses and claims again, or is out of time.
    fn retry(&mut self, now: Nanos, look: &mut impl FnMut() -> Look, actions: &mut Vec<Action>) {
        actions.push(Action::Unsubscribe);
        if self.deadline > now {
            let pause = self.dice.between(1, self.max_backoff);
            let until = self.deadline.min(now + pause);
            self.state = State::BackingOff { until };
            return;
        }
        // The last value is served unjudged if there is a predicate, and not at all if there is none.
        let outcome = match look() {
            Look::Malformed => Outcome::Malformed,
            Look::Stale(revision) | Look::Fresh(revision) | Look::Panics(revision)
                if self.judges =>
            {
                let stale = true;
                Outcome::Cached { revision, stale }
            }
            Look::Absent | Look::Stale(_) | Look::Fresh(_) | Look::Panics(_) => Outcome::TimedOut,
        };
        self.land(outcome, actions);
    }

    fn awaited(&mut self, revision: Revision, actions: &mut Vec<Action>) {
        actions.push(Action::Unsubscribe);
        let revision = Some(revision);
        self.land(Outcome::Awaited { revision }, actions);
    }

    fn land(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        self.state = State::Over;
        actions.push(Action::Land(outcome));
    }
}

/// The error that a call ends with upon such an answer.
fn failure(answer: Answer) -> Outcome {
    match answer {
        Answer::Refused => Outcome::Refused,
        Answer::Malformed => Outcome::Malformed,
        Answer::Unavailable
        | Answer::Granted { .. }
        | Answer::Held { .. }
        | Answer::Newer { .. }
        | Answer::Renewed
        | Answer::Lost
        | Answer::Published { .. }
        | Answer::Fenced
        | Answer::Released { .. }
        | Answer::Written { .. }
        | Answer::Kept { .. }
        | Answer::State { .. } => Outcome::Unavailable,
    }
}
