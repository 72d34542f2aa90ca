//! The timeline in a real browser: what it draws is what the trace says, nothing goes wrong on the way,
//! what is broken is seen at once, and a key's name stays a name.
#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU64;

use oneflight_core::{Event, Notice, Outcome};
use oneflight_sim::batch;
use oneflight_sim::bugs::Bug;
use oneflight_sim::canaries;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::plan::Plan;
use oneflight_sim::timeline::{of_run, of_trace};
use oneflight_sim::trace::{Answer, Key, Line, Name, Record, Trace, What, read, write_line};
use serde_json::Value;

/// Put first: hears of everything that goes wrong.
const LISTEN: &str = "
    window.wrong = [];
    addEventListener('error', event => wrong.push(event.message));
    addEventListener('unhandledrejection', event => wrong.push(String(event.reason)));
    addEventListener('securitypolicyviolation', event => wrong.push('blocked: ' + event.blockedURI));
    console.error = (...what) => wrong.push(what.join(' '));
    window.alert = what => wrong.push('alert: ' + what);
";

/// Put last: counts what was drawn, and uses the page as a person does.
const LOOK: &str = "{
    const drawn = {};
    for (const section of document.querySelectorAll('.panel:not([hidden])')) {
      const count = name => section.querySelectorAll('.scroll ' + name).length;
      drawn[section.dataset.role] = {
        lanes: count('.lane'), leases: count('.lease'), fills: count('.fill'), calls: count('.landing'),
        requests: count('.message.request'), events: count('.event'), violations: count('.violation'),
      };
    }
    const seen = selector => {
      const shape = document.querySelector(selector);
      if (!shape) return false;
      const {left, top, right, bottom, width, height} = shape.getBoundingClientRect();
      return width > 0 && height > 0 && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    };
    const flag = seen('.violation .flag'), ring = seen('.violation .ring');
    const text = name => document.querySelector(name)?.textContent ?? '';
    const scroll = document.querySelector('.scroll'), tip = document.getElementById('tip');
    const press = key => scroll.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    const states = [];
    const steps = scroll.querySelectorAll('.event').length;
    for (let step = 0; step < steps; step++) {
      press('ArrowRight');
      if (tip.querySelectorAll('dd').length === 2) states.push(tip.querySelectorAll('dd')[1].textContent);
    }
    press('Enter');
    const pinned = tip.querySelector('pre')?.textContent ?? '';
    press('Escape');
    const hidden = tip.hidden;
    const lease = scroll.querySelector('.lease');
    if (lease) lease.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: 300, clientY: 300}));
    const hovered = tip.textContent;
    const width = () => document.querySelector('.scroll svg').getBoundingClientRect().width;
    const narrow = width();
    for (const button of document.querySelectorAll('#tools button')) button.click();
    press('+');
    const wide = width();
    const filter = document.querySelector('#tools input');
    filter.value = 'no key is called so';
    filter.dispatchEvent(new Event('input'));
    const filtered = document.querySelectorAll('.scroll .lease, .scroll .landing').length;
    for (const details of document.querySelectorAll('details')) details.open = true;
    setTimeout(() => {
      const probe = document.createElement('pre');
      probe.id = 'probe';
      probe.textContent = JSON.stringify({
        wrong, drawn, flag, ring, states, pinned, hidden, hovered, narrow, wide, filtered,
        title: text('h1'), cause: [...document.querySelectorAll('.cause p')].map(p => p.textContent),
        removed: text('.panel[data-role=twin] h2'), rows: document.querySelectorAll('tbody tr').length,
        scripts: document.scripts.length, images: document.images.length, page: document.body.textContent,
      });
      document.body.append(probe);
    }, 50);
}";

/// Opens a page in Chromium with a window of 1400 × 1000 and tells what was seen.
fn open(name: &str, page: &str) -> Value {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("timeline-{name}"));
    std::fs::create_dir_all(&place).unwrap();
    let nonce = page.split("nonce=\"").nth(1).unwrap();
    let nonce = nonce.split('"').next().unwrap();
    let script = |text: &str| format!("<script nonce=\"{nonce}\">{text}</script>");
    let page = page.replacen("<title>", &format!("{}<title>", script(LISTEN)), 1);
    let page = page.replacen("</body>", &format!("{}</body>", script(LOOK)), 1);
    let file = place.join("page.html");
    std::fs::write(&file, page).unwrap();
    let profile = place.join("profile");
    // What an earlier run left is not an empty profile.
    drop(std::fs::remove_dir_all(&profile));
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--window-size=1400,1000"])
        .args(["--enable-logging=stderr", "--v=0"])
        .args([
            "--virtual-time-budget=2000",
            "--timeout=60000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap_or_else(|error| {
            panic!("chromium cannot be started ({error}): apt-get install chromium")
        });
    drop(std::fs::remove_dir_all(&profile));
    let console = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Vec<&str> = console
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert_eq!(said, [""; 0], "{name}: the console");
    let dom = String::from_utf8(output.stdout).unwrap();
    let probe = dom.split("<pre id=\"probe\">").nth(1);
    let probe = probe.unwrap_or_else(|| panic!("{name}: the page did not come so far: {console}"));
    let text = probe.split("</pre>").next().unwrap();
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        seen["wrong"],
        Value::Array(Vec::new()),
        "{name}: went wrong"
    );
    seen
}

fn records(lines: Vec<Line<Key>>) -> Vec<Record<Key>> {
    let record = |line| match line {
        Line::Record(record) => Some(record),
        Line::Header(_) => None,
    };
    lines.into_iter().filter_map(record).collect()
}

/// The panel shows all that the trace has.
fn assert_drawn(panel: &Value, records: &[Record<Key>]) {
    let count = |is_it: fn(&What<Key>) -> bool| {
        records.iter().filter(|record| is_it(&record.what)).count() as u64
    };
    let grants: BTreeSet<_> = records
        .iter()
        .filter_map(|record| match &record.what {
            What::Committed {
                key,
                answer: Answer::Granted { token, .. },
                ..
            } => Some((*key, *token)),
            _ => None,
        })
        .collect();
    let repeated = count(|what| matches!(what, What::Committed { again: true, .. }));
    let expected = [
        ("lanes", 1 + count(|what| matches!(what, What::Up { .. }))),
        ("leases", grants.len() as u64),
        (
            "fills",
            count(|what| matches!(what, What::FillBegan { .. })),
        ),
        ("calls", count(|what| matches!(what, What::Began { .. }))),
        ("events", records.len() as u64),
    ];
    for (name, number) in expected {
        assert_eq!(panel[name], number, "{name} of {panel}");
    }
    let (requests, sent) = (
        panel["requests"].as_u64().unwrap(),
        count(|what| matches!(what, What::Sent { .. })),
    );
    assert!(
        (sent..=sent + repeated).contains(&requests),
        "{sent} requests in {panel}"
    );
}

/// The first seed whose run has all that a picture may show: a process that waits, one that dies, a
/// value that is found.
fn telling() -> (u64, Vec<Record<Key>>) {
    let tells = |records: &[Record<Key>]| {
        let has = |is_it: fn(&What<Key>) -> bool| {
            let mut kinds = records.iter().map(|record| &record.what);
            kinds.any(is_it)
        };
        let landed = |is_it: fn(&Outcome) -> bool| {
            let mut kinds = records.iter().map(|record| &record.what);
            kinds.any(|what| matches!(what, What::Landed { outcome, .. } if is_it(outcome)))
        };
        landed(|outcome| matches!(outcome, Outcome::Awaited { .. }))
            && landed(|outcome| matches!(outcome, Outcome::Cached { .. }))
            && has(|what| matches!(what, What::Down { .. }))
            && has(|what| matches!(what, What::WatchOpened { .. }))
    };
    let runs = (0..1000).map(|seed| {
        let plan = draw(seed, Profile::Swarm, None);
        (seed, records(batch::trace(&plan, None).0))
    });
    let mut telling = runs.filter(|(_, records)| tells(records));
    telling.next().unwrap()
}

#[test]
fn a_violation_is_seen_at_once_and_has_a_cause_and_a_twin() {
    let bug = Bug::RedundantFill;
    let plan = canaries::plan(
        bug,
        canaries::hunt(bug, 1, 10_000, &AtomicU64::new(0))
            .seed
            .unwrap(),
    );
    let seen = open("violation", &of_run(&plan, Some(bug), "again"));
    assert_eq!(seen["title"], "S5 NoRedundantFill is violated");
    assert_eq!(
        (&seen["flag"], &seen["ring"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let cause = seen["cause"].as_array().unwrap();
    assert_eq!(cause.len(), 3, "{cause:?}");
    assert!(
        cause[1]
            .as_str()
            .unwrap()
            .contains("a fill began under token"),
        "{cause:?}"
    );
    assert!(cause[2].as_str().unwrap().contains("newer r"), "{cause:?}");
    assert!(
        seen["removed"]
            .as_str()
            .unwrap()
            .contains("without the bug F1"),
        "{}",
        seen["removed"]
    );
    assert_eq!(seen["drawn"]["failing"]["violations"], 1);
    assert_eq!(seen["drawn"]["twin"]["violations"], 0);
    let (lines, violations, _) = batch::trace(&plan, Some(bug));
    assert_eq!(
        seen["drawn"]["whole"]["violations"],
        violations.len() as u64
    );
    assert_drawn(&seen["drawn"]["whole"], &records(lines));
}

#[test]
fn a_fault_that_makes_the_difference_is_named() {
    let bug = Bug::StaleClobber;
    let plan: Plan = serde_json::from_str(include_str!("timeline/stale_clobber.json")).unwrap();
    let seen = open("fault", &of_run(&plan, Some(bug), "again"));
    assert_eq!(seen["title"], "S3 NoStalePublish is violated");
    let removed = seen["removed"].as_str().unwrap();
    assert!(
        removed.contains("without the cut between node 1 and the store"),
        "{removed}"
    );
}

#[test]
fn a_clean_run_is_drawn_whole_and_can_be_looked_at() {
    let (seed, records) = telling();
    let plan = draw(seed, Profile::Swarm, None);
    let seen = open("clean", &of_run(&plan, None, "again"));
    assert_eq!(seen["title"], "All promises kept");
    assert_eq!(seen["cause"], Value::Array(Vec::new()));
    assert_drawn(&seen["drawn"]["whole"], &records);
    assert_eq!(seen["rows"], records.len() as u64);
    let states = seen["states"].to_string();
    for state in [
        "claiming, StoreTimeout in",
        "waiting, ",
        "filling, ",
        "publishing, ",
    ] {
        assert!(states.contains(state), "{state} in {states}");
    }
    assert!(seen["pinned"].as_str().unwrap().starts_with("{\"at\":"));
    assert_eq!(seen["hidden"], true);
    assert!(seen["hovered"].as_str().unwrap().contains("granted token"));
    assert!(seen["wide"].as_f64() > seen["narrow"].as_f64());
    assert_eq!(seen["filtered"], 0);
}

/// A recording as the drivers write it: without what only a simulator sees, with names of keys.
fn recording(seed: u64, name: &str) -> Trace {
    let (lines, ..) = batch::trace(&draw(seed, Profile::Swarm, None), None);
    let mut bytes = Vec::new();
    for line in lines {
        match line {
            Line::Header(mut header) => {
                (header.seed, header.recorder) = (None, "tokio".to_owned());
                write_line(&mut bytes, &Line::<Name>::Header(header)).unwrap();
            }
            Line::Record(record) => {
                let hidden = matches!(
                    record.what,
                    What::Committed { .. }
                        | What::WatchOpened { .. }
                        | What::WatchClosed { .. }
                        | What::Fault { .. }
                        | What::Healed { .. }
                );
                if !hidden {
                    let mut named = |key: &Key| Name::Key(format!("{name}{}", key.0));
                    write_line(&mut bytes, &Line::Record(record.rename(&mut named))).unwrap();
                }
            }
        }
    }
    read(bytes.as_slice()).unwrap()
}

#[test]
fn a_recording_is_drawn_too_and_the_names_of_its_keys_stay_names() {
    let name = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{data}}&amp;";
    let trace = recording(telling().0, name);
    let seen = open("recording", &of_trace(&trace, name));
    let granted = |record: &&Record<Key>| match &record.what {
        What::Told {
            notice: Notice::Answered { event, .. },
            ..
        } => {
            matches!(event, Event::LeaseGranted { .. })
        }
        _ => false,
    };
    let grants = trace.records.iter().filter(granted).count() as u64;
    assert_eq!(seen["drawn"]["whole"]["leases"], grants);
    assert!(seen["drawn"]["whole"]["requests"].as_u64() >= Some(grants));
    // The data, the page's own, and the two of this test.
    assert_eq!(
        (&seen["scripts"], &seen["images"]),
        (&Value::from(4), &Value::from(0))
    );
    assert!(
        seen["page"].as_str().unwrap().contains(name),
        "it is shown as it is"
    );
}

#[test]
fn a_page_asks_nothing_of_the_network() {
    let page = of_run(&draw(0, Profile::Swarm, None), None, "again");
    assert!(page.contains("default-src 'none'"));
    let addresses = page.matches("://").count();
    assert_eq!(
        addresses,
        page.matches("http://www.w3.org/2000/svg").count()
    );
}
