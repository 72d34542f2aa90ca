//! The flight recorder of real processes: what it writes, and what the checker makes of it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::time::{Duration, Instant};

use fastrand::Rng;
use oneflight_sim::check::Checker;
use oneflight_sim::replay::replay;
use oneflight_sim::trace::{Trace, read};
use oneflight_tests::program::{Place, Process};
use oneflight_tests::time::BOUND;
use rustix::process::Signal;
use serde_json::Value;

const PROCESSES: usize = 40;
/// How many edits of a kind are tried.
const SAMPLE: usize = 60;
const KEYS: [&str; 3] = ["a", "b", "c"];
const TAPE: &str = "fleet.jsonl";
/// Never to be found in a recording.
const TEXT: &str = "a value for nobody else to read";

/// Why a recording is not sound, if it is not.
fn complaint(text: &str) -> Option<String> {
    let trace = match read(text.as_bytes()) {
        Ok(trace) => trace,
        Err(error) => return Some(error.to_string()),
    };
    let differs = || {
        let (_, differences) = replay(&trace);
        differences.first().map(|it| it.story.clone())
    };
    judged(&trace).or_else(differs)
}

fn judged(trace: &Trace) -> Option<String> {
    let violations = Checker::check(trace);
    violations.first().map(ToString::to_string)
}

fn sound(place: &Place) -> Trace {
    let text = place.read(TAPE);
    if let Some(complaint) = complaint(&text) {
        panic!("{complaint}");
    }
    read(text.as_bytes()).unwrap()
}

fn seeded() -> Rng {
    let seed = match std::env::var("ONEFLIGHT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("ONEFLIGHT_SEED={seed}");
    Rng::with_seed(seed)
}

fn fly(place: &Place, key: &str) -> Process {
    let options = [
        "--record",
        TAPE,
        "--fresh-for",
        "0s",
        "--lease-ttl",
        "1s",
        "--wait-timeout",
        "100s",
    ];
    let script = format!("sleep 0.05; echo {TEXT} $ONEFLIGHT_TOKEN");
    place.start_run(&options, key, &script)
}

/// Forty processes over one store, some of them killed while they fly.
fn storm(place: &Place, random: &mut Rng) -> usize {
    let mut flying: Vec<Process> = Vec::new();
    let mut killed = 0;
    let since = Instant::now();
    // Some are killed before they have told of themselves.
    let recorded = || place.read(TAPE).matches("\"up\":").count();
    while recorded() < PROCESSES || !flying.is_empty() {
        assert!(since.elapsed() < BOUND, "some never end");
        while recorded() < PROCESSES && flying.len() < 12 {
            flying.push(fly(place, KEYS[random.usize(..KEYS.len())]));
        }
        std::thread::sleep(Duration::from_millis(random.u64(1..40)));
        if random.bool() && !flying.is_empty() {
            flying[random.usize(..flying.len())].signal(Signal::KILL);
        }
        flying.retain_mut(|process| match process.try_ended() {
            Some(ended) if ended.was_killed() => {
                killed += 1;
                false
            }
            Some(ended) => {
                assert_eq!(ended.code(), Some(0), "{ended:?}");
                false
            }
            None => true,
        });
    }
    killed
}

/// What is edited in a line.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Token,
    Landing,
    Revision,
}

impl Edit {
    const ALL: [Self; 3] = [Self::Token, Self::Landing, Self::Revision];

    /// All the lines that one such edit makes of a line.
    fn of(self, line: &str) -> Vec<String> {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut edited = Vec::new();
        let fields: &[&str] = match self {
            Self::Token => &["token", "latest"],
            Self::Revision => &["revision", "Revision", "generation", "seen"],
            Self::Landing if record.get("landed").is_some() => &["outcome", "digest"],
            Self::Landing => return edited,
        };
        for path in paths(&record, fields) {
            for value in self.others(record.pointer(&path).unwrap()) {
                let mut record = record.clone();
                *record.pointer_mut(&path).unwrap() = value;
                // The first field of a line says what it is.
                let at = record.as_object_mut().unwrap().remove("at").unwrap();
                let rest = record.to_string();
                edited.push(format!("{{\"at\":{at},{}", &rest[1..]));
            }
        }
        edited
    }

    /// What may stand in the place of a value.
    fn others(self, value: &Value) -> Vec<Value> {
        match value {
            Value::Number(number) => {
                let number = number.as_u64().unwrap();
                let lower = number.checked_sub(1).filter(|_| number > 1);
                (lower.into_iter().chain([number + 1]))
                    .map(Value::from)
                    .collect()
            }
            Value::String(digest) if digest.len() == 16 => {
                let digit = if digest.starts_with('0') { '1' } else { '0' };
                vec![Value::from(format!("{digit}{}", &digest[1..]))]
            }
            outcome => [
                serde_json::json!("TimedOut"),
                serde_json::json!("Unavailable"),
                serde_json::json!({"Cached":{"revision":2,"stale":false}}),
                serde_json::json!({"Computed":{"revision":2}}),
                serde_json::json!({"Awaited":{"revision":2}}),
            ]
            .into_iter()
            .filter(|other| other != outcome)
            .collect(),
        }
    }
}

/// The paths of all fields of these names that hold something.
fn paths(value: &Value, names: &[&str]) -> Vec<String> {
    let Some(object) = value.as_object() else {
        let items = value.as_array().into_iter().flatten().enumerate();
        return items
            .flat_map(|(index, item)| {
                let found = paths(item, names);
                found.into_iter().map(move |path| format!("/{index}{path}"))
            })
            .collect();
    };
    let mut found = Vec::new();
    for (name, field) in object {
        let digest_of_a_landing = field.is_string() || name == "outcome";
        if names.contains(&name.as_str()) && (field.is_u64() || digest_of_a_landing) {
            found.push(format!("/{name}"));
        }
        let inner = paths(field, names);
        found.extend(inner.into_iter().map(|path| format!("/{name}{path}")));
    }
    found
}

#[test]
fn a_recorded_storm_is_sound_and_any_edit_of_it_is_not() {
    let mut random = seeded();
    let place = Place::new();
    println!("{}", oneflight_tests::program::oneflight().display());
    let killed = storm(&place, &mut random);
    let trace = sound(&place);
    println!(
        "{} records of {} processes, {killed} killed, {} lines cut off",
        trace.records.len(),
        trace.nodes.len(),
        trace.cut_off
    );
    assert!(trace.nodes.len() >= PROCESSES && killed > 0);

    let text = place.read(TAPE);
    assert!(!text.contains(TEXT));
    every_beginning_is_sound(&text, &mut random);
    edits_are_caught(&text, &mut random);
}

/// As if the machine had stopped in the midst of it: the last line is cut off. Or a process was killed
/// while it wrote: another one's line follows upon half of its own.
fn every_beginning_is_sound(text: &str, random: &mut Rng) {
    let mut killed = 0;
    for _ in 0..40 {
        let cut = random.usize(text.find("\n{\"at").unwrap() + 1..text.len());
        assert_eq!(complaint(&text[..cut]), None, "cut off at {cut}");
        let half = text[..cut].rfind('\n').unwrap() + 1;
        let record = text[half..].lines().next().unwrap();
        if half == cut || !record.starts_with("{\"at\"") {
            continue;
        }
        // The dead write no more; and they had not asked for anything that they did not tell of.
        let record_of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let node = record_of(record)["node"].clone();
        let rest = text[half..].lines();
        let (own, others): (Vec<&str>, Vec<&str>) =
            rest.partition(|line| record_of(line)["node"] == node);
        if others.is_empty() || own.iter().any(|line| line.contains("\"sent\"")) {
            continue;
        }
        killed += 1;
        let glued = format!("{}{}\n", &text[..cut], others.join("\n"));
        assert_eq!(complaint(&glued), None, "killed at {cut}");
        assert_eq!(read(glued.as_bytes()).unwrap().cut_off, 1);
    }
    assert!(killed > 0);
}

fn edits_are_caught(text: &str, random: &mut Rng) {
    let lines: Vec<&str> = text.lines().collect();
    let whole =
        |line: &str| line.starts_with("{\"at\"") && serde_json::from_str::<Value>(line).is_ok();
    for edit in Edit::ALL {
        let numbers = (0..lines.len()).filter(|number| whole(lines[*number]));
        let mut edits: Vec<(usize, String)> = numbers
            .flat_map(|number| {
                edit.of(lines[number])
                    .into_iter()
                    .map(move |it| (number, it))
            })
            .collect();
        let all = edits.len();
        assert!(all > 0, "nothing to edit: {edit:?}");
        random.shuffle(&mut edits);
        edits.truncate(SAMPLE);
        let mut missed = Vec::new();
        for (number, line) in &edits {
            let mut lines = lines.clone();
            lines[*number] = line;
            let edited = lines.join("\n") + "\n";
            if complaint(&edited).is_none() {
                missed.push(format!("{}\n{line}", text.lines().nth(*number).unwrap()));
            }
        }
        let caught = edits.len() - missed.len();
        println!(
            "{edit:?}: {caught} of {} edits caught, of {all} there are",
            edits.len()
        );
        let most = caught * 100 >= edits.len() * 95;
        assert!(most, "{edit:?}: {}", missed.join("\n"));
    }
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let place = Place::new();
    place.run(&[], "key", "echo value").prints("value\n");
    let mut files: Vec<_> = std::fs::read_dir(place.path("."))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.retain(|file| !file.starts_with("store.db"));
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn a_recording_that_cannot_be_made_is_told_first() {
    let place = Place::new();
    let options = ["--record", "no/such/place"];
    let ended = place.run(&options, "key", "touch ran; echo value");
    ended.fails(125);
    assert!(ended.stderr.contains("cannot record to no/such/place: "));
    assert!(!place.path("ran").exists());
    assert!(!place.store_path().exists());
}

#[test]
fn a_recording_that_ends_does_not_end_the_call() {
    let place = Place::new();
    let ended = place.run(&["--record", "/dev/full"], "key", "echo value");
    ended.prints("value\n");
    assert_eq!(ended.stderr.matches("the recording ends here").count(), 1);
}

#[test]
fn looks_and_forgets_are_recorded() {
    let place = Place::new();
    let record = ["--record", TAPE];
    place.run(&record, "key", "echo value").prints("value\n");
    place
        .start(["get", "key", "--record", TAPE])
        .ended()
        .prints("value\n");
    place
        .start(["forget", "key", "--record", TAPE])
        .ended()
        .prints("");
    place
        .start(["get", "key", "--record", TAPE])
        .ended()
        .fails(1);
    let trace = sound(&place);
    assert_eq!(trace.nodes.len(), 4);
    let text = place.read(TAPE);
    assert!(text.contains("\"forget\"") && text.contains("\"read\""));
    // Somebody who wrote without a recorder is found out.
    place.run(&[], "key", "echo other").prints("other\n");
    place.run(&record, "key", "echo third").prints("other\n");
    let complaint = complaint(&place.read(TAPE)).unwrap();
    assert!(
        complaint.contains("does every process record?"),
        "{complaint}"
    );
}
