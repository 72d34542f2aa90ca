//! What `oneflight run` prints in the end.

use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{Store, Token};
use oneflight_tokio::{Landing, Source};
use serde::Serialize;

use crate::args::RunArgs;
use crate::exit::Failure;
use crate::human::{Rough, Shown};
use crate::output::Output;
use crate::print::{line_of_json, print, say};

/// How long to wait for what is only nice to know.
const PATIENCE: Duration = Duration::from_millis(500);

/// A call that ended well.
pub(crate) struct Report<'a> {
    pub(crate) args: &'a RunArgs,
    pub(crate) landing: &'a Landing<Output>,
    pub(crate) elapsed: Duration,
    /// It was said before that there is no store.
    pub(crate) warned: bool,
}

/// The object of `--json`.
#[derive(Serialize)]
struct Json<'a> {
    key: &'a str,
    value: &'a Output,
    source: String,
    stale: bool,
    coordinated: bool,
    token: Option<Token>,
    elapsed_ms: u128,
}

impl Report<'_> {
    pub(crate) async fn print(&self, store: &dyn Store) -> Result<(), Failure> {
        let Self {
            args,
            landing,
            elapsed,
            warned,
        } = self;
        let key = Shown(&args.key);
        if args.json {
            print(&line_of_json(&Json {
                key: &args.key,
                value: &landing.value,
                source: landing.source.to_string(),
                stale: landing.stale,
                coordinated: landing.coordinated,
                token: landing.token,
                elapsed_ms: elapsed.as_millis(),
            })?)?;
        } else {
            print(landing.value.as_bytes())?;
        }
        if landing.stale {
            say(format_args!(
                "{key}: stale: older than --fresh-for, but nobody had a newer value in time"
            ));
        }
        if !landing.coordinated && !warned {
            say(format_args!(
                "{key}: not coordinated: the store was out of reach, so others may have run the command, too \
                 (--log warn says why)"
            ));
        }
        if args.verbose {
            let published = match self.age(store).await {
                Some(age) => format!(" (published {} ago)", Rough(age)),
                None => String::new(),
            };
            let source = landing.source;
            say(format_args!(
                "{key}: {source}{published} in {}",
                Rough(*elapsed)
            ));
        }
        Ok(())
    }

    /// How old the value is that somebody had published before.
    async fn age(&self, store: &dyn Store) -> Option<Duration> {
        if self.landing.source != Source::Cached {
            return None;
        }
        let read = store.read(Arc::from(self.args.key.as_str()));
        let state = tokio::time::timeout(PATIENCE, read).await.ok()?.ok()?;
        let entry = state.entry?;
        (Some(entry.revision) == self.landing.revision).then_some(entry.age)
    }
}
