//! The mirror alone.

use serde_json::json;

use super::*;
use crate::clock::Moment;

const NOW: Moment = Moment::from_millis(1_000_000);

fn mirror(prefixes: &[&str], room: usize) -> Mirror {
    let prefixes = prefixes.iter().map(|prefix| (*prefix).into()).collect();
    Mirror::new(Scope { prefixes, room })
}

fn clock() -> ServerClock {
    ServerClock::new(NOW, 1_795_466_000_000)
}

fn event(seq: u64, op: Op, key: &str, value: Value) -> Event {
    Event {
        seq,
        path: Path::of_key(&key.into()).ok(),
        op,
        value,
        device: "dev".into(),
        op_id: "op".into(),
    }
}

fn apply(mirror: &mut Mirror, event: Event) -> Vec<String> {
    let changed = mirror.apply(NOW, &clock(), event, true);
    changed
        .into_iter()
        .map(|changed| changed.path.text().to_string())
        .collect()
}

fn what<'a>(mirror: &'a Mirror, key: &str) -> Option<&'a What> {
    let path = Path::of_key(&key.into()).unwrap();
    mirror.row(&path).map(|row| &row.what)
}

fn is_text(mirror: &Mirror, key: &str, value: &'static str) -> bool {
    matches!(what(mirror, key), Some(What::Text(text)) if text.value == value)
}

#[test]
fn each_path_takes_only_what_is_newer() {
    let mut mirror = mirror(&[], 1000);
    apply(&mut mirror, event(5, Op::Set, "k", json!("five")));
    assert!(apply(&mut mirror, event(3, Op::Set, "k", json!("three"))).is_empty());
    assert!(apply(&mut mirror, event(5, Op::Set, "k", json!("five"))).is_empty());
    assert!(is_text(&mirror, "k", "five"));
    apply(&mut mirror, event(6, Op::Delete, "k", Value::Null));
    assert!(apply(&mut mirror, event(4, Op::Set, "k", json!("four"))).is_empty());
    assert_eq!(what(&mirror, "k"), Some(&What::Gone));
}

#[test]
fn maps_are_leaves_and_what_stands_above_takes_what_is_below_along() {
    let mut mirror = mirror(&[], 1000);
    apply(
        &mut mirror,
        event(
            1,
            Op::Set,
            "u",
            json!({"a": "1", "b": {"c": "2"}, "x/y": "3"}),
        ),
    );
    assert!(
        is_text(&mirror, "u/a", "1")
            && is_text(&mirror, "u/b/c", "2")
            && is_text(&mirror, "u/x~1y", "3")
    );
    assert!(mirror.is_map(&Path::of_key(&"u".into()).unwrap()));
    apply(&mut mirror, event(2, Op::Merge, "u", json!({"a": "4"})));
    assert!(is_text(&mirror, "u/a", "4") && is_text(&mirror, "u/b/c", "2"));
    let changed = apply(&mut mirror, event(3, Op::Set, "u", json!({"a": "5"})));
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert!(is_text(&mirror, "u/a", "5"));
    assert_eq!(what(&mirror, "u/b/c"), Some(&What::Gone));
    apply(&mut mirror, event(4, Op::Delete, "u", Value::Null));
    assert_eq!(what(&mirror, "u/a"), Some(&What::Gone));
    assert!(!mirror.is_map(&Path::of_key(&"u".into()).unwrap()));
}

#[test]
fn a_release_takes_nothing_below_along() {
    let mut mirror = mirror(&[], 1000);
    let lease = json!({"_type": "lease", "token": 1, "expires_at": 5, "holder": null});
    apply(&mut mirror, event(1, Op::Lease, "l", lease.clone()));
    apply(&mut mirror, event(2, Op::Lease, "l/a", lease));
    apply(&mut mirror, event(3, Op::Release, "l", Value::Null));
    assert!(matches!(what(&mirror, "l/a"), Some(What::Lease(_))));
    let row = mirror.row(&Path::of_key(&"l".into()).unwrap()).unwrap();
    assert_eq!((&row.what, row.latest), (&What::Gone, Token::new(1)));
}

#[test]
fn only_what_is_within_is_kept_but_everything_is_counted() {
    let mut mirror = mirror(&["users/eu"], 1000);
    apply(
        &mut mirror,
        event(
            1,
            Op::Set,
            "users",
            json!({"eu": {"1": "a"}, "us": {"2": "b"}}),
        ),
    );
    assert!(is_text(&mirror, "users/eu/1", "a"));
    assert_eq!(what(&mirror, "users/us/2"), None);
    let lease = json!({"_type": "lease", "token": 2, "expires_at": 5, "holder": null});
    apply(
        &mut mirror,
        event(2, Op::Lease, "_dust:sf/users/eu/1", lease.clone()),
    );
    apply(
        &mut mirror,
        event(3, Op::Lease, "_dust:sf/users/us/2", lease),
    );
    assert!(matches!(
        what(&mirror, "_dust:sf/users/eu/1"),
        Some(What::Lease(_))
    ));
    assert_eq!(what(&mirror, "_dust:sf/users/us/2"), None);
    apply(&mut mirror, event(4, Op::Delete, "users", Value::Null));
    assert_eq!(what(&mirror, "users/eu/1"), Some(&What::Gone));
    assert_eq!(mirror.seqs.through(), 4);
}

#[test]
fn there_is_only_so_much_room() {
    let mut mirror = mirror(&[], 10);
    apply(&mut mirror, event(1, Op::Set, "a", json!("12345")));
    apply(&mut mirror, event(2, Op::Set, "b", json!("123456")));
    assert_eq!(what(&mirror, "b"), Some(&What::Unkept));
    apply(&mut mirror, event(3, Op::Set, "a", json!("1234567890")));
    assert!(is_text(&mirror, "a", "1234567890"));
    apply(&mut mirror, event(4, Op::Delete, "a", Value::Null));
    apply(&mut mirror, event(5, Op::Set, "b", json!("123456")));
    assert!(is_text(&mirror, "b", "123456"));
}

#[test]
fn what_is_gone_is_remembered_for_a_while_and_never_comes_back() {
    let mut mirror = mirror(&[], 1000);
    let many = MOST_GONE as u64 + 10;
    for n in 0..many {
        apply(
            &mut mirror,
            event(2 * n + 1, Op::Set, &format!("k/{n}"), json!("v")),
        );
        apply(
            &mut mirror,
            event(2 * n + 2, Op::Delete, &format!("k/{n}"), Value::Null),
        );
    }
    assert_eq!(mirror.rows().count(), MOST_GONE);
    assert_eq!(what(&mirror, "k/0"), None);
    // The last revision is not known any more: what is told is not below it.
    assert!(mirror.revision(&Path::of_key(&"k/0".into()).unwrap()).get() >= 2);
    assert!(apply(&mut mirror, event(1, Op::Set, "k/0", json!("v"))).is_empty());
    assert_eq!(what(&mirror, "k/0"), None);
}

#[test]
fn a_snapshot_replaces_but_for_what_is_newer_or_the_same() {
    let mut mirror = mirror(&[], 1000);
    apply(&mut mirror, event(1, Op::Set, "same", json!("s")));
    apply(&mut mirror, event(2, Op::Set, "vanished", json!("v")));
    apply(&mut mirror, event(9, Op::Set, "newer", json!("n")));
    let mut payload = json!({"snapshot_seq": 7, "entries": {
        "same": {"type": "string", "value": {"_scalar": "s"}},
        "newer": {"type": "string", "value": {"_scalar": "old"}},
        "other": {"type": "string", "value": {"_scalar": "o"}},
        "l": {"type": "lease", "value": {"_type": "lease", "token": 3, "expires_at": 5, "holder": null}},
        "": {"type": "string"},
        "odd": 7,
    }});
    let snapshot = Snapshot::read(&mut payload).unwrap();
    let changed = mirror.replace(snapshot);
    let row = |key: &str| mirror.row(&Path::of_key(&key.into()).unwrap()).unwrap();
    assert_eq!((row("same").seq, row("same").exact), (1, false));
    assert_eq!(
        (row("vanished").seq, &row("vanished").what),
        (7, &What::Gone)
    );
    assert!(is_text(&mirror, "newer", "n") && is_text(&mirror, "other", "o"));
    assert_eq!((row("other").seq, row("other").exact), (7, false));
    assert!(
        changed
            .iter()
            .any(|changed| &**changed.path.text() == "l" && changed.lease)
    );
    assert_eq!(mirror.seqs.through(), 7);
    assert_eq!(
        mirror
            .revision(&Path::of_key(&"never".into()).unwrap())
            .get(),
        7
    );
}

#[test]
fn an_age_is_known_from_the_stamp_or_from_what_came_before() {
    let mut mirror = mirror(&[], 1000);
    let clock = clock();
    let written = |mirror: &Mirror, key: &str| match what(mirror, key) {
        Some(What::Text(text)) => (text.written, text.token),
        other => panic!("{other:?}"),
    };
    let stamp = |ms: i64| OpId {
        process: 1,
        number: 2,
        stamp: Some(Stamp {
            token: Token::new(4),
            sent: clock.at_least(NOW) - ms,
        }),
    };
    mirror.apply(NOW, &clock, event(1, Op::Set, "unknown", json!("v")), false);
    let stamped = Event {
        op_id: stamp(5000).to_string(),
        ..event(2, Op::Set, "stamped", json!("v"))
    };
    mirror.apply(NOW, &clock, stamped, false);
    mirror.apply(NOW, &clock, event(3, Op::Set, "after", json!("v")), false);
    mirror.apply(NOW, &clock, event(9, Op::Set, "live", json!("v")), true);
    assert_eq!(written(&mirror, "unknown"), (None, None));
    assert_eq!(written(&mirror, "stamped"), (Some(995_000), Token::new(4)));
    assert_eq!(written(&mirror, "after"), (Some(995_000), None));
    assert_eq!(written(&mirror, "live"), (Some(1_000_000), None));
    let row = mirror
        .row(&Path::of_key(&"unknown".into()).unwrap())
        .unwrap();
    let What::Text(text) = &row.what else {
        panic!()
    };
    assert_eq!(row.entry(text, NOW).age, std::time::Duration::MAX);
}

/// What was written below a path before the path was written over comes after it, out of order.
#[test]
fn what_was_taken_along_does_not_come_back() {
    let mut mirror = mirror(&[], 1000);
    mirror.seqs.know_through(9);
    apply(&mut mirror, event(11, Op::Delete, "r", Value::Null));
    apply(&mut mirror, event(10, Op::Set, "r/today", json!("old")));
    assert!(!is_text(&mirror, "r/today", "old"));
    apply(&mut mirror, event(14, Op::Set, "u", json!({"b": "new"})));
    apply(&mut mirror, event(13, Op::Set, "u", json!("old")));
    apply(&mut mirror, event(12, Op::Set, "u/b/c", json!("old")));
    assert!(is_text(&mirror, "u/b", "new"));
    assert!(!is_text(&mirror, "u", "old") && !is_text(&mirror, "u/b/c", "old"));
    // A merge takes nothing along.
    apply(&mut mirror, event(16, Op::Merge, "u", json!({"x": "16"})));
    apply(&mut mirror, event(15, Op::Set, "u/y", json!("15")));
    assert!(is_text(&mirror, "u/x", "16") && is_text(&mirror, "u/y", "15"));
    assert_eq!(mirror.cleared.len(), 0, "nothing is missing any more");
}

/// An event that is late comes after a snapshot which tells what became of it.
#[test]
fn what_a_snapshot_does_not_show_does_not_come_back() {
    let mut mirror = mirror(&[], 1000);
    let snapshot = Snapshot {
        seq: 12,
        entries: Vec::new(),
    };
    mirror.replace(snapshot);
    assert!(apply(&mut mirror, event(5, Op::Set, "k", json!("deleted at 8"))).is_empty());
    assert_eq!(what(&mirror, "k"), None);
}

/// What stands, by whom.
fn standing(mirror: &Mirror) -> Vec<(String, u64, String)> {
    let there = mirror.rows().filter(|(_, row)| row.what != What::Gone);
    there
        .map(|(path, row)| {
            let what = match &row.what {
                What::Text(text) => format!("{:?}", text.value),
                other => format!("{other:?}"),
            };
            (path.text().to_string(), row.seq, what)
        })
        .collect()
}

proptest::proptest! {
    /// Maps and what stands within them, too.
    #[test]
    fn in_any_order_the_same_stands(
        ops in proptest::collection::vec((0..4_usize, 0..4_usize), 1..12),
        order in proptest::collection::vec(proptest::prelude::any::<u16>(), 12),
        twice in proptest::prelude::any::<bool>(),
    ) {
        let events: Vec<_> = (1..).zip(&ops).map(|(seq, (at, op))| {
            let key = ["a", "a/b", "a/b/c", "a/d"][*at];
            match op {
                0 => event(seq, Op::Set, key, json!("text")),
                1 => event(seq, Op::Set, key, json!({"b": "map", "d": "map"})),
                2 => event(seq, Op::Merge, key, json!({"b": "merge"})),
                _ => event(seq, Op::Delete, key, Value::Null),
            }
        }).collect();
        let mut told = mirror(&[], 1000);
        for event in &events {
            apply(&mut told, event.clone());
        }
        let mut shuffled: Vec<_> = order.into_iter().zip(&events).collect();
        shuffled.sort_by_key(|(place, event)| (*place, event.seq));
        let mut late = mirror(&[], 1000);
        for (_, event) in &shuffled {
            apply(&mut late, (*event).clone());
            if twice {
                apply(&mut late, (*event).clone());
            }
        }
        proptest::prop_assert_eq!(standing(&late), standing(&told));
        proptest::prop_assert_eq!(late.cleared.len(), 0);
    }
}
