//! The way to a server, and what goes wrong on it.

mod ledger;
mod link;
mod rules;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub use self::ledger::Traffic;
use self::link::Link;
pub use self::rules::{Direction, Lost};
use self::rules::{Rules, Shared};

/// A TCP proxy on a free port of this machine. It passes everything on until it is told otherwise, and
/// counts the messages of the Redis protocol. Dropped, it cuts its connections, and nothing of it is left.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    links: Arc<Mutex<Vec<Link>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// One that leads to this address.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(Rules::to(server)));
        let links = Arc::default();
        let acceptor = std::thread::Builder::new().name("proxy".to_owned()).spawn({
            let (shared, links) = (Arc::clone(&shared), Arc::clone(&links));
            move || accept(&listener, &shared, &links)
        });
        Self {
            address,
            shared,
            links,
            acceptor: Some(acceptor.unwrap()),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, connections are made to this server. Those there are stay where they are.
    pub fn lead_to(&self, server: SocketAddr) {
        self.shared.change(|rules| rules.server = server);
    }

    /// What comes this way takes so much longer: up to twice that while more comes at the same time.
    pub fn delay(&self, direction: Direction, by: Duration) {
        self.shared.change(|rules| rules.way(direction).delay = by);
    }

    /// A black hole: nothing comes through this way, and nobody is told. As with a network that comes
    /// back, what was sent meanwhile arrives after [`heal`](Self::heal), if the connection is still there.
    pub fn hold(&self, direction: Direction) {
        self.shared
            .change(|rules| rules.way(direction).is_held = true);
    }

    /// Cuts all connections there are; how many that were.
    pub fn cut(&self) -> usize {
        let links = self.links.lock().unwrap();
        links.iter().filter(|link| link.cut()).count()
    }

    /// Cuts all connections, and closes new ones at once, until it is healed.
    pub fn refuse(&self) {
        self.shared.change(|rules| rules.refuses = true);
        self.cut();
    }

    /// The next answer to such a command never arrives: the server has done what it was told, and the
    /// client does not learn of it. `such` is given the words of the command.
    pub fn lose_answer(&self, lost: Lost, such: impl Fn(&[Vec<u8>]) -> bool + Send + 'static) {
        self.shared
            .change(|rules| rules.losses.push((lost, Box::new(such))));
    }

    /// How many answers were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.read(|rules| rules.lost)
    }

    /// From now on everything passes, at once, and no answer is lost.
    pub fn heal(&self) {
        self.shared.change(Rules::heal);
    }

    /// What went over each connection that is open.
    #[must_use]
    pub fn connections(&self) -> Vec<Traffic> {
        let links = self.links.lock().unwrap();
        let open = links.iter().filter(|link| link.is_open());
        open.map(Link::traffic).collect()
    }

    /// What went over all connections, the closed ones as well, since it was made or counted anew.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut sum = Traffic::default();
        for link in &*self.links.lock().unwrap() {
            sum.add(&link.traffic());
        }
        sum
    }

    /// Nothing counts that was before this.
    pub fn count_anew(&self) {
        let mut links = self.links.lock().unwrap();
        links.retain(Link::is_open);
        links.iter().for_each(Link::count_anew);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|rules| rules.is_over = true);
        // It waits for a connection, so it gets one.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
        // Each is cut, and its threads end.
        self.links.lock().unwrap().clear();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, links: &Mutex<Vec<Link>>) {
    loop {
        let client = listener.accept();
        // Held until the link is there, so that whoever cuts all of them misses none.
        let mut links = links.lock().unwrap();
        let (is_over, refuses, server) =
            shared.read(|rules| (rules.is_over, rules.refuses, rules.server));
        if is_over {
            return;
        }
        let Ok((client, _)) = client else { continue };
        // A client whose server is not there sees its connection closed.
        let Some(server) = (!refuses)
            .then(|| TcpStream::connect(server).ok())
            .flatten()
        else {
            continue;
        };
        if let Ok(link) = Link::between(client, server, shared) {
            links.push(link);
        }
    }
}
