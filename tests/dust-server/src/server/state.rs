//! What the thread of the server and the tests share.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};

use super::trouble::{Fate, Trouble};
use crate::dust::{ConnectionId, Dust, Later, Step};
use crate::frame::{Frame, Message};
use crate::path::Path;
use crate::store::Millis;

/// What went through one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whose it is.
    pub device_id: String,
    /// Whether it still is.
    pub open: bool,
    /// How many frames of each kind came: by their event, and `write OP`; pings as `ping`.
    pub received: BTreeMap<String, u64>,
    /// How many frames of each event were sent.
    pub sent: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new(dust: Dust) -> Self {
        Self {
            state: Mutex::new(State::new(dust)),
            changed: watch::Sender::new(()),
        }
    }

    /// Nobody may wait for anything meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state, and tells whoever waits for changes.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) dust: Dust,
    pub(super) trouble: Trouble,
    /// Where to listen next.
    pub(super) listener: Option<TcpListener>,
    /// Also if it has not begun.
    pub(super) listening: bool,
    pub(super) killed: bool,
    pub(super) paused: bool,
    pub(super) ended: bool,
    links: BTreeMap<ConnectionId, Link>,
    started: Instant,
    /// The time at which it started, and what it was put forward since.
    clock: Duration,
}

/// A connection, as seen from the rest of the server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) device_id: String,
    outbox: mpsc::UnboundedSender<Parcel>,
    cut: bool,
    traffic: Traffic,
}

/// Something to be sent.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) due: Instant,
    pub(super) what: Outgoing,
}

#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Message),
    Close(u16),
}

/// The second half of a channel's work, and when it is its turn.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) later: Later,
    pub(super) at: Instant,
    /// Not before what is held was let go more often than that.
    pub(super) held: Option<u64>,
    pub(super) fate: Option<Fate>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Nothing gets through.
    pub(super) stalled: bool,
    pub(super) let_go: u64,
    /// When it will have been silent for too long.
    pub(super) idle: Option<Instant>,
}

impl State {
    fn new(dust: Dust) -> Self {
        Self {
            dust,
            trouble: Trouble::default(),
            listener: None,
            listening: false,
            killed: false,
            paused: false,
            ended: false,
            links: BTreeMap::new(),
            started: Instant::now(),
            clock: SystemTime::UNIX_EPOCH.elapsed().unwrap(),
        }
    }

    pub(super) fn now(&self) -> Millis {
        let now = self.clock + self.started.elapsed();
        Millis::try_from(now.as_millis()).unwrap()
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.clock += by;
    }

    /// Somebody connects. What is sent to them comes out of the other end.
    pub(super) fn connect(
        &mut self,
        query: &str,
    ) -> Option<(ConnectionId, mpsc::UnboundedReceiver<Parcel>)> {
        if self.trouble.forbidden {
            return None;
        }
        let id = self.dust.connect(self.now(), query)?;
        let device_id = self.dust.connection(id)?.1.to_owned();
        let (outbox, parcels) = mpsc::unbounded_channel();
        let traffic = Traffic {
            device_id: device_id.clone(),
            open: true,
            ..Traffic::default()
        };
        let link = Link {
            device_id,
            outbox,
            cut: false,
            traffic,
        };
        self.links.insert(id, link);
        Some((id, parcels))
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        self.dust.disconnect(id);
        if let Some(link) = self.links.get_mut(&id) {
            link.traffic.open = false;
        }
    }

    pub(super) fn cut(&mut self, which: impl Fn(&Link) -> bool) {
        for (&id, link) in self.links.iter_mut().filter(|(_, link)| which(link)) {
            link.cut = true;
            self.dust.disconnect(id);
        }
    }

    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.links
            .values()
            .map(|link| link.traffic.clone())
            .collect()
    }

    /// Nothing if the connection is cut.
    pub(super) fn view(&self, id: ConnectionId) -> Option<View> {
        let link = self.links.get(&id).filter(|link| !link.cut)?;
        let deadline = self.dust.deadline(id);
        let left = deadline.map(|at| Duration::from_millis(at.saturating_sub(self.now())));
        Some(View {
            stalled: self.paused || self.trouble.black_holes.contains(&link.device_id),
            let_go: self.trouble.let_go,
            idle: left.map(|left| Instant::now() + left),
        })
    }

    /// Closes who has been silent for too long.
    pub(super) fn tick(&mut self) {
        let steps = self.dust.tick(self.now());
        self.dispatch(steps, None);
    }

    pub(super) fn ping(&mut self, id: ConnectionId) {
        self.dust.heard(self.now(), id);
        self.count(id, "ping".to_owned());
    }

    fn count(&mut self, id: ConnectionId, kind: String) {
        if let Some(link) = self.links.get_mut(&id) {
            *link.traffic.received.entry(kind).or_default() += 1;
        }
    }

    /// A message came. What it leads to is sent; what remains is work for later.
    pub(super) fn receive(&mut self, id: ConnectionId, message: &Message) -> Vec<Work> {
        let now = self.now();
        let Some((wire, device)) = self.dust.connection(id) else {
            return Vec::new();
        };
        let (mut message, device) = (message.clone(), device.to_owned());
        let mut fate = None;
        if let Some(mut frame) = Frame::decode(&message, wire) {
            let op = frame.payload["op"].as_str().unwrap_or_default();
            match frame.event.as_str() {
                "write" => {
                    let path =
                        Path::of(&frame.payload).map_or_else(|_| String::new(), |path| path.text);
                    fate = self.trouble.fate(&device, op, &path);
                    self.count(id, format!("write {op}"));
                }
                event => self.count(id, event.to_owned()),
            }
            let refused = match &fate {
                Some(Fate::Lost) => {
                    self.cut_one(id);
                    return Vec::new();
                }
                Some(Fate::Refused(with)) => Some(with.clone()),
                _ if frame.event == "phx_join" => self.trouble.refuse_joins.clone(),
                _ => None,
            };
            if let Some(with) = refused {
                let join_ref = frame.join_ref.as_deref();
                let answer = Frame::reply(
                    join_ref,
                    frame.reference.as_deref(),
                    &frame.topic,
                    &Err(with),
                );
                self.dust.heard(now, id);
                self.dispatch(vec![Step::Send(id, answer)], None);
                return Vec::new();
            }
            if fate == Some(Fate::Crash) {
                "crash".clone_into(&mut frame.event);
                message = frame.encode(wire);
            }
        }
        let steps = self.dust.receive(now, id, &message);
        self.dispatch(steps, None)
            .into_iter()
            .map(|later| self.schedule(later, fate.take()))
            .collect()
    }

    fn schedule(&mut self, later: Later, fate: Option<Fate>) -> Work {
        let lag = match later {
            Later::CatchUp { .. } => self.trouble.catch_up,
            Later::Tell { .. } => self.trouble.lag(),
        };
        Work {
            later,
            at: Instant::now() + lag,
            held: (fate == Some(Fate::Held)).then_some(self.trouble.let_go),
            fate,
        }
    }

    /// It is its turn.
    pub(super) fn work(&mut self, work: Work) {
        let writer = match &work.later {
            Later::Tell { writer, .. } => Some(*writer),
            Later::CatchUp { .. } => None,
        };
        if let (Some(Fate::AnswerLost), Some(writer)) = (&work.fate, writer) {
            self.cut_one(writer);
        }
        let mut steps = self.dust.go_on(work.later);
        if work.fate == Some(Fate::AckLost) {
            // The answer is the last of it.
            steps.pop();
        }
        let more = self.dispatch(steps, writer);
        debug_assert!(more.is_empty(), "nothing is later than later");
    }

    fn cut_one(&mut self, id: ConnectionId) {
        self.dust.disconnect(id);
        if let Some(link) = self.links.get_mut(&id) {
            link.cut = true;
        }
    }

    /// Sends what is to be sent: what `writer` did reaches others later, if it is to. What remains is to
    /// be done.
    pub(super) fn dispatch(
        &mut self,
        steps: Vec<Step>,
        writer: Option<ConnectionId>,
    ) -> Vec<Later> {
        let mut remaining = Vec::new();
        for step in steps {
            let (to, what, delay) = match step {
                Step::Later(later) => {
                    remaining.push(later);
                    continue;
                }
                Step::Close(to, code) => (to, Outgoing::Close(code), Duration::ZERO),
                Step::Send(to, frame) => {
                    let Some((wire, device)) = self.dust.connection(to) else {
                        continue;
                    };
                    let live =
                        frame.event == "event" && frame.join_ref.is_none() && writer != Some(to);
                    let delay = self.trouble.delays.get(device).filter(|_| live).copied();
                    let what = Outgoing::Message(frame.encode(wire));
                    if let Some(link) = self.links.get_mut(&to) {
                        *link.traffic.sent.entry(frame.event).or_default() += 1;
                    }
                    (to, what, delay.unwrap_or_default())
                }
            };
            if let Some(link) = self.links.get(&to) {
                let due = Instant::now() + delay;
                // A connection that has ended needs nothing any more.
                link.outbox.send(Parcel { due, what }).ok();
            }
        }
        remaining
    }
}
