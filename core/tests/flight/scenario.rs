//! One flight, told by hand, in milliseconds; its constructors lead to each state.

use core::time::Duration;

use oneflight_core::{
    Attempt, Command, Commands, Event, FillResult, Flight, Instant, Judgement, OnFenced,
    OnUnavailable, Outcome, Phase, Policy, Revision, Token, Verdict, Warning, Why,
};

/// The lease the scenarios fill under.
pub(crate) const TOKEN: u64 = 7;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

pub(crate) fn token(number: u64) -> Token {
    Token::new(number).unwrap()
}

pub(crate) fn attempt(number: u32) -> Attempt {
    Attempt::new(number)
}

pub(crate) fn zero_wait() -> Policy {
    Policy {
        wait_timeout: Duration::ZERO,
        ..Policy::DEFAULT
    }
}

pub(crate) fn strict() -> Policy {
    Policy {
        on_unavailable: OnUnavailable::Error,
        on_fenced: OnFenced::Error,
        ..Policy::DEFAULT
    }
}

pub(crate) fn overdue_after(ms: u64) -> Policy {
    Policy {
        fill_timeout: Some(Duration::from_millis(ms)),
        ..Policy::DEFAULT
    }
}

pub(crate) fn verdict(revision: u64, token: u64, judgement: Judgement) -> Verdict {
    Verdict {
        revision: Revision::new(revision),
        token: Token::new(token),
        judgement,
    }
}

/// A value that was published without a lease: no floor makes it fresh.
pub(crate) fn stale(revision: u64) -> Verdict {
    verdict(revision, 0, Judgement::Stale)
}

pub(crate) fn fresh(revision: u64) -> Verdict {
    verdict(revision, 0, Judgement::Fresh)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) flight: Flight,
    pub(crate) ms: u64,
    pub(crate) claim: Attempt,
    pub(crate) fill: Attempt,
    pub(crate) renewal: Attempt,
    pub(crate) publish: Attempt,
    pub(crate) release: Attempt,
}

impl Scenario {
    pub(crate) fn launch(policy: Policy, known: Verdict) -> Self {
        let (flight, commands) = Flight::launch(policy, known, at(0));
        let none = attempt(0);
        let mut scenario = Self {
            flight,
            ms: 0,
            claim: none,
            fill: none,
            renewal: none,
            publish: none,
            release: none,
        };
        scenario.take_note(&commands);
        scenario
    }

    pub(crate) fn claiming() -> Self {
        Self::launch(Policy::DEFAULT, Verdict::UNKNOWN)
    }

    pub(crate) fn waiting() -> Self {
        Self::claiming().then(|it| it.held(1_000))
    }

    pub(crate) fn backing_off() -> Self {
        Self::waiting().then(|_| Event::LockReleased)
    }

    pub(crate) fn filling() -> Self {
        Self::claiming().then(|it| it.granted(TOKEN))
    }

    pub(crate) fn renewing() -> Self {
        Self::filling().tick(10_000)
    }

    /// The lease is known lost.
    pub(crate) fn robbed() -> Self {
        Self::renewing().then(|it| Event::LeaseLost {
            attempt: it.renewal,
        })
    }

    pub(crate) fn filling_locally() -> Self {
        Self::claiming().then(|it| Event::Unavailable { attempt: it.claim })
    }

    pub(crate) fn publishing() -> Self {
        Self::filling().then(|it| it.done(FillResult::Value))
    }

    pub(crate) fn departing() -> Self {
        Self::claiming().then(|_| Event::Abandoned)
    }

    pub(crate) fn releasing() -> Self {
        Self::filling().then(|_| Event::Abandoned)
    }

    pub(crate) fn landed() -> Self {
        Self::publishing().then(|it| it.published(8))
    }

    pub(crate) fn tell(&mut self, event: Event) -> Commands {
        let commands = self.flight.handle(at(self.ms), event);
        self.take_note(&commands);
        commands
    }

    /// Lets time pass to this moment, and ticks.
    pub(crate) fn tick_at(&mut self, ms: u64) -> Commands {
        self.ms = ms;
        self.tell(Event::Tick)
    }

    pub(crate) fn then(mut self, event: impl FnOnce(&Self) -> Event) -> Self {
        let event = event(&self);
        let _ = self.tell(event);
        self
    }

    pub(crate) fn tick(mut self, ms: u64) -> Self {
        let _ = self.tick_at(ms);
        self
    }

    fn take_note(&mut self, commands: &Commands) {
        for command in commands.iter() {
            match *command {
                Command::Claim { attempt, .. } => self.claim = attempt,
                Command::Fill { attempt, .. } => self.fill = attempt,
                Command::Renew { attempt, .. } => self.renewal = attempt,
                Command::Publish { attempt, .. } => self.publish = attempt,
                Command::Release { attempt, .. } => self.release = attempt,
                Command::Watch
                | Command::Unwatch
                | Command::Put { .. }
                | Command::WarnLeaseLost { .. }
                | Command::Land(_) => {}
            }
        }
    }

    pub(crate) fn granted(&self, lease: u64) -> Event {
        granted(self.claim, lease)
    }

    pub(crate) fn held(&self, remaining: u64) -> Event {
        Event::Held {
            attempt: self.claim,
            token: Token::new(TOKEN - 1),
            remaining: Some(ms(remaining)),
        }
    }

    pub(crate) fn newer(&self, verdict: Verdict) -> Event {
        Event::Newer {
            attempt: self.claim,
            latest: None,
            verdict,
        }
    }

    pub(crate) fn done(&self, result: FillResult) -> Event {
        Event::FillDone {
            attempt: self.fill,
            result,
        }
    }

    pub(crate) fn renewed(&self) -> Event {
        Event::Renewed {
            attempt: self.renewal,
        }
    }

    pub(crate) fn published(&self, revision: u64) -> Event {
        Event::Published {
            attempt: self.publish,
            revision: Revision::new(revision),
        }
    }

    pub(crate) fn fenced(&self) -> Event {
        Event::Fenced {
            attempt: self.publish,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.flight.phase()
    }

    /// When the flight wants to be ticked, in milliseconds rounded up, and why.
    pub(crate) fn due(&self) -> Option<(u64, Why)> {
        self.flight
            .deadline()
            .map(|due| (due.at.as_nanos().div_ceil(1_000_000), due.why))
    }

    /// The moment the flight wants to be ticked.
    pub(crate) fn due_at(&self) -> u64 {
        self.due().expect("a deadline").0
    }
}

pub(crate) fn granted(attempt: Attempt, lease: u64) -> Event {
    Event::LeaseGranted {
        attempt,
        token: token(lease),
        remaining: Duration::from_secs(30),
        generation: Revision::NEVER,
    }
}

pub(crate) fn handed_over(policy: Policy, started: u64, known: Verdict) -> Event {
    Event::HandedOver {
        policy,
        started: at(started),
        known,
        floor: None,
    }
}

pub(crate) fn key_event(verdict: Verdict) -> Event {
    Event::KeyEvent { verdict }
}

pub(crate) fn claim(number: u32, seen: u64) -> Command {
    Command::Claim {
        attempt: attempt(number),
        seen: Revision::new(seen),
    }
}

pub(crate) fn release(number: u32, lease: u64) -> Command {
    Command::Release {
        attempt: attempt(number),
        token: token(lease),
    }
}

pub(crate) fn publish(number: u32) -> Command {
    Command::Publish {
        attempt: attempt(number),
        token: token(TOKEN),
    }
}

pub(crate) fn renew(number: u32) -> Command {
    Command::Renew {
        attempt: attempt(number),
        token: token(TOKEN),
    }
}

pub(crate) fn warn(warning: Warning) -> Command {
    Command::WarnLeaseLost {
        token: Some(token(TOKEN)),
        warning,
    }
}

pub(crate) fn cached(revision: u64, stale: bool) -> Command {
    Command::Land(Outcome::Cached {
        revision: Revision::new(revision),
        stale,
    })
}

pub(crate) fn awaited(revision: u64) -> Command {
    Command::Land(Outcome::Awaited {
        revision: Some(Revision::new(revision)),
    })
}

pub(crate) fn computed(revision: u64) -> Command {
    Command::Land(Outcome::Computed {
        revision: Some(Revision::new(revision)),
    })
}

/// This many cases, unless the environment asks for another number.
pub(crate) fn cases(number: u32) -> proptest::test_runner::Config {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        proptest::test_runner::Config::default()
    } else {
        proptest::test_runner::Config::with_cases(number)
    }
}
