//! Fleets of processes, ours and those of Dust's TypeScript SDK.
//!
//! A caller is a process that wants keys, and says what it does in lines: `filling KEY`, `landed KEY VALUE`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use oneflight_tokio::SingleFlight;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Meeting;

/// How a caller is started.
#[derive(Clone, Debug)]
pub enum Kind {
    /// This program.
    Rust(PathBuf),
    /// `ts/caller.mjs` with the SDK of this checkout. Written after the SDK's documented names; never run
    /// by those who wrote it.
    TypeScript(PathBuf),
}

/// A process that wants keys.
struct Caller {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Caller {
    fn start(meeting: &Meeting, kind: &Kind, keys: &str, count: usize, fill: Duration) -> Self {
        let mut command = match kind {
            Kind::Rust(program) => {
                let mut command = Command::new(program);
                command.arg("caller");
                command
            }
            Kind::TypeScript(sdk) => {
                let mut command = Command::new("node");
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ts/caller.mjs");
                command.arg(script).env("DUST_TS_SDK", sdk);
                command
            }
        };
        let mut child = command
            .args([
                meeting.address.to_string(),
                meeting.prefix.clone(),
                keys.to_owned(),
            ])
            .args([count.to_string(), fill.as_millis().to_string()])
            // Not among the arguments, which others can see.
            .env("DUST_TOKEN", &meeting.token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it says next: a word, and the rest of the line.
    async fn next(&mut self) -> Option<(String, String)> {
        let line = tokio::time::timeout(Duration::from_secs(120), self.lines.next_line());
        let line = line.await.unwrap().unwrap()?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        Some((word.to_owned(), rest.to_owned()))
    }

    /// All it says until it ends: the keys it filled, and the values it landed with.
    async fn all(mut self) -> (Vec<String>, BTreeMap<String, Value>) {
        let (mut filled, mut landed) = (Vec::new(), BTreeMap::new());
        while let Some((word, rest)) = self.next().await {
            match (&*word, rest.split_once(' ')) {
                ("filling", _) => filled.push(rest),
                ("landed", Some((key, value))) => {
                    landed.insert(key.to_owned(), serde_json::from_str(value).unwrap());
                }
                _ => panic!("a caller says {word} {rest}"),
            }
        }
        assert!(self.child.wait().await.unwrap().success());
        (filled, landed)
    }
}

/// Callers of these kinds want the same keys at the same time: how many fills there were. Panics if they
/// do not all land with the same values.
pub async fn one_fill_for_each_key(meeting: &Meeting, kinds: &[Kind], keys: usize) -> usize {
    let fill = Duration::from_millis(200);
    let callers = kinds
        .iter()
        .map(|kind| Caller::start(meeting, kind, "mixed", keys, fill).all());
    let all = join_all(callers).await;
    let first = &all[0].1;
    assert_eq!(first.len(), keys);
    for (_, landed) in &all {
        assert_eq!(landed, first, "everybody lands with the same values");
    }
    all.iter().map(|(filled, _)| filled.len()).sum()
}

/// A caller of one kind is killed as it fills, and one of the other kind takes over.
pub async fn a_killed_filler_is_taken_over(
    meeting: &Meeting,
    killed: &Kind,
    other: &Kind,
    name: &str,
) {
    let mut filler = Caller::start(meeting, killed, name, 1, Duration::from_secs(3600));
    assert_eq!(filler.next().await.unwrap().0, "filling");
    let waiter = Caller::start(meeting, other, name, 1, Duration::from_millis(10));
    // By then it waits, or will find the lease lapsed: either way it fills.
    tokio::time::sleep(Duration::from_millis(500)).await;
    filler.child.kill().await.unwrap();
    let (filled, landed) = waiter.all().await;
    assert_eq!((filled.len(), landed.len()), (1, 1));
}

/// What a caller of this program does.
pub async fn call(url: &str, prefix: &str, keys: &str, count: usize, fill: Duration) {
    let meeting = Meeting::joined(url, prefix);
    let process = meeting.process();
    let calls =
        (0..count).map(|number| want(&process, meeting.key(format_args!("{keys}/{number}")), fill));
    join_all(calls).await;
    process.close().await;
}

#[expect(clippy::print_stdout, reason = "it is what a caller says")]
async fn want(process: &SingleFlight, key: String, fill: Duration) {
    let value = json!({"by": "rust", "pid": std::process::id(), "key": key});
    let run = |_| {
        println!("filling {key}");
        let value = value.clone();
        async move {
            tokio::time::sleep(fill).await;
            Ok::<_, String>(value)
        }
    };
    let call = process.key(&key).lease_ttl(Duration::from_secs(2));
    let landing = call
        .wait_timeout(Duration::from_secs(60))
        .run(run)
        .await
        .unwrap();
    assert!(landing.coordinated);
    println!("landed {key} {}", landing.value);
}
