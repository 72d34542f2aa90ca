//! oneflight and its peers on one Redis server, in one run, as tables in Markdown.
//!
//! Started by the script `run`, with the names of the peers to measure; without any, all are.
//! Every process of a round makes one call for the same cold key (see `participant`); rounds of
//! different peers alternate, so that what else the machine does meets all of them.

mod amalgam;
mod clock;
mod measure;
mod oneflight;
mod participant;
mod peer;
mod process;
mod raw;
mod round;
mod table;
mod wire;

/// What ends a measurement or a participant early.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["participant", kind, url, number, lease] => peer::run(kind, url, number, lease),
        ref chosen => measure::run(chosen),
    }
}
