//! Where a store is: `dust+wss://HOST/ORG/STORE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::wire::Wire;

/// Where a store is, and how it is spoken to: `dust+wss://HOST[:PORT]/ORG/STORE[?OPTION&…]`, or `dust+ws`
/// without TLS, for tests.
///
/// | option | |
/// | --- | --- |
/// | `prefix=KEYS/BELOW` | only what is below is mirrored; may be given more than once |
/// | `format=msgpack` | frames are written so, in place of JSON |
/// | `token-file=PATH` | where [`DustStore::from_env`](crate::DustStore::from_env) finds the token |
///
/// A token itself is no part of it, for addresses are shown. [`fmt::Display`] writes it as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `ORG/NAME`
    pub(crate) store: String,
    pub(crate) wire: Wire,
    pub(crate) prefixes: Vec<Box<str>>,
    pub(crate) token_file: Option<PathBuf>,
}

/// Why text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAddress {
    /// It begins otherwise.
    #[error("a Dust store is named dust+wss://HOST/ORG/STORE")]
    Scheme,
    /// There is no host, or one that cannot be.
    #[error("{0:?} is no HOST or HOST:PORT of a Dust server")]
    Host(String),
    /// What follows is not an organization and a store.
    #[error("after the host of a Dust server comes /ORG/STORE, not {0:?}")]
    Store(String),
    /// There is a token, or something else that looks like one.
    #[error(
        "the token is no part of the address, which others can see; put it into \
         ONEFLIGHT_DUST_TOKEN, or into a file that ONEFLIGHT_DUST_TOKEN_FILE names"
    )]
    Token,
    /// An option is unknown, or its value is.
    #[error(
        "{0:?} is no option of a Dust store; there are prefix=PATH, format=json or msgpack, and token-file=PATH"
    )]
    Option(String),
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let rest = text
            .strip_prefix("dust+")
            .or_else(|| text.strip_prefix("dust:"));
        let rest = rest.ok_or(BadAddress::Scheme)?;
        let (tls, rest) = match rest.split_once("://") {
            Some(("wss", rest)) => (true, rest),
            Some(("ws", rest)) => (false, rest),
            _ => return Err(BadAddress::Scheme),
        };
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(BadAddress::Token);
        }
        let (host, port) =
            split_port(authority, tls).ok_or_else(|| BadAddress::Host(authority.to_owned()))?;
        let path = path.trim_end_matches('/');
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '#', ' ']);
        match path.split_once('/') {
            Some((org, store)) if plain(org) && plain(store) => {}
            _ => return Err(BadAddress::Store(format!("/{path}"))),
        }
        let mut address = Self {
            tls,
            host: host.to_owned(),
            port,
            store: path.to_owned(),
            wire: Wire::default(),
            prefixes: Vec::new(),
            token_file: None,
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some((name, _)) if name != "token-file" && is_secret(option) => {
                    return Err(BadAddress::Token);
                }
                Some(("prefix", prefix)) if !prefix.is_empty() => {
                    address.prefixes.push(prefix.trim_matches('/').into())
                }
                Some(("token-file", path)) if !path.is_empty() => {
                    address.token_file = Some(path.into());
                }
                Some(("format", "json")) => address.wire = Wire::Json,
                Some(("format", "msgpack")) => address.wire = Wire::Msgpack,
                _ => return Err(BadAddress::Option(option.to_owned())),
            }
        }
        Ok(address)
    }
}

/// Whether an option looks like a token, which is not to be repeated in a message.
fn is_secret(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    let name = option.split('=').next().unwrap_or_default();
    name.contains("token") || option.contains("dust_tok")
}

/// `[::1]:4000`, `host:4000`, `host`.
fn split_port(authority: &str, tls: bool) -> Option<(&str, u16)> {
    let default = if tls { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || c == '.'
            || c == '-'
            || c == '_'
            || (bracketed && "[]:".contains(c))
    };
    (!host.is_empty() && host.chars().all(plain)).then_some((host, port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.tls { ("wss", 443) } else { ("ws", 80) };
        write!(f, "dust+{scheme}://{}", self.host)?;
        if self.port != default {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.store)?;
        let prefixes = self
            .prefixes
            .iter()
            .map(|prefix| format!("prefix={prefix}"));
        let format = (self.wire == Wire::Msgpack).then(|| "format=msgpack".to_owned());
        let file = self.token_file.iter();
        let file = file.map(|path| format!("token-file={}", path.display()));
        for (n, option) in prefixes.chain(format).chain(file).enumerate() {
            write!(f, "{}{option}", if n == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back() {
        for text in [
            "dust+wss://dust.example/acme/flights",
            "dust+ws://127.0.0.1:4000/test/blog?prefix=users/eu&prefix=x&format=msgpack&token-file=/run/t",
            "dust+wss://[::1]:8443/o/01a20a23-81d0-7567-81bb-4b7829dc9822",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let address: Address = "dust:wss://host:443/o/s/".parse().unwrap();
        assert_eq!(address.to_string(), "dust+wss://host/o/s");
    }

    #[test]
    fn others_are_explained() {
        let told = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(told("redis://x"), BadAddress::Scheme);
        assert_eq!(told("dust+http://x/o/s"), BadAddress::Scheme);
        assert_eq!(told("dust+wss:///o/s"), BadAddress::Host("".into()));
        assert_eq!(told("dust+wss://a b/o/s"), BadAddress::Host("a b".into()));
        assert_eq!(told("dust+wss://a:x/o/s"), BadAddress::Host("a:x".into()));
        assert_eq!(told("dust+wss://a/o"), BadAddress::Store("/o".into()));
        assert_eq!(
            told("dust+wss://a/o/s/t"),
            BadAddress::Store("/o/s/t".into())
        );
        assert_eq!(
            told("dust+wss://a/o/s?x=y"),
            BadAddress::Option("x=y".into())
        );
        for text in [
            "dust+wss://dust_tok_x@a/o/s",
            "dust+wss://a/o/s?token=dust_tok_x",
            "dust+wss://a/o/s?Token=dust_tok_x",
            "dust+wss://a/o/s?auth=dust_tok_x",
        ] {
            let told = told(text);
            assert_eq!(told, BadAddress::Token);
            assert!(!told.to_string().contains("dust_tok_x"));
        }
    }
}
