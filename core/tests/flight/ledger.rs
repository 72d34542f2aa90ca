//! What was ordered, answered and granted, as the driver of a flight could write it down: the laws are
//! judged by it, never by the flight's own state.

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{Attempt, Command, Commands, Event, Flight, Instant, Phase, Token};

/// An order that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Claim,
    Fill,
    Renewal,
    Publish,
    Release,
}

impl Kind {
    /// Whether nothing more is to come after this answer. A publish or a release that was unavailable
    /// is repeated under its own number.
    fn is_answered_by(self, event: Event) -> bool {
        match event {
            Event::LeaseGranted { .. } | Event::Held { .. } | Event::Newer { .. } => {
                self == Self::Claim
            }
            Event::Renewed { .. } | Event::LeaseLost { .. } => self == Self::Renewal,
            Event::FillDone { .. } => self == Self::Fill,
            Event::Published { .. } | Event::Fenced { .. } => self == Self::Publish,
            Event::Released { .. } => self == Self::Release,
            Event::Unavailable { .. } => !matches!(self, Self::Publish | Self::Release),
            Event::Refused { .. } | Event::Malformed { .. } => true,
            _ => false,
        }
    }
}

/// What became of a lease that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InHand,
    Freed,
    /// Published under, fenced or lost: there is nothing to free.
    Gone,
}

/// The books of one flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// The attempts of each kind, in order.
    orders: BTreeMap<Kind, Vec<Attempt>>,
    /// Those that nothing more is to come for.
    settled: BTreeSet<Attempt>,
    leases: BTreeMap<Token, Fate>,
    watching: bool,
    landed: bool,
    abandoned: bool,
}

impl Ledger {
    /// The last attempt of a kind, or the one this many before it; one that never was if there is none.
    pub(crate) fn attempt(&self, kind: Kind, before: usize) -> Attempt {
        let attempts = self.orders.get(&kind).map_or(&[][..], Vec::as_slice);
        let index = attempts.len().checked_sub(before + 1);
        index.map_or(Attempt::new(900), |index| attempts[index])
    }

    /// The kinds whose last attempt has no final answer yet.
    pub(crate) fn open(&self) -> Vec<Kind> {
        let is_open = |attempts: &Vec<Attempt>| {
            attempts
                .last()
                .is_some_and(|last| !self.settled.contains(last))
        };
        let open = self.orders.iter().filter(|(_, it)| is_open(it));
        open.map(|(kind, _)| *kind).collect()
    }

    pub(crate) fn releases(&self) -> Vec<Attempt> {
        self.orders.get(&Kind::Release).cloned().unwrap_or_default()
    }

    /// Whether nobody waits for this answer: it was never asked for, is answered, or was asked for anew.
    fn is_late(&self, attempt: Attempt) -> bool {
        let place = self.orders.iter().find_map(|(kind, attempts)| {
            let place = attempts.iter().rposition(|it| *it == attempt)?;
            // A late grant is released beside the release that is awaited.
            Some(*kind == Kind::Release || place + 1 == attempts.len())
        });
        !place.unwrap_or(false) || self.settled.contains(&attempt)
    }

    /// Enters one step of the flight.
    pub(crate) fn enter(&mut self, before: &Flight, event: Event, told: &Commands, after: &Flight) {
        self.settle(event);
        for command in told.iter() {
            match *command {
                Command::Claim { attempt, .. } => self.ordered(Kind::Claim, attempt),
                Command::Fill { attempt, .. } => self.ordered(Kind::Fill, attempt),
                Command::Renew { attempt, .. } => self.ordered(Kind::Renewal, attempt),
                Command::Publish { attempt, .. } => self.ordered(Kind::Publish, attempt),
                Command::Release { attempt, token } => {
                    self.ordered(Kind::Release, attempt);
                    self.leases.insert(token, Fate::Freed);
                }
                Command::Watch => self.watching = true,
                Command::Unwatch => self.watching = false,
                Command::Land(_) => self.landed = true,
                Command::Put { .. } | Command::WarnLeaseLost { .. } => {}
            }
        }
        if let Event::LeaseGranted { token, .. } = event
            && after.lease().is_some_and(|lease| lease.token == token)
        {
            self.leases.insert(token, Fate::InHand);
        }
        if event == Event::Abandoned && before.phase() != Phase::Landed {
            self.abandoned = true;
        }
    }

    fn ordered(&mut self, kind: Kind, attempt: Attempt) {
        let attempts = self.orders.entry(kind).or_default();
        if attempts.last() != Some(&attempt) {
            attempts.push(attempt);
        }
    }

    fn settle(&mut self, event: Event) {
        if let Event::WatchLost | Event::WatchRefused = event {
            self.watching = false;
        }
        let Some(attempt) = event.attempt() else {
            return;
        };
        let mut kinds = self.orders.iter().filter(|(_, it)| it.contains(&attempt));
        if let Some((kind, _)) = kinds.next_back()
            && kind.is_answered_by(event)
        {
            self.settled.insert(attempt);
        }
        let token = self.leases.iter().find(|(_, fate)| **fate == Fate::InHand);
        let Some(token) = token.map(|(token, _)| *token) else {
            return;
        };
        let (publish, renewal) = (
            self.attempt(Kind::Publish, 0),
            self.attempt(Kind::Renewal, 0),
        );
        match event {
            Event::Published { attempt, .. } | Event::Fenced { attempt } if attempt == publish => {
                self.leases.insert(token, Fate::Gone);
            }
            Event::LeaseLost { attempt } if attempt == renewal => {
                self.leases.insert(token, Fate::Gone);
            }
            _ => {}
        }
    }

    /// Judges one step: from `before` to `after`, at a moment not before the last.
    pub(crate) fn judge(&self, before: &Flight, event: Event, told: &Commands, after: &Flight) {
        assert!(told.len() <= Commands::CAPACITY);
        if let Some(attempt) = event.attempt()
            && self.is_late(attempt)
        {
            self.a_late_answer_changes_nothing(before, event, told, after);
        }
        self.no_lease_leaks(before, event, told, after);
        self.orders_are_in_order(event, told, after);
    }

    fn a_late_answer_changes_nothing(
        &self,
        before: &Flight,
        event: Event,
        told: &Commands,
        after: &Flight,
    ) {
        assert_eq!(before.phase(), after.phase(), "late: {event:?}");
        assert_eq!(before.deadline(), after.deadline(), "late: {event:?}");
        assert_eq!(before.lease(), after.lease(), "late: {event:?}");
        match event {
            Event::LeaseGranted { token, .. }
                if before.lease().is_none_or(|it| it.token != token) =>
            {
                let released =
                    matches!(**told, [Command::Release { token: it, .. }] if it == token);
                assert!(released, "{token} leaks: {told:?}");
            }
            _ => {
                assert_eq!(*told, [], "late: {event:?}");
                let mut again = *before;
                let _ = again.handle(Instant::from_nanos(0), event);
                assert_eq!(again, *before, "late: {event:?}");
            }
        }
    }

    fn no_lease_leaks(&self, before: &Flight, event: Event, told: &Commands, after: &Flight) {
        let held = after.lease().map(|lease| lease.token);
        let frees = |token: Token| {
            let of =
                |it: &&Command| matches!(it, Command::Release { token: it, .. } if *it == token);
            told.iter().filter(of).count()
        };
        if let Event::LeaseGranted { token, .. } = event {
            let taken = usize::from(held == Some(token));
            assert_eq!(frees(token) + taken, 1, "{token} is freed once, or held");
        }
        if let Some(token) = before.lease().map(|lease| lease.token)
            && held != Some(token)
        {
            let mut books = self.clone();
            books.settle(event);
            let gone = books.leases.get(&token) == Some(&Fate::Gone);
            assert!(gone || frees(token) == 1, "{token} leaks on {event:?}");
        }
        for command in told.iter() {
            if let Command::Release { attempt, token } = *command {
                assert_ne!(held, Some(token), "a lease in hand is freed");
                let again = self.leases.get(&token) == Some(&Fate::Freed)
                    && !matches!(event, Event::LeaseGranted { .. });
                // An order whose answer is missing is repeated under its own number.
                let repeated = self.releases().contains(&attempt);
                assert!(!again || repeated, "{token} is freed twice");
            }
        }
    }

    fn orders_are_in_order(&self, event: Event, told: &Commands, after: &Flight) {
        let mut watching = self.watching;
        if let Event::WatchLost | Event::WatchRefused = event {
            watching = false;
        }
        let mut landed = self.landed;
        for command in told.iter() {
            if landed || self.abandoned {
                let cleans_up = match command {
                    Command::Unwatch | Command::Release { .. } => true,
                    Command::Publish { .. } | Command::Renew { .. } => {
                        after.phase() == Phase::Publishing
                    }
                    _ => false,
                };
                assert!(cleans_up, "{command:?} after the end");
            }
            match command {
                Command::Watch => assert!(!core::mem::replace(&mut watching, true)),
                Command::Unwatch => assert!(core::mem::replace(&mut watching, false)),
                Command::Land(_) => landed = true,
                _ => {}
            }
        }
        if after.phase() == Phase::Landed {
            assert!(!watching, "a watch outlives the flight");
            let over = landed || self.abandoned || event == Event::Abandoned;
            assert!(over, "a caller is forgotten");
        }
    }
}
