//! Instruction counts, by callgrind: the same on a noisy machine as on a quiet one.
//!
//! Runs itself under valgrind once per subject, and collects only inside of [`measured`].

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use oneflight_benches::{
    Bed, FLIGHT_STEPS, FLIGHTS_STEPS, Herd, TASKS, flight_life, flights_life, stampede,
};
use oneflight_core::{Flights, Policy, Token};

/// How often a hit or a life is repeated.
const TIMES: u32 = 1_000;

type Hit = fn(&Bed);

const HITS: [(&str, Hit); 11] = [
    ("key", |bed| drop(black_box(bed.key()))),
    ("key_fresh_for", |bed| drop(black_box(bed.key_fresh_for()))),
    ("handle", |bed| drop(black_box(bed.handle()))),
    ("handle_fresh_for", |bed| {
        drop(black_box(bed.handle_fresh_for()));
    }),
    ("threads_key", |bed| drop(black_box(bed.threads_key()))),
    ("threads_handle", |bed| {
        drop(black_box(bed.threads_handle()));
    }),
    ("quick_get", |bed| drop(black_box(bed.quick_get()))),
    ("quick_loader", |bed| drop(black_box(bed.quick_loader()))),
    ("moka_loader", |bed| drop(black_box(bed.moka_loader()))),
    ("cell", |bed| drop(black_box(bed.cell()))),
    ("cell_by_reference", |bed| {
        black_box(bed.cell_by_reference());
    }),
];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [word, subject] = &args[..]
        && word == "subject"
    {
        return run(subject);
    }
    if !args.iter().any(|arg| arg == "--bench") {
        return; // Only being tested to start.
    }
    let wanted = |name: &str| {
        let mut filters = args.iter().filter(|arg| !arg.starts_with("--")).peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
    };
    let count = |name: &str, times: u32| {
        if wanted(name) {
            println!("{name} {}", collect(name) / u64::from(times));
        }
    };
    for (name, _) in HITS {
        count(name, TIMES);
    }
    count("flight", TIMES * FLIGHT_STEPS);
    count("flights", TIMES * FLIGHTS_STEPS);
    for herd in Herd::ALL {
        count(&format!("stampede_{herd:?}"), TASKS as u32);
    }
}

/// The instructions that a subject executes, in a process of its own.
fn collect(subject: &str) -> u64 {
    let program = std::env::current_exe().expect("the path of this program");
    let output = std::env::var("CALLGRIND_OUT").unwrap_or_else(|_| String::from("/dev/null"));
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured*"])
        .arg(format!("--callgrind-out-file={output}"))
        .arg(program)
        .args(["subject", subject])
        .output()
        .expect("valgrind, which must be installed");
    let report = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{subject}: {report}");
    report
        .lines()
        .find_map(|line| line.split("Collected :").nth(1))
        .and_then(|count| count.trim().parse().ok())
        .expect("a count")
}

fn run(subject: &str) {
    let token = Token::new(7).expect("not zero");
    if let Some((_, hit)) = HITS.iter().find(|(name, _)| *name == subject) {
        let bed = Bed::new();
        for _ in 0..10 {
            hit(&bed);
        }
        return repeat(|_| hit(black_box(&bed)));
    }
    if subject == "flight" {
        let policy = Policy::DEFAULT;
        return repeat(|_| {
            black_box(flight_life(black_box(policy), token));
        });
    }
    if subject == "flights" {
        let (mut flights, key): (_, Arc<str>) = (Flights::new(), "artifacts/3f9a".into());
        return repeat(|round| flights_life(&mut flights, &key, u64::from(round) + 1, token));
    }
    let herd = Herd::ALL
        .into_iter()
        .find(|herd| subject == format!("stampede_{herd:?}"))
        .expect("a subject");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let rush = || runtime.block_on(async { tokio::spawn(stampede(herd)).await });
    rush().expect("no panic");
    measured(|| drop(rush()));
}

fn repeat(mut subject: impl FnMut(u32)) {
    measured(|| (0..TIMES).for_each(&mut subject));
}

#[inline(never)]
fn measured(subject: impl FnOnce()) {
    subject();
    black_box(());
}
