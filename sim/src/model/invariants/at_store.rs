//! What is judged when the store has carried something out.

use oneflight_core::{Phase, Revision, Token};

use super::s5_redundant;
use crate::model::driver::Step;
use crate::model::state::{GARBLED, Grant, Message};
use crate::trace::{Answer, Digest, Request};
use crate::world::store::{Changed, Row};

pub(in crate::model) fn committed(
    step: &mut Step<'_>,
    node: usize,
    message: Message,
    before: &Row,
    answer: Answer,
    changed: Changed,
) {
    let time = step.state.time();
    let newest = step.state.lock.newest;
    match (message.request, answer) {
        (
            Request::Claim { ttl, .. },
            Answer::Granted {
                token, generation, ..
            },
        ) => {
            let again = before.lease.is_some_and(|lease| lease.token == token);
            if !again {
                granted(step, node, message, before, (token, generation), ttl);
            }
        }
        (Request::Claim { .. }, Answer::Held { .. }) => {
            // The store keeps its contract: a claim repeated by its own attempt is the same claim.
            let attempt = (node as u64 + 1, message.flight, message.attempt);
            let own = before
                .lease
                .filter(|lease| lease.attempt == attempt && lease.lapses > time);
            let store =
                own.map(|lease| format!("token {} is held by this very claim", lease.token));
            step.report("Store", store);
        }
        (Request::Renew { token, ttl }, Answer::Renewed) => match &mut step.state.lock.newest {
            Some(grant) if grant.token == token && !grant.ended => {
                grant.lapses = step.state.now + ttl;
            }
            // S2 OneHolder: a lease that is overtaken is not prolonged.
            _ => {
                let newest = newest.map(|grant| grant.token.get());
                let s2 =
                    format!("a renewal of token {token} is accepted; the newest is {newest:?}");
                step.report("S2 OneHolder", Some(s2));
            }
        },
        (Request::Publish { token, digest }, Answer::Published { revision }) if changed.key => {
            written(step, node, revision, Some(digest));
            // S3 NoStalePublish: a publish is accepted only under the newest token of its lock.
            let newest = newest.filter(|grant| grant.token == token && !grant.ended);
            let s3 = newest
                .is_none()
                .then(|| format!("a publish under token {token} is accepted, which is overtaken"));
            step.report("S3 NoStalePublish", s3);
            if let Some(grant) = &mut step.state.lock.newest {
                grant.ended = true;
            }
        }
        (Request::Put { digest, .. }, Answer::Written { revision }) => {
            // S3: an unfenced put never replaces a revision above what its caller had seen.
            let seen = message.known;
            let s3 = (before.revision > seen).then(|| {
                format!(
                    "a put by a caller that knew revision {seen} replaces revision {}",
                    before.revision
                )
            });
            step.report("S3 NoStalePublish", s3);
            written(step, node, revision, Some(digest));
        }
        (Request::Release { token }, Answer::Released { freed: true }) => {
            if let Some(grant) = &mut step.state.lock.newest
                && grant.token == token
            {
                grant.ended = true;
            }
        }
        _ => {}
    }
}

fn granted(
    step: &mut Step<'_>,
    node: usize,
    message: Message,
    before: &Row,
    (token, generation): (Token, Revision),
    ttl: u64,
) {
    let state = &step.state;
    let lock = state.lock;
    // S1 TokenMonotonic: tokens only grow.
    let s1 = (Some(token) <= lock.most_token).then(|| {
        let most = lock.most_token.map_or(0, Token::get);
        format!("token {token} is granted after token {most}")
    });
    // S2 OneHolder: no lease is granted while another one on its lock lives.
    let s2 = lock
        .newest
        .filter(|grant| !grant.ended && grant.lapses > state.now)
        .map(|grant| format!("token {token} is granted while token {} lives", grant.token));
    let value = before
        .value
        .filter(|value| value.digest.0 & GARBLED == 0)
        .map(|value| (before.revision, value.token));
    let grant = Grant {
        token,
        node: node as u8,
        lapses: state.now + ttl,
        generation,
        ended: false,
        told: false,
        value,
    };
    // S5, as soon as it is certain: whoever is aboard has no use for a fill.
    let it = &state.nodes[node];
    let asks = it.claim.is_some_and(|(flight, attempt, _)| {
        (flight, attempt) == (message.flight, message.attempt)
            && step.machines.phase(it.machine) == Some(Phase::Claiming)
    });
    let mut aboard = it
        .calls
        .iter()
        .filter(|call| call.is_open() && asks)
        .peekable();
    let s5 = aboard.peek().is_some().then(|| {
        let stories = aboard.map(|call| s5_redundant(step.setup, call, &grant));
        stories.reduce(|all, one| all.and(one)).flatten()
    });
    step.report("S1 TokenMonotonic", s1);
    step.report("S2 OneHolder", s2);
    step.report("S5 NoRedundantFill", s5.flatten());
    let lock = &mut step.state.lock;
    lock.newest = Some(grant);
    lock.most_token = lock.most_token.max(Some(token));
}

fn written(step: &mut Step<'_>, node: usize, revision: Revision, digest: Option<Digest>) {
    let lock = step.state.lock;
    // S1 TokenMonotonic: revisions only grow.
    let s1 = (revision <= lock.most_revision).then(|| {
        format!(
            "revision {revision} comes after revision {}",
            lock.most_revision
        )
    });
    step.report("S1 TokenMonotonic", s1);
    let calls = &step.state.nodes[node].calls;
    let maker = calls
        .iter()
        .find(|call| digest.is_some() && call.computed == digest)
        .copied();
    if let Some(maker) = maker {
        // S14 Forgotten: no value computed by a fill that started before a forget is written after it.
        let s14 = maker
            .voided
            .then(|| "a value is written whose fill began before the key was forgotten".to_owned());
        let s9 = maker
            .failed
            .then(|| "a value is written whose caller was told that it failed".to_owned());
        step.report("S14 Forgotten", s14);
        step.report("S9 HonestFailure", s9);
    }
    step.state.lock.most_revision = lock.most_revision.max(revision);
}

/// The key was forgotten.
pub(in crate::model) fn forgotten(step: &mut Step<'_>, answer: Answer) {
    if let Answer::Written { revision } = answer {
        written(step, 0, revision, None);
    }
    if let Some(grant) = &mut step.state.lock.newest {
        grant.ended = true;
    }
    for node in 0..step.state.nodes.len() {
        let it = &step.state.nodes[node];
        if !it.calls.iter().any(|call| call.fills > 0) {
            continue;
        }
        for call in &mut step.state.node(node).calls {
            call.voided |= call.filling.is_some() || call.computed.is_some();
        }
    }
}
