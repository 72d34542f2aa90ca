//! Shrinks a plan that breaks a promise to the decisions that matter: callers, faults, durations, then
//! what becomes of the messages.

use crate::batch::{judge, trace};
use crate::bugs::Bug;
use crate::fates::{Fate, Mishap};
use crate::plan::{CallPlan, Net, Odds, Plan, Predicate};
use crate::trace::Nanos;

/// A plan that breaks a promise, and how it got so small.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// The plan, with its schedule: it does not depend on how plans or fates are drawn.
    pub plan: Plan,
    /// The promise.
    pub invariant: &'static str,
    /// How many events it had, and has.
    pub events: (u64, u64),
    /// How many runs that took.
    pub runs: u64,
}

struct Shrinker {
    best: Plan,
    bug: Option<Bug>,
    invariant: &'static str,
    events: u64,
    runs: u64,
}

/// Shrinks a plan; `None` if it breaks nothing.
#[must_use]
pub fn minimize(plan: &Plan, bug: Option<Bug>, wanted: &[&str]) -> Option<Minimal> {
    let (violations, run) = judge(plan, bug);
    let found = |name: &&str| wanted.is_empty() || wanted.contains(name);
    let invariant = violations
        .iter()
        .map(|violation| violation.invariant)
        .find(found)?;
    let mut shrinker = Shrinker {
        best: plan.clone(),
        bug,
        invariant,
        events: run.events,
        runs: 1,
    };
    loop {
        let before = shrinker.best.clone();
        shrinker.decisions();
        shrinker.messages();
        if shrinker.best == before {
            break;
        }
    }
    let (_, last) = judge(&shrinker.best, bug);
    Some(Minimal {
        plan: shrinker.best,
        invariant,
        events: (run.events, last.events),
        runs: shrinker.runs,
    })
}

impl Shrinker {
    /// Keeps a change if the promise is still broken, in no more events.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.clone();
        change(&mut plan);
        if plan == self.best {
            return false;
        }
        self.runs += 1;
        let (violations, run) = judge(&plan, self.bug);
        let broken = violations.iter().any(|it| it.invariant == self.invariant);
        let kept = broken && run.events <= self.events;
        if kept {
            self.best = plan;
            self.events = run.events;
        }
        kept
    }

    fn decisions(&mut self) {
        let mut index = 0;
        while index < self.best.calls.len() {
            let removed = self.attempt(|plan| {
                plan.calls.remove(index);
            });
            index += usize::from(!removed);
        }
        let mut index = 0;
        while index < self.best.faults.len() {
            let removed = self.attempt(|plan| {
                plan.faults.remove(index);
            });
            index += usize::from(!removed);
        }
        self.attempt(|plan| plan.broken.clear());
        self.attempt(|plan| plan.copies = false);
        self.attempt(|plan| plan.clocks.iter_mut().for_each(|clock| *clock = 0));
        self.attempt(|plan| plan.net.odds = Odds::default());
        self.attempt(|plan| plan.store.work = 0);
        self.attempt(|plan| {
            let last = plan.calls.iter().map(|call| call.at).max();
            plan.heal_at = plan.heal_at.min(last.unwrap_or(0));
        });
        self.nodes();
        for index in 0..self.best.calls.len() {
            self.call(index);
        }
    }

    /// Leaves out the processes that nobody calls in.
    fn nodes(&mut self) {
        while self.best.clocks.len() > 1 {
            let last = self.best.clocks.len() as u32 - 1;
            let moved = self.attempt(|plan| {
                plan.clocks.truncate(last as usize);
                for call in &mut plan.calls {
                    call.slot = call.slot.min(last - 1);
                }
                plan.faults.retain(|fault| {
                    !format!("{:?}", fault.kind).contains(&format!("slot: {last}"))
                });
                plan.broken.retain(|slot| *slot < last);
            });
            if !moved {
                return;
            }
        }
    }

    fn call(&mut self, index: usize) {
        let mut set = |change: &dyn Fn(&mut CallPlan)| {
            self.attempt(|plan| {
                if let Some(call) = plan.calls.get_mut(index) {
                    change(call);
                }
            });
        };
        set(&|call| call.cancel = None);
        set(&|call| call.max_age = None);
        set(&|call| call.fill_timeout = None);
        set(&|call| call.predicate = Predicate::None);
        set(&|call| call.malformed_as_absent = false);
        set(&|call| call.fills.truncate(1));
        set(&|call| call.at = 0);
        set(&|call| call.at /= 2);
        set(&|call| call.at = round(call.at));
        set(&|call| call.wake = 1_000);
        set(&|call| call.wait = round(call.wait));
        set(&|call| call.ttl = round(call.ttl));
        set(&|call| call.store_timeout = round(call.store_timeout));
        set(&|call| call.max_backoff = round(call.max_backoff));
        set(&|call| {
            for fill in &mut call.fills {
                fill.takes = 0;
            }
        });
        set(&|call| {
            for fill in &mut call.fills {
                fill.takes = round(fill.takes);
                fill.garbled = false;
            }
        });
    }

    /// Writes the schedule down, then makes each message fare as well as it may.
    fn messages(&mut self) {
        if self.best.fates.is_none() {
            let (_, _, run) = trace(&self.best, self.bug);
            self.attempt(|plan| plan.fates = run.fates.clone());
        }
        let count = self.best.fates.as_ref().map_or(0, Vec::len);
        let usual = usual(&self.best.net);
        for index in 0..count {
            for takes in [None, Some(usual)] {
                self.attempt(|plan| {
                    if let Some(fate) = plan.fates.as_mut().and_then(|fates| fates.get_mut(index)) {
                        fate.mishap = Mishap::None;
                        fate.takes = takes.unwrap_or(fate.takes);
                    }
                });
            }
        }
        let end = Fate {
            takes: usual,
            mishap: Mishap::None,
        };
        self.attempt(|plan| {
            if let Some(fates) = &mut plan.fates {
                let needed = fates.iter().rposition(|fate| *fate != end);
                fates.truncate(needed.map_or(0, |last| last + 1));
            }
        });
    }
}

/// How long a message takes whose fate is not written down.
fn usual(net: &Net) -> Nanos {
    net.least + net.spread / 2
}

/// To two digits.
fn round(time: Nanos) -> Nanos {
    let mut unit = 1;
    while time / unit >= 100 {
        unit *= 10;
    }
    time / unit * unit
}
