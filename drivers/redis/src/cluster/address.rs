//! Where a server of a cluster is.

use std::fmt;
use std::sync::Arc;

/// As the servers of a cluster name one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    /// Shared: a map has an address for each of its slots.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

impl Address {
    /// `HOST:PORT`. No host means that of the server which says so.
    pub(crate) fn of(text: &str, said_by: &str) -> Option<Self> {
        // An address of version 6 has colons of its own.
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::at(host, port.parse().ok()?, said_by))
    }

    pub(crate) fn at(host: &str, port: u16, said_by: &str) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A server that does not know its own name sends a question mark.
        let host = if matches!(host, "" | "?") {
            said_by
        } else {
            host
        };
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_servers_write_it() {
        let told = |text| Address::of(text, "asked").map(|it| (it.host.to_string(), it.port));
        let some = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(told("10.0.0.1:7000"), some("10.0.0.1", 7000));
        assert_eq!(told("::1:7000"), some("::1", 7000));
        assert_eq!(told("[::1]:7000"), some("::1", 7000));
        assert_eq!(told(":7000"), some("asked", 7000));
        assert_eq!(told("?:7000"), some("asked", 7000));
        for other in ["", "host", "host:", "host:x", "host:70000"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
