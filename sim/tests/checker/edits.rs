//! Clean traces in which one line is not what happened: how many such edits are noticed.

use oneflight_sim::batch::trace;
use oneflight_sim::check::Checker;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::replay::replay;
use oneflight_sim::trace::{read, write_line};
use serde_json::{Value, json};

/// How many seeds are edited, and how many edits of one kind each.
const SEEDS: u64 = 30;
const EDITS: usize = 2;

/// A trace as lines of JSON, after its header.
struct Lines {
    header: Vec<u8>,
    records: Edited,
}

type Edited = Vec<Value>;

impl Lines {
    fn new(seed: u64) -> Self {
        let (lines, violations, _) = trace(&draw(seed, Profile::Swarm, None), None);
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
        let mut header = Vec::new();
        write_line(&mut header, &lines[0]).unwrap();
        let value = |line| serde_json::to_value(line).unwrap();
        let records = lines[1..].iter().map(value).collect();
        Self { header, records }
    }

    /// Whether the checker objects to these records, and whether the replay does.
    fn is_noticed(&self, records: &[Value]) -> (bool, bool) {
        let mut bytes = self.header.clone();
        for record in records {
            serde_json::to_writer(&mut bytes, record).unwrap();
            bytes.push(b'\n');
        }
        let trace = read(&bytes[..]).unwrap();
        let differs = !replay(&trace).1.is_empty();
        (!Checker::check(&trace).is_empty(), differs)
    }
}

/// Where a field of this name stands in a value.
fn places(value: &Value, name: &str, here: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let there = format!("{here}/{field}");
                if field == name && (value.is_u64() || value.is_string()) {
                    found.push(there.clone());
                }
                places(value, name, &there, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, name, &format!("{here}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The places of a field in all lines that have this one.
fn fields(lines: &[Value], of: &str, name: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(inner) = line.get(of) {
            let mut found = Vec::new();
            places(inner, name, &format!("/{of}"), &mut found);
            all.extend(found.into_iter().map(|place| (index, place)));
        }
    }
    all
}

/// Every edit of a kind.
fn edits(kind: &str, lines: &[Value]) -> Vec<Edited> {
    let number = |of, name, by: i64| -> Vec<Edited> {
        let edit = |(index, place): (usize, String)| {
            let mut edited = lines.to_vec();
            let field = edited[index].pointer_mut(&place)?;
            *field = json!(
                field
                    .as_u64()?
                    .checked_add_signed(by)
                    .filter(|it| *it > 0)?
            );
            Some(edited)
        };
        fields(lines, of, name)
            .into_iter()
            .filter_map(edit)
            .collect()
    };
    let digest = |of| -> Vec<Edited> {
        let edit = |(index, place): (usize, String)| {
            let mut edited = lines.to_vec();
            *edited[index].pointer_mut(&place).unwrap() = json!("00000000deadbeef");
            edited
        };
        fields(lines, of, "digest").into_iter().map(edit).collect()
    };
    let with = |of: &str| -> Vec<usize> {
        (0..lines.len())
            .filter(|index| lines[*index].get(of).is_some())
            .collect()
    };
    let each = |of, edit: &dyn Fn(&mut Edited, usize)| -> Vec<Edited> {
        let edited = |index| {
            let mut edited = lines.to_vec();
            edit(&mut edited, index);
            edited
        };
        with(of).into_iter().map(edited).collect()
    };
    let (what, of) = kind.split_once(": ").unwrap();
    match what {
        "token + 1" => number(of, "token", 1),
        "token - 1" => number(of, "token", -1),
        "revision + 1" => number(of, "revision", 1),
        "revision - 1" => number(of, "revision", -1),
        "digest" => digest(of),
        "deleted" => each(of, &|edited, index| _ = edited.remove(index)),
        "twice" => each(of, &|edited, index| {
            let again = edited[index].clone();
            edited.insert(index, again);
        }),
        "times out" => each(of, &|edited, index| {
            edited[index]["landed"]["outcome"] = json!("TimedOut");
        }),
        "computed" => each(of, &|edited, index| {
            edited[index]["landed"]["outcome"] = json!({"Computed": {"revision": 1}});
        }),
        "swapped" => {
            let edit = |index: usize| {
                let mut edited = lines.to_vec();
                edited.swap(index, index + 1);
                // Lines are read in the order of their moments.
                let at = edited[index]["at"].take();
                edited[index]["at"] = edited[index + 1]["at"].take();
                edited[index + 1]["at"] = at;
                edited
            };
            (0..lines.len() - 1).map(edit).collect()
        }
        _ => panic!("{what} is no kind of edit"),
    }
}

/// The kinds of edits, and the least share of them, in percent, that must be noticed.
///
/// What the store did is noticed always, but for a token that nobody was ever told: the answer was
/// lost. What a call landed with is noticed always. Of the rest much is as good as what happened (a
/// repeated commit has the same answer, most neighbours may change places), so that some is enough.
const FLOORS: [(&str, usize); 26] = [
    ("token + 1: committed", 90),
    ("token - 1: committed", 90),
    // Revisions may skip numbers: of the last one of a key nobody can tell.
    ("revision + 1: committed", 95),
    ("revision - 1: committed", 95),
    ("digest: committed", 100),
    ("deleted: committed", 80),
    ("twice: committed", 1),
    ("token + 1: told", 1),
    ("token - 1: told", 1),
    ("revision + 1: told", 1),
    ("revision - 1: told", 1),
    ("deleted: told", 1),
    ("twice: told", 1),
    ("token + 1: fill_began", 1),
    ("digest: fill_ended", 1),
    ("deleted: fill_began", 1),
    ("deleted: fill_ended", 1),
    ("revision + 1: landed", 100),
    ("revision - 1: landed", 100),
    ("digest: landed", 100),
    ("times out: landed", 1),
    ("computed: landed", 100),
    // A process that dies later takes the open call with it.
    ("deleted: landed", 80),
    ("twice: landed", 100),
    ("deleted: began", 80),
    ("swapped: at", 1),
];

#[test]
fn edited_traces_are_noticed() {
    let traces: Vec<Lines> = (0..SEEDS).map(Lines::new).collect();
    for lines in &traces {
        assert_eq!(lines.is_noticed(&lines.records), (false, false));
    }
    for (kind, floor) in &FLOORS {
        let (mut all, mut checked, mut noticed) = (0, 0, 0);
        for lines in &traces {
            let edits = edits(kind, &lines.records);
            let step = edits.len().div_ceil(EDITS).max(1);
            for edited in edits.iter().step_by(step) {
                let (wrong, differs) = lines.is_noticed(edited);
                all += 1;
                checked += usize::from(wrong);
                noticed += usize::from(wrong || differs);
            }
        }
        let share = 100 * noticed / all.max(1);
        println!("{kind:<24} {all:>4} {checked:>4} {noticed:>4}  {share} %");
        assert!(share >= *floor && noticed > 0, "{kind}: {noticed} of {all}");
    }
}
