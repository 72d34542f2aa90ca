//! Which store to use: `sqlite:PATH`, or the URL of a Redis or a Dust server.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use oneflight_dust::{Address, BadAddress, DustStore};
use oneflight_redis::RedisStore;
use oneflight_sqlite::SqliteStore;
use oneflight_store::{Store, StoreError};

use crate::exit::Failure;

/// Where the fleet meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// A file that the processes of one machine share; `None` for the user's own.
    Sqlite(Option<PathBuf>),
    /// A server.
    Redis(ServerUrl),
    /// A store of a Dust server. What is wrong with it is told later: clap would show all of it, also a
    /// token that should not be there.
    Dust(Result<Address, BadAddress>),
}

/// The URL of a server, in which there may be a password: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(String);

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

/// As far as it may be shown: a password stands before the host, or in a parameter.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password with a question mark in it stands before the last `@` all the same.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let (place, parameters) = match rest.split_once('?') {
        Some((place, _)) => (place, "?…"),
        None => (rest, ""),
    };
    let scheme = match scheme {
        "" => String::new(),
        scheme => format!("{scheme}://"),
    };
    format!("{scheme}{user}{place}{parameters}")
}

/// What the URL of a server begins with.
const SERVERS: [&str; 15] = [
    "redis",
    "rediss",
    "redis+unix",
    "unix",
    "valkey",
    "valkeys",
    "valkey+unix",
    "redis-cluster",
    "rediss-cluster",
    "valkey-cluster",
    "valkeys-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "valkey-sentinel",
    "valkeys-sentinel",
];

/// Why a store URL is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error(
        "a memory store lives and dies with one process, so there is nobody to share with; \
         use sqlite:PATH or redis://HOST:PORT"
    )]
    Memory,
    #[error("{0}")]
    Server(Arc<str>),
    #[error(
        "unknown scheme {0:?}; this program knows sqlite:PATH, redis://HOST:PORT (and rediss:, unix:, \
         redis-cluster:, redis-sentinel:) and dust+wss://HOST/ORG/STORE"
    )]
    UnknownScheme(String),
    #[error("a store URL begins with its scheme; for a file use sqlite:{0}")]
    NoScheme(String),
}

impl FromStr for StoreUrl {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<Self, BadUrl> {
        match url.split_once(':') {
            Some(("sqlite", "")) => Ok(Self::Sqlite(None)),
            Some(("sqlite", path)) => Ok(Self::Sqlite(Some(path_of(path).into()))),
            Some((scheme, _)) if SERVERS.contains(&scheme) => {
                // Opening it connects to nobody.
                RedisStore::open(url).map_err(|error| BadUrl::Server(reason(&error)))?;
                Ok(Self::Redis(ServerUrl(url.to_owned())))
            }
            Some(("dust" | "dust+ws" | "dust+wss", _)) => Ok(Self::Dust(url.parse())),
            Some(("memory", _)) => Err(BadUrl::Memory),
            Some((scheme, _)) if !scheme.contains('/') => {
                Err(BadUrl::UnknownScheme(scheme.to_owned()))
            }
            _ => Err(BadUrl::NoScheme(url.to_owned())),
        }
    }
}

/// Why an address is none: no store has refused anything yet.
fn reason(error: &StoreError) -> Arc<str> {
    if let StoreError::Refused(reason) = error {
        return Arc::clone(reason);
    }
    error.to_string().into()
}

/// `sqlite:///srv/x.db` means the same file as `sqlite:/srv/x.db`.
fn path_of(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        _ => rest,
    }
}

impl StoreUrl {
    /// Opens the store. [`StoreError::Unavailable`] if that may work at another time.
    pub(crate) fn open(&self) -> Result<Result<Arc<dyn Store>, StoreError>, Failure> {
        let path = match self {
            Self::Redis(ServerUrl(url)) => {
                let store = RedisStore::open(url.as_str());
                return match store {
                    Ok(store) => Ok(Ok(Arc::new(store))),
                    Err(error) => Err(Failure::own(error.to_string())),
                };
            }
            Self::Dust(address) => return open_dust(address.clone()),
            Self::Sqlite(Some(path)) => path.clone(),
            Self::Sqlite(None) => default_path(|name| env::var_os(name))?,
        };
        match SqliteStore::open(&path).map_err(StoreError::from) {
            Ok(store) => Ok(Ok(Arc::new(store))),
            Err(error @ StoreError::Unavailable(_)) => Ok(Err(error)),
            Err(error) => Err(Failure::own(error.to_string())),
        }
    }
}

/// Nothing is connected yet.
fn open_dust(
    address: Result<Address, BadAddress>,
) -> Result<Result<Arc<dyn Store>, StoreError>, Failure> {
    let address = address.map_err(|bad| Failure::own(bad.to_string()))?;
    match DustStore::from_env(address) {
        Ok(builder) => Ok(Ok(Arc::new(builder.build()))),
        Err(error) => Err(Failure::own(error.to_string())),
    }
}

/// The user's own store.
fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Failure> {
    // As the XDG specification says, a relative path counts for nothing.
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join(Path::new("oneflight/flights.db")))
        .ok_or_else(|| {
            Failure::own(
                "there is no place for the store, because neither XDG_STATE_HOME nor HOME is an \
                 absolute path; name a file with --store sqlite:PATH",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_written_as_in_any_url() {
        for url in ["sqlite:/srv/x.db", "sqlite:///srv/x.db"] {
            let expected = StoreUrl::Sqlite(Some("/srv/x.db".into()));
            assert_eq!(url.parse(), Ok(expected));
        }
        let relative = StoreUrl::Sqlite(Some("x y/z.db".into()));
        assert_eq!("sqlite:x y/z.db".parse(), Ok(relative));
        assert_eq!("sqlite:".parse(), Ok(StoreUrl::Sqlite(None)));
    }

    #[test]
    fn a_dust_url_shows_no_token() {
        let url = "dust+wss://dust.example/acme/flights?prefix=reports";
        assert_eq!(url.parse(), Ok(StoreUrl::Dust(Ok(url.parse().unwrap()))));
        let wrong = "dust+wss://dust.example/acme/flights?token=dust_tok_1";
        let url: StoreUrl = wrong.parse().unwrap();
        let failure = url.open().err().unwrap().message.unwrap();
        assert!(
            failure.contains("ONEFLIGHT_DUST_TOKEN") && !failure.contains("dust_tok"),
            "{failure}"
        );
    }

    #[test]
    fn other_urls_are_explained() {
        let told = |url: &str| url.parse::<StoreUrl>().unwrap_err().to_string();
        assert!(told("memory:").contains("one process"));
        assert!(told("nats://x").contains("unknown scheme \"nats\"; this program knows sqlite:"));
        assert!(told("/srv/x.db").contains("use sqlite:/srv/x.db"));
        assert!(told("./a:b").contains("use sqlite:./a:b"));
    }

    #[test]
    fn a_server_is_named_by_its_url() {
        for url in [
            "redis://host",
            "redis://:secret@host:6379/3",
            "rediss://user:secret@host",
            "unix:///run/redis.sock?db=1",
            "unix:/run/redis.sock",
            "valkey://host",
            "redis-cluster://user:secret@host:7000?node=other:7001",
        ] {
            let parsed: StoreUrl = url.parse().unwrap();
            assert_eq!(parsed, StoreUrl::Redis(ServerUrl(url.to_owned())));
            assert!(!format!("{parsed:?}").contains("secret"));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for url in [
            "redis://:secret@host:port",
            "redis://u:secret@h/x",
            "redis:secret",
        ] {
            let told = url.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(!told.contains("secret"), "{told}");
            assert!(told.contains("redis://host:6379/0"), "{told}");
            assert!(told.starts_with("this is no address"), "{told}");
        }
        assert_eq!(without_password("x://a:b@c@h:1/2"), "x://…@h:1/2");
        assert_eq!(without_password("sqlite:a"), "sqlite:a");
        assert_eq!(without_password("unix:///a?pass=secret"), "unix:///a?…");
        assert_eq!(without_password("x://a?b@c:pw@h/1?d"), "x://…@h/1?…");
    }

    #[test]
    fn the_default_follows_the_environment() {
        let with = |pairs: &[(&str, &str)]| {
            default_path(|name| {
                let found = pairs.iter().find(|(known, _)| *known == name)?;
                Some(found.1.into())
            })
            .map_err(|failure| failure.message.unwrap())
        };
        let path = |path: &str| Ok(PathBuf::from(path));
        assert_eq!(
            with(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]),
            path("/s/oneflight/flights.db")
        );
        assert_eq!(
            with(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]),
            path("/h/.local/state/oneflight/flights.db")
        );
        assert!(with(&[]).unwrap_err().contains("--store sqlite:PATH"));
    }
}
