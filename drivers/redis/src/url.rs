//! What URLs have in common that name several servers, and what is wrong with one.
//!
//! An error says what is wrong, never what the URL is: there may be passwords in it.

use redis::{ConnectionInfo, IntoConnectionInfo, RedisError};

/// How a single server is spoken to.
const SCHEMES: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];

/// How the servers are spoken to, and the rest; `None` if it is no URL of this kind, which its scheme ends with.
pub(crate) fn parts<'a>(url: &'a str, kind: &str) -> Option<(&'static str, &'a str)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.strip_suffix(kind)?;
    let scheme = SCHEMES.into_iter().find(|known| *known == scheme)?;
    Some((scheme, rest))
}

/// A further server, as a parameter names it.
pub(crate) fn node(
    scheme: &str,
    node: &str,
    read: impl FnOnce(&str) -> Result<ConnectionInfo, String>,
) -> Result<ConnectionInfo, String> {
    let is_more = node.contains(['@', '/', '?', '#']);
    let info = read(&format!("{scheme}://{node}")).ok();
    info.filter(|_| !is_more)
        .ok_or_else(|| "a parameter node is not HOST or HOST:PORT".to_owned())
}

/// What the client reads in it.
pub(crate) fn info(url: impl IntoConnectionInfo) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| why(&error))
}

/// Why the client cannot read it.
pub(crate) fn why(error: &RedisError) -> String {
    let error = error.to_string();
    error.trim_end_matches(" - InvalidClientConfig").to_owned()
}
