//! The connection's task: does what the session orders, and tells it what comes.
//!
//! Started by the first call that needs it, on that call's runtime, and ended with the store.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use oneflight_store::StoreError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message as Packet};

use crate::clock::Moment;
use crate::dial::{Socket, dial};
use crate::session::{Output, Ticket};
use crate::shared::{Shared, orders};
use crate::wire::{Done, Failure, Message};

/// How long nothing may move while something is to be sent.
const SENDING: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const CLOSING: Duration = Duration::from_secs(1);

type Dialing = Pin<Box<dyn Future<Output = Result<(Socket, Option<i64>), StoreError>> + Send>>;

/// What a connection is at.
#[derive(Default)]
struct Line {
    dialing: Option<(Moment, Dialing)>,
    socket: Option<Socket>,
}

/// Sees to it that another task can be started once this one is gone, however it went.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Also a task that never comes to run has ended once it is dropped.
pub(crate) fn run(shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
    let running = Running(shared);
    async move { attend(&running.0).await }
}

async fn attend(shared: &Arc<Shared>) {
    let mut line = Line::default();
    loop {
        let orders = shared.with(|state, _| orders(state));
        let more = !orders.is_empty();
        line.carry_out(shared, orders).await;
        if more {
            continue;
        }
        let (closing, deadline) = shared.with(|state, _| (state.closing, state.session.deadline()));
        if closing {
            break;
        }
        line.wait(shared, deadline).await;
    }
    if let Some(mut socket) = line.socket {
        // Whoever does not say goodbye is gone all the same.
        drop(timeout(CLOSING, socket.close(None)).await);
    }
}

impl Line {
    /// Does all of it; answers come last, so that whoever is answered may end.
    async fn carry_out(&mut self, shared: &Arc<Shared>, orders: Vec<Output>) {
        let mut answers: Vec<(Ticket, Result<Done, Failure>)> = Vec::new();
        let mut packets = Vec::new();
        for order in orders {
            match order {
                Output::Send(message) => packets.push(packet(message)),
                Output::Answer(ticket, answer) => answers.push((ticket, answer)),
                Output::HangUp => {
                    packets.clear();
                    self.socket = None;
                    self.dialing = None;
                }
                Output::Dial => {
                    packets.clear();
                    self.socket = None;
                    let (address, secret) = (Arc::clone(&shared.address), shared.secret.clone());
                    let dialing = dial(address, secret, shared.device.clone());
                    self.dialing = Some((shared.now(), Box::pin(dialing)));
                }
            }
        }
        let sent = self.send(shared, packets).await;
        shared.with(|state, now| {
            state.sending = false;
            for (ticket, answer) in answers {
                state.deliver(now, ticket, answer);
            }
            if let Err(why) = sent {
                state.session.closed(now, why);
            }
        });
    }

    /// Sends all of it, and takes in what comes meanwhile: the other side may read no further before what
    /// it says is read here.
    async fn send(&mut self, shared: &Shared, packets: Vec<Packet>) -> Result<(), String> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let mut packets = packets.into_iter();
        loop {
            let left = packets.len();
            let mut moved = false;
            let send = poll_fn(|cx| {
                let sent = poll_send(socket, &mut packets, cx);
                while sent.is_pending()
                    && let Poll::Ready(packet) = socket.poll_next_unpin(cx)
                {
                    moved = true;
                    if heard(shared, packet) {
                        // The session knows.
                        return Poll::Ready(Ok(()));
                    }
                }
                sent
            });
            match timeout(SENDING, send).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => return Err(told(&error)),
                Err(_) if moved || packets.len() < left => {}
                Err(_) => return Err("Dust does not take what is sent".to_owned()),
            }
        }
    }

    /// Waits until something happens, and tells the session.
    async fn wait(&mut self, shared: &Arc<Shared>, deadline: Option<Moment>) {
        // A month is never: a sleep without end would be a timer all the same.
        let at = deadline.map_or_else(
            || Instant::now() + Duration::from_secs(30 * 86_400),
            |at| shared.moment(at),
        );
        let mut alarm = pin!(sleep_until(at).fuse());
        let mut woken = pin!(shared.wake.notified().fuse());
        let mut dialed = pin!(
            async {
                match &mut self.dialing {
                    Some((_, dialing)) => dialing.await,
                    None => std::future::pending().await,
                }
            }
            .fuse()
        );
        let mut packet = pin!(
            async {
                match &mut self.socket {
                    Some(socket) => socket.next().await,
                    None => std::future::pending().await,
                }
            }
            .fuse()
        );
        futures_util::select_biased! {
            packet = packet => {
                if heard(shared, packet) {
                    self.socket = None;
                }
            }
            dialed = dialed => {
                let asked = self.dialing.take().map_or(Moment::ZERO, |(asked, _)| asked);
                match dialed {
                    Ok((socket, date)) => {
                        self.socket = Some(socket);
                        shared.with(|state, now| state.session.opened(asked, now, date));
                    }
                    Err(why) => shared.with(|state, now| state.session.dial_failed(now, why)),
                }
            }
            () = woken => {}
            () = alarm => shared.with(|state, now| state.session.tick(now)),
        }
    }
}

/// Sends as much as is taken.
fn poll_send(
    socket: &mut Socket,
    packets: &mut std::vec::IntoIter<Packet>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    loop {
        ready!(socket.poll_ready_unpin(cx))?;
        match packets.next() {
            Some(packet) => socket.start_send_unpin(packet)?,
            None => return socket.poll_flush_unpin(cx),
        }
    }
}

/// Tells the session what has come. Answers whether the connection is gone.
fn heard(shared: &Shared, packet: Option<Result<Packet, Error>>) -> bool {
    shared.with(|state, now| match packet {
        Some(Ok(packet)) => {
            match message(packet) {
                Some(message) => state.session.received(now, &message),
                // A ping is a sign of life, too.
                None => state.session.tick(now),
            }
            false
        }
        Some(Err(error)) => {
            state.session.closed(now, told(&error));
            true
        }
        None => {
            state.session.closed(now, "Dust has closed the connection");
            true
        }
    })
}

fn packet(message: Message) -> Packet {
    match message {
        Message::Text(text) => Packet::Text(text.into()),
        Message::Binary(bytes) => Packet::Binary(bytes),
    }
}

fn message(packet: Packet) -> Option<Message> {
    match packet {
        Packet::Text(text) => Some(Message::Text(text.as_str().to_owned())),
        Packet::Binary(bytes) => Some(Message::Binary(bytes)),
        Packet::Ping(_) | Packet::Pong(_) | Packet::Close(_) | Packet::Frame(_) => None,
    }
}

/// What is wrong with a connection, without what it was opened with.
fn told(error: &Error) -> String {
    match error {
        Error::Io(error) => format!("the connection to Dust is broken: {error}"),
        Error::ConnectionClosed | Error::AlreadyClosed => {
            "Dust has closed the connection".to_owned()
        }
        Error::Capacity(error) => format!("Dust sends more than fits: {error}"),
        Error::Protocol(error) => format!("Dust does not keep to the WebSocket protocol: {error}"),
        Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => "the connection to Dust is broken".to_owned(),
    }
}
