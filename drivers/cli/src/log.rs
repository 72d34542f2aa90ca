//! `--log`: what happens inside, on standard error.

use std::io::stderr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
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
    let known = match text
        .split(',')
        .map(str::trim)
        .find(|part| is_no_level(part))
    {
        Some(word) => Err(format!("there is no level {word:?}")),
        None => EnvFilter::try_new(text).map_err(|error| error.to_string()),
    };
    match known {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}; name a level (error, warn, info, debug, trace), or a part and its level, such as \
             oneflight::lease=debug"
        )),
    }
}

/// A word that looks like a level, and is none. It would count as the name of a part that says nothing.
fn is_no_level(word: &str) -> bool {
    let is_word = !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphabetic());
    is_word && word != "oneflight" && word.parse::<LevelFilter>().is_err()
}
