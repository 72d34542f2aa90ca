//! Processes killed at random, all over one store.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oneflight_store::{Entry, Store, Subscription, WatchEvent};
use oneflight_tests::ground::{Meeting, Redis, Sqlite};
use oneflight_tests::program::{Ended, Place, Process};
use oneflight_tests::time::BOUND;
use rustix::process::Signal;

const KILLS: usize = 200;
const PROCESSES: usize = 10;
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Notes its token, and prints a value that tells whether it is whole; not all of it at once.
const SCRIPT: &str = "
    echo $ONEFLIGHT_TOKEN >> tokens.$ONEFLIGHT_KEY
    printf 'begin %s %s %03000d ' $ONEFLIGHT_KEY $ONEFLIGHT_TOKEN 0
    sleep 0.02
    printf '%03000d end %s %s' 0 $ONEFLIGHT_KEY $ONEFLIGHT_TOKEN";

fn value(key: &str, token: u64) -> String {
    let zeros = "0".repeat(3000);
    format!("begin {key} {token} {zeros} {zeros} end {key} {token}")
}

/// A call under way.
struct Flying {
    key: &'static str,
    process: Process,
    /// The highest token that had landed for the key when the call began.
    landed_before: u64,
}

/// What has come of all the calls.
#[derive(Default)]
struct Log {
    killed: usize,
    landed: BTreeMap<&'static str, u64>,
    landings: usize,
}

impl Log {
    fn start<G: Meeting>(&self, place: &Place<G>, key: &'static str) -> Flying {
        let options = [
            "run",
            "--json",
            "--fresh-for",
            "0s",
            "--lease-ttl",
            "1s",
            "--wait-timeout",
            "100s",
        ];
        let process = place.start(options.into_iter().chain([key, "--", "sh", "-c", SCRIPT]));
        let landed_before = self.landed.get(key).copied().unwrap_or(0);
        Flying {
            key,
            process,
            landed_before,
        }
    }

    /// Only the killed have no value; a value is whole, and no older than any before the call.
    fn ended(&mut self, flying: &Flying, ended: &Ended) {
        if ended.was_killed() {
            self.killed += 1;
            return;
        }
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let json = ended.json();
        let token = json["token"].as_u64().unwrap();
        assert_eq!(json["value"], value(flying.key, token), "torn");
        assert_eq!(json["coordinated"], true);
        assert_eq!(json["stale"], false);
        assert!(
            token >= flying.landed_before,
            "{}: {token} after {} had landed",
            flying.key,
            flying.landed_before
        );
        let landed = self.landed.entry(flying.key).or_default();
        *landed = token.max(*landed);
        self.landings += 1;
    }
}

#[test]
fn two_hundred_kills_leave_a_sound_file() {
    let place = two_hundred_kills::<Sqlite>();
    assert_eq!(integrity(&place), "ok");
}

#[test]
fn two_hundred_kills_leave_a_sound_server() {
    two_hundred_kills::<Redis>().ground.assert_left_alone();
}

fn two_hundred_kills<G: Meeting>() -> Place<G> {
    let seed = match std::env::var("ONEFLIGHT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("ONEFLIGHT_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    // Built before the clock starts.
    println!("{}", oneflight_tests::program::oneflight().display());
    let place = Place::<G>::default();
    let mut log = Log::default();
    let mut flying: Vec<Flying> = Vec::new();
    let mut published = None;
    let since = Instant::now();
    while log.killed < KILLS {
        assert!(since.elapsed() < 2 * BOUND, "{} killed so far", log.killed);
        while flying.len() < PROCESSES {
            flying.push(log.start(&place, KEYS[random.usize(..KEYS.len())]));
        }
        // Not before the first ones are killed while they make the store.
        if log.killed > 10 && published.is_none() {
            published = Some(Published::watch(&place));
        }
        std::thread::sleep(Duration::from_millis(random.u64(1..60)));
        let victim = &flying[random.usize(..flying.len())];
        victim.process.signal(Signal::KILL);
        reap(&mut flying, &mut log);
    }
    let stormy = log.landings;
    let deadline = Instant::now() + BOUND;
    while !flying.is_empty() {
        assert!(Instant::now() < deadline, "some never land");
        std::thread::sleep(Duration::from_millis(5));
        reap(&mut flying, &mut log);
    }
    println!(
        "{} killed, {stormy} landed meanwhile, {} after that, in {:?}",
        log.killed,
        log.landings - stormy,
        since.elapsed()
    );

    published.unwrap().check();
    for key in KEYS {
        let runs = place.read(&format!("tokens.{key}"));
        let tokens: Vec<u64> = runs.lines().map(|line| line.parse().unwrap()).collect();
        assert!(
            tokens.is_sorted_by(|one, next| one < next),
            "{key}: {tokens:?}"
        );

        // And it goes on: what is there is there, what is computed anew has a new token.
        let last = tokens.last().copied().unwrap_or(0);
        let mut flight = log.start(&place, key);
        let status = flight.process.reap();
        let ended = flight.process.collect(status);
        log.ended(&flight, &ended);
        let token = log.landed[key];
        assert!(token > last, "{key}: {token} after {last}");
        place.get(key).prints(&value(key, token));
        place.run(&[], key, "exit 1").prints(&value(key, token));
    }
    place
}

fn reap(flying: &mut Vec<Flying>, log: &mut Log) {
    flying.retain_mut(|one| match one.process.try_ended() {
        Some(ended) => {
            log.ended(one, &ended);
            false
        }
        None => true,
    });
}

fn integrity(place: &Place<Sqlite>) -> String {
    let conn = rusqlite::Connection::open(place.store_path()).unwrap();
    conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

/// What a process that is never killed hears of.
struct Published {
    entries: Arc<Mutex<HashMap<&'static str, Vec<Entry>>>>,
    _watches: Vec<Subscription>,
    _store: Arc<dyn Store>,
}

impl Published {
    fn watch(place: &Place<impl Meeting>) -> Self {
        let store = place.ground.open_for_threads();
        let entries: Arc<Mutex<HashMap<_, Vec<Entry>>>> = Arc::default();
        let watches = KEYS.map(|key| {
            let entries = Arc::clone(&entries);
            let watcher = move |event| match event {
                WatchEvent::Key(state) => {
                    let mut entries = entries.lock().unwrap();
                    entries.entry(key).or_default().extend(state.entry);
                }
                WatchEvent::Lock(_) => {}
                WatchEvent::Ended(error) => panic!("{error}"),
            };
            store.watch(
                key.into(),
                format!("_dust:sf/{key}").into(),
                Arc::new(watcher),
            )
        });
        Self {
            entries,
            _watches: watches.into(),
            _store: store,
        }
    }

    /// Every value was whole, and the newer ones came later.
    fn check(&self) {
        let entries = self.entries.lock().unwrap();
        assert!(!entries.is_empty());
        for (key, entries) in &*entries {
            for entry in entries {
                let token = entry.token.unwrap().get();
                let stored: String = serde_json::from_slice(&entry.value).unwrap();
                assert_eq!(stored, value(key, token), "torn");
            }
            let order = |entry: &Entry| (entry.revision, entry.token);
            assert!(
                entries.is_sorted_by(|one, next| {
                    order(one) == order(next)
                        || one.revision < next.revision && one.token < next.token
                }),
                "{key}: {:?}",
                entries.iter().map(order).collect::<Vec<_>>()
            );
        }
    }
}
