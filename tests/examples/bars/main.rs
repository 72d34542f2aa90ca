//! The bars of oneflight, measured on this machine, as a table in Markdown.
//!
//! ```text
//! cargo run --release -p oneflight-tests --example bars [crowd|push|takeover|handover|tasks|redis]...
//! ```
//!
//! All moments are taken on the monotonic clock, which the processes of a machine share. The commands
//! that `oneflight run` runs here are this program in another role: they take the time at their start
//! and at their end.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on is none"
)]

mod redis;

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use oneflight_sqlite::SqliteStore;
use oneflight_store::LockState;
use oneflight_store::blocking::Store as _;
use oneflight_tests::fleet::{Tokio, crowd};
use oneflight_tests::ground::{Ground, Memory, Sqlite};
use oneflight_tests::program::{Place, Process, oneflight};
use oneflight_tests::time::{now, until};
use oneflight_tokio::{SingleFlight, Source};
use rustix::process::Signal;
use tokio::runtime::{Builder, Runtime};

/// Longer than any measurement.
const LONG: [&str; 4] = ["--lease-ttl", "1h", "--wait-timeout", "30m"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["fill", millis, notes] => fill(millis, notes, 0),
        ["fail", millis, notes] => fill(millis, notes, 1),
        ["wait", path] => wait(path),
        ["participant", ..] => oneflight_tests::participant::run(&arguments[1..]),
        chosen => measure(chosen),
    }
}

fn measure(chosen: &[&str]) {
    let sections: [(&str, fn()); 6] = [
        ("crowd", forty),
        ("push", push),
        ("takeover", takeover),
        ("handover", handover),
        ("tasks", tasks),
        ("redis", redis::redis),
    ];
    eprintln!("{}", oneflight().display());
    println!("| bar | goal | measured |");
    println!("| --- | --- | --- |");
    for (name, section) in sections {
        if chosen.is_empty() || chosen.contains(&name) {
            section();
        }
    }
}

fn row(bar: &str, goal: &str, measured: impl std::fmt::Display) {
    println!("| {bar} | {goal} | {measured} |");
}

/// Times in nanoseconds, in words.
fn spread(mut nanos: Vec<i64>) -> String {
    if nanos.is_empty() {
        return "none".to_owned();
    }
    nanos.sort_unstable();
    let at = |part: usize| nanos[(nanos.len() - 1) * part / 100] as f64 / 1e6;
    format!(
        "median {:.2} ms, p99 {:.2} ms, max {:.2} ms (of {})",
        at(50),
        at(99),
        at(100),
        nanos.len()
    )
}

// Other roles.

/// A command: takes the time, takes its time, prints, and takes the time again as its last deed.
fn fill(millis: &str, notes: &str, code: i32) -> ! {
    let began = now();
    let note = |what: &str, at: i64| {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(notes)
            .unwrap();
        file.write_all(format!("{what} {at}\n").as_bytes()).unwrap();
    };
    note("began", began);
    thread::sleep(Duration::from_millis(millis.parse().unwrap()));
    println!("value");
    note("ended", now());
    std::process::exit(code);
}

/// A process that waits in the library for one key after another; it is told which, and tells when it
/// has landed, or has begun to fill itself.
fn wait(path: &str) {
    let store = SqliteStore::open(path).unwrap();
    current_thread().block_on(async {
        let flights = SingleFlight::builder(store).local_copies(0).build();
        for key in std::io::stdin().lines() {
            let key = key.unwrap();
            let mut filled = None;
            let call = flights.key(&key);
            let landing = call.run(|_| {
                filled = Some(now());
                async { Ok::<i64, String>(0) }
            });
            let source = landing.await.unwrap().source;
            let at = filled.unwrap_or_else(now);
            println!("{source} {at}");
        }
    });
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn threads(count: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).enable_all().build().unwrap()
}

/// The notes of the commands with this word, in order.
fn notes(place: &Place, what: &str) -> Vec<i64> {
    let notes = place.read("notes");
    let notes = notes.lines().filter_map(|line| line.strip_prefix(what));
    notes.map(|at| at.trim().parse().unwrap()).collect()
}

/// Starts `oneflight run` of this program in another role.
fn start(place: &Place, options: &[&str], role: &str, millis: &str) -> Process {
    let this = std::env::current_exe().unwrap();
    let head = ["run"].iter().chain(options).chain(&["key", "--"]);
    place.start(
        head.copied()
            .chain([this.to_str().unwrap(), role, millis, "notes"]),
    )
}

/// Waits for all of them, each on a thread of its own, and takes the moment each is gone.
fn reap(processes: Vec<Process>) -> Vec<(i64, String)> {
    let threads: Vec<_> = processes
        .into_iter()
        .map(|mut process| {
            thread::spawn(move || {
                let status = process.reap();
                let at = now();
                (at, process.collect(status))
            })
        })
        .collect();
    let ended = threads.into_iter().map(|thread| {
        let (at, ended) = thread.join().unwrap();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        (at, ended.stdout)
    });
    ended.collect()
}

// The bars.

fn forty() {
    const ROUNDS: usize = 5;
    let (mut followers, mut leaders, mut executions) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let place = Place::new();
        let mut options = LONG.to_vec();
        options.push("--json");
        let processes = (0..40).map(|_| start(&place, &options, "fill", "1000"));
        let ended = reap(processes.collect());
        executions.push(notes(&place, "began").len());
        let end = notes(&place, "ended")[0];
        for (at, stdout) in ended {
            assert!(stdout.contains(r#""value":"value\n""#), "{stdout}");
            if stdout.contains(r#""source":"computed""#) {
                leaders.push(at - end);
            } else {
                followers.push(at - end);
            }
        }
    }
    let bar = "40 `oneflight run` of a 1 s command on a cold key";
    row(
        &format!("{bar}: executions in each of {ROUNDS} rounds"),
        "1",
        format!("{executions:?}"),
    );
    row(
        &format!("{bar}: fill's end → follower gone"),
        "median ≤ 20 ms",
        spread(followers),
    );
    row(
        &format!("{bar}: fill's end → leader gone"),
        "",
        spread(leaders),
    );

    let mut followers = Vec::new();
    for _ in 0..25 {
        let place = Place::new();
        let leader = start(&place, &LONG, "fill", "200");
        until("the leader", || {
            (!notes(&place, "began").is_empty()).then_some(())
        });
        let follower = start(&place, &LONG, "fill", "0");
        place.await_waiting([&follower]);
        let ended = reap(vec![leader, follower]);
        followers.push(ended[1].0 - notes(&place, "ended")[0]);
    }
    row(
        "one leader, one follower: fill's end → follower gone",
        "",
        spread(followers),
    );
}

/// The leader's process, and one that waits.
struct Pair {
    flights: SingleFlight,
    child: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _place: Place,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new();
        let store = place.store();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("wait")
            .arg(Path::new(&place.store_path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            flights: SingleFlight::builder(store).local_copies(0).build(),
            child,
            lines,
            _place: place,
        }
    }

    /// Fills while the other one waits; the end of the fill, and what the other one tells then.
    async fn round(&mut self, key: String, result: Result<i64, String>) -> (i64, Source, i64) {
        let ended = Cell::new(0);
        let mut stdin = self.child.stdin.take().unwrap();
        let call = self.flights.key(&key);
        let landed = call.run(|_| {
            writeln!(stdin, "{key}").unwrap();
            let (ended, result) = (&ended, result.clone());
            async move {
                // Time for the other one to come and wait.
                tokio::time::sleep(Duration::from_millis(30)).await;
                ended.set(now());
                result
            }
        });
        drop(landed.await);
        self.child.stdin = Some(stdin);
        let line = self.lines.next().unwrap().unwrap();
        let (source, at) = line.split_once(' ').unwrap();
        let source = match source {
            "awaited" => Source::Awaited,
            "computed" => Source::Computed,
            _ => Source::Cached,
        };
        (ended.get(), source, at.parse().unwrap())
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn push() {
    let mut pair = Pair::new();
    let mut taken = Vec::new();
    // This thread waits for lines: the driver needs one of its own.
    threads(1).block_on(async {
        for round in 0..300 {
            let (ended, source, at) = pair.round(format!("push {round}"), Ok(1)).await;
            if source == Source::Awaited {
                taken.push(at - ended);
            }
        }
    });
    pair.end();
    row(
        "library: end of the fill → landing of a waiter in another process (publish, push, decode)",
        "median < 1 ms",
        spread(taken),
    );
}

fn takeover() {
    const FOLLOWERS: usize = 5;
    let (mut taken, mut landed, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..10_u64 {
        let place = Place::new();
        let store = place.store();
        let leader = start(&place, &["--lease-ttl", "2s"], "fill", "1000000");
        until("the leader", || {
            (!notes(&place, "began").is_empty()).then_some(())
        });
        let mut followers: Vec<_> = (1..FOLLOWERS)
            .map(|_| start(&place, &LONG, "fill", "0"))
            .collect();
        place.await_waiting(&followers);
        // At another moment between two renewals each time.
        thread::sleep(Duration::from_millis(70 * round));
        let killed = now();
        leader.signal(Signal::KILL);
        drop(leader);
        // Nobody renews it any more: this is when it lapses.
        let listed = store.list().unwrap();
        let read = now();
        let LockState::Held {
            remaining: Some(remaining),
            ..
        } = &listed[0].state
        else {
            panic!("not held: {listed:?}");
        };
        let lapse = read + i64::try_from(remaining.as_nanos()).unwrap();
        // One comes late: when nobody has renewed for a while.
        thread::sleep(Duration::from_millis(100 * round));
        followers.push(start(&place, &LONG, "fill", "0"));
        let ended = reap(followers);
        let began = notes(&place, "began");
        runs.push(began.len());
        taken.push(began[1] - lapse);
        landed.push(ended.iter().map(|(at, _)| at - killed).max().unwrap());
    }
    row(
        "leader killed (`--lease-ttl 2s`): executions in each of 10 rounds",
        "2",
        format!("{runs:?}"),
    );
    row(
        "leader killed: lapse → next command begins",
        "≤ 50 ms",
        spread(taken),
    );
    row(
        "leader killed: kill → last of 5 others gone",
        "≤ 2.5 s",
        spread(landed),
    );
}

fn handover() {
    let mut pair = Pair::new();
    let mut taken = Vec::new();
    // This thread waits for lines: the driver needs one of its own.
    threads(1).block_on(async {
        for round in 0..25 {
            let result = Err("no".to_owned());
            let (ended, source, at) = pair.round(format!("abort {round}"), result).await;
            assert_eq!(source, Source::Computed);
            taken.push(at - ended);
        }
    });
    pair.end();
    row(
        "library: end of a failing fill → fill in another process begins",
        "median ≤ 20 ms",
        spread(taken),
    );

    let mut taken = Vec::new();
    for _ in 0..25 {
        let place = Place::new();
        let leader = start(&place, &LONG, "fail", "200");
        until("the leader", || {
            (!notes(&place, "began").is_empty()).then_some(())
        });
        let waiter = start(&place, &LONG, "fill", "0");
        place.await_waiting([&waiter]);
        reap(vec![waiter]);
        drop(leader);
        taken.push(notes(&place, "began")[1] - notes(&place, "ended")[0]);
    }
    row(
        "program: end of a failing command → command of another process begins",
        "median ≤ 20 ms",
        spread(taken),
    );
}

fn tasks() {
    fn one<G: Ground>(store: &str) {
        for (name, runtime) in [
            ("one thread", current_thread()),
            ("two threads", threads(2)),
        ] {
            for copies in [10_000, 0] {
                let ground = Arc::new(G::new());
                let crowd = runtime.block_on(crowd::<Tokio>(&*ground, 4, copies, 20_000, 2_000));
                let copies = if copies == 0 {
                    "without local copies"
                } else {
                    "local copies"
                };
                row(
                    &format!(
                        "20,000 tasks, 2,000 keys, 4 drivers, {store}, {name}, {copies}: fills"
                    ),
                    "2000",
                    format!(
                        "{} ({} keys twice; {:.2?})",
                        crowd.fills, crowd.refilled, crowd.took
                    ),
                );
            }
        }
    }
    one::<Memory>("memory");
    one::<Sqlite>("SQLite");
}
