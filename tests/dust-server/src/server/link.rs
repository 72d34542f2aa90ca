//! One connection: what comes goes to the machine, what it says is sent when it is due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::state::{Outgoing, Parcel, Shared, View, Work};
use crate::dust::ConnectionId;
use crate::frame::{Frame, Message};

/// How long a client has to answer a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection is gone when its task is, however that ends.
pub(super) struct Guard {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Guard {
    pub(super) fn new(shared: Arc<Shared>, id: ConnectionId) -> Self {
        Self { shared, id }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.lock().disconnect(self.id);
    }
}

struct Link {
    guard: Guard,
    socket: WebSocketStream<TcpStream>,
    /// What is to be sent, by the time at which it is due, and in the order in which it was said.
    parcels: BTreeMap<(Instant, u64), Outgoing>,
    said: u64,
    /// What its channels have begun: they do nothing else meanwhile.
    work: VecDeque<Work>,
    /// What came for them meanwhile.
    waiting: VecDeque<Message>,
}

pub(super) async fn run(
    guard: Guard,
    socket: WebSocketStream<TcpStream>,
    mut outbox: UnboundedReceiver<Parcel>,
) {
    let mut changes = guard.shared.changes();
    let mut link = Link {
        guard,
        socket,
        parcels: BTreeMap::new(),
        said: 0,
        work: VecDeque::new(),
        waiting: VecDeque::new(),
    };
    loop {
        let Some(view) = link.view() else {
            return;
        };
        if link.work(view) {
            // It may have cut itself.
            continue;
        }
        let next_work = link.work.front().filter(|work| work.held.is_none());
        let next_work = next_work.map(|work| work.at);
        let next_parcel = link.parcels.first_key_value().map(|((due, _), _)| *due);
        tokio::select! {
            // What was said before a connection is closed or cut is sent before.
            biased;
            Some(parcel) = outbox.recv() => link.keep(parcel),
            () = until(next_parcel), if !view.stalled => {
                if !link.send().await {
                    return;
                }
            }
            changed = changes.changed() => changed.unwrap(),
            () = until(next_work), if !view.stalled => {}
            () = until(view.idle), if !view.stalled => link.guard.shared.lock().tick(),
            message = link.socket.next(), if !view.stalled => match message {
                Some(Ok(message)) => link.receive(message),
                _ => return,
            },
        }
    }
}

/// Never, if there is nothing to wait for.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Link {
    fn view(&self) -> Option<View> {
        self.guard.shared.lock().view(self.guard.id)
    }

    fn keep(&mut self, parcel: Parcel) {
        self.said += 1;
        self.parcels.insert((parcel.due, self.said), parcel.what);
    }

    /// Does the work whose turn it is, or what has waited for that; not if there is nothing to do.
    fn work(&mut self, view: View) -> bool {
        if view.stalled {
            return false;
        }
        let turn = |work: &Work| match work.held {
            Some(let_go) => view.let_go > let_go,
            None => work.at <= Instant::now(),
        };
        let free = self.work.is_empty();
        if self.work.front().is_some_and(turn)
            && let Some(work) = self.work.pop_front()
        {
            self.guard.shared.lock().work(work);
        } else if free && let Some(message) = self.waiting.pop_front() {
            self.handle(&message);
        } else {
            return false;
        }
        true
    }

    fn receive(&mut self, message: WsMessage) {
        let message = match message {
            WsMessage::Text(text) => Message::Text(text.as_str().to_owned()),
            WsMessage::Binary(bytes) => Message::Binary(bytes.to_vec()),
            WsMessage::Ping(_) => return self.guard.shared.lock().ping(self.guard.id),
            WsMessage::Pong(_) | WsMessage::Close(_) | WsMessage::Frame(_) => return,
        };
        // Heartbeats are answered by the connection, which is never busy.
        if self.work.is_empty() || self.is_heartbeat(&message) {
            self.handle(&message);
        } else {
            self.waiting.push_back(message);
        }
    }

    fn is_heartbeat(&self, message: &Message) -> bool {
        let state = self.guard.shared.lock();
        let wire = state.dust.connection(self.guard.id).map(|(wire, _)| wire);
        let frame = wire.and_then(|wire| Frame::decode(message, wire));
        frame.is_some_and(|frame| frame.topic == "phoenix")
    }

    fn handle(&mut self, message: &Message) {
        let work = self.guard.shared.lock().receive(self.guard.id, message);
        self.work.extend(work);
    }

    /// Sends what is due. Not if the connection is over.
    async fn send(&mut self) -> bool {
        let Some((_, outgoing)) = self.parcels.pop_first() else {
            return true;
        };
        let message = match outgoing {
            Outgoing::Message(Message::Text(text)) => WsMessage::text(text),
            Outgoing::Message(Message::Binary(bytes)) => WsMessage::binary(bytes),
            Outgoing::Close(code) => {
                self.close(code).await;
                return false;
            }
        };
        self.socket.send(message).await.is_ok()
    }

    async fn close(&mut self, code: u16) {
        let goodbye = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        let close = async {
            self.socket.close(Some(goodbye)).await.ok();
            // What the client still says is not for us; that it closes is.
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        tokio::time::timeout(GOODBYE, close).await.ok();
    }
}
