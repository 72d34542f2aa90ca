//! `--record`: the flight recorder.

use std::sync::Arc;

use oneflight_store::Store;
use oneflight_tokio::{Recorder, SingleFlight};

use crate::args::RecordArgs;
use crate::exit::Failure;
use crate::print::say;

/// Opens the recording, before anything is done that it should tell of.
pub(crate) fn open(args: &RecordArgs) -> Result<Option<Recorder>, Failure> {
    let Some(path) = &args.record else {
        return Ok(None);
    };
    let file = path.display().to_string();
    let cannot = format!("cannot record to {file}");
    let recorder = Recorder::append(path, move |error| {
        say(format_args!("{file}: the recording ends here: {error}"));
    });
    match recorder {
        Ok(recorder) => Ok(Some(recorder)),
        Err(error) => Err(Failure::own(format!("{cannot}: {error} (--record)"))),
    }
}

/// A driver for one call, so without copies.
pub(crate) fn flights(store: Arc<dyn Store>, recorder: Option<Recorder>) -> SingleFlight {
    let builder = SingleFlight::builder(store).local_copies(0);
    match recorder {
        Some(recorder) => builder.recorder(recorder).build(),
        None => builder.build(),
    }
}
