//! Where the next connection leads.

use oneflight_store::StoreError;
use redis::{Client, ConnectionInfo, ProtocolVersion};

use crate::fault::Place;
use crate::sentinel::{self, Sentinels};
use crate::url;

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
        let refused = |why: &str| {
            StoreError::refused(format_args!(
                "this is no address of a Redis server: {why}; one looks like redis://host:6379/0"
            ))
        };
        let client = Client::open(url).map_err(|error| {
            let why = url::why(&error);
            // What comes after such a character is no part of the password.
            match url.contains('@') {
                true => refused(&format!(
                    "{why} (in a password, @ / ? # : are written %40 %2F %3F %23 %3A)"
                )),
                false => refused(&why),
            }
        })?;
        match unknown_parameter(url) {
            Some(why) => Err(refused(why)),
            None => Ok(Self::of(client)),
        }
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

/// What is said of a server in a way that it is not read: else a misspelt or misplaced parameter would lead
/// to another database, or to one server of many.
fn unknown_parameter(url: &str) -> Option<&'static str> {
    let url = redis::parse_redis_url(url)?;
    let known: &[&str] = match url.scheme().ends_with("unix") {
        true => &["db", "user", "pass", "protocol"],
        false => &["protocol"],
    };
    let mut names = url.query_pairs().map(|(name, _)| name);
    // Which one is not said: a password in which `?` is not encoded ends up here.
    match &*names.find(|name| !known.contains(&&**name))? {
        "db" => Some("the database is its path, as in redis://host:6379/3"),
        "node" | "sentinelServiceName" => {
            Some("several servers are named by redis-cluster:// or redis-sentinel://")
        }
        _ => Some("it has a parameter that is not known"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_refused() {
        for (url, why) in [
            ("redis://me:sesame@one/0?db=3", "the database is its path"),
            ("redis://me:sesame@one?node=two", "redis-cluster://"),
            ("redis://me:ses?ame@one", "%3F"),
            ("redis://me:ses#ame@one", "%23"),
            ("redis://one?sesame", "not known"),
            ("unix:///sock?dbb=3&pass=sesame", "not known"),
        ] {
            let error = Source::open(url).err().unwrap();
            assert!(matches!(error, StoreError::Refused(_)), "{error}");
            let told = format!("{error} {error:?}");
            assert!(told.contains(why) && !told.contains("same"), "{told}");
        }
        for url in [
            "redis://one?protocol=resp3",
            "unix:///sock?db=3&user=me&pass=sesame",
            "valkey://one/3",
        ] {
            assert!(Source::open(url).is_ok(), "{url}");
        }
    }
}
