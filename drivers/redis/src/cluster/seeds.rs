//! The servers by which a cluster is found.

use oneflight_store::StoreError;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::{Address, url};
use crate::fault::Place;
use crate::source::{Source, with_push};

/// Servers of a cluster, and how each server of it is spoken to.
pub(crate) struct Seeds {
    addresses: Vec<Address>,
    /// The address is to be replaced.
    like: Client,
    place: Place,
}

impl Seeds {
    /// Those of a URL; `None` if it is another kind of URL.
    pub(crate) fn of_url(url: &str) -> Option<Result<Self, StoreError>> {
        let servers = url::servers(url)?;
        Some(servers.and_then(Self::of))
    }

    /// The user, the password and the rest are those of the first.
    pub(crate) fn of<T: IntoConnectionInfo>(
        servers: impl IntoIterator<Item = T>,
    ) -> Result<Self, StoreError> {
        let mut addresses = Vec::new();
        let mut first = None;
        for server in servers {
            let info = server.into_connection_info().map_err(|_| no_server())?;
            match info.addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    addresses.push(Address::at(host, *port, ""));
                }
                ConnectionAddr::Unix(_) | _ => return Err(no_server()),
            }
            first.get_or_insert(info);
        }
        let Some(first) = first else {
            return Err(StoreError::refused("no server of the cluster is named"));
        };
        let place = Place::of_cluster(&addresses);
        if first.redis_settings().db() != 0 {
            return Err(StoreError::refused(format_args!(
                "{place}: a cluster has database 0 and no other"
            )));
        }
        let like = Client::open(with_push(first))
            // No TLS is built in.
            .map_err(|error| StoreError::refused(format_args!("{place}: {error}")))?;
        Ok(Self {
            addresses,
            like,
            place,
        })
    }

    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// For errors.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The server there.
    pub(crate) fn source(&self, at: &Address) -> Source {
        let info = self.info(at);
        // INVARIANT: a client has been made like this before.
        Source::of(Client::open(info).unwrap_or_else(|_| self.like.clone()))
    }

    fn info(&self, at: &Address) -> ConnectionInfo {
        let like = self.like.get_connection_info().clone();
        let (host, port) = (at.host.to_string(), at.port);
        let address = match like.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) | _ => {
                ConnectionAddr::Tcp(host, port)
            }
        };
        like.set_addr(address)
    }
}

/// What was given is not shown: there may be a password in it.
fn no_server() -> StoreError {
    StoreError::refused(
        "this is no address of a server of a Redis cluster; one looks like redis://host:6379",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(seeds: Result<Seeds, StoreError>) -> String {
        let error = seeds.err().unwrap();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        error.to_string()
    }

    #[test]
    fn each_server_is_spoken_to_like_the_first() {
        let seeds = Seeds::of(["redis://me:sesame@one:1", "redis://two:2"]).unwrap();
        assert_eq!(seeds.addresses().len(), 2);
        let info = seeds.info(&Address::at("three", 3, ""));
        assert_eq!(info.addr().to_string(), "three:3");
        assert_eq!(info.redis_settings().password(), Some("sesame"));
        let place = seeds.place().to_string();
        assert_eq!(place, "redis cluster at one:1 and two:2");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(refusal(Seeds::of([""; 0])).contains("no server"));
        assert!(refusal(Seeds::of(["unix:///run/redis"])).contains("no address"));
        assert!(refusal(Seeds::of(["redis://:sesame@one:x"])).contains("no address"));
        let other = refusal(Seeds::of_url("redis-cluster://one/1").unwrap());
        assert!(other.contains("database 0 and no other"), "{other}");
    }
}
