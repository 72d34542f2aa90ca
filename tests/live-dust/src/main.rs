//! Fleets on a real Dust server, and what they take.
//!
//! ```text
//! DUST_URL=dust+wss://HOST/ORG/STORE DUST_TOKEN=… [DUST_TS_SDK=CHECKOUT] live-dust
//! live-dust --stand-in [BEHIND_MS]    # the same without a server
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]
#![allow(clippy::unwrap_used, reason = "what cannot go on fails")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oneflight_live_dust::Meeting;
use oneflight_live_dust::figures::{follower, handover, spread, stampede, takeover};
use oneflight_live_dust::mixed::{
    Kind, a_killed_filler_is_taken_over, call, one_fill_for_each_key,
};
use oneflight_test_dust::DustServer;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["caller", url, prefix, keys, count, fill] => {
            let fill = Duration::from_millis(fill.parse().unwrap());
            call(url, prefix, keys, count.parse().unwrap(), fill).await;
            ExitCode::SUCCESS
        }
        ["--stand-in"] => on_the_stand_in(Duration::ZERO).await,
        ["--stand-in", behind] => {
            on_the_stand_in(Duration::from_millis(behind.parse().unwrap())).await
        }
        [] => match Meeting::live() {
            Ok(Some(meeting)) => live(&meeting).await,
            Ok(None) => complain(
                "name a store in DUST_URL (dust+wss://HOST/ORG/STORE) and its token in DUST_TOKEN; \
                 without a server: live-dust --stand-in",
            ),
            Err(why) => complain(&why),
        },
        _ => complain("usage: live-dust [--stand-in [BEHIND_MS]]"),
    }
}

fn complain(why: &str) -> ExitCode {
    eprintln!("live-dust: {why}");
    ExitCode::from(2)
}

async fn on_the_stand_in(behind: Duration) -> ExitCode {
    let server = Arc::new(DustServer::new());
    measure(&Meeting::stand_in(&server, behind)).await;
    ExitCode::SUCCESS
}

async fn measure(meeting: &Meeting) {
    let ran = stampede(meeting, 8, 200).await;
    let each = ran.took / 200;
    println!(
        "8 callers x 200 keys, fills of 0 to 5 ms: {} fills, {each:?} a key",
        ran.fills
    );
    let times = follower(meeting, 30).await;
    println!("follower after the acknowledgement: {}", spread(times));
    let times = handover(meeting, 30).await;
    println!("handover after an abort: {}", spread(times));
    let times = takeover(meeting, 12).await;
    println!(
        "takeover of a dead holder after its lapse: {}",
        spread(times)
    );
}

async fn live(meeting: &Meeting) -> ExitCode {
    println!("under {} in {}", meeting.prefix, meeting.address);
    measure(meeting).await;
    let ours = Kind::Rust(std::env::current_exe().unwrap());
    let theirs = match std::env::var_os("DUST_TS_SDK") {
        Some(sdk) => Kind::TypeScript(sdk.into()),
        None => {
            println!("DUST_TS_SDK names no checkout of the TypeScript SDK: all callers are ours");
            ours.clone()
        }
    };
    let kinds: Vec<_> = [&ours, &theirs]
        .into_iter()
        .cycle()
        .take(8)
        .cloned()
        .collect();
    let fills = one_fill_for_each_key(meeting, &kinds, 50).await;
    println!("4 + 4 callers x 50 keys, fills of 200 ms: {fills} fills");
    a_killed_filler_is_taken_over(meeting, &ours, &theirs, "ours").await;
    a_killed_filler_is_taken_over(meeting, &theirs, &ours, "theirs").await;
    println!("either side takes over from the other");
    ExitCode::SUCCESS
}
