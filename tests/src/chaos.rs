//! Mixed chaos on a Redis server: processes of both drivers call without a pause, while they, the server
//! and the way to it suffer what befalls machines, drawn from a seed.

mod fault;
mod footprint;
mod outcome;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use oneflight_test_servers::Config;
use rustix::process::Signal;

use self::fault::Fault;
pub use self::footprint::Footprint;
pub use self::outcome::Outcome;
use crate::ground::{Meeting as _, Redis};
use crate::judge;
use crate::participant::Participant;
use crate::participant::words::{Driver, Event};
use crate::squad::{Squad, TAPE};
use crate::storm::{Storm, Tally, Weather};
use crate::time::now;

/// How long everything goes well at first, and again at the end.
const CALM: Duration = Duration::from_secs(2);

/// How often the keys are other ones.
const PAGE: Duration = Duration::from_secs(5);

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long.
    pub time: Duration,
    /// How many processes there are; the first two are never killed.
    pub processes: usize,
    /// What all is drawn from, but for the moments at which it happens.
    pub seed: u64,
}

/// How far it is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Since when.
    pub elapsed: Duration,
    /// What came of the calls.
    pub tally: &'a Tally,
    /// What has befallen whom, and how often.
    pub faults: &'a BTreeMap<&'static str, usize>,
}

/// A run.
struct Chaos {
    plan: Plan,
    random: Rng,
    squad: Squad<Redis>,
    storm: Storm,
    faults: BTreeMap<&'static str, usize>,
    /// What is out of order, and until when.
    under_way: Vec<(Instant, Fault)>,
    /// Since when the server may have forgotten something.
    forgetting: Option<SystemTime>,
    /// The keys whose holders were killed, and when.
    orphans: BTreeMap<String, i64>,
    takeovers: Vec<i64>,
}

/// Has it happen.
///
/// # Panics
///
/// If a call hangs, or if something is left of a process after it has ended.
#[must_use]
pub fn chaos(plan: Plan, mut progress: impl FnMut(&Progress<'_>)) -> Outcome {
    let mut chaos = Chaos::new(plan);
    let since = Instant::now();
    chaos.goes_on(CALM, |_| {});
    chaos.settles();
    let start = Footprint::of(&chaos.squad);
    let mut next = Instant::now();
    let mut page = Instant::now();
    chaos.goes_on(plan.time, |chaos| {
        chaos.heal_what_is_over();
        if next <= Instant::now() {
            chaos.befall();
            next = Instant::now() + Duration::from_millis(chaos.random.u64(100..900));
        }
        if page.elapsed() > PAGE {
            chaos.storm.turns_page();
            page = Instant::now();
        }
        progress(&Progress {
            elapsed: since.elapsed(),
            tally: &chaos.storm.tally,
            faults: &chaos.faults,
        });
    });
    chaos.heal_all();
    chaos.settles();
    // Whoever was cut off has time to come back.
    chaos.goes_on(CALM, |_| {});
    chaos.settles();
    let end = Footprint::of(&chaos.squad);
    let Chaos {
        squad,
        storm,
        faults,
        takeovers,
        ..
    } = chaos;
    let tape = squad.leave_in_peace();
    let judged = judge::judged(&std::fs::read(tape.path(TAPE)).unwrap());
    Outcome {
        plan,
        tally: storm.tally,
        faults,
        takeovers,
        start,
        end,
        judged: judged.map_err(|complaint| (complaint, judge::kept(&tape.path(TAPE)))),
    }
}

impl Chaos {
    fn new(plan: Plan) -> Self {
        let mut random = Rng::with_seed(plan.seed);
        let ground = Redis::with(Config::new().append_only()).proxied();
        let weather = Weather {
            mixed: true,
            ..Weather::default()
        };
        let mut chaos = Self {
            storm: Storm::new(weather, random.u64(..)),
            random,
            plan,
            squad: Squad::over(ground),
            faults: BTreeMap::new(),
            under_way: Vec::new(),
            forgetting: None,
            orphans: BTreeMap::new(),
            takeovers: Vec::new(),
        };
        for number in 0..plan.processes {
            let member = chaos.member(number);
            chaos.squad.members.push(member);
        }
        chaos
    }

    /// Both drivers in turn; two straight to the server, two by the proxy, and so on.
    fn member(&self, number: usize) -> Participant {
        let ground = &self.squad.place.ground;
        let url = match number / 2 % 2 {
            0 => ground.server.url(),
            _ => ground.url(),
        };
        let tape = self.squad.place.path(TAPE);
        Participant::start(Driver::ALL[number % 2], &url, Some(&tape))
    }

    fn goes_on(&mut self, time: Duration, mut meanwhile: impl FnMut(&mut Self)) {
        let since = Instant::now();
        while since.elapsed() < time {
            let (orphans, takeovers) = (&mut self.orphans, &mut self.takeovers);
            self.storm.blows(&mut self.squad.members, |_, report| {
                let Event::Filling(Some(_)) = report.event else {
                    return;
                };
                if orphans
                    .get(&report.key)
                    .is_some_and(|killed| *killed < report.at)
                {
                    takeovers.extend(orphans.remove(&report.key).map(|it| report.at - it));
                }
            });
            meanwhile(self);
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn settles(&mut self) {
        self.storm.settles(&self.squad.members);
    }

    /// Something goes wrong, unless the same is out of order already.
    fn befall(&mut self) {
        let fault = Fault::draw(&mut self.random, self.plan.processes);
        let is_busy = |other: &Fault| other.troubles() == fault.troubles();
        if self.under_way.iter().any(|(_, other)| is_busy(other)) {
            return;
        }
        *self.faults.entry(fault.name()).or_default() += 1;
        if let Some(lasts) = self.begin(fault) {
            self.under_way.push((Instant::now() + lasts, fault));
        }
    }

    /// For how long it is out of order, if it is.
    fn begin(&mut self, fault: Fault) -> Option<Duration> {
        let ground = &mut self.squad.place.ground;
        match fault {
            Fault::Killed(number) => {
                let pid = self.squad.members[number].pid();
                let successor = self.member(number);
                let killed = now();
                // Killed as it is dropped.
                self.squad.members[number] = successor;
                for key in self.storm.lost(pid) {
                    self.orphans.insert(key, killed);
                }
                return None;
            }
            Fault::Stopped(number, _) => self.squad.members[number].signal(Signal::STOP),
            Fault::Restarted(_) => ground.server.kill(),
            Fault::Emptied(_) => {
                self.forgetting = Some(SystemTime::now());
                ground.server.kill();
            }
            Fault::Paused(_) => ground.server.pause(),
            Fault::Full(_) => set_limit(ground, "100000"),
            Fault::ClientsKilled => ground.server.kill_clients(),
            Fault::ScriptsFlushed => {
                ground.server.command::<()>(&["SCRIPT", "FLUSH"]).unwrap();
            }
            Fault::Cut => _ = ground.proxy().cut(),
            Fault::Delayed(direction, by, _) => ground.proxy().delay(direction, by),
            Fault::Held(direction, _) => ground.proxy().hold(direction),
            Fault::AnswerLost(lost) => {
                // To whatever is asked next.
                ground.proxy().lose_answer(lost, |_| true);
            }
        }
        fault.lasts()
    }

    fn heal_what_is_over(&mut self) {
        let over = |(until, _): &mut (Instant, Fault)| *until <= Instant::now();
        let over: Vec<_> = self.under_way.extract_if(.., over).collect();
        over.into_iter().for_each(|(_, fault)| self.end(fault));
    }

    fn heal_all(&mut self) {
        let all = std::mem::take(&mut self.under_way);
        all.into_iter().for_each(|(_, fault)| self.end(fault));
        self.squad.place.ground.proxy().heal();
    }

    fn end(&mut self, fault: Fault) {
        let ground = &mut self.squad.place.ground;
        match fault {
            Fault::Stopped(number, _) => self.squad.members[number].signal(Signal::CONT),
            Fault::Restarted(_) => ground.server.restart(),
            Fault::Emptied(_) => {
                ground.server.restart_with_nothing();
                if let Some(since) = self.forgetting.take() {
                    self.squad.tells_of_amnesia(since);
                }
            }
            Fault::Paused(_) => ground.server.resume(),
            Fault::Full(_) => set_limit(ground, "0"),
            Fault::Delayed(..) | Fault::Held(..) => ground.proxy().heal(),
            Fault::Killed(_)
            | Fault::ClientsKilled
            | Fault::ScriptsFlushed
            | Fault::Cut
            | Fault::AnswerLost(_) => {}
        }
    }
}

fn set_limit(ground: &Redis, bytes: &str) {
    let set = ["CONFIG", "SET", "maxmemory", bytes];
    ground.server.command::<()>(&set).unwrap();
}
