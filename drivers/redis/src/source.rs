//! Where the next connection leads.

use oneflight_store::StoreError;
use redis::{Client, ConnectionInfo, ProtocolVersion};

use crate::fault::Place;
use crate::sentinel::{self, Sentinels};

/// Asked for each connection anew: it may lead somewhere else by then.
pub(crate) enum Source {
    /// Always to the same server.
    Server(Client),
    /// To whichever server is the primary, as the sentinels say.
    Sentinels(Sentinels),
}

impl Source {
    /// What a URL says that is none of a cluster.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        if let Some(url) = sentinel::Url::of(url) {
            return Ok(Self::Sentinels(Sentinels::new(url?)?));
        }
        // The error says what is wrong with it, never what it is: there may be a password in it.
        let client = Client::open(url).map_err(|error| {
            let error = error.to_string();
            let why = error.trim_end_matches(" - InvalidClientConfig");
            StoreError::refused(format_args!(
                "this is no address of a Redis server: {why}; one looks like redis://host:6379/0"
            ))
        })?;
        Ok(Self::of(client))
    }

    /// The server of a client.
    pub(crate) fn of(client: Client) -> Self {
        let info = with_push(client.get_connection_info().clone());
        // INVARIANT: a client has been made of this address before.
        Self::Server(Client::open(info).unwrap_or(client))
    }

    fn info(&self) -> &ConnectionInfo {
        match self {
            Self::Server(client) => client.get_connection_info(),
            Self::Sentinels(sentinels) => sentinels.info(),
        }
    }

    pub(crate) fn database(&self) -> i64 {
        self.info().redis_settings().db()
    }

    /// For errors.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Server(client) => Place::of(client.get_connection_info()),
            Self::Sentinels(sentinels) => sentinels.place(),
        }
    }

    /// Whose server to connect to now. Takes [`CONNECT_TIMEOUT`](crate::times::CONNECT_TIMEOUT) at most.
    #[cfg(feature = "tokio")]
    pub(crate) async fn client(&self) -> Result<Client, StoreError> {
        #[cfg(feature = "tls")]
        if matches!(self.info().addr(), redis::ConnectionAddr::TcpTls { .. }) {
            choose_cryptography();
        }
        match self {
            Self::Server(client) => Ok(client.clone()),
            Self::Sentinels(sentinels) => sentinels.primary().await,
        }
    }

    /// The same for who may block.
    #[cfg(feature = "blocking")]
    pub(crate) fn client_blocking(&self) -> Result<Client, StoreError> {
        match self {
            Self::Server(client) => Ok(client.clone()),
            Self::Sentinels(sentinels) => sentinels.primary_blocking(),
        }
    }
}

/// The client leaves it to the process which cryptography TLS goes by, and panics where several are built
/// in and none was chosen. Whoever has chosen before is not overruled.
#[cfg(all(feature = "tokio", feature = "tls"))]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Somebody else may be as quick.
        drop(ring::default_provider().install_default());
    }
}

/// The same server, spoken to so that it pushes.
pub(crate) fn with_push(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    // Requests are small and follow one another: none is to wait for the answer to the last.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    info.set_redis_settings(settings).set_tcp_settings(tcp)
}
