//! `oneflight status`: what is published, and who computes what.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use oneflight_store::{Holder, KeyStatus, LockState, Revision, Store, Token};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::StatusArgs;
use crate::exit::Failure;
use crate::human::{Rough, Shown};
use crate::keys::no_store;
use crate::print::{is_read, line_of_json};
use crate::store_url::StoreUrl;

const EVERY: Duration = Duration::from_secs(1);
const HEADER: [&str; 7] = [
    "KEY",
    "HOLDER",
    "TOKEN",
    "TIME LEFT",
    "REVISION",
    "AGE",
    "SIZE",
];
/// The columns of numbers.
const NUMBERS: std::ops::RangeInclusive<usize> = 2..=6;

/// One element of `--json`.
#[derive(Serialize)]
struct Json<'a> {
    key: &'a str,
    lock: Option<&'a str>,
    holder: Option<&'a Holder>,
    token: Option<Token>,
    time_left_ms: Option<u128>,
    revision: Revision,
    age_ms: Option<u128>,
    size: Option<u64>,
}

pub(crate) async fn status(args: &StatusArgs, url: &StoreUrl) -> Result<(), Failure> {
    let store = url.open()?.map_err(|error| no_store(&error))?;
    if !args.watch {
        return show(args, &*store).await.map(|_| ());
    }
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Ctrl-C is how watching ends: no failure.
            ended = tokio::signal::ctrl_c() => return ended.map_err(Failure::from),
            _ = ticks.tick() => {
                if !show(args, &*store).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Shows how things are, and says whether anybody still looks.
async fn show(args: &StatusArgs, store: &dyn Store) -> Result<bool, Failure> {
    let keys = store.list().await.map_err(|error| no_store(&error))?;
    if args.json {
        return is_read(&line_of_json(&keys.iter().map(json).collect::<Vec<_>>())?);
    }
    let mut text = String::new();
    if args.watch && stdout().is_terminal() {
        text.push_str("\x1b[2J\x1b[H");
    }
    // INVARIANT: writing to a string cannot fail.
    writeln!(text, "{}", table(&keys).trim_fmt()).expect("strings take all");
    is_read(text.as_bytes())
}

fn table(keys: &[KeyStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADER);
    for key in keys {
        table.add_row(row(key));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if NUMBERS.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(key: &KeyStatus) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (holder, token, remaining) = lease(&key.state);
    [
        Shown(&key.key).to_string(),
        or_dash(holder.map(|holder| Shown(&holder.to_string()).to_string())),
        or_dash(token.map(|token| token.to_string())),
        or_dash(remaining.map(|remaining| Rough(remaining).to_string())),
        key.revision.to_string(),
        or_dash(key.age.map(|age| Rough(age).to_string())),
        or_dash(
            key.size
                .map(|size| ByteSize(size).display().iec().to_string()),
        ),
    ]
}

fn json(key: &KeyStatus) -> Json<'_> {
    let (holder, token, remaining) = lease(&key.state);
    Json {
        key: &key.key,
        lock: key.lock.as_deref(),
        holder,
        token,
        time_left_ms: remaining.map(|remaining| remaining.as_millis()),
        revision: key.revision,
        age_ms: key.age.map(|age| age.as_millis()),
        size: key.size,
    }
}

fn lease(state: &LockState) -> (Option<&Holder>, Option<Token>, Option<Duration>) {
    match state {
        LockState::Free => (None, None, None),
        LockState::Held {
            token,
            remaining,
            holder,
        } => (holder.as_ref(), Some(*token), *remaining),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> KeyStatus {
        KeyStatus {
            key: "re\u{1b}port".into(),
            lock: None,
            state: LockState::Free,
            revision: Revision::new(3),
            age: Some(Duration::from_secs(185)),
            size: Some(2048),
        }
    }

    fn held() -> KeyStatus {
        KeyStatus {
            key: "users".into(),
            lock: Some("lock".into()),
            state: LockState::Held {
                token: Token::new(7).unwrap(),
                remaining: Some(Duration::from_secs(29)),
                holder: Some(Holder {
                    host: "build1".into(),
                    pid: 42,
                    user: "ci".into(),
                }),
            },
            revision: Revision::NEVER,
            age: None,
            size: None,
        }
    }

    #[test]
    fn people_see_a_table_that_cannot_move_their_cursor() {
        let text = table(&[published(), held()]).trim_fmt();
        let words: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|w| !w.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(words[0], HEADER);
        assert_eq!(
            words[1],
            [r"re\u{1b}port", "-", "-", "-", "3", "3 m", "2.0 KiB"]
        );
        assert_eq!(
            words[2],
            ["users", "ci@build1 (pid 42)", "7", "29 s", "0", "-", "-"]
        );
    }

    #[test]
    fn programs_see_everything() {
        assert_eq!(
            serde_json::to_value(json(&held())).unwrap(),
            serde_json::json!({
                "key": "users",
                "lock": "lock",
                "holder": { "host": "build1", "pid": 42, "user": "ci" },
                "token": 7,
                "time_left_ms": 29000,
                "revision": 0,
                "age_ms": null,
                "size": null,
            })
        );
    }
}
