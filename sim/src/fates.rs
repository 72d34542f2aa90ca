//! What becomes of each message: the only decisions that are made while a run is under way.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::plan::{Net, Odds};
use crate::trace::Nanos;

/// The one generator of a run.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= u64::from(u32::MAX) {
            (u64::from(self.0.next_u32()) * bound) >> 32
        } else {
            ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
        }
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// A number from `least` to `most`, every magnitude as likely as the next.
    pub fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let (mut low, mut high) = (least.max(1), most.max(1));
        while high > low.saturating_mul(2) {
            // No branch: nobody can guess where a coin falls.
            let (above, below) = (low.saturating_mul(2).min(high), (high / 2).max(low));
            (low, high) = if self.half() {
                (above, high)
            } else {
                (low, below)
            };
            if self.below(4) == 0 {
                break;
            }
        }
        self.between(low, high)
    }

    /// Heads or tails.
    pub fn half(&mut self) -> bool {
        self.0.next_u32() & 1 == 0
    }

    /// Once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// How long it takes.
    pub takes: Nanos,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Mishap::is_none")]
    pub mishap: Mishap,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mishap {
    /// Nothing.
    #[default]
    None,
    /// It is lost; `heard` if its sender hears so at once.
    Lost {
        /// The connection broke, as opposed to silence.
        heard: bool,
    },
    /// It is late.
    Late,
    /// It comes again this much later.
    Again {
        /// How much.
        after: Nanos,
    },
    /// The store does not permit it.
    Denied,
    /// It is lost, and a new snapshot takes its place.
    Gap,
    /// It is lost, and the watch with it.
    WatchEnded,
}

impl Mishap {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request.
    Up,
    /// An answer.
    Down,
    /// A push.
    Push,
}

/// Where fates come from: the generator, or a script.
#[derive(Clone, Debug)]
pub struct Fates {
    dice: Dice,
    net: Net,
    calm: bool,
    script: Option<std::vec::IntoIter<Fate>>,
    /// What was dealt out, if that is wanted.
    pub dealt: Option<Vec<Fate>>,
}

impl Fates {
    /// For one run.
    #[must_use]
    pub fn new(seed: u64, net: Net, script: Option<&Vec<Fate>>, keep: bool) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x666c_6967_6874),
            net,
            calm: net.odds == Odds::default(),
            script: script.map(|fates| fates.clone().into_iter()),
            dealt: keep.then(Vec::new),
        }
    }

    /// From now on nothing goes wrong.
    pub fn heal(&mut self) {
        self.net.odds = Odds::default();
        self.calm = true;
    }

    /// The next one.
    pub fn next(&mut self, way: Way) -> Fate {
        let fate = match &mut self.script {
            Some(script) => script.next().unwrap_or(Fate {
                takes: self.net.least + self.net.spread / 2,
                mishap: Mishap::None,
            }),
            None => self.draw(way),
        };
        if let Some(dealt) = &mut self.dealt {
            dealt.push(fate);
        }
        fate
    }

    fn draw(&mut self, way: Way) -> Fate {
        let mut takes = self.net.least + self.dice.below(self.net.spread + 1);
        if self.calm {
            return Fate {
                takes,
                mishap: Mishap::None,
            };
        }
        let odds = self.net.odds;
        let lost = Mishap::Lost {
            heard: self.dice.half(),
        };
        let twice = Mishap::Again { after: 1 };
        let table = match way {
            Way::Up => [
                (odds.request_lost, lost),
                (odds.request_late, Mishap::Late),
                (odds.request_twice, twice),
                (odds.denied, Mishap::Denied),
                (0, lost),
            ],
            Way::Down => [
                (odds.answer_lost, lost),
                (odds.answer_late, Mishap::Late),
                (odds.answer_twice, twice),
                (0, lost),
                (0, lost),
            ],
            Way::Push => [
                (odds.push_lost, lost),
                (odds.push_late, Mishap::Late),
                (odds.push_twice, twice),
                (odds.push_gap, Mishap::Gap),
                (odds.watch_ended, Mishap::WatchEnded),
            ],
        };
        let mut roll = self.dice.below(65536) as u32;
        let mut mishap = Mishap::None;
        for (odds, what) in table {
            if roll < odds {
                mishap = what;
                break;
            }
            roll -= odds;
        }
        match &mut mishap {
            Mishap::Late => takes += self.dice.below(self.net.late),
            Mishap::Again { after } => *after = 1 + self.dice.below(self.net.replay),
            Mishap::None
            | Mishap::Lost { .. }
            | Mishap::Denied
            | Mishap::Gap
            | Mishap::WatchEnded => {}
        }
        Fate { takes, mishap }
    }
}
