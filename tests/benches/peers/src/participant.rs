//! A process that makes one call, seen from inside.
//!
//! It prints `ready` once it has set up what a program has at hand before its first call, and reads
//! `go START KEY FILL_MS`. At START it gets or computes the value of KEY with a fill that takes FILL_MS.
//! It prints `began AT` when a fill of its own begins; when the call is over, `ended AT` (the end of its
//! own fill, if it had one) and `returned AT VALUE` or `failed AT ERROR`. It ends, cleanly, once its
//! standard input does. All moments are nanoseconds of the monotonic clock; the value names the process
//! that filled it.

use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Result;
use crate::clock::{now, until};

/// What a participant is to do, from the standard input.
pub(crate) struct Task {
    /// The key, the same for all.
    pub(crate) key: String,
    /// The fill of this process.
    pub(crate) fill: Fill,
}

/// A fill that takes its time and leaves a note of its end.
#[derive(Clone)]
pub(crate) struct Fill {
    takes: Duration,
    ended: Arc<AtomicI64>,
}

/// Says that all is set up, and waits for the start.
pub(crate) fn start() -> Result<Task> {
    tell(format_args!("ready"))?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["go", start, key, takes] = words[..] else {
        return Err(format!("not told what to do: {line:?}").into());
    };
    std::thread::sleep(until(start.parse()?));
    Ok(Task {
        key: key.to_owned(),
        fill: Fill {
            takes: Duration::from_millis(takes.parse()?),
            ended: Arc::default(),
        },
    })
}

impl Fill {
    /// Fills: the value, which names this process.
    pub(crate) async fn run(self) -> String {
        self.begin();
        tokio::time::sleep(self.takes).await;
        self.end()
    }

    /// The same on this thread.
    pub(crate) fn run_blocking(&self) -> String {
        self.begin();
        std::thread::sleep(self.takes);
        self.end()
    }

    fn begin(&self) {
        // Somebody may wait for this line; nobody does for the others, which are printed when all is over.
        if let Err(error) = tell(format_args!("began {}", now())) {
            eprintln!("{error}");
        }
    }

    fn end(&self) -> String {
        self.ended.store(now(), Ordering::Relaxed);
        std::process::id().to_string()
    }

    /// Tells how the call ended, and when, and waits until all others have been told of as well.
    pub(crate) fn report<E: Display>(
        &self,
        at: i64,
        result: std::result::Result<String, E>,
    ) -> Result<()> {
        let ended = self.ended.load(Ordering::Relaxed);
        if ended != 0 {
            tell(format_args!("ended {ended}"))?;
        }
        match result {
            Ok(value) => tell(format_args!("returned {at} {value}"))?,
            Err(error) => tell(format_args!(
                "failed {at} {}",
                error.to_string().replace('\n', " ")
            ))?,
        }
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

fn tell(words: std::fmt::Arguments<'_>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{words}")?;
    stdout.flush()?;
    Ok(())
}
