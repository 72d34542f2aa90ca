//! Many claimers at once.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::conformance::bench::{Bench, PATIENCE};
use crate::conformance::probe::Probe;
use crate::{Claim, Revision};

const CLAIMERS: usize = 64;
const ROUNDS: u32 = 4;

/// What each of `number` threads answers, all let go at once, on more than one handle; `meanwhile`
/// is let go with them.
fn at_once<T: Send>(
    handles: &[Probe],
    number: usize,
    each: impl Fn(&Probe) -> T + Sync,
    meanwhile: impl FnOnce(),
) -> Vec<T> {
    let start = Barrier::new(number + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..number)
            .zip(handles.iter().cycle())
            .map(|(_, handle)| {
                let (start, each) = (&start, &each);
                scope.spawn(move || {
                    start.wait();
                    each(handle)
                })
            })
            .collect();
        start.wait();
        meanwhile();
        let answers = threads.into_iter().map(|thread| thread.join());
        answers
            .map(|joined| joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(super) fn one_of_many_claimers_is_granted(bench: &Bench<'_>) {
    let handles = [bench.open(), bench.open()];
    if !handles[0].profile().atomic_claim {
        return;
    }
    let row = handles[0].row;
    for round in 0..ROUNDS {
        let handles = handles.each_ref().map(|h| h.at(&round.to_string()));
        let claims = at_once(&handles, CLAIMERS, |h| h.claim(Revision::NEVER), || ());
        let tokens: Vec<_> = claims
            .iter()
            .filter_map(|claim| match claim {
                Claim::Granted { token, .. } => Some(*token),
                Claim::Held { .. } | Claim::Newer { .. } => None,
            })
            .collect();
        row.same("grants of one lock", tokens.len(), 1);
        for claim in claims {
            let rides = matches!(&claim, Claim::Held { token, .. } if *token == tokens[0]);
            if !rides && !matches!(claim, Claim::Granted { .. }) {
                let expected = format_args!("Held under token {}", tokens[0]);
                row.fail("claim by who was not granted", expected, claim);
            }
        }
    }
}

pub(super) fn claimers_after_a_publish_are_all_given_the_value(bench: &Bench<'_>) {
    let handles = [bench.open(), bench.open()];
    let row = handles[0].row;
    let (_, revision) = handles[0].fill(Revision::NEVER, "value");
    for claim in at_once(&handles, CLAIMERS, |h| h.claim(Revision::NEVER), || ()) {
        if !matches!(&claim, Claim::Newer { entry, .. } if entry.revision == revision) {
            let what = "claim by who saw nothing, after a publish";
            row.fail(what, format_args!("Newer at {revision}"), claim);
        }
    }
}

pub(super) fn no_claimer_slips_between_the_value_and_the_release(bench: &Bench<'_>) {
    let handles = [bench.open(), bench.open()];
    let profile = handles[0].profile();
    if !profile.atomic_claim || !profile.atomic_publish {
        return;
    }
    let row = handles[0].row;
    let claims_until_newer = |handle: &Probe| {
        let start = Instant::now();
        loop {
            match handle.claim(Revision::NEVER) {
                Claim::Newer { .. } => return,
                Claim::Held { .. } if start.elapsed() < PATIENCE => {}
                claim @ (Claim::Held { .. } | Claim::Granted { .. }) => {
                    let what = "claims by who saw nothing, while another publishes";
                    row.fail(what, format_args!("Held, then Newer"), claim);
                }
            }
        }
    };
    for round in 0..ROUNDS * 4 {
        let handles = handles.each_ref().map(|h| h.at(&round.to_string()));
        let grant = handles[0].granted(Revision::NEVER);
        at_once(&handles, CLAIMERS / 8, claims_until_newer, || {
            handles[0].published(&grant.lease, "value");
        });
    }
}
