//! The bugs of `canaries`, put into the search: the least bounds within which each can show itself.

use oneflight_core::OnFenced;

use super::setup::{Kind, Setup, Start, TICK, Wants};
use crate::bugs::Bug;

/// The bounds for a bug, or why no search can show it.
///
/// # Errors
///
/// The reason why the bug needs more than a search has.
pub fn setup(bug: Bug) -> Result<Setup, &'static str> {
    let mut setup = match bug {
        Bug::RedundantFill | Bug::VainTimeout | Bug::WatchGap | Bug::NoNotifications => {
            Setup::new(2)
        }
        Bug::Herd => Setup::new(1),
        Bug::FirstWaiterOnly => Setup::new(3),
        Bug::NoGeneration => Setup {
            wants: Wants::Computed,
            ..Setup::new(3)
        },
        Bug::Poison => Setup {
            start: Start::Garbled,
            ..Setup::new(1)
        },
        Bug::LostRelease => Setup::new(2).faults(1, &[Kind::Error]),
        Bug::AbortAllFill => Setup {
            nodes: 1,
            ..Setup::new(2).faults(1, &[Kind::Error])
        },
        Bug::LateTakeover => Setup::new(2).faults(2, &[Kind::Slow, Kind::Crash]),
        Bug::FencedDeadEnd | Bug::PublishNotFenced => Setup::new(2).faults(1, &[Kind::Pause]),
        Bug::HeartbeatQuits => Setup::new(1).faults(2, &[Kind::Slow, Kind::Broken]),
        Bug::ZombieHeartbeat | Bug::LateGrantLeaks => Setup::new(1).faults(1, &[Kind::Cancel]),
        Bug::GhostLease => Setup::new(1).faults(1, &[Kind::Repeat]),
        Bug::LostPublishAnswer => {
            let mut setup = Setup::new(1).faults(1, &[Kind::Broken]);
            setup.policy.on_fenced = OnFenced::Error;
            setup
        }
        Bug::StaleClobber | Bug::SlowDegrade | Bug::ClockAtRestart | Bug::TokenReused => {
            Setup::new(2).faults(1, &[Kind::Broken])
        }
        Bug::Overshoot => Setup::new(1).faults(1, &[Kind::Late]),
        Bug::HungFill => {
            let mut setup = Setup::new(1).faults(1, &[Kind::Slow]);
            setup.policy.fill_timeout = Some(TICK);
            setup
        }
        Bug::BusyLoop => Setup::new(1).faults(1, &[Kind::Slow]),
        Bug::OvertakenRenewal => Setup::new(1).faults(2, &[Kind::Slow, Kind::Forget]),
        Bug::ForgottenComesBack => Setup::new(1).faults(1, &[Kind::Forget]),
        Bug::DirtyRead => return Err("needs local copies, which a search does without"),
        Bug::SlowWinner => {
            return Err("needs the time a caller takes to wake, which a search has not");
        }
    };
    setup.bug = Some(bug);
    Ok(setup)
}
