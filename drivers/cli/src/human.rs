//! Words, times and sizes for people.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A text of unknown origin, safe to show on a terminal: what would move the cursor or turn the
/// writing round is escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() || is_invisible(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A duration in its largest fitting unit: `2 ms`, `1.4 s`, `3 m`.
pub(crate) struct Rough(pub(crate) Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..10 => write!(f, "{seconds}.{} s", self.0.subsec_millis() / 100),
            10..MINUTE => write!(f, "{seconds} s"),
            MINUTE..HOUR => write!(f, "{} m", seconds / MINUTE),
            HOUR..DAY => write!(f, "{} h", seconds / HOUR),
            DAY.. => write!(f, "{} d", seconds / DAY),
        }
    }
}

/// A duration as options take it: `35s`, `1h 30m`.
pub(crate) fn exact(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_move_the_cursor() {
        assert_eq!(Shown("a/b c-ü").to_string(), "a/b c-ü");
        assert_eq!(
            Shown("\u{1b}[2J\n\u{202e}x").to_string(),
            "\\u{1b}[2J\\n\\u{202e}x"
        );
    }

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        let told = |millis| Rough(Duration::from_millis(millis)).to_string();
        assert_eq!(told(0), "0 ms");
        assert_eq!(told(999), "999 ms");
        assert_eq!(told(1_250), "1.2 s");
        assert_eq!(told(59_999), "59 s");
        assert_eq!(told(185_000), "3 m");
        assert_eq!(told(7_300_000), "2 h");
        assert_eq!(told(200_000_000), "2 d");
    }
}
