//! Carries out what a caller and its heartbeat do, and tells it in the words of the trace.

use std::time::Duration;

use oneflight_core::{
    Attempt, Command, Event as Fact, Instant, Judgement, Lease, Notice, OnAbort, Order, Outcome,
    PassengerId, Revision, Token, Verdict,
};

use super::Fleet;
use super::process::Owner;
use super::replica::QueuedPut;
use crate::seed::caller::{Action, Input, Look};
use crate::seed::heartbeat::Heartbeat;
use crate::trace::{Answer, Digest, Key, Nanos, Request, What};
use crate::world::Observer;
use crate::world::caller::policy;
use crate::world::queue::Event;

impl<O: Observer> Fleet<'_, O> {
    pub(super) fn told(&mut self, node: u32, notice: Notice<Key>, orders: Vec<Order<Key>>) {
        let told = What::Told {
            now: Instant::from_nanos(self.local(node)),
            notice,
            orders,
        };
        self.world.emit(u64::from(node) + 1, &told);
    }

    /// A caller goes on; `notice` is what has happened to it, if the trace has a word for that.
    pub(super) fn step(&mut self, call: u32, input: Input, notice: Option<Notice<Key>>) {
        let node = self.processes[call as usize].node;
        let now = self.local(node);
        let (look, digest, verdict) = self.look(call);
        let mut looked = false;
        let Some(machine) = self.processes[call as usize].machine.as_mut() else {
            return;
        };
        let actions = machine.handle(now, input, &mut || {
            looked = true;
            look
        });
        let timer = machine.timer();
        let (key, passenger) = (
            self.key(call),
            PassengerId(self.processes[call as usize].passenger),
        );
        let notice = match input {
            Input::Begun => match actions.first() {
                // A hit, or a crash at the first look: nothing was asked of anybody.
                Some(Action::Land(outcome)) => return self.land(call, *outcome, digest, true),
                _ => Some(self.boarded(call, look, verdict)),
            },
            _ => notice,
        };
        if looked && let Some(verdict) = verdict.filter(|_| !matches!(input, Input::Begun)) {
            let judged = Notice::Judged {
                key,
                passenger,
                verdict,
            };
            self.told(node, judged, Vec::new());
        }
        let attempts = self.number(call, &actions);
        let mut orders = Vec::new();
        for (action, attempt) in actions.iter().zip(&attempts) {
            self.order(call, *action, *attempt, &mut orders);
        }
        self.told(node, notice.unwrap_or(Notice::Tick), orders);
        for (action, attempt) in actions.into_iter().zip(attempts) {
            self.act(call, action, attempt, digest);
        }
        self.set_timer(call, timer);
    }

    fn set_timer(&mut self, call: u32, timer: Option<Nanos>) {
        let node = self.processes[call as usize].node;
        let at = timer.map(|local| self.global(node, local));
        self.processes[call as usize].timer = at;
        if let Some(at) = at {
            self.world.queue.push(at, Event::Wake { call });
        }
    }

    fn boarded(&self, call: u32, look: Look, verdict: Option<Verdict>) -> Notice<Key> {
        let plan = &self.world.plan.calls[call as usize];
        let mut policy = policy(plan, 0);
        // No two calls share a fill, so they share no failure.
        policy.on_abort = OnAbort::Promote;
        let known = match look {
            Look::Stale(_) => verdict.unwrap_or(Verdict::UNKNOWN),
            Look::Absent | Look::Fresh(_) | Look::Malformed | Look::Panics(_) => Verdict::UNKNOWN,
        };
        Notice::Boarded {
            key: Key(plan.key),
            passenger: PassengerId(self.processes[call as usize].passenger),
            policy,
            known,
        }
    }

    fn number(&mut self, call: u32, actions: &[Action]) -> Vec<Attempt> {
        let process = &mut self.processes[call as usize];
        actions.iter().map(|_| process.attempt()).collect()
    }

    /// An action in the words of the trace.
    fn order(&self, call: u32, action: Action, attempt: Attempt, orders: &mut Vec<Order<Key>>) {
        let flight = self.flight(call);
        let passenger = PassengerId(flight.number);
        let seen = Revision::new(u64::MAX);
        let command = match action {
            // A claim compares nothing.
            Action::Claim => Command::Claim { attempt, seen },
            Action::Subscribe => Command::Watch,
            Action::Unsubscribe => Command::Unwatch,
            Action::Publish(token) => Command::Publish { attempt, token },
            Action::Release(token) => Command::Release { attempt, token },
            Action::Put => Command::Put {
                seen: self.known(call),
            },
            Action::StartHeartbeat(_) | Action::StopHeartbeat => return,
            Action::Fill(token) => {
                let lease = token.map(|token| self.lease(call, token));
                return orders.push(Order::Fill {
                    flight,
                    passenger,
                    attempt,
                    lease,
                });
            }
            Action::Land(outcome) => {
                let key = flight.key;
                orders.push(Order::Land {
                    key,
                    passenger,
                    outcome,
                });
                return orders.push(Order::Retired { flight });
            }
        };
        orders.push(Order::Command { flight, command });
    }

    fn lease(&self, call: u32, token: Token) -> Lease {
        let plan = &self.world.plan.calls[call as usize];
        let expires = self.local(self.processes[call as usize].node) + plan.ttl;
        Lease {
            token,
            expires: Instant::from_nanos(expires),
            generation: self.known(call),
        }
    }

    fn act(&mut self, call: u32, action: Action, attempt: Attempt, digest: Option<Digest>) {
        let plan = &self.world.plan.calls[call as usize];
        let (ttl, node) = (plan.ttl, self.processes[call as usize].node);
        let computed = self.processes[call as usize].computed;
        match action {
            Action::Claim => {
                let seen = Revision::new(u64::MAX);
                self.ask(call, attempt, Request::Claim { attempt, seen, ttl });
            }
            Action::Subscribe => self.subscribe(call),
            Action::Unsubscribe => self.unsubscribe(call),
            Action::StartHeartbeat(token) => {
                let heartbeat = Heartbeat::start(self.local(node), token, ttl);
                self.processes[call as usize].heartbeat = Some(heartbeat);
                self.set_beat(call);
            }
            Action::StopHeartbeat => {
                if let Some(heartbeat) = &mut self.processes[call as usize].heartbeat {
                    heartbeat.stop();
                }
            }
            Action::Fill(token) => {
                let flight = self.flight(call);
                let began = What::FillBegan {
                    key: flight.key,
                    passenger: PassengerId(flight.number),
                    flight: flight.number,
                    attempt,
                    token,
                };
                self.world.emit(u64::from(node) + 1, &began);
                self.fill_begins(call, attempt);
            }
            Action::Publish(token) => {
                if let Some(digest) = computed {
                    self.ask(call, attempt, Request::Publish { token, digest });
                }
            }
            Action::Release(token) => self.ask(call, attempt, Request::Release { token }),
            Action::Put => {
                if let Some(digest) = computed {
                    self.show(call, digest);
                    let flight = self.flight(call);
                    self.put(QueuedPut {
                        node,
                        flight,
                        attempt,
                        digest,
                    });
                }
            }
            Action::Land(outcome) => {
                let digest = match outcome {
                    Outcome::Computed { .. } => computed,
                    _ => digest,
                };
                self.land(call, outcome, digest, false);
            }
        }
    }

    fn land(&mut self, call: u32, outcome: Outcome, digest: Option<Digest>, local: bool) {
        let process = &self.processes[call as usize];
        let with_value = matches!(
            outcome,
            Outcome::Cached { .. } | Outcome::Computed { .. } | Outcome::Awaited { .. }
        );
        let landed = What::Landed {
            key: self.key(call),
            passenger: PassengerId(process.passenger),
            outcome,
            digest: digest.filter(|_| with_value),
            local,
        };
        let id = u64::from(process.node) + 1;
        self.world.emit(id, &landed);
        self.unsubscribe(call);
        self.processes[call as usize].end();
    }

    /// A request whose answer the caller is blocked on.
    fn ask(&mut self, call: u32, attempt: Attempt, request: Request) {
        let node = self.processes[call as usize].node;
        let id = self.send(node, call, attempt, request, Owner::Caller(call));
        self.processes[call as usize].blocked = Some((id, attempt));
    }

    fn send(
        &mut self,
        node: u32,
        call: u32,
        attempt: Attempt,
        request: Request,
        owner: Owner,
    ) -> u32 {
        let flight = self.flight(call);
        self.send_for(node, flight.key, flight.number, attempt, request, owner)
    }

    pub(super) fn send_for(
        &mut self,
        node: u32,
        key: Key,
        flight: u64,
        attempt: Attempt,
        request: Request,
        owner: Owner,
    ) -> u32 {
        let id = self.world.requests.len();
        self.owners.resize(id, None);
        self.owners.push(Some(owner));
        self.world
            .send(node, key, Some(flight), Some(attempt), request);
        id as u32
    }

    fn set_beat(&mut self, call: u32) {
        let process = &self.processes[call as usize];
        let node = process.node;
        let timer = process.heartbeat.and_then(|heartbeat| heartbeat.timer());
        let at = timer.map(|local| self.global(node, local));
        self.processes[call as usize].beat_at = at;
        if let Some(at) = at {
            self.world.queue.push(at, Event::Wake { call });
        }
    }

    /// The heartbeat renews, if it is time.
    pub(super) fn beat(&mut self, call: u32) {
        let process = &self.processes[call as usize];
        let node = process.node;
        if process.beat_at.is_none_or(|at| at > self.world.now) {
            return;
        }
        let now = self.local(node);
        let ttl = self.world.plan.calls[call as usize].ttl;
        let process = &mut self.processes[call as usize];
        process.beat_at = None;
        let Some(heartbeat) = &mut process.heartbeat else {
            return;
        };
        if heartbeat.tick(now) {
            let token = heartbeat.token;
            let attempt = process.attempt();
            let command = Command::Renew { attempt, token };
            let flight = self.flight(call);
            let orders = vec![Order::Command { flight, command }];
            self.told(node, Notice::Tick, orders);
            let owner = Owner::Heartbeat(call, attempt);
            self.send(node, call, attempt, Request::Renew { token, ttl }, owner);
        }
    }

    pub(super) fn beat_answered(&mut self, call: u32, attempt: Attempt, answer: Answer) {
        let node = self.processes[call as usize].node;
        let now = self.local(node);
        let Some(heartbeat) = &mut self.processes[call as usize].heartbeat else {
            return;
        };
        heartbeat.answered(now, answer);
        if let Some(event) = fact(attempt, answer) {
            let flight = self.flight(call);
            self.told(node, Notice::Answered { flight, event }, Vec::new());
        }
        self.set_beat(call);
    }
}

/// An answer in the words of the trace.
pub(super) fn fact(attempt: Attempt, answer: Answer) -> Option<Fact> {
    Some(match answer {
        Answer::Granted {
            token,
            remaining,
            generation,
        } => Fact::LeaseGranted {
            attempt,
            token,
            remaining: Duration::from_nanos(remaining),
            generation,
        },
        Answer::Held { token, remaining } => Fact::Held {
            attempt,
            token: Some(token),
            remaining: remaining.map(Duration::from_nanos),
        },
        Answer::Renewed => Fact::Renewed { attempt },
        Answer::Lost => Fact::LeaseLost { attempt },
        Answer::Published { revision } => Fact::Published { attempt, revision },
        Answer::Fenced => Fact::Fenced { attempt },
        Answer::Released { .. } => Fact::Released { attempt },
        Answer::Refused => Fact::Refused { attempt },
        Answer::Malformed => Fact::Malformed { attempt },
        Answer::Unavailable => Fact::Unavailable { attempt },
        Answer::Newer { .. }
        | Answer::Written { .. }
        | Answer::Kept { .. }
        | Answer::State { .. } => return None,
    })
}

/// What the trace says of a look; it has no word for a predicate that crashes.
pub(super) fn verdict(look: Look, token: Option<Token>, revision: Revision) -> Option<Verdict> {
    let judgement = match look {
        Look::Absent => Judgement::Absent,
        Look::Stale(_) => Judgement::Stale,
        Look::Fresh(_) => Judgement::Fresh,
        Look::Malformed => Judgement::Malformed,
        Look::Panics(_) => return None,
    };
    Some(Verdict {
        revision,
        token,
        judgement,
    })
}
