//! A sign of life for whoever waits at a terminal: who holds the key, and for how long.

use std::convert::Infallible;
use std::io::{IsTerminal as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use oneflight_store::{LockState, Store, Token, WatchEvent};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::args::RunArgs;
use crate::fill::Filler;
use crate::human::{Shown, exact};

/// Who has an answer this soon need not be told that there is none yet.
const PATIENCE: Duration = Duration::from_millis(300);
const FRAME: Duration = Duration::from_millis(100);

/// Shows who holds the key until it is dropped; while the command runs here, the terminal is its.
pub(crate) async fn show_holder(store: &dyn Store, args: &RunArgs, filler: &Filler) -> Infallible {
    if !stderr().is_terminal() {
        return std::future::pending().await;
    }
    sleep(PATIENCE).await;
    let key: Arc<str> = args.key.as_str().into();
    let state = Arc::new(Mutex::new(LockState::Free));
    let seen = Arc::clone(&state);
    let _watch = store.watch(
        key,
        args.lock().into(),
        Arc::new(move |event| {
            if let WatchEvent::Lock(lock) = event {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = lock;
            }
        }),
    );
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut bar = None;
    let mut holding: Option<(Token, Instant)> = None;
    loop {
        frames.tick().await;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let LockState::Held { token, holder, .. } = state else {
            bar = None;
            continue;
        };
        if filler.is_running() {
            bar = None;
            continue;
        }
        let since = match holding {
            Some((known, since)) if known == token => since,
            _ => holding.insert((token, Instant::now())).1,
        };
        let holder = holder.map_or_else(|| "another process".to_owned(), |h| h.to_string());
        let bar = bar.get_or_insert_with(spinner);
        bar.set_message(format!(
            "{}: waiting for {}, for {}",
            Shown(&args.key),
            Shown(&holder),
            exact(Duration::from_secs((since.elapsed() + PATIENCE).as_secs()))
        ));
        bar.tick();
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
}
