//! Sessions and the stand-in for the server in one small world, where everything takes as long as it is
//! told to.

use std::collections::VecDeque;

use oneflight_test_dust as dust;
use oneflight_test_dust::{ConnectionId, Dust, Later, Step, Store, Token};

use super::*;

pub(super) const STORE: &str = "test/blog";
const SECRET: &str = "dust_tok_1";

/// One client, and the connections between it and the server.
pub(super) struct Client {
    pub(super) said: Said,
    wire: Wire,
    process: u64,
    /// The last connection is that of the client; those before are cut, but the server does not know yet.
    connections: Vec<Connection>,
}

struct Connection {
    id: ConnectionId,
    up: VecDeque<Message>,
    down: VecDeque<Message>,
    cut: bool,
}

pub(super) struct World {
    pub(super) dust: Dust,
    pub(super) clients: Vec<Client>,
    laters: Vec<Later>,
    pub(super) now: u64,
}

impl World {
    pub(super) fn new(clients: usize) -> Self {
        Self::with(clients, Token::full(SECRET))
    }

    pub(super) fn with(clients: usize, token: Token) -> Self {
        let dust = Dust::new().store(Store::new(STORE, "01a20a23-81d0-7567-81bb-4b7829dc9822"));
        let client = |n| {
            let wire = if n % 2 == 0 {
                Wire::Json
            } else {
                Wire::Msgpack
            };
            let process = 100 + n as u64;
            let settings = Settings {
                process,
                ..settings("store:test/blog", wire)
            };
            Client {
                said: Said::new(settings),
                wire,
                process,
                connections: Vec::new(),
            }
        };
        Self {
            dust: dust.token(token),
            clients: (0..clients).map(client).collect(),
            laters: Vec::new(),
            now: 0,
        }
    }

    pub(super) fn store(&mut self) -> &mut Store {
        self.dust.store_mut(STORE)
    }

    fn server_time(&self) -> u64 {
        EPOCH as u64 + self.now
    }

    /// Lets a client do something.
    pub(super) fn client<T>(&mut self, n: usize, act: impl FnOnce(&mut Session, Moment) -> T) -> T {
        let now = ms(self.now);
        let client = &mut self.clients[n];
        let dials = client.said.dials;
        client.said.hung_up = false;
        let (done, sent) = client.said.with(|session| act(session, now));
        if std::mem::take(&mut client.said.hung_up)
            && let Some(last) = client.connections.last_mut()
        {
            last.cut = true;
        }
        if let Some(connection) = client.connections.last_mut().filter(|last| !last.cut) {
            let wire = client.wire;
            connection
                .up
                .extend(sent.iter().map(|frame| frame.encode(wire).unwrap()));
        }
        if client.said.dials > dials {
            self.dial(n);
        }
        done
    }

    fn dial(&mut self, n: usize) {
        let time = self.server_time();
        let client = &mut self.clients[n];
        let device = crate::session::device_id(client.process);
        let query = format!(
            "token={SECRET}&device_id={device}&capver=3&vsn={}",
            client.wire.vsn()
        );
        match self.dust.connect(time, &query) {
            Some(id) => {
                let connection = Connection {
                    id,
                    up: VecDeque::new(),
                    down: VecDeque::new(),
                    cut: false,
                };
                client.connections.push(connection);
                self.client(n, |session, now| session.opened(now, now, None));
            }
            None => {
                let why = oneflight_store::StoreError::refused("HTTP 403");
                self.client(n, |session, now| session.dial_failed(now, why));
            }
        }
    }

    /// The connection is lost, and the client hears of it. What it has sent may still arrive.
    pub(super) fn cut(&mut self, n: usize) {
        if let Some(last) = self.clients[n]
            .connections
            .last_mut()
            .filter(|last| !last.cut)
        {
            last.cut = true;
            self.client(n, |session, now| session.closed(now, "cut"));
        }
    }

    fn steps(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send(id, frame) => {
                    let Some((wire, _)) = self.dust.connection(id) else {
                        continue;
                    };
                    let message = match frame.encode(wire) {
                        dust::Message::Text(text) => Message::Text(text),
                        dust::Message::Binary(bytes) => Message::Binary(bytes.into()),
                    };
                    let connections = self
                        .clients
                        .iter_mut()
                        .flat_map(|client| &mut client.connections);
                    for connection in connections.filter(|connection| connection.id == id) {
                        connection.down.push_back(message.clone());
                    }
                }
                Step::Close(..) => panic!("the server hangs up"),
                Step::Later(later) => self.laters.push(later),
            }
        }
    }

    fn is_busy(&self, id: ConnectionId) -> bool {
        self.laters.iter().any(|later| match later {
            Later::CatchUp { to, .. } => *to == id,
            Later::Tell { writer, .. } => *writer == id,
        })
    }

    /// The server takes a message of a client, also of connections that are cut.
    pub(super) fn take(&mut self, n: usize, which: usize) -> bool {
        let open = &self.clients[n].connections;
        if open.is_empty() {
            return false;
        }
        let at = which % open.len();
        let id = open[at].id;
        if self.is_busy(id) {
            return false;
        }
        let Some(message) = self.clients[n].connections[at].up.pop_front() else {
            if self.clients[n].connections[at].cut {
                self.dust.disconnect(id);
                self.clients[n].connections.remove(at);
            }
            return false;
        };
        let message = match message {
            Message::Text(text) => dust::Message::Text(text),
            Message::Binary(bytes) => dust::Message::Binary(bytes.to_vec()),
        };
        let steps = self.dust.receive(self.server_time(), id, &message);
        self.steps(steps);
        true
    }

    /// A channel goes on with what it has begun.
    pub(super) fn go_on(&mut self, which: usize) -> bool {
        if self.laters.is_empty() {
            return false;
        }
        let later = self.laters.remove(which % self.laters.len());
        let steps = self.dust.go_on(later);
        self.steps(steps);
        true
    }

    /// A client takes a message.
    pub(super) fn hear(&mut self, n: usize) -> bool {
        let last = self.clients[n]
            .connections
            .last_mut()
            .filter(|last| !last.cut);
        let Some(message) = last.and_then(|last| last.down.pop_front()) else {
            return false;
        };
        self.client(n, |session, now| session.received(now, &message));
        true
    }

    /// Time passes.
    pub(super) fn pass(&mut self, by: u64) {
        self.now += by;
        for n in 0..self.clients.len() {
            self.client(n, |session, now| session.tick(now));
        }
    }

    /// Everything arrives at once, until there is nothing more to arrive.
    pub(super) fn settle(&mut self) {
        loop {
            let mut busy = false;
            while self.go_on(0) {
                busy = true;
            }
            for n in 0..self.clients.len() {
                for which in 0..self.clients[n].connections.len() {
                    busy |= self.take(n, which);
                }
                while self.hear(n) {
                    busy = true;
                }
            }
            if !busy {
                return;
            }
        }
    }

    /// All that goes over the second of a client's connections, down to the last write, which lies there.
    pub(super) fn rest_of_new(&mut self) {
        while !self.clients[0].said.session.is_up() {
            self.take(0, 1);
            self.go_on(0);
            self.hear(0);
        }
    }

    /// The server loses all it had.
    pub(super) fn make_anew(&mut self) {
        self.dust = Self::new(0).dust;
        self.cut(0);
        // The new server counts its connections from one again.
        self.clients[0].connections.remove(0);
    }

    /// The same, and time passes until nobody waits for anything.
    pub(super) fn rest(&mut self) {
        for _ in 0..200 {
            self.settle();
            let seq = self.store().seq();
            let waiting = |client: &Client| {
                let session = &client.said.session;
                session.has_askers() || session.mirror.seqs.through() < seq
            };
            if !self.clients.iter().any(waiting) {
                return;
            }
            // Less than it takes a silent connection to be closed.
            self.pass(500);
        }
        panic!("somebody waits for ever");
    }

    pub(super) fn answer(&self, n: usize, ticket: Ticket) -> Option<&Result<Done, Failure>> {
        self.clients[n].said.answer(ticket)
    }
}
