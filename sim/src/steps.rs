//! A run told as a person would: numbered steps, and what follows from each at once.
//!
//! A *step* is something that somebody does, or that happens to somebody: a call begins or is
//! cancelled, the store carries a request out, an answer or a push is delivered, a timer fires, a fill
//! ends, something goes wrong. What a process does at once because of a step (it sends a request, a
//! caller judges or lands, its fill begins) is told under that step, and not counted.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is no step is of many kinds"
)]

use oneflight_core::{Event, Notice};

use crate::trace::{Answer, Fault, Key, Line, Nanos, Record, Request, What};

/// Whether a record is a step.
#[must_use]
pub fn is_step(what: &What<Key>) -> bool {
    match what {
        What::Began { .. } | What::Left { .. } | What::FillEnded { .. } => true,
        What::Committed { .. } | What::WatchOpened { .. } | What::Healed { .. } => true,
        What::Told { notice, orders, .. } => match notice {
            Notice::Tick => !orders.is_empty(),
            Notice::Arrived { .. } => true,
            Notice::Answered { event, .. } => !matches!(event, Event::FillDone { .. }),
            _ => false,
        },
        // These say why a step that is counted anyway went as it did.
        What::Fault { fault, .. } => !matches!(
            fault,
            Fault::Cancelled | Fault::FillFailed | Fault::Garbled | Fault::Forgotten
        ),
        _ => false,
    }
}

/// The lines of a trace in words, up to a moment.
#[must_use]
pub fn story(lines: &[Line<Key>], until: Nanos) -> Vec<String> {
    let mut count = 0;
    let records = lines.iter().filter_map(|line| match line {
        Line::Record(record) if record.at <= until => Some(record),
        Line::Record(_) | Line::Header(_) => None,
    });
    let mut told = Vec::new();
    for record in records {
        let Some(words) = words(record) else { continue };
        let at = record.at as f64 / 1e6;
        if is_step(&record.what) {
            count += 1;
            told.push(format!("{count:>3}. {at:>10.3} ms  {words}"));
        } else {
            told.push(format!("                      {words}"));
        }
    }
    told
}

fn words(record: &Record<Key>) -> Option<String> {
    let node = record.node;
    let here = format!("node {node}");
    Some(match &record.what {
        What::Began { key, passenger, .. } => {
            format!("{here}: call {} for k{} begins", passenger.0, key.0)
        }
        What::Left { passenger, .. } => format!("{here}: call {} is cancelled", passenger.0),
        What::Landed {
            passenger, outcome, ..
        } => format!("{here}: call {} lands {outcome:?}", passenger.0),
        What::FillBegan {
            passenger, token, ..
        } => {
            let lease = token.map_or_else(
                || "without a lease".to_owned(),
                |token| format!("under token {token}"),
            );
            format!("{here}: call {} fills {lease}", passenger.0)
        }
        What::FillEnded {
            passenger, result, ..
        } => {
            format!("{here}: the fill of call {} ends: {result:?}", passenger.0)
        }
        What::Sent { request, .. } => format!("{here}: asks to {}", asked(request)),
        What::Committed {
            from,
            request,
            answer,
            again,
            ..
        } => {
            let again = if *again { ", again" } else { "" };
            format!(
                "store: node {from} asks to {}{again}: {}",
                asked(request),
                answered(answer)
            )
        }
        What::Told { notice, .. } => match notice {
            Notice::Tick if is_step(&record.what) => format!("{here}: its timer fires"),
            Notice::Arrived {
                attempt, arrival, ..
            } => {
                let how = if attempt.is_some() {
                    "answered"
                } else {
                    "pushed"
                };
                format!("{here}: is {how} revision {}", arrival.revision)
            }
            Notice::Answered { event, .. } if is_step(&record.what) => {
                format!("{here}: is told {event:?}")
            }
            Notice::Judged {
                passenger, verdict, ..
            } => format!(
                "{here}: call {} judges revision {} {:?}",
                passenger.0, verdict.revision, verdict.judgement
            ),
            _ => return None,
        },
        What::WatchOpened { watcher, .. } => format!("store: node {watcher} listens"),
        What::Fault { fault, .. } if is_step(&record.what) => {
            let fault = serde_json::to_value(fault).unwrap_or_default();
            let fault = fault.as_str().unwrap_or_default().replace('_', " ");
            let whom = if node == 0 { "store".to_owned() } else { here };
            format!("{whom}: FAULT, {fault}")
        }
        What::Healed { broken } if broken.is_empty() => "the world heals".to_owned(),
        What::Healed { broken } => format!("the world heals, but for the nodes {broken:?}"),
        What::Ended { pending } => {
            format!("nothing is left to happen{}", pending.join("; "))
        }
        _ => return None,
    })
}

fn asked(request: &Request) -> String {
    match request {
        Request::Claim { seen, .. } => format!("claim, having seen revision {seen}"),
        Request::Renew { token, .. } => format!("renew token {token}"),
        Request::Publish { token, .. } => format!("publish under token {token}"),
        Request::Release { token } => format!("release token {token}"),
        Request::Put { seen, .. } => format!("put, having seen revision {seen}"),
        Request::Read => "read".to_owned(),
        Request::Forget => "forget".to_owned(),
    }
}

fn answered(answer: &Answer) -> String {
    let told = format!("{answer:?}").to_lowercase();
    // The variant says it; its numbers stand in the trace.
    let name = told.split([' ', '{']).next().unwrap_or_default();
    match answer {
        Answer::Granted { token, .. } | Answer::Held { token, .. } => {
            format!("{name}, token {token}")
        }
        Answer::Newer { revision, .. }
        | Answer::Published { revision }
        | Answer::Written { revision }
        | Answer::Kept { revision }
        | Answer::State { revision, .. } => format!("{name}, revision {revision}"),
        Answer::Renewed
        | Answer::Lost
        | Answer::Fenced
        | Answer::Released { .. }
        | Answer::Refused
        | Answer::Malformed
        | Answer::Unavailable => name.to_owned(),
    }
}
