//! Several participants over one store, recorded and judged.

use std::fs::File;
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use oneflight_sim::trace::{self, Fault, Line, Name, Record, What};

use crate::ground::Meeting;
use crate::judge;
use crate::participant::Participant;
use crate::participant::words::{Call, Driver, Landed};
use crate::program::Place;

/// The file to which all of them record.
pub const TAPE: &str = "fleet.jsonl";

/// Participants over one store.
#[derive(Debug)]
pub struct Squad<G> {
    /// They, in the order in which they were started.
    pub members: Vec<Participant>,
    /// Where they are.
    pub place: Place<G>,
    is_recorded: bool,
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

    /// None yet, to be measured.
    #[must_use]
    pub fn unrecorded() -> Self {
        Self {
            is_recorded: false,
            ..Self::default()
        }
    }

    /// None yet, over this ground.
    #[must_use]
    pub fn over(ground: G) -> Self {
        Self {
            members: Vec::new(),
            place: Place::over(ground),
            is_recorded: true,
        }
    }

    fn tape(&self) -> Option<PathBuf> {
        self.is_recorded.then(|| self.place.path(TAPE))
    }

    /// Starts one more.
    pub fn start(&mut self, driver: Driver) {
        let tape = self.tape();
        let member = Participant::start(driver, &self.place.ground.url(), tape.as_deref());
        self.members.push(member);
    }

    /// Starts so many at once, by both drivers in turn.
    pub fn start_many(&mut self, count: usize) {
        let (tape, url) = (self.tape(), self.place.ground.url());
        let members = (0..count)
            .map(|number| Participant::starting(Driver::ALL[number % 2], &url, tape.as_deref()));
        self.members.extend(members);
        self.members.iter().for_each(Participant::await_ready);
    }

    /// The first one fills `key` until the file `go` is there, and the others wait for it: the numbers of
    /// their calls.
    #[track_caller]
    pub fn leads(&mut self, leader: &Call, others: &Call) -> (u64, Vec<u64>) {
        let call = Call {
            until: Some(self.place.path("go")),
            ..leader.clone()
        };
        let (leader, rest) = self.members.split_first_mut().unwrap();
        let first = leader.call("key", &call);
        leader.await_filling(first);
        let ids = rest.iter_mut().map(|it| it.call("key", others)).collect();
        rest.iter().for_each(|it| it.await_held("key"));
        (first, ids)
    }

    /// How many fills of `key` have begun, by those who are here.
    #[must_use]
    pub fn fills(&self) -> usize {
        self.members.iter().map(|it| it.fills("key")).sum()
    }

    /// How these calls of the others have landed.
    #[track_caller]
    pub fn others_landed(&self, ids: &[u64]) -> Vec<Landed> {
        let others = &self.members[1..];
        others
            .iter()
            .zip(ids)
            .map(|(it, id)| it.landed(*id))
            .collect()
    }

    /// Kills one.
    pub fn kill(&mut self, number: usize) {
        drop(self.take(number));
    }

    /// Takes one out.
    pub fn take(&mut self, number: usize) -> Participant {
        self.members.remove(number)
    }

    /// Whoever has troubled the store tells the checker: it may have forgotten what was written, since
    /// that moment and until now.
    pub fn tells_of_amnesia(&self, since: SystemTime) {
        let nanos = |time: SystemTime| trace::nanos(time.duration_since(UNIX_EPOCH).unwrap());
        let record: Line<Name> = Line::Record(Record {
            at: nanos(since),
            node: 0,
            what: What::Fault {
                fault: Fault::WritesForgotten,
                until: nanos(SystemTime::now()),
            },
        });
        let mut line = Vec::new();
        trace::write_line(&mut line, &record).unwrap();
        let tape = self.place.path(TAPE);
        let mut tape = File::options()
            .append(true)
            .create(true)
            .open(tape)
            .unwrap();
        // In one piece.
        tape.write_all(&line).unwrap();
    }

    /// Lets all of them end: none leaves a thread or a connection, and what they have recorded is sound.
    #[track_caller]
    pub fn ends_in_peace(self) {
        let place = self.leave_in_peace();
        judge::sound(&place.path(TAPE));
    }

    /// Lets all of them end: none leaves a thread or a connection. Their recording stays.
    #[track_caller]
    pub fn leave_in_peace(self) -> Place<G> {
        self.members
            .into_iter()
            .for_each(Participant::ends_in_peace);
        self.place.ground.assert_left_alone();
        self.place
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
