//! What happened, in words for people.

use oneflight_core::{Command, Event, Judgement, Notice, Order, Outcome, Revision, Verdict};

use super::times::time;
use crate::trace::{Answer, Fault, Key, Name, Names, Nanos, Request, What};

/// A key as people know it.
pub(super) fn key(names: &Names, key: Key) -> String {
    match names.name(key) {
        Some(Name::Key(name)) => name.clone(),
        Some(Name::Locked { key, lock }) => format!("{key} (lock {lock})"),
        None => format!("k{}", key.0),
    }
}

fn seen(revision: Revision) -> String {
    match revision.get() {
        0 => "nothing".to_owned(),
        u64::MAX => "everything there could be".to_owned(),
        number => format!("r{number}"),
    }
}

/// What is asked of the store.
pub(super) fn request(request: &Request) -> String {
    match request {
        Request::Claim {
            seen: known, ttl, ..
        } => {
            format!("claim, having seen {}, for {}", seen(*known), time(*ttl))
        }
        Request::Renew { token, .. } => format!("renew token {token}"),
        Request::Publish { token, .. } => format!("publish under token {token}"),
        Request::Release { token } => format!("release token {token}"),
        Request::Put { seen: known, .. } => {
            format!("put without a lease, having seen {}", seen(*known))
        }
        Request::Read => "read".to_owned(),
        Request::Forget => "forget".to_owned(),
    }
}

/// The request in one word.
pub(super) fn verb(request: &Request) -> &'static str {
    match request {
        Request::Claim { .. } => "claim",
        Request::Renew { .. } => "renew",
        Request::Publish { .. } => "publish",
        Request::Release { .. } => "release",
        Request::Put { .. } => "put",
        Request::Read => "read",
        Request::Forget => "forget",
    }
}

/// What the store answers.
pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Granted { token, .. } => format!("granted token {token}"),
        Answer::Held { token, .. } => format!("held under token {token}"),
        Answer::Newer { revision, .. } => format!("newer r{revision}"),
        Answer::Renewed => "renewed".to_owned(),
        Answer::Lost => "lost".to_owned(),
        Answer::Published { revision } => format!("published r{revision}"),
        Answer::Fenced => "fenced".to_owned(),
        Answer::Released { freed: true } => "released".to_owned(),
        Answer::Released { freed: false } => "released before".to_owned(),
        Answer::Written { revision } => format!("written r{revision}"),
        Answer::Kept { revision } => format!("kept r{revision}"),
        Answer::State { revision, .. } => format!("state r{revision}"),
        Answer::Refused => "refused".to_owned(),
        Answer::Malformed => "malformed".to_owned(),
        Answer::Unavailable => "unavailable".to_owned(),
    }
}

/// What has gone wrong.
pub(super) const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::RequestLost => "request lost",
        Fault::AnswerLost => "answer lost",
        Fault::Delayed => "message late",
        Fault::Duplicated => "request repeated",
        Fault::CutUp => "cut off: nothing goes to the store",
        Fault::CutDown => "cut off: nothing comes from the store",
        Fault::Crashed => "crashed",
        Fault::Paused => "paused",
        Fault::StoreSlow => "store slow",
        Fault::StoreRestarted => "store restarted",
        Fault::WritesForgotten => "store forgot its last writes",
        Fault::TokensForgotten => "store set its tokens back",
        Fault::LockEvicted => "lock evicted",
        Fault::ClockJumped => "store's clock jumped",
        Fault::PushLost => "push lost",
        Fault::PushLate => "push late",
        Fault::WatchEnded => "watch ended",
        Fault::Cancelled => "caller cancelled",
        Fault::FillFailed => "fill failed",
        Fault::Forgotten => "forgets a key",
        Fault::Garbled => "fill returns what does not decode",
        Fault::Denied => "request denied",
        _ => "fault",
    }
}

/// How a call ended.
pub(super) fn outcome(outcome: Outcome) -> String {
    let value = |name: &str, revision: Option<Revision>| match revision {
        Some(revision) => format!("{name} r{revision}"),
        None => format!("{name} alone"),
    };
    match outcome {
        Outcome::Cached {
            revision,
            stale: false,
        } => format!("cached r{revision}"),
        Outcome::Cached {
            revision,
            stale: true,
        } => format!("stale r{revision}"),
        Outcome::Computed { revision } => value("computed", revision),
        Outcome::Awaited { revision } => value("awaited", revision),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Panicked => "panicked".to_owned(),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Fenced => "fenced".to_owned(),
        Outcome::Unavailable => "unavailable".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Malformed => "malformed".to_owned(),
        Outcome::Unpublished { .. } | _ => "unpublished".to_owned(),
    }
}

fn verdict(verdict: Verdict) -> String {
    let judgement = match verdict.judgement {
        Judgement::Absent => "absent",
        Judgement::Stale => "not fresh",
        Judgement::Fresh => "fresh",
        Judgement::Malformed | _ => "malformed",
    };
    match verdict.revision.get() {
        0 => judgement.to_owned(),
        revision => format!("r{revision} {judgement}"),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::LeaseGranted {
            token, generation, ..
        } => {
            format!(
                "the lease is granted: token {token}, after {}",
                seen(*generation)
            )
        }
        Event::Held {
            token, remaining, ..
        } => {
            let whose = token.map_or_else(String::new, |token| format!(" under token {token}"));
            let left = remaining.map_or_else(String::new, |left| {
                format!(", {} left", time(left.as_nanos() as Nanos))
            });
            format!("the lock is held{whose}{left}")
        }
        Event::LockReleased => "the watch tells: the lock is free".to_owned(),
        Event::LockHeld { remaining } => {
            let left = remaining.map_or_else(String::new, |left| {
                format!(", {} left", time(left.as_nanos() as Nanos))
            });
            format!("the watch tells: the lock is held{left}")
        }
        Event::WatchLost => "the watch is lost".to_owned(),
        Event::WatchRefused => "the watch is refused".to_owned(),
        Event::Renewed { .. } => "the lease is renewed".to_owned(),
        Event::LeaseLost { .. } => "the lease is lost".to_owned(),
        Event::FillDone { result, .. } => {
            format!("the fill is done: {}", format!("{result:?}").to_lowercase())
        }
        Event::Published { revision, .. } => format!("published as r{revision}"),
        Event::Fenced { .. } => "fenced: the publish was not accepted".to_owned(),
        Event::Released { .. } => "released".to_owned(),
        Event::Unavailable { .. } => "no answer: the store is unavailable".to_owned(),
        Event::Refused { .. } => "the store refuses".to_owned(),
        Event::Malformed { .. } => "what the store holds is malformed".to_owned(),
        other => format!("{other:?}"),
    }
}

fn notice(notice: &Notice<Key>) -> String {
    match notice {
        Notice::Boarded {
            passenger, known, ..
        } => {
            format!("call {} boards, knowing {}", passenger.0, verdict(*known))
        }
        Notice::Answered { event: it, .. } => event(it),
        Notice::Arrived {
            attempt, arrival, ..
        } => {
            let what = if arrival.value { "" } else { ", forgotten" };
            let from = attempt.map_or("the watch", |_| "the claim");
            format!("{from} brings r{}{what}", arrival.revision)
        }
        Notice::Judged {
            passenger,
            verdict: it,
            ..
        } => {
            format!("call {} judges {}", passenger.0, verdict(*it))
        }
        Notice::Left { passenger, .. } => format!("call {} gives its seat back", passenger.0),
        Notice::Tick | _ => "time has passed".to_owned(),
    }
}

fn order(order: &Order<Key>) -> String {
    match order {
        Order::Command { command, .. } => match command {
            Command::Claim { seen: known, .. } => format!("claim, having seen {}", seen(*known)),
            Command::Watch => "watch".to_owned(),
            Command::Unwatch => "stop watching".to_owned(),
            Command::Renew { token, .. } => format!("renew token {token}"),
            Command::Publish { token, .. } => format!("publish under token {token}"),
            Command::Put { seen: known } => format!("put, having seen {}", seen(*known)),
            Command::Release { token, .. } => format!("release token {token}"),
            Command::WarnLeaseLost { warning, .. } => {
                format!("warn the fill: {}", format!("{warning:?}").to_lowercase())
            }
            Command::Fill { .. } => "fill".to_owned(),
            Command::Land(it) => format!("land {}", outcome(*it)),
        },
        Order::Judge {
            passenger,
            revision,
            ..
        } => {
            format!("let call {} judge r{revision}", passenger.0)
        }
        Order::Fill {
            passenger, lease, ..
        } => match lease {
            Some(lease) => format!("let call {} fill under token {}", passenger.0, lease.token),
            None => format!("let call {} fill without a lease", passenger.0),
        },
        Order::Land {
            passenger,
            outcome: it,
            ..
        } => {
            format!("land call {}: {}", passenger.0, outcome(*it))
        }
        Order::Retired { .. } => "the flight is over".to_owned(),
    }
}

/// What happened, in a line.
pub(super) fn what(what: &What<Key>) -> String {
    match what {
        What::Up { name, .. } => format!("{name} is up"),
        What::Down { crashed: true } => "killed".to_owned(),
        What::Down { crashed: false } => "closed".to_owned(),
        What::Told {
            notice: it, orders, ..
        } => {
            let orders: Vec<String> = orders.iter().map(order).collect();
            let then = if orders.is_empty() { "" } else { " → " };
            format!("{}{then}{}", notice(it), orders.join("; "))
        }
        What::Began { passenger, .. } => format!("call {} begins", passenger.0),
        What::Landed {
            passenger,
            outcome: it,
            local,
            ..
        } => {
            let copy = if *local { ", from the local copy" } else { "" };
            format!("call {} lands: {}{copy}", passenger.0, outcome(*it))
        }
        What::Left { passenger, .. } => format!("the caller of call {} is gone", passenger.0),
        What::FillBegan {
            passenger, token, ..
        } => match token {
            Some(token) => format!("call {} fills under token {token}", passenger.0),
            None => format!("call {} fills without a lease", passenger.0),
        },
        What::FillEnded {
            passenger, result, ..
        } => format!(
            "the fill of call {} ends: {}",
            passenger.0,
            format!("{result:?}").to_lowercase()
        ),
        What::Sent { request: it, .. } => format!("asks: {}", request(it)),
        What::Committed {
            from,
            request: it,
            answer: back,
            again,
            ..
        } => {
            let again = if *again { " again" } else { "" };
            format!(
                "node {from} asks{again}: {} → {}",
                request(it),
                answer(back)
            )
        }
        What::Answered { answer: it, .. } => format!("is answered: {}", answer(it)),
        What::WatchOpened { watcher, .. } => format!("node {watcher} watches"),
        What::WatchClosed { watcher, .. } => format!("node {watcher} watches no more"),
        What::Changes { connected: true } => "hears of changes".to_owned(),
        What::Changes { connected: false } => "does not hear of changes".to_owned(),
        What::Fault { fault: it, until } => match until {
            &Nanos::MAX => fault(*it).to_owned(),
            until => format!("{} (felt until {})", fault(*it), time(*until)),
        },
        What::Healed { broken } if broken.is_empty() => "the world heals".to_owned(),
        What::Healed { broken } => format!("the world heals, but for nodes {broken:?}"),
        What::Ended { pending } if pending.is_empty() => "the run is over".to_owned(),
        What::Ended { pending } => format!("the run is over, pending: {}", pending.join("; ")),
    }
}

/// The key a record is about.
pub(super) fn about(what: &What<Key>) -> Option<Key> {
    match what {
        What::Began { key, .. }
        | What::Landed { key, .. }
        | What::Left { key, .. }
        | What::FillBegan { key, .. }
        | What::FillEnded { key, .. }
        | What::Sent { key, .. }
        | What::Committed { key, .. }
        | What::WatchOpened { key, .. }
        | What::WatchClosed { key, .. } => Some(*key),
        What::Told { notice, .. } => match notice {
            Notice::Boarded { key, .. } | Notice::Judged { key, .. } | Notice::Left { key, .. } => {
                Some(*key)
            }
            Notice::Answered { flight, .. } | Notice::Arrived { flight, .. } => Some(flight.key),
            Notice::Tick | _ => None,
        },
        What::Up { .. }
        | What::Down { .. }
        | What::Answered { .. }
        | What::Changes { .. }
        | What::Fault { .. }
        | What::Healed { .. }
        | What::Ended { .. } => None,
    }
}
