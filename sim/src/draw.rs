//! Plans, drawn from seeds: half swarm, a quarter with everything on, a quarter with nothing.

use oneflight_core::{FillResult, OnAbort, OnFenced, OnUnavailable};

use crate::fates::Dice;
use crate::plan::{
    CallPlan, FaultPlan, FillPlan, MS, Net, Odds, Plan, Predicate, StorePlan, Trouble,
};
use crate::trace::{Nanos, StoreProfile};

/// What kind of runs are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Half swarm, a quarter chaos, a quarter calm.
    Swarm,
    /// Nothing goes wrong.
    Calm,
    /// Everything goes wrong.
    Chaos,
}

/// Which faults are on.
struct Mix<'a> {
    dice: &'a mut Dice,
    /// Of 16: 0 none, 16 all.
    share: u64,
}

impl Mix<'_> {
    fn on(&mut self) -> bool {
        self.dice.below(16) < self.share
    }

    /// Odds of a mishap in 65536, if it is on.
    fn odds(&mut self, most: u64) -> u32 {
        if self.on() {
            self.dice.magnitude(64, most) as u32
        } else {
            0
        }
    }
}

/// The plan of a seed.
#[must_use]
pub fn draw(seed: u64, profile: Profile, nodes: Option<u32>) -> Plan {
    let mut dice = Dice::new(seed);
    let (name, share) = match (profile, dice.below(4)) {
        (Profile::Calm, _) | (Profile::Swarm, 0) => ("calm", 0),
        (Profile::Chaos, _) | (Profile::Swarm, 1) => ("chaos", 16),
        // From one or two faults to half of all: what masks one another is seen apart, too.
        (Profile::Swarm, _) => ("swarm", 1 << dice.below(4)),
    };
    let dice = &mut dice;
    // A message is lost now and then while fills outlive their leases, and nothing else is wrong: what
    // one loss does shows only where nothing else excuses it.
    let lossy = share == 1 && dice.half();
    let share = if lossy { 0 } else { share };
    let small = dice.once_in(4);
    let (most_nodes, most_keys) = if small { (3, 2) } else { (6, 4) };
    let nodes = nodes.unwrap_or_else(|| dice.between(1, most_nodes) as u32);
    let nodes = nodes.max(1);
    let keys = dice.between(1, most_keys) as u32;
    let count = if small {
        dice.between(2, 6)
    } else {
        dice.between(6, 44)
    };
    let least = dice.magnitude(MS / 20, 5 * MS);
    let spread = dice.magnitude(MS / 100, 10 * MS);
    let ttl = dice.magnitude(40 * MS, 30_000 * MS);
    let store_timeout = dice
        .magnitude(60 * MS, 5_000 * MS)
        .max(6 * (least + spread));
    let length = dice.magnitude(20 * MS, 3 * ttl);
    let mix = &mut Mix { dice, share };
    let mut odds = Odds {
        request_lost: mix.odds(16_000),
        request_late: mix.odds(16_000),
        request_twice: mix.odds(16_000),
        denied: mix.odds(1_000),
        answer_lost: mix.odds(16_000),
        answer_late: mix.odds(16_000),
        answer_twice: mix.odds(16_000),
        push_lost: mix.odds(32_000),
        push_late: mix.odds(16_000),
        push_twice: mix.odds(16_000),
        push_gap: mix.odds(16_000),
        watch_ended: mix.odds(16_000),
    };
    if lossy {
        odds.request_lost = mix.dice.magnitude(500, 4_000) as u32;
        odds.answer_lost = mix.dice.magnitude(500, 4_000) as u32;
    }
    let store = draw_store(mix, least);
    let drift = mix.on();
    let clocks = (0..nodes)
        .map(|_| {
            if drift {
                mix.dice.between(0, 100_000) as i32 - 50_000
            } else {
                0
            }
        })
        .collect();
    let base = Base {
        nodes,
        keys,
        ttl,
        store_timeout,
        length,
        lossy,
    };
    let calls = draw_calls(mix, &base, count);
    let faults = draw_faults(mix, &base, &calls, &store.profile);
    let dice = &mut *mix.dice;
    Plan {
        seed,
        profile: name.to_owned(),
        clocks,
        keys,
        net: Net {
            least,
            spread,
            late: dice.magnitude(10 * MS, 2 * store_timeout + ttl),
            replay: dice.magnitude(MS, 2 * ttl),
            odds,
        },
        store,
        copies: dice.half(),
        request_timeout: store_timeout.saturating_mul(dice.between(1, 3)),
        calls,
        faults,
        heal_at: length,
        broken: (0..nodes)
            .filter(|_| share > 0 && dice.once_in(8))
            .collect(),
        fates: None,
    }
}

struct Base {
    nodes: u32,
    keys: u32,
    ttl: Nanos,
    store_timeout: Nanos,
    length: Nanos,
    lossy: bool,
}

fn draw_store(mix: &mut Mix<'_>, work: Nanos) -> StorePlan {
    let composite = mix.dice.once_in(6);
    let weak = mix.share > 0 && mix.dice.once_in(8);
    let profile = StoreProfile {
        atomic_claim: !composite,
        atomic_publish: !composite,
        lapsed_holder_may_publish: mix.dice.half(),
        may_forget_writes: weak && mix.dice.half(),
        may_forget_tokens: weak && mix.dice.half(),
        may_evict_locks: weak && mix.dice.half(),
        ..StoreProfile::STRICT
    };
    let work = mix.dice.below(work) / 4;
    StorePlan { profile, work }
}

fn draw_calls(mix: &mut Mix<'_>, base: &Base, count: u64) -> Vec<CallPlan> {
    let (aborts, panics) = (mix.on(), mix.on());
    let (garbles, cancels, overdue) = (mix.on(), mix.on(), mix.on());
    // All callers of a process are cancelled at one moment.
    let storm = mix.on().then(|| {
        let slot = mix.dice.below(u64::from(base.nodes)) as u32;
        (slot, mix.dice.below(base.length + 1))
    });
    let long = base.lossy || mix.dice.once_in(3);
    let odd_predicates = mix.share > 0 && mix.dice.once_in(3);
    let aging = mix.dice.once_in(3);
    let takes = mix.dice.magnitude(MS / 10, base.ttl);
    let ages = mix.dice.magnitude(MS, base.length);
    let burst = mix.dice.half();
    let mut at = 0;
    let mut calls = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let dice = &mut *mix.dice;
        at = match (burst, dice.below(4)) {
            (true, 1..) => at + dice.below(base.ttl / 64 + 2),
            _ => dice.below(base.length + base.length / 2),
        };
        let fills = (0..dice.between(1, 3))
            .map(|_| FillPlan {
                takes: match dice.below(8) {
                    0 => 0,
                    1 | 2 if long => dice.below(8 * base.ttl),
                    3..=5 if base.lossy => dice.below(8 * base.ttl),
                    _ => dice.below(takes) + 1,
                },
                result: match dice.below(8) {
                    0 | 1 if aborts => FillResult::Error,
                    2 if panics => FillResult::Panic,
                    _ => FillResult::Value,
                },
                garbled: garbles && dice.once_in(6),
                heeds: dice.half(),
            })
            .collect();
        let slot = dice.below(u64::from(base.nodes)) as u32;
        let cancel = (cancels && dice.once_in(4)).then(|| dice.magnitude(1000, 2 * base.ttl));
        let storm = storm.filter(|storm| storm.0 == slot && storm.1 > at);
        calls.push(CallPlan {
            at,
            slot,
            key: dice.below(u64::from(base.keys)) as u32,
            wake: dice.magnitude(1000, MS),
            ttl: base.ttl,
            wait: match dice.below(16) {
                0 => 0,
                1..=3 => dice.magnitude(MS, base.ttl),
                _ => base.ttl + dice.below(base.ttl) + base.store_timeout,
            },
            store_timeout: base.store_timeout,
            fill_timeout: (overdue && dice.half()).then(|| 1 + dice.below(2 * base.ttl)),
            max_backoff: (base.ttl / 120).clamp(2 * MS, 250 * MS),
            on_unavailable: pick(dice, OnUnavailable::RunLocal, OnUnavailable::Error),
            on_fenced: pick(dice, OnFenced::Ride, OnFenced::Error),
            on_abort: pick(dice, OnAbort::Share, OnAbort::Promote),
            max_age: (aging && dice.half()).then(|| dice.below(ages)),
            predicate: match dice.below(12) {
                0 if odd_predicates => Predicate::Refuses,
                1 if odd_predicates => Predicate::Panics,
                _ => Predicate::None,
            },
            malformed_as_absent: dice.half(),
            cancel: storm.map(|(_, moment)| moment - at).or(cancel),
            fills,
        });
    }
    calls
}

fn pick<T>(dice: &mut Dice, usual: T, rare: T) -> T {
    if dice.once_in(4) { rare } else { usual }
}

fn draw_faults(
    mix: &mut Mix<'_>,
    base: &Base,
    calls: &[CallPlan],
    store: &StoreProfile,
) -> Vec<FaultPlan> {
    let mut faults = Vec::new();
    let at = |mix: &mut Mix<'_>| {
        let any = mix.dice.below(base.length + 1);
        let call = mix.dice.below(2 * calls.len() as u64) as usize;
        // Half of them while a call is under way, at whichever step.
        calls.get(call).map_or(any, |call| {
            call.at + mix.dice.magnitude(MS / 100, 2 * base.ttl)
        })
    };
    let slot = |mix: &mut Mix<'_>| mix.dice.below(u64::from(base.nodes)) as u32;
    let key = |mix: &mut Mix<'_>| mix.dice.below(u64::from(base.keys)) as u32;
    let mut add = |mix: &mut Mix<'_>, most: u64, make: &mut dyn FnMut(&mut Mix<'_>) -> Trouble| {
        if mix.on() {
            for _ in 0..mix.dice.between(1, most) {
                let kind = make(mix);
                faults.push(FaultPlan { at: at(mix), kind });
            }
        }
    };
    add(mix, 3, &mut |mix| Trouble::Crash {
        slot: slot(mix),
        restart: (!mix.dice.once_in(4)).then(|| mix.dice.below(base.ttl)),
    });
    add(mix, 3, &mut |mix| Trouble::Pause {
        slot: slot(mix),
        lasts: mix.dice.magnitude(MS, 3 * base.ttl),
    });
    add(mix, 3, &mut |mix| {
        let ways = mix.dice.between(1, 3);
        Trouble::Cut {
            slot: slot(mix),
            up: ways & 1 > 0,
            down: ways & 2 > 0,
            lasts: mix.dice.magnitude(MS, 2 * base.ttl + base.store_timeout),
        }
    });
    add(mix, 2, &mut |mix| Trouble::Slow {
        extra: mix.dice.magnitude(MS, 2 * base.store_timeout),
        lasts: mix.dice.magnitude(MS, base.length),
    });
    add(mix, 1, &mut |_| Trouble::Restart);
    add(mix, 4, &mut |mix| Trouble::Forget {
        slot: slot(mix),
        key: key(mix),
    });
    add(mix, 3, &mut |mix| Trouble::EndWatches { slot: slot(mix) });
    if store.may_forget_writes || store.may_forget_tokens {
        add(mix, 1, &mut |mix| Trouble::FailOver {
            writes: if store.may_forget_writes {
                mix.dice.below(base.ttl)
            } else {
                0
            },
            tokens: store.may_forget_tokens,
        });
    }
    if store.may_evict_locks {
        add(mix, 2, &mut |mix| Trouble::Evict { key: key(mix) });
    }
    faults
}
