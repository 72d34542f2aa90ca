//! S12 `CancelSafe`: what a flight may do when nobody is aboard.

use oneflight_core::{Attempt, Command, Lease, Outcome, Warning};

use crate::story::Story;
use crate::words::{ALF, ANN, revision, token};

const ATTEMPT: Attempt = Attempt::new(5);

fn clean_up() -> [Command; 3] {
    let token = token(1);
    [
        Command::Release {
            attempt: ATTEMPT,
            token,
        },
        Command::Unwatch,
        Command::WarnLeaseLost {
            token: Some(token),
            warning: Warning::Taken,
        },
    ]
}

fn about_its_value() -> [Command; 3] {
    let token = token(1);
    [
        Command::Publish {
            attempt: ATTEMPT,
            token,
        },
        Command::Renew {
            attempt: ATTEMPT,
            token,
        },
        Command::Put { seen: revision(9) },
    ]
}

fn anything_else() -> [Command; 4] {
    let lease = Some(Lease {
        token: token(1),
        expires: oneflight_core::Instant::NEVER,
        generation: revision(0),
    });
    [
        Command::Claim {
            attempt: ATTEMPT,
            seen: revision(0),
        },
        Command::Watch,
        Command::Fill {
            attempt: ATTEMPT,
            lease,
        },
        Command::Land(Outcome::TimedOut),
    ]
}

#[test]
fn s12_with_a_caller_aboard_all_is_well() {
    let all = clean_up()
        .into_iter()
        .chain(about_its_value())
        .chain(anything_else());
    for command in all {
        let mut story = Story::new();
        story.wins(ANN, 1).joins(ALF).leaves(ANN);
        story.hears(ANN, oneflight_core::Event::LockReleased);
        story.commands(ANN, command).passes();
    }
}

#[test]
fn s12_after_the_last_caller_only_the_clean_up() {
    let left = || {
        let mut story = Story::new();
        story.wins(ANN, 1).joins(ALF).leaves(ANN).leaves(ALF);
        story.hears(ANN, oneflight_core::Event::LockReleased);
        story
    };
    for command in clean_up() {
        left().commands(ANN, command).passes();
    }
    for command in about_its_value().into_iter().chain(anything_else()) {
        left().commands(ANN, command).breaks(&["S12"]);
    }
}

#[test]
fn s12_a_value_underway_may_still_be_published() {
    let left = |value| {
        let mut story = Story::new();
        story.wins(ANN, 1).returns(ANN, value).leaves(ANN);
        story.hears(ANN, oneflight_core::Event::LockReleased);
        story
    };
    for command in about_its_value() {
        left(Some(1)).commands(ANN, command).passes();
        // There is none: the fill failed.
        left(None).commands(ANN, command).breaks(&["S12"]);
    }
    for command in anything_else() {
        left(Some(1)).commands(ANN, command).breaks(&["S12"]);
    }
    // It was ordered to be published before it was told that its fill had ended.
    let mut story = Story::new();
    story.wins(ANN, 1);
    story.commands(
        ANN,
        Command::Publish {
            attempt: ATTEMPT,
            token: token(1),
        },
    );
    story.leaves(ANN);
    story
        .commands(
            ANN,
            Command::Renew {
                attempt: ATTEMPT,
                token: token(1),
            },
        )
        .passes();
}
