//! What was measured, in Markdown.

use crate::measure::{BESIDE_THE_KILLED, Crowd, InCrowd, Measured};
use crate::peer::Part;
use crate::round::{PATIENCE, SHORT_LEASE, Takeover};
use crate::wire::Wire;

/// Prints the table of figures, and below it which commands were sent.
pub(crate) fn print(crowds: &[Crowd], measured: &[Measured]) {
    for (number, crowd) in crowds.iter().enumerate() {
        let heading = format!("{} processes, fill of {:?}", crowd.processes, crowd.fill);
        let columns = [
            "fills",
            "× floor, median",
            "follower after the fill's end, ms: median",
            "p99",
            "worst",
            "commands",
            "per process",
            "without set-up",
        ];
        header(number == 0, &heading, &columns);
        let rows = || {
            measured
                .iter()
                .filter(|one| one.peer.part != Part::Takeover)
        };
        let floor = rows().find(|one| one.peer.name == "raw");
        let floor = floor.and_then(|one| percentile(&followers(&one.crowds[number]), 50));
        for one in rows() {
            crowd_row(one.peer.title, crowd, &one.crowds[number], floor);
        }
    }
    let heading = format!("Holder of {SHORT_LEASE:?} killed, {BESIDE_THE_KILLED} processes");
    let columns = [
        "fills",
        "calls returned",
        "kill → next fill, ms: median",
        "worst",
        "lapse → next fill, ms: median",
        "worst",
        "",
        "",
    ];
    header(false, &heading, &columns);
    for one in measured
        .iter()
        .filter(|one| one.peer.part != Part::Stampedes)
    {
        takeover_row(one.peer.title, &one.takeovers);
    }

    println!(
        "\n| {} processes, fill of {:?} | connections | commands |",
        crowds[0].processes, crowds[0].fill
    );
    println!("| --- | ---: | --- |");
    for one in measured {
        if let Some(wire) = one.crowds[0].wires.first() {
            println!(
                "| {} | {} | {} |",
                one.peer.title,
                wire.connections,
                wire.words()
            );
        }
    }
}

fn header(first: bool, heading: &str, columns: &[&str]) {
    if first {
        println!("| {heading} | {} |", columns.join(" | "));
        println!("| --- |{}", " ---: |".repeat(columns.len()));
    } else {
        let bold = |words: &&str| match *words {
            "" => String::new(),
            words => format!("**{words}**"),
        };
        let columns: Vec<String> = columns.iter().map(bold).collect();
        println!("| **{heading}** | {} |", columns.join(" | "));
    }
}

fn crowd_row(title: &str, crowd: &Crowd, done: &InCrowd, floor: Option<i64>) {
    let followers = followers(done);
    let failed: usize = done.rounds.iter().map(|round| round.failed).sum();
    let failed = match failed {
        0 => String::new(),
        failed => format!(" ({failed} calls failed)"),
    };
    let ratio = match (percentile(&followers, 50), floor) {
        (Some(median), Some(floor)) => format!("{:.1}", median as f64 / floor as f64),
        _ => "–".to_owned(),
    };
    let totals = || done.wires.iter().map(|wire| wire.total());
    let per_process = |counts: fn(&Wire) -> u64| {
        let counts: u64 = done.wires.iter().map(counts).sum();
        counts as f64 / (done.wires.len() * crowd.processes) as f64
    };
    println!(
        "| {title} | {}{failed} | {ratio} | {} | {} | {} | {} | {:.1} | {:.1} |",
        range(done.rounds.iter().map(|round| round.fills as u64)),
        millis(percentile(&followers, 50)),
        millis(percentile(&followers, 99)),
        millis(percentile(&followers, 100)),
        range(totals()),
        per_process(Wire::total),
        per_process(|wire| wire.total() - wire.set_up()),
    );
}

fn takeover_row(title: &str, takeovers: &[Takeover]) {
    let others = BESIDE_THE_KILLED as u64 - 1;
    let times = |which: fn(&Takeover) -> Option<i64>| {
        let mut times: Vec<i64> = takeovers.iter().filter_map(which).collect();
        times.sort_unstable();
        times
    };
    let (kill, lapse) = (times(|one| one.after_kill), times(|one| one.after_lapse));
    let cell = |times: &[i64], part| match times {
        [] => format!("never ({PATIENCE:?})"),
        times => millis(percentile(times, part)),
    };
    println!(
        "| {title} | {} | {} of {others} | {} | {} | {} | {} | | |",
        range(takeovers.iter().map(|one| one.fills as u64)),
        range(takeovers.iter().map(|one| one.returned as u64)),
        cell(&kill, 50),
        cell(&kill, 100),
        cell(&lapse, 50),
        cell(&lapse, 100),
    );
}

/// All times of followers, in order.
fn followers(done: &InCrowd) -> Vec<i64> {
    let all = done.rounds.iter().flat_map(|round| &round.followers);
    let mut all: Vec<i64> = all.copied().collect();
    all.sort_unstable();
    all
}

/// Of sorted times, by the nearest rank.
fn percentile(sorted: &[i64], part: usize) -> Option<i64> {
    let rank = (sorted.len() * part).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn millis(nanos: Option<i64>) -> String {
    nanos.map_or("–".to_owned(), |nanos| {
        format!("{:.2}", nanos as f64 / 1e6)
    })
}

/// One number if all are the same, else the least and the greatest.
fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    match (numbers.clone().min(), numbers.max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least}–{most}"),
        _ => "–".to_owned(),
    }
}
