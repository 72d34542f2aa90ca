//! The stand-in on a port of its own, and what happens to it.

mod link;
mod listen;
mod state;
mod trouble;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dust::Dust;
use crate::store::{Entry, Millis, Op, Store};
use crate::token::Token;
use state::Shared;
pub use state::Traffic;
pub use trouble::{Fate, Which};

/// Lets in who may do everything, in [`DustServer::new`].
pub const TOKEN: &str = "dust_tok_full";
/// Lets in who may only read, in [`DustServer::new`].
pub const READ_ONLY: &str = "dust_tok_read_only";
/// The store of [`DustServer::new`].
pub const STORE: &str = "test/blog";
/// The same store.
pub const STORE_UUID: &str = "01a20a23-81d0-7567-81bb-4b7829dc9822";

/// Longer than anything takes, however busy the machine.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// Ports from which no client's end of a connection is taken, where Linux has its usual range. Else a
/// client that looks for a dead server could find itself there, and the server could not come back.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// A server on a free port of this machine, with a thread of its own. It ends when it is dropped.
///
/// Nothing here waits for clients; a device is what a client calls itself as it connects.
#[derive(Debug)]
pub struct DustServer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl Default for DustServer {
    fn default() -> Self {
        Self::new()
    }
}

impl DustServer {
    /// One with an empty store [`STORE`], which lets in who shows [`TOKEN`] or [`READ_ONLY`].
    #[must_use]
    pub fn new() -> Self {
        let dust = Dust::new().store(Store::new(STORE, STORE_UUID));
        Self::start(
            dust.token(Token::full(TOKEN))
                .token(Token::read_only(READ_ONLY)),
        )
    }

    /// One with these stores and tokens.
    #[must_use]
    pub fn start(dust: Dust) -> Self {
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))) {
                Ok(listener) => break listener,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse),
            }
        };
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::new(dust));
        let thread = listen::spawn(Arc::clone(&shared));
        let server = Self {
            shared,
            thread: Some(thread),
            port,
        };
        server.listen(listener);
        server
    }

    fn listen(&self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        self.shared.change(|state| {
            state.listener = Some(listener);
            state.listening = true;
            state.killed = false;
        });
    }

    /// Where it listens, and will listen again when it is restarted.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where clients connect, with a query: `ws://HOST:PORT/ws/sync/websocket`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}{}", self.address(), listen::PATH)
    }

    /// What time it is here.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.shared.lock().now()
    }

    /// Lets time pass at once: leases lapse, and connections have been silent for longer, so that 60 s end
    /// all of them.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|state| state.advance(by));
    }

    /// Kills it, as if its machine had lost power: connections break, nothing listens, and what was
    /// committed but not yet told is not told. Nothing if it is dead.
    pub fn kill(&self) {
        self.shared.change(|state| state.killed = true);
        self.until("a dead server", || {
            (!self.shared.lock().listening).then_some(())
        });
    }

    /// Starts it again with all that was committed, killing it first if it lives.
    pub fn restart(&self) {
        self.kill();
        let address = self.address();
        self.listen(self.until("a free port", || TcpListener::bind(address).ok()));
    }

    /// Stops it where it stands: connections stay open, new ones are not answered, leases lapse.
    pub fn pause(&self) {
        self.shared.change(|state| state.paused = true);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.shared.change(|state| state.paused = false);
    }

    /// From now on nothing gets through between the server and this device, either way, until
    /// [`heal`](Self::heal). Its connections stay open, and new ones are silent, too.
    pub fn black_hole(&self, device: &str) {
        self.shared
            .change(|state| state.trouble.black_holes.insert(device.to_owned()));
    }

    /// Everything that did not get through does.
    pub fn heal(&self, device: &str) {
        self.shared
            .change(|state| state.trouble.black_holes.remove(device));
    }

    /// Breaks the connections of this device, without a goodbye.
    pub fn cut(&self, device: &str) {
        self.shared
            .change(|state| state.cut(|link| link.device_id == device));
    }

    /// Breaks all connections.
    pub fn cut_all(&self) {
        self.shared.change(|state| state.cut(|_| true));
    }

    /// What others do reaches this device so much later from now on: its copy of the store is behind.
    /// Its own echoes come in time, as they come from the same process as its answers.
    pub fn delay_events(&self, device: &str, by: Duration) {
        self.shared
            .change(|state| state.trouble.delays.insert(device.to_owned(), by));
    }

    /// Takes up to so long to tell of each write that is committed: what several clients write at the
    /// same time is told out of order, as by the real server under load.
    pub fn reorder(&self, within: Duration, seed: u64) {
        self.shared
            .change(|state| state.trouble.reorder(within, seed));
    }

    /// Takes so long from a join to the catching up: what happens in between is told twice.
    pub fn delay_catch_up(&self, by: Duration) {
        self.shared.change(|state| state.trouble.catch_up = by);
    }

    /// What happens to the next write like that. Of several that are told, the first that fits counts,
    /// and only once.
    pub fn next(&self, which: Which, fate: Fate) {
        self.shared
            .change(|state| state.trouble.fates.push((which, fate)));
    }

    /// How many of these fates nobody has met.
    #[must_use]
    pub fn fates_left(&self) -> usize {
        self.shared.lock().trouble.fates.len()
    }

    /// Goes on with every write that was [`Held`](Fate::Held).
    pub fn let_go(&self) {
        self.shared.change(|state| state.trouble.let_go += 1);
    }

    /// Answers every join with this error, such as `{"reason": "unauthorized"}`; with nothing: no longer.
    pub fn refuse_joins(&self, with: Option<Value>) {
        self.shared
            .change(|state| state.trouble.refuse_joins = with);
    }

    /// Answers who connects with HTTP 403, whatever they show.
    pub fn forbid(&self, forbidden: bool) {
        self.shared
            .change(|state| state.trouble.forbidden = forbidden);
    }

    /// Writes as by HTTP: it is committed, and nobody is told.
    ///
    /// # Errors
    ///
    /// The response of the refusal.
    pub fn http_write(&self, store: &str, write: &Value) -> Result<Value, Value> {
        self.shared.change(|state| {
            let now = state.now();
            let written = state.dust.store_mut(store).write(now, "http", write)?;
            Ok(written.response)
        })
    }

    /// Writes as `device` would that has joined the store by this name, and tells all who have.
    ///
    /// # Errors
    ///
    /// The response of the refusal.
    pub fn write(&self, device: &str, store: &str, write: &Value) -> Result<Value, Value> {
        self.shared.change(|state| {
            let now = state.now();
            let written = state.dust.store_mut(store).write(now, device, write)?;
            if let Some(op) = &written.op {
                let steps = state.dust.broadcast(&format!("store:{store}"), op);
                state.dispatch(steps, None);
            }
            Ok(written.response)
        })
    }

    /// Forgets the operations of a store so far: who joins from before gets a snapshot.
    pub fn compact(&self, store: &str) {
        self.shared
            .change(|state| state.dust.store_mut(store).compact());
    }

    /// From now on nothing is written to a store.
    pub fn archive(&self, store: &str) {
        self.shared
            .change(|state| state.dust.store_mut(store).archive());
    }

    /// What stands at a path.
    #[must_use]
    pub fn entry(&self, store: &str, path: &str) -> Option<Entry> {
        self.shared
            .lock()
            .dust
            .store_mut(store)
            .entry(path)
            .cloned()
    }

    /// All that was committed, in order.
    #[must_use]
    pub fn log(&self, store: &str) -> Vec<Op> {
        self.shared.lock().dust.store_mut(store).log().to_vec()
    }

    /// What went through each connection that ever was, in the order in which they came.
    #[must_use]
    pub fn traffic(&self) -> Vec<Traffic> {
        self.shared.lock().traffic()
    }

    /// How many frames of a kind all clients have sent: `phx_join`, `write lease`, `heartbeat`…
    #[must_use]
    pub fn received(&self, kind: &str) -> u64 {
        let kinds = self
            .traffic()
            .into_iter()
            .map(|traffic| traffic.received.get(kind).copied());
        kinds.flatten().sum()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.traffic().iter().filter(|traffic| traffic.open).count()
    }

    /// Waits until `state` is there, with a bound. It blocks.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = state() {
                return found;
            }
            assert!(since.elapsed() < BOUND, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for DustServer {
    fn drop(&mut self) {
        self.shared.change(|state| state.ended = true);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the server has panicked"
            );
        }
    }
}
