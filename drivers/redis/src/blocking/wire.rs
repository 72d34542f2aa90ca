//! The connection as bytes: made, let in, written by one thread and read by another.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::time::Instant;

use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Parser, RedisConnectionInfo, RedisError, Value,
};

use super::socket::{Socket, left};
#[cfg(feature = "tls")]
use super::tls::Session;
use crate::pulse::Pulse;
use crate::times::{CONNECT_TIMEOUT, SHORTEST_TICK};

/// How much is read in one go.
#[cfg(feature = "tls")]
const CHUNK: usize = 16 << 10;

pub(crate) struct Wire {
    socket: Socket,
    #[cfg(feature = "tls")]
    session: Option<Session>,
}

/// What was read from a wire and not yet understood.
pub(crate) struct Inbound {
    parser: Parser,
    #[cfg(feature = "tls")]
    sealed: Vec<u8>,
}

/// Whoever reads a wire.
struct Source<'a> {
    wire: &'a Wire,
    pulse: &'a Pulse,
    /// When all must have come.
    until: Option<Instant>,
    #[cfg(feature = "tls")]
    sealed: &'a mut Vec<u8>,
}

impl Inbound {
    fn new() -> Self {
        Self {
            parser: Parser::new(),
            #[cfg(feature = "tls")]
            sealed: Vec::new(),
        }
    }

    /// The next thing the server says.
    pub(crate) fn next(&mut self, wire: &Wire, pulse: &Pulse) -> Result<Value, RedisError> {
        self.next_until(wire, pulse, None)
    }

    fn next_until(
        &mut self,
        wire: &Wire,
        pulse: &Pulse,
        until: Option<Instant>,
    ) -> Result<Value, RedisError> {
        self.parser.parse_value(Source {
            wire,
            pulse,
            until,
            #[cfg(feature = "tls")]
            sealed: &mut self.sealed,
        })
    }
}

impl Source<'_> {
    fn read_socket(&self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            self.wire.socket.set_read_timeout(Some(left(until)?))?;
        }
        let count = (&self.wire.socket).read(bytes)?;
        self.pulse.beat();
        Ok(count)
    }

    #[cfg(feature = "tls")]
    fn read_sealed(&mut self, session: &Session, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = session.take(bytes)? {
                return Ok(count);
            }
            if self.sealed.is_empty() {
                let mut chunk = vec![0; CHUNK];
                let count = self.read_socket(&mut chunk)?;
                chunk.truncate(count);
                *self.sealed = chunk;
            }
            let count = session.open(self.sealed)?;
            self.sealed.drain(..count);
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(session) = &self.wire.session {
            return self.read_sealed(session, bytes);
        }
        self.read_socket(bytes)
    }
}

impl Wire {
    /// Connects and is let in, within [`CONNECT_TIMEOUT`].
    pub(crate) fn connect(
        info: &ConnectionInfo,
        pulse: &Pulse,
    ) -> Result<(Self, Inbound), RedisError> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let wire = Self::open(info, until)?;
        let mut inbound = Inbound::new();
        wire.ask(&mut inbound, pulse, &hello(info.redis_settings()), until)?;
        wire.socket.set_read_timeout(None)?;
        wire.socket.set_write_timeout(Some(SHORTEST_TICK))?;
        Ok((wire, inbound))
    }

    /// The answer to one question, over a connection of its own, by then.
    pub(crate) fn ask_once(
        info: &ConnectionInfo,
        command: Cmd,
        until: Instant,
    ) -> Result<Value, RedisError> {
        let wire = Self::open(info, until)?;
        let mut commands = auth(info.redis_settings());
        commands.push(command);
        wire.ask(&mut Inbound::new(), &Pulse::default(), &commands, until)
    }

    /// Asks all of this in one go; the last answer, or the first error.
    fn ask(
        &self,
        inbound: &mut Inbound,
        pulse: &Pulse,
        commands: &[Cmd],
        until: Instant,
    ) -> Result<Value, RedisError> {
        self.socket.set_write_timeout(Some(left(until)?))?;
        let mut words = Vec::new();
        for command in commands {
            command.write_packed_command(&mut words);
        }
        (&self.socket).write_all(&self.seal(&words)?)?;
        let mut last = Value::Nil;
        for _ in commands {
            let answer = inbound.next_until(self, pulse, Some(until))?;
            last = answer.extract_error()?;
        }
        Ok(last)
    }

    fn open(info: &ConnectionInfo, until: Instant) -> Result<Self, RedisError> {
        let settings = info.tcp_settings();
        let (host, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                return Ok(Self::plain(Socket::tcp(host, *port, settings, until)?));
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => return Ok(Self::plain(Socket::unix(path)?)),
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(unusable("#insecure is not built in"));
            }
            ConnectionAddr::TcpTls {
                tls_params: Some(_),
                ..
            } => {
                return Err(unusable(
                    "the blocking store does not take certificates from a client; name a file of those \
                     to trust in SSL_CERT_FILE",
                ));
            }
            ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            _ => return Err(unusable("this kind of address is not known")),
        };
        #[cfg(feature = "tls")]
        {
            let socket = Socket::tcp(host, port, settings, until)?;
            let session = Some(Session::begin(&socket, host, until)?);
            Ok(Self { socket, session })
        }
        #[cfg(not(feature = "tls"))]
        {
            let _ = (host, port);
            Err(unusable("the feature `tls` is not built in"))
        }
    }

    fn plain(socket: Socket) -> Self {
        Self {
            socket,
            #[cfg(feature = "tls")]
            session: None,
        }
    }

    /// Whether something is to be sent although nobody has asked for anything.
    pub(crate) fn has_unsent(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(session) = &self.session {
            return session.has_unsent();
        }
        false
    }

    /// As it goes over the wire, with what is to be sent besides. For one thread at a time, which sends all
    /// of it or loses the connection.
    pub(crate) fn seal<'a>(&self, bytes: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        #[cfg(feature = "tls")]
        if let Some(session) = &self.session {
            return session.seal(bytes).map(Cow::Owned);
        }
        Ok(Cow::Borrowed(bytes))
    }

    /// Sends some of it; how much, which may be nothing while the server does not read.
    pub(crate) fn send_some(&self, bytes: &[u8]) -> io::Result<usize> {
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        match (&self.socket).write(bytes) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => Ok(0),
            sent => sent,
        }
    }

    /// Ends whatever is read or written at this moment.
    pub(crate) fn shut_down(&self) {
        self.socket.shut_down();
    }
}

fn unusable(why: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, why).into()
}

/// What a connection begins with, each to be answered: RESP3, in which a server pushes, and the database.
fn hello(settings: &RedisConnectionInfo) -> Vec<Cmd> {
    let mut hello = redis::cmd("HELLO");
    hello.arg("3");
    if let Some(password) = settings.password() {
        let user = settings.username().unwrap_or("default");
        hello.arg("AUTH").arg(user).arg(password);
    }
    let mut commands = vec![hello];
    if settings.db() != 0 {
        let mut select = redis::cmd("SELECT");
        select.arg(settings.db());
        commands.push(select);
    }
    commands
}

/// Who is asked for one thing only, also by servers that speak no RESP3, wants to know no more than this.
fn auth(settings: &RedisConnectionInfo) -> Vec<Cmd> {
    let auth = settings.password().map(|password| {
        let mut auth = redis::cmd("AUTH");
        if let Some(user) = settings.username() {
            auth.arg(user);
        }
        auth.arg(password);
        auth
    });
    auth.into_iter().collect()
}
