//! What is tried to make a plan smaller.

use oneflight_core::{OnAbort, OnFenced, OnUnavailable};

use super::Shrinker;
use crate::batch::trace;
use crate::fates::{Fate, Mishap};
use crate::plan::{CallPlan, MS, Net, Odds, Plan, Predicate};
use crate::trace::{Nanos, StoreProfile};

impl Shrinker {
    pub(super) fn decisions(&mut self) {
        self.without(|plan| &mut plan.calls);
        self.without(|plan| &mut plan.faults);
        self.world();
        for slot in (0..self.best.clocks.len() as u32).rev() {
            self.process(slot);
        }
        for key in (0..self.best.keys).rev() {
            self.key(key);
        }
        for index in 0..self.best.faults.len() {
            self.fault(index);
        }
        for index in 0..self.best.calls.len() {
            self.call(index);
        }
        self.moments();
    }

    /// Leaves items out: halves, quarters, and so on.
    fn without<T>(&mut self, items: impl Fn(&mut Plan) -> &mut Vec<T>) {
        let mut size = items(&mut self.best).len();
        while size > 0 {
            let mut from = 0;
            while from < items(&mut self.best).len() {
                let removed = self.attempt(|plan| {
                    let items = items(plan);
                    let until = items.len().min(from + size);
                    drop(items.drain(from..until));
                });
                from += if removed { 0 } else { size };
            }
            size /= 2;
        }
    }

    /// What concerns everybody.
    fn world(&mut self) {
        self.attempt(|plan| plan.broken.clear());
        self.attempt(|plan| plan.copies = false);
        self.attempt(|plan| plan.clocks.iter_mut().for_each(|clock| *clock = 0));
        self.attempt(|plan| plan.store.work = 0);
        self.attempt(|plan| plan.store.profile = StoreProfile::STRICT);
        self.attempt(|plan| plan.heal_at = 3_600_000 * MS);
        // A network that delivers everything in time and order needs no schedule.
        self.attempt(|plan| {
            plan.fates = None;
            plan.net.odds = Odds::default();
            (plan.net.least, plan.net.spread) = (MS, 0);
        });
        self.attempt(|plan| plan.net.spread = 0);
        self.attempt(|plan| plan.net.least = MS);
        self.attempt(|plan| plan.net.least = round(plan.net.least));
        self.attempt(|plan| plan.request_timeout = round(plan.request_timeout));
        self.attempt(|plan| plan.calls.iter_mut().for_each(|call| call.wake = 1_000));
        for ttl in [30_000 * MS, 1_000 * MS, 100 * MS] {
            self.attempt(|plan| plan.calls.iter_mut().for_each(|call| call.ttl = ttl));
        }
        for timeout in [5_000 * MS, 100 * MS] {
            let set = |call: &mut CallPlan| call.store_timeout = timeout;
            self.attempt(|plan| plan.calls.iter_mut().for_each(set));
        }
    }

    /// Does without a process: its callers go with it, or to the one before.
    fn process(&mut self, gone: u32) {
        if self.best.clocks.len() < 2 {
            return;
        }
        let removed = self.attempt(|plan| {
            plan.calls.retain(|call| call.slot != gone);
            without_process(plan, gone);
        });
        if !removed && gone > 0 {
            self.attempt(|plan| {
                for call in &mut plan.calls {
                    call.slot -= u32::from(call.slot == gone);
                }
                without_process(plan, gone);
            });
        }
    }

    fn key(&mut self, gone: u32) {
        if self.best.keys < 2 {
            return;
        }
        self.attempt(|plan| {
            plan.keys -= 1;
            plan.calls.retain(|call| call.key != gone);
            for call in &mut plan.calls {
                call.key -= u32::from(call.key > gone);
            }
            plan.faults
                .retain_mut(|fault| fault.kind.key().is_none_or(|key| *key != gone));
            for fault in &mut plan.faults {
                if let Some(key) = fault.kind.key() {
                    *key -= u32::from(*key > gone);
                }
            }
        });
    }

    fn fault(&mut self, index: usize) {
        for time in [round, |_| 0] {
            self.attempt(|plan| plan.faults[index].at = time(plan.faults[index].at));
            self.attempt(|plan| {
                if let Some(lasts) = plan.faults[index].kind.lasts() {
                    *lasts = time(*lasts);
                }
            });
        }
    }

    fn call(&mut self, index: usize) {
        let mut set = |change: &dyn Fn(&mut CallPlan)| {
            self.attempt(|plan| change(&mut plan.calls[index]));
        };
        set(&|call| call.cancel = None);
        set(&|call| call.max_age = None);
        set(&|call| call.fill_timeout = None);
        set(&|call| call.predicate = Predicate::None);
        set(&|call| call.malformed_as_absent = false);
        set(&|call| call.on_unavailable = OnUnavailable::RunLocal);
        set(&|call| call.on_fenced = OnFenced::Ride);
        set(&|call| call.on_abort = OnAbort::Share);
        set(&|call| call.fills.truncate(1));
        set(&|call| call.at = 0);
        set(&|call| call.at /= 2);
        set(&|call| call.at = round(call.at));
        set(&|call| call.wait = call.ttl + 5_000 * MS);
        set(&|call| call.wait = round(call.wait));
        set(&|call| call.ttl = round(call.ttl));
        set(&|call| call.store_timeout = round(call.store_timeout));
        set(&|call| call.max_backoff = 250 * MS);
        set(&|call| call.max_backoff = round(call.max_backoff));
        set(&|call| call.cancel = call.cancel.map(round));
        for fill in 0..self.best.calls[index].fills.len() {
            let mut set = |takes: fn(Nanos) -> Nanos| {
                self.attempt(|plan| {
                    let fill = &mut plan.calls[index].fills[fill];
                    fill.takes = takes(fill.takes);
                });
            };
            set(|_| 0);
            set(|_| 10 * MS);
            set(|takes| takes / 2);
            set(round);
            self.attempt(|plan| plan.calls[index].fills[fill].garbled = false);
            self.attempt(|plan| plan.calls[index].fills[fill].heeds = false);
        }
    }

    /// Lets what happens nearly at once happen at once.
    fn moments(&mut self) {
        let mut moments: Vec<Nanos> = self.best.calls.iter().map(|call| call.at).collect();
        moments.extend(self.best.faults.iter().map(|fault| fault.at));
        moments.sort_unstable();
        for index in 0..self.best.calls.len() {
            let at = self.best.calls[index].at;
            if let Some(before) = moments.iter().rfind(|moment| **moment < at) {
                let before = *before;
                self.attempt(|plan| plan.calls[index].at = before);
            }
        }
    }

    /// Writes the schedule down, then makes each message fare as well as it may.
    pub(super) fn messages(&mut self) {
        let plain = self.best.net.odds == Odds::default() && self.best.net.spread == 0;
        if self.best.fates.is_none() && plain {
            return;
        }
        if self.best.fates.is_none() {
            let (_, _, run) = trace(&self.best, self.bug);
            self.attempt(|plan| {
                plan.fates = run.fates.clone();
                plan.net.odds = Odds::default();
            });
        }
        let usual = usual(&self.best.net);
        let end = Fate {
            takes: usual,
            mishap: Mishap::None,
        };
        let count = self.best.fates.as_ref().map_or(0, Vec::len);
        let mut size = count;
        while size > 0 {
            for from in (0..count).step_by(size) {
                self.attempt(|plan| {
                    for fate in plan.fates.iter_mut().flatten().skip(from).take(size) {
                        *fate = end;
                    }
                });
            }
            size /= 2;
        }
        for index in 0..count {
            self.attempt(|plan| {
                if let Some(fate) = plan.fates.iter_mut().flatten().nth(index) {
                    fate.takes = usual;
                }
            });
            self.attempt(|plan| {
                if let Some(fate) = plan.fates.iter_mut().flatten().nth(index) {
                    fate.takes = round(fate.takes);
                    if let Mishap::Again { after } = &mut fate.mishap {
                        *after = round(*after);
                    }
                }
            });
        }
        self.attempt(|plan| {
            if let Some(fates) = &mut plan.fates {
                let needed = fates.iter().rposition(|fate| *fate != end);
                fates.truncate(needed.map_or(0, |last| last + 1));
            }
        });
    }
}

fn without_process(plan: &mut Plan, gone: u32) {
    plan.clocks.remove(gone as usize);
    for call in &mut plan.calls {
        call.slot -= u32::from(call.slot > gone);
    }
    plan.faults
        .retain_mut(|fault| fault.kind.slot().is_none_or(|slot| *slot != gone));
    for fault in &mut plan.faults {
        if let Some(slot) = fault.kind.slot() {
            *slot -= u32::from(*slot > gone);
        }
    }
    plan.broken.retain(|slot| *slot != gone);
    for slot in &mut plan.broken {
        *slot -= u32::from(*slot > gone);
    }
}

/// How long a message takes whose fate is not written down.
fn usual(net: &Net) -> Nanos {
    net.least + net.spread / 2
}

/// To one digit.
fn round(time: Nanos) -> Nanos {
    let mut unit = 1;
    while time / unit >= 10 {
        unit *= 10;
    }
    time / unit * unit
}
