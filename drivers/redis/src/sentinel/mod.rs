//! The sentinels of Redis: which server is the primary now.

mod inquiry;
mod url;

use std::sync::atomic::{AtomicUsize, Ordering};

use oneflight_store::StoreError;
use redis::{Client, ConnectionAddr, ConnectionInfo, RedisError};

use self::inquiry::{Inquiry, Step};
pub(crate) use self::url::Url;
use crate::fault::Place;
use crate::source::with_push;

/// Those who watch over a primary and its replicas, and elect another primary when it is gone.
pub(crate) struct Sentinels {
    clients: Vec<Client>,
    service: String,
    /// How the primary is spoken to, at whatever address.
    primary: ConnectionInfo,
    place: Place,
    /// The one to be asked first: the last one that knew.
    first: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn new(url: Url) -> Result<Self, StoreError> {
        let Url {
            sentinels,
            service,
            primary,
        } = url;
        let addresses: Vec<String> = sentinels.iter().map(|it| it.addr().to_string()).collect();
        let place = Place::of_primary(&service, &addresses, primary.redis_settings().db());
        let clients: Result<_, RedisError> = sentinels.into_iter().map(Client::open).collect();
        // No TLS is built in.
        let clients =
            clients.map_err(|error| StoreError::refused(format_args!("{place}: {error}")))?;
        Ok(Self {
            clients,
            service,
            primary: with_push(primary),
            place,
            first: AtomicUsize::new(0),
        })
    }

    /// How the primary is spoken to; the address is none of its.
    pub(crate) fn info(&self) -> &ConnectionInfo {
        &self.primary
    }

    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The server there, spoken to as the primary.
    fn at(&self, host: String, port: u16) -> Result<Client, RedisError> {
        let address = match self.primary.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: None,
            },
            ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) | _ => {
                ConnectionAddr::Tcp(host, port)
            }
        };
        Client::open(self.primary.clone().set_addr(address))
    }

    /// Asks one sentinel after the other, and then the server that it names.
    ///
    /// Takes [`CONNECT_TIMEOUT`](crate::times::CONNECT_TIMEOUT) at most. `Unavailable` if there is no primary
    /// now, or nobody says which it is; `Refused` if the sentinels do not know it.
    #[cfg(feature = "tokio")]
    pub(crate) async fn primary(&self) -> Result<Client, StoreError> {
        let mut inquiry = Inquiry::new(self);
        loop {
            match inquiry.step() {
                Step::Ask(question) => inquiry.hear(question.ask().await),
                Step::Done(answer) => return answer,
            }
        }
    }

    /// The same for who may block.
    #[cfg(feature = "blocking")]
    pub(crate) fn primary_blocking(&self) -> Result<Client, StoreError> {
        let mut inquiry = Inquiry::new(self);
        loop {
            match inquiry.step() {
                Step::Ask(question) => inquiry.hear(question.ask_blocking()),
                Step::Done(answer) => return answer,
            }
        }
    }

    fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    fn ask_first(&self, number: usize) {
        self.first.store(number, Ordering::Relaxed);
    }
}
