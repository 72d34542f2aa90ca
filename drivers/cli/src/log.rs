//! `--log`: what happens inside, on standard error.

use std::io::stderr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Begins to tell, if there is a filter. Without one nothing of this is even set up.
pub(crate) fn tell(filter: Option<&str>) {
    let Some(filter) = filter else { return };
    tracing_subscriber::fmt()
        // INVARIANT: the arguments took it only after it was understood.
        .with_env_filter(EnvFilter::new(filter))
        // A call is told of when it has ended: then its span says how.
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(stderr)
        // There is nobody left to tell when standard error is gone.
        .log_internal_errors(false)
        .init();
}

/// A filter that makes sense.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}; name a level (error, warn, info, debug, trace), or a part and its level, such as \
             oneflight::lease=debug"
        )),
    }
}
