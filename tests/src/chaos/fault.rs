//! What goes wrong.

use std::time::Duration;

use fastrand::Rng;
use oneflight_test_servers::{Direction, Lost};

/// Something that goes wrong, to whom, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// A process is killed, and another one takes its place.
    Killed(usize),
    /// A process is stopped, and continued.
    Stopped(usize, Duration),
    /// The server is killed, and restarted with all it knew.
    Restarted(Duration),
    /// The server is killed, and restarted with nothing.
    Emptied(Duration),
    /// The server is stopped, and continued.
    Paused(Duration),
    /// The server takes no writes for want of memory.
    Full(Duration),
    /// The server cuts all connections.
    ClientsKilled,
    /// The server forgets its scripts.
    ScriptsFlushed,
    /// The proxy cuts its connections.
    Cut,
    /// The proxy delays what goes one way.
    Delayed(Direction, Duration, Duration),
    /// The proxy swallows what goes one way.
    Held(Direction, Duration),
    /// The proxy loses an answer.
    AnswerLost(Lost),
}

/// What is out of order then: of each, one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Troubled {
    Process(usize),
    Server,
    Proxy,
}

impl Fault {
    /// The first two processes are never killed.
    pub(super) fn draw(random: &mut Rng, processes: usize) -> Self {
        let anybody = random.usize(..processes);
        let direction = match random.bool() {
            true => Direction::ToServer,
            false => Direction::ToClient,
        };
        let lost = match random.bool() {
            true => Lost::Cut,
            false => Lost::Silence,
        };
        let mut up_to = |millis| Duration::from_millis(random.u64(50..millis));
        let (short, long) = (up_to(800), up_to(3000));
        match random.u8(..30) {
            0..=7 if processes > 2 => Self::Killed(random.usize(2..processes)),
            0..=13 => Self::Stopped(anybody, long),
            14 => Self::Restarted(short),
            15 => Self::Emptied(short),
            16 | 17 => Self::Paused(long),
            18 => Self::Full(short),
            19 | 20 => Self::ClientsKilled,
            21 => Self::ScriptsFlushed,
            22 | 23 => Self::Cut,
            24 => Self::Delayed(direction, short / 3, long),
            25 | 26 => Self::Held(direction, long),
            _ => Self::AnswerLost(lost),
        }
    }

    pub(super) fn troubles(self) -> Troubled {
        match self {
            Self::Killed(number) | Self::Stopped(number, _) => Troubled::Process(number),
            Self::Restarted(_)
            | Self::Emptied(_)
            | Self::Paused(_)
            | Self::Full(_)
            | Self::ClientsKilled
            | Self::ScriptsFlushed => Troubled::Server,
            Self::Cut | Self::Delayed(..) | Self::Held(..) | Self::AnswerLost(_) => Troubled::Proxy,
        }
    }

    /// For how long, if it is not over at once.
    pub(super) fn lasts(self) -> Option<Duration> {
        match self {
            Self::Stopped(_, time)
            | Self::Restarted(time)
            | Self::Emptied(time)
            | Self::Paused(time)
            | Self::Full(time)
            | Self::Delayed(_, _, time)
            | Self::Held(_, time) => Some(time),
            Self::Killed(_)
            | Self::ClientsKilled
            | Self::ScriptsFlushed
            | Self::Cut
            | Self::AnswerLost(_) => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed(_) => "process killed and replaced",
            Self::Stopped(..) => "process stopped, up to 3 s",
            Self::Restarted(_) => "server killed, restarted with all it knew",
            Self::Emptied(_) => "server killed, restarted with nothing",
            Self::Paused(_) => "server stopped, up to 3 s",
            Self::Full(_) => "server out of memory",
            Self::ClientsKilled => "all connections killed",
            Self::ScriptsFlushed => "scripts flushed",
            Self::Cut => "way cut",
            Self::Delayed(..) => "way slow",
            Self::Held(..) => "one direction a black hole, up to 3 s",
            Self::AnswerLost(Lost::Cut) => "answer lost with its connection",
            Self::AnswerLost(Lost::Silence) => "answer lost in silence",
        }
    }
}
