//! `redis-cluster://user:password@host:6379/0?node=host:6379`, as the client `fred` has it.

use oneflight_store::StoreError;
use redis::ConnectionInfo;

use crate::url;

/// What its scheme ends with.
const KIND: &str = "-cluster";

/// The servers that it names; `None` if it is another kind of URL.
pub(super) fn servers(url: &str) -> Option<Result<Vec<ConnectionInfo>, StoreError>> {
    let (scheme, rest) = url::parts(url, KIND)?;
    Some(parse(scheme, rest).map_err(|why| {
        StoreError::refused(format_args!(
            "this is no address of a Redis cluster: {why}; one looks like \
             redis-cluster://host1:6379?node=host2:6379"
        ))
    }))
}

/// An error says what is wrong, never what the URL is: there may be passwords in it.
fn parse(scheme: &str, rest: &str) -> Result<Vec<ConnectionInfo>, String> {
    let parsed = redis::parse_redis_url(&format!("{scheme}://{rest}"));
    let mut parsed = parsed.ok_or(
        "the first server is HOST or HOST:PORT, each further one a parameter node=HOST:PORT",
    )?;
    let mut nodes = Vec::new();
    for (name, value) in parsed.query_pairs() {
        match &*name {
            "node" => nodes.push(url::node(scheme, &value, |node| url::info(node))?),
            // Which one is not said: a password in which `?` is not encoded ends up here.
            _ => return Err("its only parameter is node, and there is another one".to_owned()),
        }
    }
    parsed.set_query(None);
    let first = url::info(parsed)?;
    // The user and the password are the same everywhere.
    let settings = first.redis_settings().clone();
    let nodes = nodes
        .into_iter()
        .map(|node| node.set_redis_settings(settings.clone()));
    let mut servers: Vec<_> = nodes.collect();
    servers.insert(0, first);
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_servers() {
        let url = "redis-cluster://me:ses%40me@one:1/0?node=two&node=[::1]:3";
        let servers = servers(url).unwrap().unwrap();
        let addresses: Vec<_> = servers.iter().map(|it| it.addr().to_string()).collect();
        assert_eq!(addresses, ["one:1", "two:6379", "::1:3"]);
        for server in servers {
            assert_eq!(server.redis_settings().username(), Some("me"));
            assert_eq!(server.redis_settings().password(), Some("ses@me"));
        }
    }

    #[test]
    fn other_urls_are_others() {
        for url in ["redis://one", "cluster://one", "redis-cluster:one", ""] {
            assert!(servers(url).is_none(), "{url}");
        }
        assert!(servers("valkeys-cluster://one").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_without_a_password() {
        let start = "redis-cluster://me:sesame@one";
        for (rest, why) in [
            (":1,two:2", "a parameter node=HOST:PORT"),
            ("?sesame", "there is another one"),
            ("?node=me:sesame@two", "a parameter node is not"),
            ("?node=two:x", "a parameter node is not"),
            ("/sesame", "Invalid database number"),
        ] {
            let error = servers(&format!("{start}{rest}")).unwrap().unwrap_err();
            assert!(matches!(error, StoreError::Refused(_)), "{error}");
            let told = format!("{error} {error:?}");
            assert!(!told.contains("sesame"), "{told}");
            assert!(told.contains(why), "{told}");
            assert!(told.contains("redis-cluster://host1:6379"), "{told}");
        }
    }
}
