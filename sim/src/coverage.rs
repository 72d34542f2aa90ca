//! Which transitions of the machines were reached: triples of phase, event, next phase.

use std::collections::BTreeMap;

use oneflight_core::{Event, Notice, Outcome, Phase};

use crate::impossible::why_impossible;
use crate::phases::{self, PHASES};
use crate::trace::Key;

/// A transition: phase, event, next phase.
pub type Triple = (&'static str, &'static str, &'static str);

const EVENTS: [&str; 27] = [
    "boarded",
    "arrived from claim",
    "arrived from watch",
    "judged absent",
    "judged stale",
    "judged fresh",
    "judged malformed",
    "left",
    "lease granted",
    "held",
    "lock released",
    "lock held",
    "watch lost",
    "renewed",
    "lease lost",
    "fill value",
    "fill error",
    "fill panic",
    "published",
    "fenced",
    "released",
    "unavailable",
    "refused",
    "malformed",
    "watch refused",
    "forgotten arrived",
    "other",
];

/// How often each triple was reached.
#[derive(Clone, Debug)]
pub struct Coverage(Vec<u64>);

impl Default for Coverage {
    fn default() -> Self {
        Self(vec![0; PHASES.len() * EVENTS.len() * PHASES.len()])
    }
}

impl Coverage {
    /// Counts a transition.
    pub(crate) fn count(
        &mut self,
        before: Option<Phase>,
        notice: &Notice<Key>,
        after: Option<Phase>,
    ) {
        let (before, after) = (phases::index(before), phases::index(after));
        let index = (before * EVENTS.len() + event_index(notice)) * PHASES.len() + after;
        self.0[index] += 1;
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// How many triples were reached.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.0.iter().filter(|count| **count > 0).count()
    }

    /// The triples that were reached though they are declared impossible: each is a bug.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Triple> {
        let reached = self.triples().into_keys();
        reached
            .filter(|(before, event, after)| why_impossible(before, event, after).is_some())
            .collect()
    }

    /// The triples that were not reached: those that are impossible, counted by reason, and those of
    /// which nobody knows.
    #[must_use]
    pub fn unreached(&self) -> (BTreeMap<&'static str, usize>, Vec<Triple>) {
        let reached = self.triples();
        let (mut impossible, mut open) = (BTreeMap::new(), Vec::new());
        for before in PHASES {
            for event in EVENTS {
                for after in PHASES {
                    match why_impossible(before, event, after) {
                        Some(reason) => *impossible.entry(reason).or_default() += 1,
                        None if reached.contains_key(&(before, event, after)) => {}
                        None => open.push((before, event, after)),
                    }
                }
            }
        }
        (impossible, open)
    }

    /// The triples that were reached, and how often.
    #[must_use]
    pub fn triples(&self) -> BTreeMap<Triple, u64> {
        let mut triples = BTreeMap::new();
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let after = PHASES[index % PHASES.len()];
            let event = EVENTS[index / PHASES.len() % EVENTS.len()];
            let before = PHASES[index / PHASES.len() / EVENTS.len()];
            triples.insert((before, event, after), *count);
        }
        triples
    }
}

fn event_index(notice: &Notice<Key>) -> usize {
    use oneflight_core::{FillResult, Judgement};
    match notice {
        Notice::Boarded { .. } => 0,
        Notice::Arrived { arrival, .. } if !arrival.value => 25,
        Notice::Arrived { attempt, .. } => 2 - usize::from(attempt.is_some()),
        Notice::Judged { verdict, .. } => match verdict.judgement {
            Judgement::Absent => 3,
            Judgement::Stale => 4,
            Judgement::Fresh => 5,
            Judgement::Malformed | _ => 6,
        },
        Notice::Left { .. } => 7,
        Notice::Answered { event, .. } => match event {
            Event::LeaseGranted { .. } => 8,
            Event::Held { .. } => 9,
            Event::LockReleased => 10,
            Event::LockHeld { .. } => 11,
            Event::WatchLost => 12,
            Event::Renewed { .. } => 13,
            Event::LeaseLost { .. } => 14,
            Event::FillDone { result, .. } => match result {
                FillResult::Value => 15,
                FillResult::Error => 16,
                FillResult::Panic | _ => 17,
            },
            Event::Published { .. } => 18,
            Event::Fenced { .. } => 19,
            Event::Released { .. } => 20,
            Event::Unavailable { .. } => 21,
            Event::Refused { .. } => 22,
            Event::Malformed { .. } => 23,
            Event::WatchRefused => 24,
            Event::Newer { .. }
            | Event::KeyEvent { .. }
            | Event::Abandoned
            | Event::HandedOver { .. }
            | Event::Tick
            | _ => 26,
        },
        Notice::Tick | _ => 26,
    }
}

/// Whether a call landed with a value it did not want.
pub(crate) fn is_stale(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Cached { stale: true, .. })
}
