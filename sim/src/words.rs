//! A plan in words: what was drawn for a run.

use std::fmt::Write;

use crate::plan::{Plan, Predicate, Trouble};
use crate::trace::Nanos;

/// What was drawn, a line for each matter.
#[must_use]
pub fn words(plan: &Plan) -> String {
    let mut out = String::new();
    for (what, said) in [
        ("world", world(plan)),
        ("network", network(plan)),
        ("store", store(plan)),
        ("clocks", clocks(plan)),
        ("calls", calls(plan)),
        ("fills", fills(plan)),
    ] {
        // INVARIANT: writing to a string does not fail.
        let _infallible = writeln!(out, "{what:<9} {said}");
    }
    let mut faults = plan.faults.clone();
    faults.sort_by_key(|fault| fault.at);
    for fault in &faults {
        let _infallible = writeln!(
            out,
            "{:<9} {}: {}",
            "fault",
            time(fault.at),
            trouble(fault.kind)
        );
    }
    out
}

fn world(plan: &Plan) -> String {
    let broken = if plan.broken.is_empty() {
        String::new()
    } else {
        format!(
            ", but for the processes {:?}, cut off for good",
            one_up(&plan.broken)
        )
    };
    format!(
        "{} processes, {} keys, local copies {}; it heals at {}{broken}",
        plan.clocks.len(),
        plan.keys,
        if plan.copies { "on" } else { "off" },
        time(plan.heal_at)
    )
}

fn one_up(slots: &[u32]) -> Vec<u32> {
    slots.iter().map(|slot| slot + 1).collect()
}

fn network(plan: &Plan) -> String {
    let net = &plan.net;
    let mut said = format!(
        "{} to {} a message; a process gives a request up after {}",
        time(net.least),
        time(net.least + net.spread),
        time(plan.request_timeout)
    );
    let odds = net.odds;
    let late = format!("late by up to {}", time(net.late));
    let twice = format!("twice within {}", time(net.replay));
    for (count, what) in [
        (odds.request_lost, "requests lost"),
        (odds.request_late, &format!("requests {late}")),
        (odds.request_twice, &format!("requests carried out {twice}")),
        (odds.denied, "requests not permitted"),
        (odds.answer_lost, "answers lost"),
        (odds.answer_late, &format!("answers {late}")),
        (odds.answer_twice, &format!("answers {twice}")),
        (odds.push_lost, "pushes lost in silence"),
        (odds.push_late, "pushes late"),
        (odds.push_twice, "pushes twice"),
        (odds.push_gap, "pushes replaced by a new snapshot"),
        (odds.watch_ended, "pushes lost with their watch"),
    ] {
        if count > 0 {
            let share = f64::from(count) / 655.36;
            let _infallible = write!(said, "; {share:.1} % of {what}");
        }
    }
    if plan.fates.is_some() {
        said += "; what becomes of each message is written down";
    }
    said
}

fn store(plan: &Plan) -> String {
    let profile = plan.store.profile;
    let mut said = format!("takes {}", time(plan.store.work));
    for (on, what) in [
        (
            !profile.atomic_claim,
            "it leases, then reads; it publishes, then releases",
        ),
        (
            !profile.lapsed_holder_may_publish,
            "it refuses the holder of a lapsed lease",
        ),
        (
            profile.may_forget_writes,
            "a fail-over may forget its last writes",
        ),
        (
            profile.may_forget_tokens,
            "a fail-over may set its counter back",
        ),
        (profile.may_evict_locks, "it may evict locks"),
    ] {
        if on {
            let _infallible = write!(said, "; {what}");
        }
    }
    let weak = profile.may_forget_writes || profile.may_forget_tokens || profile.may_evict_locks;
    said += if weak {
        "; judged by the whole contract until it forgets, and by what is left of it then"
    } else if profile.atomic_claim {
        "; judged by the whole contract"
    } else {
        "; judged by the contract of such a composite store"
    };
    said
}

fn clocks(plan: &Plan) -> String {
    let clocks = plan.clocks.iter();
    let said: Vec<String> = clocks
        .map(|ppm| format!("{:+.2} %", f64::from(*ppm) / 1e4))
        .collect();
    said.join(", ")
}

fn calls(plan: &Plan) -> String {
    let calls = &plan.calls;
    let mut said = format!("{}", calls.len());
    if let (Some(first), Some(last)) = (
        calls.iter().map(|call| call.at).min(),
        calls.iter().map(|call| call.at).max(),
    ) {
        let _infallible = write!(said, " from {} to {}", time(first), time(last));
    }
    if let Some(call) = calls.first() {
        let (ttl, timeout) = (time(call.ttl), time(call.store_timeout));
        let _infallible = write!(said, "; leases of {ttl}, the store may take {timeout}");
    }
    let count = |what: &dyn Fn(&&crate::plan::CallPlan) -> bool| calls.iter().filter(what).count();
    for (number, what) in [
        (count(&|call| call.wait == 0), "never wait"),
        (count(&|call| call.max_age.is_some()), "want a young value"),
        (
            count(&|call| call.predicate == Predicate::Refuses),
            "refuse every value",
        ),
        (
            count(&|call| call.predicate == Predicate::Panics),
            "panic when they judge",
        ),
        (count(&|call| call.cancel.is_some()), "are cancelled"),
        (
            count(&|call| call.fill_timeout.is_some()),
            "limit their fills",
        ),
    ] {
        if number > 0 {
            let _infallible = write!(said, "; {number} {what}");
        }
    }
    said
}

fn fills(plan: &Plan) -> String {
    use oneflight_core::FillResult;
    let fills = plan.calls.iter().flat_map(|call| &call.fills);
    let longest = fills.clone().map(|fill| fill.takes).max().unwrap_or(0);
    let count = |what: &dyn Fn(&&crate::plan::FillPlan) -> bool| fills.clone().filter(what).count();
    let mut said = format!("{}, up to {}", count(&|_| true), time(longest));
    for (number, what) in [
        (count(&|fill| fill.takes == 0), "take no time"),
        (count(&|fill| fill.result == FillResult::Error), "fail"),
        (count(&|fill| fill.result == FillResult::Panic), "panic"),
        (count(&|fill| fill.garbled), "return what does not decode"),
    ] {
        if number > 0 {
            let _infallible = write!(said, "; {number} {what}");
        }
    }
    said
}

fn trouble(trouble: Trouble) -> String {
    match trouble {
        Trouble::Crash { slot, restart } => {
            let then = restart.map_or_else(
                || "for good".to_owned(),
                |after| format!("and a new one takes its place {} later", time(after)),
            );
            format!("process {} is killed, {then}", slot + 1)
        }
        Trouble::Pause { slot, lasts } => {
            format!("process {} stands still for {}", slot + 1, time(lasts))
        }
        Trouble::Cut {
            slot,
            up,
            down,
            lasts,
        } => {
            let ways = match (up, down) {
                (true, true) => "both ways",
                (true, false) => "to the store only",
                (false, _) => "from the store only",
            };
            format!(
                "process {} is cut off, {ways}, for {}",
                slot + 1,
                time(lasts)
            )
        }
        Trouble::Slow { extra, lasts } => {
            format!("the store takes {} longer for {}", time(extra), time(lasts))
        }
        Trouble::Restart => "the store is restarted and keeps all it knew".to_owned(),
        Trouble::FailOver { writes, tokens } => {
            let counter = if tokens {
                ", and sets its counter back"
            } else {
                ""
            };
            format!(
                "the store fails over and forgets the last {}{counter}",
                time(writes)
            )
        }
        Trouble::Evict { key } => format!("the lock of k{key} is evicted"),
        Trouble::Jump { by } => format!("the store's clock jumps ahead by {}", time(by)),
        Trouble::Forget { slot, key } => format!("process {} forgets k{key}", slot + 1),
        Trouble::EndWatches { slot } => format!("the watches of process {} end", slot + 1),
    }
}

fn time(nanos: Nanos) -> String {
    let seconds = nanos as f64 / 1e9;
    match nanos {
        0..1_000_000 => format!("{:.0} us", seconds * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
