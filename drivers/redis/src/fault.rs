//! What the errors of a server and of the way to it mean to a caller.

use std::fmt;

use oneflight_store::StoreError;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind};

use crate::cluster::Address;

/// A server's address and database, for errors: without the user and the password.
#[derive(Clone, Debug)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn of(info: &ConnectionInfo) -> Self {
        let database = info.redis_settings().db();
        Self(format!("redis at {}, database {database}", info.addr()))
    }

    /// The servers of a cluster by which it was found.
    pub(crate) fn of_cluster(servers: &[Address]) -> Self {
        let servers: Vec<_> = servers.iter().map(Address::to_string).collect();
        Self(format!("redis cluster at {}", servers.join(" and ")))
    }

    /// Whichever server is the primary of this name.
    pub(crate) fn of_primary(service: &str, sentinels: &[String], database: i64) -> Self {
        let sentinels = sentinels.join(" and ");
        Self(format!(
            "redis, the primary {service:?} of the sentinels at {sentinels}, database {database}"
        ))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a call was for.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) key: &'a str,
    /// The names on the server.
    pub(crate) places: &'a [String],
}

/// No script of this digest: it is to be sent in full.
pub(crate) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// It is a replica by now.
pub(crate) fn is_read_only(error: &RedisError) -> bool {
    code(error, &said(error)) == Code::ReadOnly
}

/// The error of a call.
pub(crate) fn of_call(place: &Place, error: &RedisError, about: About<'_>) -> StoreError {
    let said = said(error);
    match code(error, &said) {
        Code::WrongType => StoreError::Malformed {
            key: about.key.into(),
            reason: format!(
                "{place}: {} is not a hash of oneflight; remove it there (DEL), or use another database",
                about.places.join(" or ")
            )
            .into(),
        },
        Code::Foreign => StoreError::Malformed {
            key: about.key.into(),
            reason: format!(
                "{place}: {} has been written by something else; remove it there (DEL), or use another database",
                said.strip_prefix("FOREIGN ").unwrap_or(&said)
            )
            .into(),
        },
        Code::CrossSlot => apart(place, about.places),
        other @ (Code::OutOfMemory
        | Code::NoPermission
        | Code::NotAuthenticated
        | Code::ReadOnly
        | Code::ElsewhereInCluster
        | Code::NotNow
        | Code::OldProtocol
        | Code::NoScripts
        | Code::Other) => of_code(place, other, error, &said),
    }
}

/// These are not in one slot of a cluster.
pub(crate) fn apart(place: &Place, places: &[String]) -> StoreError {
    StoreError::refused(format_args!(
        "{place}: in a cluster the key and its lock must be in one slot, and {} are not; leave the \
         lock to its default, or give both names the same tag in braces, as in \"{{a}}:key\" and \
         \"{{a}}:lock\"",
        places.join(" and ")
    ))
}

/// The error of asking a server of a cluster which of them keeps what.
pub(crate) fn of_map(place: &Place, error: &RedisError) -> StoreError {
    let said = said(error);
    let code = code(error, &said);
    if said.contains("cluster support disabled") {
        return StoreError::refused(format_args!(
            "{place}: it is no server of a cluster; the URL of a single server begins with redis:// \
             (it says: {said})"
        ));
    }
    of_code(place, code, error, &said)
}

/// Nobody is there to keep the connections, nor will be: this store is for async callers.
#[cfg(feature = "tokio")]
pub(crate) fn no_runtime(place: &Place) -> StoreError {
    StoreError::refused(format_args!(
        "{place}: the first call must be made on a tokio runtime, which keeps the connections; \
         without one, open the blocking RedisStore"
    ))
}

/// The error of anything but a call: connecting, subscribing.
pub(crate) fn of_connection(place: &Place, error: &RedisError) -> StoreError {
    let said = said(error);
    of_code(place, code(error, &said), error, &said)
}

/// What a sentinel has done instead of an answer.
pub(crate) enum Sentinel {
    /// And another one would, or will soon.
    Silent(String),
    Refuses(StoreError),
}

/// The error of asking a sentinel there.
pub(crate) fn of_sentinel(place: &Place, at: &ConnectionAddr, error: &RedisError) -> Sentinel {
    let said = said(error);
    let code = code(error, &said);
    if !has_answered(error) || code == Code::NotNow {
        return Sentinel::Silent(format!("{at}: {said}"));
    }
    let what = if code == Code::NotAuthenticated {
        "wants another user or password, see sentinelUsername and sentinelPassword"
    } else if code == Code::NoPermission {
        "does not let this user ask for the primary; permit +sentinel|get-master-addr-by-name"
    } else {
        "does not answer as a sentinel does; the URL of a single server begins with redis://"
    };
    Sentinel::Refuses(StoreError::refused(format_args!(
        "{place}: what is at {at} {what} (it says: {said})"
    )))
}

/// Whether anybody was there to say so.
pub(crate) fn has_answered(error: &RedisError) -> bool {
    // Whatever else is wrong with an answer, it is one.
    !error.is_io_error() && !error.is_connection_dropped()
}

/// What a server's refusals come down to.
#[derive(Clone, Copy, PartialEq)]
enum Code {
    WrongType,
    Foreign,
    CrossSlot,
    OutOfMemory,
    NoPermission,
    NotAuthenticated,
    ReadOnly,
    ElsewhereInCluster,
    /// It will be otherwise soon.
    NotNow,
    OldProtocol,
    NoScripts,
    Other,
}

fn code(error: &RedisError, said: &str) -> Code {
    use ServerErrorKind as Kind;
    let kind = error.kind();
    let is_one_of = |kinds: &[Kind]| kinds.iter().any(|it| kind == ErrorKind::Server(*it));
    if is_one_of(&[Kind::CrossSlot]) {
        Code::CrossSlot
    } else if is_one_of(&[Kind::NoPerm]) {
        Code::NoPermission
    } else if is_one_of(&[Kind::ReadOnly]) {
        Code::ReadOnly
    } else if is_one_of(&[Kind::Moved, Kind::Ask]) {
        Code::ElsewhereInCluster
    } else if is_one_of(&[
        Kind::BusyLoading,
        Kind::MasterDown,
        Kind::ClusterDown,
        Kind::TryAgain,
    ]) {
        Code::NotNow
    } else if kind == ErrorKind::AuthenticationFailed {
        Code::NotAuthenticated
    } else if kind == ErrorKind::RESP3NotSupported {
        Code::OldProtocol
    } else if matches!(kind, ErrorKind::Extension | ErrorKind::Server(_)) {
        // Servers before version 7 wrap what a script met into an error of their own.
        by_words(said)
    } else {
        Code::Other
    }
}

fn by_words(said: &str) -> Code {
    let words = [
        ("FOREIGN ", Code::Foreign),
        ("WRONGTYPE", Code::WrongType),
        ("CROSSSLOT", Code::CrossSlot),
        ("OOM", Code::OutOfMemory),
        ("NOPERM", Code::NoPermission),
        ("user executing the script ", Code::NoPermission),
        ("NOAUTH", Code::NotAuthenticated),
        ("WRONGPASS", Code::NotAuthenticated),
        ("invalid password", Code::NotAuthenticated),
        ("READONLY", Code::ReadOnly),
        ("MISCONF", Code::NotNow),
        ("NOREPLICAS", Code::NotNow),
        ("BUSY", Code::NotNow),
        ("max number of clients", Code::NotNow),
        ("non local key", Code::CrossSlot),
        ("unknown command `HELLO`", Code::OldProtocol),
        ("unknown command 'HELLO'", Code::OldProtocol),
        ("NOPROTO", Code::OldProtocol),
        ("unknown command `EVALSHA`", Code::NoScripts),
        ("unknown command 'EVALSHA'", Code::NoScripts),
    ];
    let found = words.into_iter().find(|(word, _)| said.contains(word));
    found.map_or(Code::Other, |(_, code)| code)
}

fn of_code(place: &Place, code: Code, error: &RedisError, said: &str) -> StoreError {
    let refused =
        |what: &str| StoreError::refused(format_args!("{place}: {what} (it says: {said})"));
    match code {
        Code::OutOfMemory => refused(
            "it is full, and refuses to write; raise its maxmemory, or retain values for less long",
        ),
        Code::NoPermission => refused(
            "its access list does not let this user do what a store needs; docs/redis.md names it all",
        ),
        Code::NotAuthenticated => refused("it wants another user or password"),
        Code::ReadOnly => StoreError::unavailable(format_args!(
            "{place}: it is a read-only replica; if that is no fail-over under way, give the address \
             of the primary (it says: {said})"
        )),
        Code::ElsewhereInCluster => refused(
            "it is a server of a cluster, and the key is kept by another one; open the cluster, with a \
             URL like redis-cluster://host:port",
        ),
        Code::OldProtocol => refused(
            "it does not speak RESP3, for which version 6 or newer is needed, and its command HELLO",
        ),
        Code::NoScripts => refused(
            "it knows no scripts; a sentinel is opened with a URL like \
             redis-sentinel://host:port?sentinelServiceName=name",
        ),
        Code::NotNow => StoreError::unavailable(format_args!("{place}: not now (it says: {said})")),
        Code::WrongType | Code::Foreign | Code::CrossSlot | Code::Other => {
            let has_answered = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
            if has_answered {
                refused("it refuses the call")
            } else if error.kind() == ErrorKind::InvalidClientConfig {
                refused("its address cannot be used like this")
            } else if error.kind() == ErrorKind::Parse {
                StoreError::unavailable(format_args!(
                    "{place}: what answers there does not speak as Redis does"
                ))
            } else {
                StoreError::unavailable(format_args!("{place}: {said}"))
            }
        }
    }
}

/// Its own words, with the code first if it has one. They name users, commands and keys, never a
/// password or a value: who does not know a command repeats what it was called with, which is left out.
fn said(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    let said = match error.detail() {
        Some(detail) if !code.is_empty() => format!("{code} {detail}"),
        Some(detail) => detail.to_owned(),
        None if !code.is_empty() => code.to_owned(),
        None => error.to_string(),
    };
    match said.find(", with args beginning with") {
        Some(end) => said.get(..end).unwrap_or_default().to_owned(),
        None => said,
    }
}
