//! What goes wrong on the way: answers are lost, repeated or told as failures, watches end.

use oneflight_core::{Attempt, Command, Event, FlightId, Flights, Instant, Notice, Order};

use crate::store::Key;
use crate::world::{Item, World};

/// How an answer is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// For good.
    Gone,
    /// It is told as a failure.
    Failed,
    /// It is told now, and once more later.
    Twice,
}

impl World {
    /// A watch ends.
    pub(crate) fn cut(&mut self, nth: usize) {
        let Some(id) = self.watches.keys().nth(nth % self.watches.len().max(1)) else {
            return;
        };
        let id = *id;
        self.watches.remove(&id);
        let (process, key, number) = id;
        let flight = FlightId { key, number };
        let event = Event::WatchLost;
        self.tell(process, Notice::Answered { flight, event });
    }

    /// A request or an answer is lost.
    pub(crate) fn lose(&mut self, nth: usize, loss: Loss) {
        let lossy: Vec<_> = (0..self.items.len())
            .filter(|index| match &self.items[*index] {
                Item::Request { .. } | Item::Answer { .. } => true,
                Item::Judge { .. } | Item::Fill { .. } => false,
            })
            .collect();
        let Some(index) = lossy.get(nth % lossy.len().max(1)) else {
            return;
        };
        let (process, flight, attempt) = match self.items.remove(*index) {
            Item::Request {
                process,
                flight,
                command,
                ..
            } => (process, flight, answered_by(command)),
            Item::Answer { process, notice } => match (loss, notice) {
                (Loss::Gone, _) => return,
                (Loss::Failed, Notice::Answered { flight, event }) => {
                    (process, flight, event.attempt())
                }
                (
                    Loss::Failed,
                    Notice::Arrived {
                        flight, attempt, ..
                    },
                ) => (process, flight, attempt),
                (_, notice) => {
                    let again = notice.clone();
                    self.items.push(Item::Answer {
                        process,
                        notice: again,
                    });
                    return self.tell(process, notice);
                }
            },
            Item::Judge { .. } | Item::Fill { .. } => return,
        };
        if let Some(attempt) = attempt {
            let event = Event::Unavailable { attempt };
            let notice = Notice::Answered { flight, event };
            self.items.push(Item::Answer { process, notice });
        }
    }

    /// An answer that was told before is told again: it changes nothing, but that a lease nobody holds
    /// is released.
    pub(crate) fn repeat(&mut self, nth: usize) {
        let Some((process, flight, event)) = self.told.get(nth % self.told.len().max(1)) else {
            return;
        };
        let (process, flight, event) = (*process, flight.clone(), *event);
        let seen = |it: &Flights<Key>| (it.view(&flight.key), it.load(), it.deadline());
        let before = &self.processes[process];
        let (view, text) = (seen(before), unclocked(before));
        let holds = before.lease(&flight).map(|lease| lease.token);
        let mut after = before.clone();
        let notice = Notice::Answered {
            flight: flight.clone(),
            event,
        };
        // At the last moment told, so that nothing but the answer is new.
        let orders = after.handle(Instant::from_nanos(0), notice.clone());
        assert_eq!(seen(&after), view, "{event:?}");
        match (event, &orders[..]) {
            (
                Event::LeaseGranted { token, .. },
                [
                    Order::Command {
                        flight: freed,
                        command: Command::Release { token: it, .. },
                    },
                ],
            ) if holds != Some(token) => assert_eq!((freed, *it), (&flight, token)),
            (Event::LeaseGranted { token, .. }, _) if holds != Some(token) => {
                panic!("{token} leaks: {orders:?}")
            }
            _ => {
                assert_eq!(orders, [], "{event:?}");
                assert_eq!(unclocked(&after), text, "{event:?}");
            }
        }
        self.tell(process, notice);
    }
}

/// The attempt that is answered, if the command is.
fn answered_by(command: Command) -> Option<Attempt> {
    match command {
        Command::Claim { attempt, .. }
        | Command::Renew { attempt, .. }
        | Command::Publish { attempt, .. }
        | Command::Release { attempt, .. } => Some(attempt),
        _ => None,
    }
}

/// All there is to see of a process but its clocks.
fn unclocked(flights: &Flights<Key>) -> String {
    let text = format!("{flights:?}");
    let pieces = text.split("now: ");
    pieces
        .map(|piece| piece.split_once(')').map_or(piece, |(_, rest)| rest))
        .collect()
}
