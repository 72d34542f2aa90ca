//! Every state and every event: what is written in `table.txt` is what the machine does, and the
//! transitions named in `states.md` are those the walk finds.
//!
//! The table lists, for each state, the events that change something; what is not listed changes
//! nothing. To accept a change, run with `BLESS=1` and read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use oneflight_core::{
    Attempt, Command, Commands, Event, FillResult, Flight, Judgement, Outcome, Phase, Policy,
    Revision, Verdict, Warning,
};

use crate::scenario::*;

const TABLE: &str = include_str!("table.txt");
const STATES: &str = include_str!("../../src/flight/states.md");

fn reclaiming(known: Verdict) -> Scenario {
    let it = Scenario::launch(Policy::DEFAULT, known).then(|it| it.held(1_000));
    let it = it.then(|_| Event::LockReleased);
    it.tick(it.due_at())
}

fn impatient() -> Policy {
    Policy {
        wait_timeout: ms(2_000),
        ..Policy::DEFAULT
    }
}

fn lost(it: &Scenario) -> Event {
    Event::LeaseLost {
        attempt: it.renewal,
    }
}

/// Every state in its variants.
fn states() -> Vec<(&'static str, Scenario)> {
    let known = stale(3);
    let take_over = |_: &Scenario| handed_over(Policy::DEFAULT, 0, known);
    let launch = |policy| Scenario::launch(policy, known);
    let with = |it: Scenario, event: Event| it.then(|_| event);
    let publish_of = |policy| {
        launch(policy)
            .then(|it| it.granted(TOKEN))
            .then(|it| it.done(FillResult::Value))
    };
    vec![
        ("Claiming", launch(Policy::DEFAULT)),
        ("Claiming, does not wait", launch(zero_wait())),
        ("Claiming, strict", launch(strict())),
        ("Claiming, watching", reclaiming(known)),
        (
            "Claiming, watching, release heard",
            with(reclaiming(known), Event::LockReleased),
        ),
        (
            "Claiming, watch lost",
            with(reclaiming(known), Event::WatchLost),
        ),
        ("Waiting", launch(Policy::DEFAULT).then(|it| it.held(1_000))),
        (
            "BackingOff",
            launch(Policy::DEFAULT)
                .then(|it| it.held(1_000))
                .then(|_| Event::LockReleased),
        ),
        (
            "BackingOff, watch lost",
            launch(Policy::DEFAULT)
                .then(|it| it.held(1_000))
                .then(|_| Event::WatchLost),
        ),
        ("Filling", Scenario::filling()),
        ("Filling, renewing", Scenario::renewing()),
        (
            "Filling, renewals refused",
            Scenario::renewing().then(|it| Event::Refused {
                attempt: it.renewal,
            }),
        ),
        (
            "Filling, overdue",
            Scenario::launch(overdue_after(100), Verdict::UNKNOWN)
                .then(|it| it.granted(TOKEN))
                .tick(100),
        ),
        (
            "Filling, lapsed",
            Scenario::renewing().tick(15_000).tick(30_000),
        ),
        ("Filling, taken", Scenario::robbed()),
        (
            "Filling, taken, strict",
            launch(strict())
                .then(|it| it.granted(TOKEN))
                .tick(10_000)
                .then(lost),
        ),
        (
            "FillingLocally",
            launch(Policy::DEFAULT).then(|it| Event::Unavailable { attempt: it.claim }),
        ),
        (
            "FillingLocally, to be warned",
            launch(overdue_after(100)).then(|it| Event::Unavailable { attempt: it.claim }),
        ),
        ("Publishing", publish_of(Policy::DEFAULT)),
        ("Publishing, strict", publish_of(strict())),
        (
            "Publishing, renewing",
            Scenario::renewing().then(|it| it.done(FillResult::Value)),
        ),
        (
            "Publishing, taken over",
            publish_of(Policy::DEFAULT).then(take_over),
        ),
        (
            "Publishing, taken over, impatient",
            publish_of(Policy::DEFAULT).then(|_| handed_over(impatient(), 0, known)),
        ),
        (
            "Waiting, impatient",
            Scenario::launch(impatient(), known).then(|it| it.held(1_999)),
        ),
        (
            "Publishing, caller gone",
            publish_of(Policy::DEFAULT).then(|_| Event::Abandoned),
        ),
        ("Departing", Scenario::departing()),
        ("Releasing", Scenario::releasing()),
        ("Landed", Scenario::landed()),
    ]
}

/// Every answer, to this attempt.
fn answers(attempt: Attempt) -> Vec<(&'static str, Event)> {
    let newer = |verdict| Event::Newer {
        attempt,
        latest: None,
        verdict,
    };
    vec![
        ("granted", granted(attempt, TOKEN + 1)),
        (
            "held",
            Event::Held {
                attempt,
                token: None,
                remaining: Some(ms(1_000)),
            },
        ),
        ("newer: fresh", newer(fresh(9))),
        ("newer: stale", newer(stale(9))),
        ("newer: the same", newer(stale(3))),
        (
            "newer: malformed",
            newer(verdict(9, 0, Judgement::Malformed)),
        ),
        ("renewed", Event::Renewed { attempt }),
        ("lost", Event::LeaseLost { attempt }),
        (
            "done: value",
            Event::FillDone {
                attempt,
                result: FillResult::Value,
            },
        ),
        (
            "done: error",
            Event::FillDone {
                attempt,
                result: FillResult::Error,
            },
        ),
        (
            "done: panic",
            Event::FillDone {
                attempt,
                result: FillResult::Panic,
            },
        ),
        (
            "published",
            Event::Published {
                attempt,
                revision: Revision::new(9),
            },
        ),
        ("fenced", Event::Fenced { attempt }),
        ("released", Event::Released { attempt }),
        ("unavailable", Event::Unavailable { attempt }),
        ("refused", Event::Refused { attempt }),
        ("malformed", Event::Malformed { attempt }),
    ]
}

/// Every fact that is no answer, and the moment it is told, counted from the state's own.
fn facts(it: &Scenario) -> Vec<(&'static str, u64, Event)> {
    let due = it.due().map_or(0, |(due, _)| due.saturating_sub(it.ms));
    let whole = Event::LockHeld {
        remaining: Some(ms(9_000)),
    };
    vec![
        ("key: fresh", 0, key_event(fresh(9))),
        ("key: stale", 0, key_event(stale(9))),
        (
            "key: stale, later lease",
            0,
            key_event(verdict(9, TOKEN, Judgement::Stale)),
        ),
        (
            "key: forgotten",
            0,
            key_event(verdict(9, 0, Judgement::Absent)),
        ),
        (
            "key: malformed",
            0,
            key_event(verdict(9, 0, Judgement::Malformed)),
        ),
        ("key: fresh, but old", 0, key_event(fresh(2))),
        ("lock released", 0, Event::LockReleased),
        ("lock held", 0, whole),
        ("lock released, late", 1_998, Event::LockReleased),
        ("lock held: unknown", 0, Event::LockHeld { remaining: None }),
        ("watch lost", 0, Event::WatchLost),
        ("watch refused", 0, Event::WatchRefused),
        ("left", 0, Event::Abandoned),
        (
            "handed over",
            0,
            handed_over(Policy::DEFAULT, it.ms, stale(4)),
        ),
        (
            "handed over: does not wait",
            0,
            handed_over(zero_wait(), it.ms, stale(4)),
        ),
        (
            "handed over: strict",
            0,
            handed_over(strict(), it.ms, Verdict::UNKNOWN),
        ),
        ("tick", 0, Event::Tick),
        ("tick at the deadline", due, Event::Tick),
        ("tick much later", 1_000_000, Event::Tick),
    ]
}

fn show(command: &Command) -> String {
    match command {
        Command::Claim { attempt, seen } => format!("claim #{} seen {seen}", attempt.get()),
        Command::Watch => "watch".into(),
        Command::Unwatch => "unwatch".into(),
        Command::Fill { attempt, lease } => match lease {
            Some(lease) => format!("fill #{} under {}", attempt.get(), lease.token),
            None => format!("fill #{} alone", attempt.get()),
        },
        Command::Renew { attempt, token } => format!("renew #{} {token}", attempt.get()),
        Command::Publish { attempt, token } => format!("publish #{} {token}", attempt.get()),
        Command::Put { seen } => format!("put seen {seen}"),
        Command::Release { attempt, token } => format!("release #{} {token}", attempt.get()),
        Command::WarnLeaseLost { warning, .. } => match warning {
            Warning::Taken => "warn taken".into(),
            Warning::Lapsed => "warn lapsed".into(),
            Warning::Overdue => "warn overdue".into(),
            _ => "warn ?".into(),
        },
        Command::Land(outcome) => match outcome {
            Outcome::Cached {
                revision,
                stale: true,
            } => format!("land stale {revision}"),
            Outcome::Cached { revision, .. } => format!("land cached {revision}"),
            Outcome::Computed { revision } => match revision {
                Some(revision) => format!("land computed {revision}"),
                None => "land computed alone".into(),
            },
            Outcome::Awaited { revision } => match revision {
                Some(revision) => format!("land awaited {revision}"),
                None => "land awaited alone".into(),
            },
            Outcome::Unpublished { cause } => format!("land unpublished: {cause:?}"),
            other => format!("land {other:?}"),
        },
    }
}

/// One cell: the phase, the next deadline and the commands.
fn cell(after: &Flight, commands: &Commands) -> String {
    let mut text = format!("{:?}", after.phase());
    if let Some(due) = after.deadline() {
        let ms = due.at.as_nanos().div_ceil(1_000_000);
        let _ = write!(text, " until {ms} ({:?})", due.why);
    }
    let commands: Vec<_> = commands.iter().map(show).collect();
    if !commands.is_empty() {
        let _ = write!(text, ": {}", commands.join(", "));
    }
    text
}

/// Walks every pair, calls `step` on it.
fn walk(mut step: impl FnMut(&'static str, Scenario, String, Flight, Commands)) {
    for (name, it) in states() {
        assert!(
            name.starts_with(&format!("{:?}", it.phase())),
            "{name} leads to {:?}",
            it.phase()
        );
        let mut events: Vec<(String, u64, Event)> = Vec::new();
        for (of, attempt) in awaited(&it) {
            for (answer, event) in answers(attempt) {
                events.push((format!("{of} {answer}"), 0, event));
            }
        }
        for (fact, wait, event) in facts(&it) {
            events.push((fact.into(), wait, event));
        }
        for (label, wait, event) in events {
            let mut after = it.flight;
            let commands = after.handle(at(it.ms + wait), event);
            step(name, it, label, after, commands);
        }
    }
}

/// The attempts whose answers mean something in this state.
fn awaited(it: &Scenario) -> Vec<(&'static str, Attempt)> {
    match it.phase() {
        Phase::Claiming | Phase::Departing => vec![("claim", it.claim)],
        Phase::Filling => vec![("fill", it.fill), ("renewal", it.renewal)],
        Phase::FillingLocally => vec![("fill", it.fill)],
        Phase::Publishing => vec![("publish", it.publish), ("renewal", it.renewal)],
        Phase::Releasing => vec![("release", it.release)],
        _ => vec![],
    }
}

#[test]
fn each_pair_does_what_the_table_says() {
    let mut text = String::new();
    let mut last = "";
    walk(|name, it, label, after, commands| {
        if name != last {
            last = name;
            let _ = write!(text, "\n{name}\n");
        }
        assert!(commands.len() <= Commands::CAPACITY);
        if (unclocked(&it.flight) != unclocked(&after)) || !commands.is_empty() {
            let _ = writeln!(text, "    {label:<28}{}", cell(&after, &commands));
        }
    });
    let text = text.trim_start().to_owned();
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flight/table.txt");
        std::fs::write(path, &text).unwrap();
        return;
    }
    for (number, (is, should)) in text.lines().zip(TABLE.lines()).enumerate() {
        assert_eq!(is, should, "line {} of table.txt", number + 1);
    }
    assert_eq!(text.lines().count(), TABLE.lines().count());
}

/// What can be seen of a flight without its clock.
fn unclocked(flight: &Flight) -> String {
    let text = format!("{flight:?}");
    let (head, tail) = text.split_once(" now: ").unwrap();
    let (_, tail) = tail.split_once("patience").unwrap();
    format!("{head}{tail}")
}

#[test]
fn an_answer_to_another_attempt_changes_nothing_but_a_grant_is_released() {
    for (name, it) in states() {
        let awaited: BTreeSet<_> = awaited(&it).into_iter().map(|(_, it)| it).collect();
        let future = attempt(1_000);
        for number in (0..20).map(attempt).chain([future]) {
            if awaited.contains(&number) {
                continue;
            }
            for (answer, event) in answers(number) {
                let mut after = it.flight;
                let commands = after.handle(at(it.ms), event);
                if let Event::LeaseGranted { token, .. } = event {
                    assert!(
                        matches!(*commands, [Command::Release { token: it, .. }] if it == token),
                        "{name}, {answer} to #{}: {commands:?}",
                        number.get()
                    );
                    assert_eq!(after.phase(), it.phase());
                    assert_eq!(after.deadline(), it.flight.deadline());
                } else {
                    assert_eq!(commands, [], "{name}, {answer} to #{}", number.get());
                    assert_eq!(after, it.flight);
                }
            }
            // The lease in hand is not what a repeated grant brings.
            if let Some(lease) = it.flight.lease() {
                let mut after = it.flight;
                let again = granted(number, lease.token.get());
                assert_eq!(after.handle(at(it.ms), again), [], "{name}");
                assert_eq!(after, it.flight);
            }
        }
    }
}

#[test]
fn states_md_names_the_transitions_that_there_are() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    walk(|_, it, _, after, _| {
        if it.phase() != after.phase() {
            found
                .entry(format!("{:?}", it.phase()))
                .or_default()
                .insert(format!("{:?}", after.phase()));
        }
    });
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in STATES.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["", from, to, ""] = cells[..]
            && let Some(from) = from.strip_prefix('`')
        {
            named.insert(
                from.trim_end_matches('`').into(),
                to.split(", ")
                    .filter_map(|to| Some(to.split('`').nth(1)?.into()))
                    .collect(),
            );
        }
    }
    assert_eq!(named, found);
}

#[test]
fn every_phase_is_walked() {
    let walked: BTreeSet<_> = states().iter().map(|(_, it)| it.phase()).collect();
    assert_eq!(walked.len(), 9);
}
