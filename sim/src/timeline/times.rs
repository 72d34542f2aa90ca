//! Moments and lengths of time, in words for people.

use crate::trace::Nanos;

/// How long, or when: three or four digits that count.
pub(super) fn time(nanos: Nanos) -> String {
    const UNITS: [(Nanos, &str); 4] = [
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1000, "µs"),
        (1, "ns"),
    ];
    for (unit, name) in UNITS {
        if nanos >= unit {
            let whole = nanos / unit;
            let places = match whole {
                _ if unit == 1 => 0,
                0..10 => 3,
                10..100 => 2,
                100..1000 => 1,
                _ => 0,
            };
            let text = format!("{:.places$}", nanos as f64 / unit as f64);
            let text = match text.split_once('.') {
                Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
                None => &text,
            };
            return format!("{text} {name}");
        }
    }
    "0 s".to_owned()
}

/// The same text with the moments and lengths in it, which a checker gives in nanoseconds, made
/// readable.
pub(super) fn with_times(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let end = word.strip_prefix("ns");
        let count = words.last().and_then(|last| last.parse::<Nanos>().ok());
        match (end, count) {
            (Some(end), Some(nanos)) if !end.starts_with(char::is_alphanumeric) => {
                words.pop();
                words.push(time(nanos) + end);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{time, with_times};

    #[test]
    fn times_have_four_digits_that_count() {
        let shown = [
            0,
            17,
            1_000,
            1_018_234,
            28_007_056,
            430_100_000,
            12_345_678_901_234,
        ]
        .map(time);
        assert_eq!(
            shown,
            [
                "0 s", "17 ns", "1 µs", "1.018 ms", "28.01 ms", "430.1 ms", "12346 s"
            ]
        );
    }

    #[test]
    fn only_times_are_made_readable() {
        let story = "token 3, granted at 24503528 ns, though 2 nsx and ns remain by 1000 ns";
        let shown = "token 3, granted at 24.5 ms, though 2 nsx and ns remain by 1 µs";
        assert_eq!(with_times(story), shown);
    }
}
