//! What every run of the tests does anew: fresh seeds for a while, all seeds that ever failed, all
//! canaries, and the same traces in every build.

use std::io::{Write, stderr};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oneflight_sim::batch::{Batch, Progress, digest, judge, run};
use oneflight_sim::draw::{Profile, draw};

const PROFILES: [(&str, Profile); 3] = [
    ("swarm", Profile::Swarm),
    ("calm", Profile::Calm),
    ("chaos", Profile::Chaos),
];

/// Half of the runs are `swarm`, which has all the others in it.
#[test]
fn fresh_seeds_keep_all_promises() {
    const TIME: Duration = Duration::from_secs(20);
    const CHUNK: u64 = 500;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = clock.as_millis() as u64 * 1000;
    // Past the harness, which keeps what a test prints to itself if it passes.
    writeln!(stderr(), "fresh seeds from {first} on, for {TIME:?}").unwrap();
    let begin = Instant::now();
    let mut from = first;
    for (name, profile) in PROFILES.iter().cycle() {
        if begin.elapsed() > TIME {
            break;
        }
        let until = from + CHUNK;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let batch = Batch {
            from,
            until,
            profile: *profile,
            nodes: None,
            jobs,
        };
        let (_, failures) = run(&batch, &Progress::default());
        assert!(
            failures.is_empty(),
            "oneflight-sim run --profile {name} --seeds {from}..{until}: {failures:#?}"
        );
        from = until;
    }
    writeln!(stderr(), "{} fresh seeds were clean", from - first).unwrap();
}

/// `seeds.txt`: the profile, the seed, and a word on what it found when it failed.
#[test]
fn seeds_that_once_failed_are_clean() {
    let mut count = 0;
    for line in include_str!("../seeds.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (name, seed) = (words.next().unwrap(), words.next().unwrap());
        let profile = PROFILES.iter().find(|profile| profile.0 == name).unwrap().1;
        let (violations, _) = judge(&draw(seed.parse().unwrap(), profile, None), None);
        assert!(violations.is_empty(), "{line}: {violations:?}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_canary_is_caught_and_the_product_is_clean() {
    let program = env!("CARGO_BIN_EXE_oneflight-sim");
    let mut canaries = Command::new(program);
    let told = canaries
        .args(["canaries", "--all", "--trials", "3"])
        .output();
    let told = told.unwrap();
    let table = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{table}");
    writeln!(stderr(), "{table}").unwrap();
}

/// Debug and release builds must both give these. They change whenever what is drawn, or the trace, is
/// changed on purpose: `oneflight-sim run --digest --profile NAME --seeds 0..300` tells the new ones.
#[test]
fn runs_are_the_same_in_every_build() {
    let known = [
        0x0158_a456_d065_a53b,
        0x9476_43e9_7c32_c817,
        0x9d5d_414d_c24d_ca54,
    ];
    let found = PROFILES.map(|(_, profile)| digest(0..300, profile, None).0);
    assert_eq!(found, known, "{found:#018x?}");
}
