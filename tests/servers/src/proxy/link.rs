//! One connection through the proxy: a thread for each direction.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::ledger::{Came, Ledger, Traffic};
use super::rules::{Direction, Lost, Shared};
use crate::resp::{Piece, Splitter};

/// It is cut when it is dropped, and its threads have ended.
#[derive(Debug)]
pub(crate) struct Link {
    ends: Arc<Ends>,
    threads: Vec<JoinHandle<()>>,
}

/// What both directions share.
#[derive(Debug)]
struct Ends {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    ledger: Mutex<Ledger>,
    is_cut: AtomicBool,
}

impl Link {
    pub(crate) fn between(
        client: TcpStream,
        server: TcpStream,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = Arc::new(Ends {
            client,
            server,
            shared: Arc::clone(shared),
            ledger: Mutex::default(),
            is_cut: AtomicBool::new(false),
        });
        let mut link = Self {
            ends,
            threads: Vec::new(),
        };
        for direction in [Direction::ToServer, Direction::ToClient] {
            let ends = Arc::clone(&link.ends);
            let thread = std::thread::Builder::new().name("proxy link".to_owned());
            link.threads.push(thread.spawn(move || {
                // However it ends, the other direction is to end, too.
                ends.pass(direction).ok();
                ends.cut();
            })?);
        }
        Ok(link)
    }

    /// Cuts it; false if it was.
    pub(crate) fn cut(&self) -> bool {
        self.ends.cut()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.ends.is_cut()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.ends.ledger.lock().unwrap().traffic.clone()
    }

    pub(crate) fn count_anew(&self) {
        self.ends.ledger.lock().unwrap().traffic = Traffic::default();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

impl Ends {
    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    fn cut(&self) -> bool {
        let was_cut = self.is_cut.swap(true, Ordering::SeqCst);
        // Either may be closed from the other side.
        self.client.shutdown(Shutdown::Both).ok();
        self.server.shutdown(Shutdown::Both).ok();
        // Whoever waits to pass something on looks again.
        self.shared.change(|_| {});
        !was_cut
    }

    /// Passes on what comes, until one end is closed.
    fn pass(&self, direction: Direction) -> io::Result<()> {
        let (mut from, mut to) = match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        };
        let mut chunk = vec![0; 64 * 1024];
        let mut splitter = Splitter::default();
        loop {
            let length = from.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            let since = Instant::now();
            splitter.feed(&chunk[..length]);
            let mut passed = Vec::new();
            let mut lost = None;
            while let (Some(piece), None) = (splitter.next(), lost) {
                match piece {
                    Piece::Foreign(bytes) => passed.extend(bytes),
                    Piece::Frame(frame) => {
                        lost = self.note(direction, &frame);
                        if lost.is_none() {
                            passed.extend(frame);
                        }
                    }
                }
            }
            self.shared
                .await_passage(direction, since, || self.is_cut());
            to.write_all(&passed)?;
            match lost {
                None => {}
                Some(Lost::Cut) => return Ok(()),
                Some(Lost::Silence) => return swallow(from),
            }
        }
    }

    /// Counts a message; whether it is to be lost.
    fn note(&self, direction: Direction, frame: &[u8]) -> Option<Lost> {
        let mut ledger = self.ledger.lock().unwrap();
        match direction {
            Direction::ToServer => {
                ledger.sent(frame);
                None
            }
            Direction::ToClient => match ledger.came(frame) {
                Came::Push | Came::PartOfAnswer => None,
                Came::Answer(command) => self.shared.change(|rules| rules.lose(&command)),
            },
        }
    }
}

/// Reads on to the end: whoever sends is not to notice.
fn swallow(mut from: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut io::sink()).map(drop)
}
