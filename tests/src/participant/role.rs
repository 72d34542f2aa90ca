//! What a participant does.

use std::convert::Infallible;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oneflight_redis::RedisStore;
use oneflight_sqlite::SqliteStore;
use oneflight_store::{Revision, Store, StoreError, Token};
use oneflight_tokio::{Error, Landing, Recorder};

use super::overheard::Overheard;
use super::words::{Call, Driver, Ends, Event, Landed, Order, Remains, Report};
use crate::time::now;

/// How long what is left of a driver or a store may take to go.
const CLEARING: Duration = Duration::from_secs(20);

/// Does what it is told on the standard input. Its arguments: the driver, the store, and where to record
/// if anywhere.
pub fn run(arguments: &[String]) {
    let (driver, url, tape) = match arguments {
        [driver, url] => (driver, url, None),
        [driver, url, tape] => (driver, url, Some(PathBuf::from(tape))),
        _ => panic!("participant tokio|blocking STORE [TAPE]"),
    };
    let recorder = tape.map(|tape| Recorder::append(tape, |error| panic!("{error}")).unwrap());
    let driver: Driver = serde_json::from_value(driver.as_str().into()).unwrap();
    // What is thrown on purpose is not to be told.
    std::panic::set_hook(Box::new(|panic| {
        if !panic.payload().is::<OnPurpose>() {
            eprintln!("{panic}");
        }
    }));
    match driver {
        Driver::Tokio => super::tokio::run(url, recorder),
        Driver::Blocking => super::blocking::run(url, recorder),
    }
}

/// Opens the store for a driver; what it is told on claims is reported.
pub(super) fn open(driver: Driver, url: &str) -> impl Store {
    let inner: Arc<dyn Store> = match (url.split_once(':'), driver) {
        (Some(("sqlite", path)), _) => Arc::new(SqliteStore::open(path).unwrap()),
        (Some(("redis", _)), Driver::Tokio) => Arc::new(RedisStore::open(url).unwrap()),
        (Some(("redis", _)), Driver::Blocking) => {
            let store = oneflight_redis::blocking::RedisStore::open(url);
            Arc::new(store.unwrap())
        }
        _ => panic!("no store for participants: {url}"),
    };
    let held = |key: &str| report(0, key, Event::Held);
    Overheard { inner, held }
}

/// Reads orders until there are no more.
pub(super) fn orders() -> impl Iterator<Item = Order> {
    let lines = std::io::stdin().lock().lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

pub(super) fn report(id: u64, key: &str, event: Event) {
    let report = Report {
        id,
        key: key.to_owned(),
        at: now(),
        event,
    };
    let mut line = serde_json::to_vec(&report).unwrap();
    line.push(b'\n');
    // In one piece. Whoever listened may be gone.
    std::io::stdout().lock().write_all(&line).ok();
    std::io::stdout().flush().ok();
}

/// A panic's payload.
struct OnPurpose;

/// Fills as it was ordered; `pause` is how the driver's callers wait.
pub(super) async fn fill(
    id: u64,
    key: &str,
    call: &Call,
    token: Option<Token>,
    pause: impl AsyncFn(Duration),
) -> Result<String, String> {
    static FILLS: AtomicU64 = AtomicU64::new(0);
    let number = FILLS.fetch_add(1, Ordering::Relaxed);
    report(id, key, Event::Filling(token.map(Token::get)));
    while call.until.as_ref().is_some_and(|file| !file.exists()) {
        pause(Duration::from_millis(2)).await;
    }
    pause(call.takes).await;
    report(id, key, Event::Filled);
    match call.ends {
        Ends::Well => Ok(format!("{key}: {number} of {}", std::process::id())),
        Ends::Badly => Err("as ordered".to_owned()),
        Ends::InPanic => std::panic::resume_unwind(Box::new(OnPurpose)),
    }
}

/// A call in words.
pub(super) fn landed(landing: Result<Landing<String>, Error<String, String>>) -> Landed {
    match landing {
        Ok(landing) => valued(&landing),
        Err(error) => {
            let mut landed = failed(&error);
            if let Error::Unpublished { value, .. } = error {
                landed.value = Some((*value).clone());
            }
            landed
        }
    }
}

fn valued(landing: &Landing<String>) -> Landed {
    Landed {
        how: landing.source.to_string(),
        value: Some((*landing.value).clone()),
        stale: landing.stale,
        coordinated: landing.coordinated,
        token: landing.token.map(Token::get),
        error: None,
    }
}

/// What came of a look, in words.
pub(super) fn looked(look: Result<Option<Landing<String>>, Error<String, Infallible>>) -> Landed {
    match look {
        Ok(Some(landing)) => valued(&landing),
        Ok(None) => Landed::just("none"),
        Err(error) => failed(&error),
    }
}

/// What came of a forget, in words.
pub(super) fn forgotten(forget: Result<Revision, StoreError>) -> Landed {
    match forget {
        Ok(_) => Landed::just("forgotten"),
        Err(StoreError::Refused(why)) => {
            failed(&Error::<String, String>::Refused(StoreError::Refused(why)))
        }
        Err(error) => failed(&Error::<String, String>::Unavailable(error)),
    }
}

fn failed<V, E: std::fmt::Display>(error: &Error<V, E>) -> Landed {
    let how = match error {
        Error::Aborted(_) => "aborted",
        Error::Panicked => "panicked",
        Error::TimedOut => "timed-out",
        Error::Fenced => "fenced",
        Error::Unavailable(_) => "unavailable",
        Error::Refused(_) => "refused",
        Error::Malformed { .. } => "malformed",
        Error::Unpublished { .. } => "unpublished",
        _ => "unknown",
    };
    Landed {
        error: Some(error.to_string()),
        ..Landed::just(how)
    }
}

/// What this process has of its own now.
pub(super) fn own() -> Remains {
    let mut threads: Vec<String> = entries("/proc/self/task")
        .filter_map(|task| std::fs::read_to_string(task.join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    threads.sort();
    let links = entries("/proc/self/fd").filter_map(|file| std::fs::read_link(file).ok());
    let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
    Remains {
        threads,
        sockets: sockets.count(),
    }
}

fn entries(directory: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// Reports what is left, once that is nothing or has had its time to go.
pub(super) fn rest(before: &Remains, mut pause: impl FnMut(Duration)) {
    let since = Instant::now();
    let mut left = own();
    while left != *before && since.elapsed() < CLEARING {
        pause(Duration::from_millis(2));
        left = own();
    }
    left.threads.retain(|name| !before.threads.contains(name));
    left.sockets = left.sockets.saturating_sub(before.sockets);
    report(0, "", Event::Rested(left));
}

/// A call with the options as ordered, of whichever driver.
macro_rules! prepared {
    ($flights:expr, $key:expr, $call:expr) => {{
        let choice = match $call.unavailable_is_error {
            true => oneflight_tokio::OnUnavailable::Error,
            false => oneflight_tokio::OnUnavailable::RunLocal,
        };
        let shared = match $call.promote {
            true => oneflight_tokio::OnAbort::Promote,
            false => oneflight_tokio::OnAbort::Share,
        };
        let prepared = $flights
            .key($key)
            .lease_ttl($call.ttl)
            .wait_timeout($call.wait)
            .store_timeout($call.store)
            .on_unavailable(choice)
            .on_abort(shared);
        match $call.fresh {
            Some(age) => prepared.fresh_for(age),
            None => prepared,
        }
    }};
}
pub(super) use prepared;
