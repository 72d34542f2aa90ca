//! What went over a connection.

use std::collections::{BTreeMap, VecDeque};

use crate::resp::words;

/// What went over one connection, or over several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How often each command was sent, by its name in capitals.
    pub commands: BTreeMap<String, u64>,
    /// How many answers came, the confirmations of subscriptions among them.
    pub answers: u64,
    /// How many messages came that nobody had asked for: of subscriptions, or of client tracking.
    pub pushes: u64,
    /// How often something was sent when everything before had been answered: what travels together
    /// is one trip.
    pub trips: u64,
}

impl Traffic {
    /// How often any of these was sent.
    #[must_use]
    pub fn sent(&self, commands: &[&str]) -> u64 {
        let counts = commands.iter().filter_map(|name| self.commands.get(*name));
        counts.sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (name, count) in &other.commands {
            *self.commands.entry(name.clone()).or_default() += count;
        }
        self.answers += other.answers;
        self.pushes += other.pushes;
        self.trips += other.trips;
    }
}

/// The book of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) traffic: Traffic,
    /// Commands whose answers are not all there.
    open: VecDeque<Open>,
    /// It has subscribed over the older protocol, where pushes look like answers.
    has_old_pushes: bool,
    speaks_resp3: bool,
}

#[derive(Debug)]
struct Open {
    command: Vec<Vec<u8>>,
    answers_left: usize,
}

/// What a message from the server is.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Push,
    /// The last answer to this command.
    Answer(Vec<Vec<u8>>),
    /// One of several answers to a command.
    PartOfAnswer,
}

impl Ledger {
    pub(crate) fn sent(&mut self, frame: &[u8]) {
        let command: Vec<Vec<u8>> = words(frame).into_iter().map(<[u8]>::to_vec).collect();
        let name = name(&command);
        if self.open.is_empty() {
            self.traffic.trips += 1;
        }
        match name.as_str() {
            "HELLO" => self.speaks_resp3 = command.get(1).is_some_and(|it| it == b"3"),
            "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" => self.has_old_pushes = !self.speaks_resp3,
            _ => {}
        }
        // Each channel is confirmed by itself.
        let answers_left = match is_subscription(&name) {
            true => command.len().saturating_sub(1).max(1),
            false => 1,
        };
        self.open.push_back(Open {
            command,
            answers_left,
        });
        *self.traffic.commands.entry(name).or_default() += 1;
    }

    pub(crate) fn came(&mut self, frame: &[u8]) -> Came {
        let Some(open) = self.open.front_mut() else {
            self.traffic.pushes += 1;
            return Came::Push;
        };
        let first = words(frame).first().map(|it| it.to_ascii_uppercase());
        let first = String::from_utf8(first.unwrap_or_default()).unwrap_or_default();
        let is_push = match frame.first() {
            Some(b'>') => !is_subscription(&first) || !is_subscription(&name(&open.command)),
            Some(b'*') if self.has_old_pushes => first.ends_with("MESSAGE"),
            _ => false,
        };
        if is_push {
            self.traffic.pushes += 1;
            return Came::Push;
        }
        self.traffic.answers += 1;
        open.answers_left -= 1;
        // An error is the only answer.
        if open.answers_left > 0 && frame.first() != Some(&b'-') {
            return Came::PartOfAnswer;
        }
        let open = self.open.pop_front();
        Came::Answer(open.map(|open| open.command).unwrap_or_default())
    }
}

fn name(command: &[Vec<u8>]) -> String {
    let name = command.first().map(|it| it.to_ascii_uppercase());
    String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
}

fn is_subscription(name: &str) -> bool {
    name.ends_with("SUBSCRIBE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(ledger: &mut Ledger, words: &[&str]) {
        let parts = words.iter().map(|it| format!("${}\r\n{it}\r\n", it.len()));
        let frame = format!("*{}\r\n{}", words.len(), parts.collect::<String>());
        ledger.sent(frame.as_bytes());
    }

    fn push(kind: u8, words: &[&str]) -> Vec<u8> {
        let parts = words.iter().map(|it| format!("${}\r\n{it}\r\n", it.len()));
        let parts = parts.collect::<String>();
        format!("{}{}\r\n{parts}", char::from(kind), words.len()).into_bytes()
    }

    #[test]
    fn what_travels_together_is_one_trip() {
        let mut ledger = Ledger::default();
        sent(&mut ledger, &["HELLO", "3"]);
        ledger.came(b"%0\r\n");
        sent(&mut ledger, &["SUBSCRIBE", "a", "b"]);
        sent(&mut ledger, &["EVALSHA", "x", "0"]);
        assert_eq!(
            ledger.came(&push(b'>', &["subscribe", "a"])),
            Came::PartOfAnswer
        );
        assert_eq!(ledger.came(&push(b'>', &["message", "a", "v"])), Came::Push);
        let subscribe = ["SUBSCRIBE", "a", "b"].map(|it| it.as_bytes().to_vec());
        let second = ledger.came(&push(b'>', &["subscribe", "b"]));
        assert_eq!(second, Came::Answer(subscribe.to_vec()));
        // It stands before the answer to the script, and is none.
        assert_eq!(ledger.came(&push(b'>', &["message", "a", "v"])), Came::Push);
        assert!(matches!(ledger.came(b"+OK\r\n"), Came::Answer(command) if command.len() == 3));
        assert_eq!(ledger.came(&push(b'>', &["message", "a", "v"])), Came::Push);
        sent(&mut ledger, &["PING"]);
        let traffic = ledger.traffic;
        assert_eq!((traffic.trips, traffic.answers, traffic.pushes), (3, 4, 3));
        assert_eq!(traffic.sent(&["EVALSHA", "SUBSCRIBE", "GET"]), 2);
    }

    #[test]
    fn a_subscription_that_is_refused_has_one_answer() {
        let mut ledger = Ledger::default();
        sent(&mut ledger, &["SUBSCRIBE", "a", "b"]);
        assert!(matches!(ledger.came(b"-NOPERM\r\n"), Came::Answer(_)));
        sent(&mut ledger, &["PING"]);
        assert_eq!(ledger.traffic.trips, 2);
    }

    #[test]
    fn pushes_of_the_older_protocol_are_told_from_answers() {
        let mut ledger = Ledger::default();
        sent(&mut ledger, &["SUBSCRIBE", "a"]);
        assert!(matches!(
            ledger.came(&push(b'*', &["subscribe", "a"])),
            Came::Answer(_)
        ));
        sent(&mut ledger, &["PING"]);
        assert_eq!(ledger.came(&push(b'*', &["message", "a", "v"])), Came::Push);
        assert!(matches!(
            ledger.came(&push(b'*', &["pong", ""])),
            Came::Answer(_)
        ));
    }
}
