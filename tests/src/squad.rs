//! Several participants over one store, recorded and judged.

use std::ops::{Deref, DerefMut};

use crate::ground::Meeting;
use crate::judge;
use crate::participant::Participant;
use crate::participant::words::Driver;
use crate::program::Place;

/// The file to which all of them record.
pub const TAPE: &str = "fleet.jsonl";

/// Participants over one store.
#[derive(Debug)]
pub struct Squad<G> {
    members: Vec<Participant>,
    /// Where they are.
    pub place: Place<G>,
}

impl<G: Meeting> Default for Squad<G> {
    fn default() -> Self {
        Self::over(G::new())
    }
}

impl<G: Meeting> Squad<G> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet, over this ground.
    #[must_use]
    pub fn over(ground: G) -> Self {
        Self {
            members: Vec::new(),
            place: Place::over(ground),
        }
    }

    /// Starts one more.
    pub fn start(&mut self, driver: Driver) {
        let tape = self.place.path(TAPE);
        let member = Participant::start(driver, &self.place.ground.url(), Some(&tape));
        self.members.push(member);
    }

    /// Starts so many at once, by both drivers in turn.
    pub fn start_many(&mut self, count: usize) {
        let (tape, url) = (self.place.path(TAPE), self.place.ground.url());
        let members = (0..count)
            .map(|number| Participant::starting(Driver::ALL[number % 2], &url, Some(&tape)));
        self.members.extend(members);
        self.members.iter().for_each(Participant::await_ready);
    }

    /// Kills one.
    pub fn kill(&mut self, number: usize) {
        drop(self.members.remove(number));
    }

    /// Lets all of them end: none leaves a thread or a connection, and what they have recorded is sound.
    #[track_caller]
    pub fn ends_in_peace(self) {
        self.members.into_iter().for_each(Participant::ends_in_peace);
        self.place.ground.assert_left_alone();
        judge::sound(&self.place.path(TAPE));
    }
}

impl<G> Deref for Squad<G> {
    type Target = [Participant];

    fn deref(&self) -> &[Participant] {
        &self.members
    }
}

impl<G> DerefMut for Squad<G> {
    fn deref_mut(&mut self) -> &mut [Participant] {
        &mut self.members
    }
}
