//! Calls of all kinds by all participants at once, for as long as somebody likes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::participant::words::{Call, Deed, Ends, Event, Landed, Report};
use crate::participant::{PATIENCE, Participant};

/// How calls are drawn.
#[derive(Clone, Debug)]
pub struct Weather {
    /// How many keys are called for.
    pub keys: usize,
    /// How many orders each participant has under way.
    pub at_once: usize,
    /// What the calls have in common.
    pub call: Call,
    /// Some fail, panic, leave, forget or look, with other options; else all are as `call` says.
    pub mixed: bool,
}

impl Default for Weather {
    /// Calls of an ordinary fleet, with short leases.
    fn default() -> Self {
        Self {
            keys: 5,
            at_once: 2,
            call: Call {
                ttl: Duration::from_secs(1),
                wait: Duration::from_secs(10),
                store: Duration::from_secs(1),
                fresh: Some(Duration::ZERO),
                takes: Duration::from_millis(20),
                ..Call::default()
            },
            mixed: false,
        }
    }
}

/// An order under way.
#[derive(Clone, Debug)]
struct Open {
    pid: u32,
    id: u64,
    key: String,
    since: Instant,
    filling: bool,
}

/// What has come of all orders.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many were given.
    pub orders: usize,
    /// How many fills have begun.
    pub fills: usize,
    /// How many landings there were of each kind.
    pub landings: BTreeMap<String, usize>,
    /// How many landings with a value were not the fleet's.
    pub uncoordinated: usize,
    /// How many were older than was asked for.
    pub stale: usize,
    /// The longest that one took which did not fill.
    pub longest: Duration,
}

impl Tally {
    /// How many landings there were of this kind.
    #[must_use]
    pub fn of(&self, how: &str) -> usize {
        self.landings.get(how).copied().unwrap_or_default()
    }

    fn note(&mut self, landed: &Landed, took: Duration, filled: bool) {
        *self.landings.entry(landed.how.clone()).or_default() += 1;
        let has_landed = ["computed", "awaited", "cached"].contains(&landed.how.as_str());
        self.uncoordinated += usize::from(has_landed && !landed.coordinated);
        self.stale += usize::from(landed.stale);
        if !filled {
            self.longest = self.longest.max(took);
        }
    }
}

/// A storm.
#[derive(Debug)]
pub struct Storm {
    weather: Weather,
    random: Rng,
    open: Vec<Open>,
    page: usize,
    /// What has come of it so far.
    pub tally: Tally,
}

impl Storm {
    /// One that is drawn from this seed.
    #[must_use]
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: Rng::with_seed(seed),
            open: Vec::new(),
            page: 0,
            tally: Tally::default(),
        }
    }

    /// Goes on for so long, while `meanwhile` is called again and again.
    pub fn rages(
        &mut self,
        participants: &mut [Participant],
        time: Duration,
        mut meanwhile: impl FnMut(),
    ) {
        let since = Instant::now();
        while since.elapsed() < time {
            self.blows(participants, |_, _| {});
            meanwhile();
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Has each of these call as much as it is to, and takes what they report, which is shown to `hears`.
    pub fn blows(
        &mut self,
        participants: &mut [Participant],
        mut hears: impl FnMut(&Participant, &Report),
    ) {
        for participant in participants {
            self.hear(participant, &mut hears);
            let busy = self.open.iter().filter(|it| it.pid == participant.pid());
            for _ in busy.count()..self.weather.at_once {
                self.order(participant);
            }
        }
    }

    /// From now on the keys are other ones.
    pub fn turns_page(&mut self) {
        self.page += 1;
    }

    /// Gives no more orders, and waits until all have landed.
    pub fn settles(&mut self, participants: &[Participant]) {
        while !self.open.is_empty() {
            for participant in participants {
                self.hear(participant, &mut |_, _| {});
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// One of them is dead: nothing more is to be heard of it. Returns the keys that it was filling.
    pub fn lost(&mut self, pid: u32) -> Vec<String> {
        let its = self.open.extract_if(.., |it| it.pid == pid);
        its.filter(|it| it.filling).map(|it| it.key).collect()
    }

    fn order(&mut self, participant: &mut Participant) {
        let key = format!("{}/{}", self.page, self.random.usize(..self.weather.keys));
        let deed = self.deed();
        let leaves =
            matches!(deed, Deed::Call(_)) && self.weather.mixed && self.random.u8(..20) == 0;
        let id = participant.order(&key, deed);
        if leaves {
            participant.leave(id);
        }
        self.tally.orders += 1;
        self.open.push(Open {
            pid: participant.pid(),
            id,
            key,
            since: Instant::now(),
            filling: false,
        });
    }

    fn deed(&mut self) -> Deed {
        let mut call = self.weather.call.clone();
        if !self.weather.mixed {
            return Deed::Call(call);
        }
        let random = &mut self.random;
        match random.u8(..100) {
            0..=2 => return Deed::Forget,
            3..=5 => return Deed::Get,
            _ => {}
        }
        call.fresh = match random.u8(..4) {
            0 => None,
            1 => Some(Duration::from_millis(random.u64(..200))),
            _ => Some(Duration::ZERO),
        };
        call.takes = match random.u8(..20) {
            0 => call.ttl * 2,
            _ => Duration::from_millis(random.u64(..60)),
        };
        call.ends = match random.u8(..40) {
            0 => Ends::InPanic,
            1 | 2 => Ends::Badly,
            _ => Ends::Well,
        };
        call.unavailable_is_error = random.u8(..3) == 0;
        call.promote = random.bool();
        if random.u8(..20) == 0 {
            call.wait = Duration::from_millis(random.u64(..50));
        }
        Deed::Call(call)
    }

    #[track_caller]
    fn hear(&mut self, participant: &Participant, hears: &mut impl FnMut(&Participant, &Report)) {
        let pid = participant.pid();
        for report in participant.news() {
            hears(participant, &report);
            let of_it = |it: &Open| it.pid == pid && it.id == report.id;
            let Some(at) = self.open.iter().position(of_it) else {
                continue;
            };
            match &report.event {
                Event::Filling(_) => {
                    self.tally.fills += 1;
                    self.open[at].filling = true;
                }
                Event::Landed(landed) => {
                    let open = self.open.swap_remove(at);
                    self.tally.note(landed, open.since.elapsed(), open.filling);
                }
                Event::Ready | Event::Held | Event::Filled | Event::Rested(_) => {}
            }
        }
        let overdue = self
            .open
            .iter()
            .find(|it| it.pid == pid && it.since.elapsed() > PATIENCE);
        assert!(overdue.is_none(), "a call hangs: {overdue:?}");
    }
}
