//! `redis-sentinel://user:password@host:26379/0?node=host:26379&sentinelServiceName=name`, as the client
//! `fred` has it.

use oneflight_store::StoreError;
use redis::{ConnectionInfo, RedisConnectionInfo};

use crate::url;

/// Where sentinels listen, unless it is said.
const PORT: u16 = 26379;

/// What its scheme ends with.
const KIND: &str = "-sentinel";

/// What such a URL says.
pub(crate) struct Url {
    /// The sentinels, each with the user and the password that it wants.
    pub(super) sentinels: Vec<ConnectionInfo>,
    /// By which name they know the primary.
    pub(super) service: String,
    /// How the primary is spoken to. Its address is a sentinel's, and to be replaced.
    pub(super) primary: ConnectionInfo,
}

impl Url {
    /// `None` if it is another kind of URL.
    pub(crate) fn of(url: &str) -> Option<Result<Self, StoreError>> {
        let (scheme, rest) = url::parts(url, KIND)?;
        Some(Self::parse(scheme, rest).map_err(|why| {
            StoreError::refused(format_args!(
                "this is no address of Redis sentinels: {why}; one looks like \
                 redis-sentinel://host1:{PORT}/0?node=host2:{PORT}&sentinelServiceName=mymaster"
            ))
        }))
    }

    /// An error says what is wrong, never what the URL is: there may be passwords in it.
    fn parse(scheme: &str, rest: &str) -> Result<Self, String> {
        let url = redis::parse_redis_url(&format!("{scheme}://{rest}"));
        let mut url = url.ok_or(
            "the first sentinel is HOST or HOST:PORT, each further one a parameter node=HOST:PORT",
        )?;
        let (mut nodes, mut service) = (Vec::new(), String::new());
        let mut letting_in = RedisConnectionInfo::default();
        for (name, value) in url.query_pairs() {
            match &*name {
                "node" => nodes.push(url::node(scheme, &value, info)?),
                "sentinelServiceName" => service = value.into_owned(),
                "sentinelUsername" => letting_in = letting_in.set_username(value),
                "sentinelPassword" => letting_in = letting_in.set_password(value),
                // Which one is not said: a password in which `&` is not encoded ends up here.
                _ => {
                    return Err(
                        "its parameters are node, sentinelServiceName, sentinelUsername and \
                         sentinelPassword, and there is another one"
                            .to_owned(),
                    );
                }
            }
        }
        if service.is_empty() {
            return Err(
                "the name by which they know the primary is missing, add sentinelServiceName=NAME"
                    .to_owned(),
            );
        }
        url.set_query(None);
        let primary = info(url.as_str())?;
        nodes.insert(0, primary.clone());
        // The primary's user and password are none of the sentinels' business.
        let sentinels = nodes
            .into_iter()
            .map(|node| node.set_redis_settings(letting_in.clone()));
        Ok(Self {
            sentinels: sentinels.collect(),
            service,
            primary,
        })
    }
}

/// What the client reads in it, apart from the port.
fn info(url: &str) -> Result<ConnectionInfo, String> {
    let mut url = redis::parse_redis_url(url).ok_or("it is no URL")?;
    if url.port().is_none() {
        // Else there is no host, as is said in a moment.
        url.set_port(Some(PORT)).ok();
    }
    url::info(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Url {
        Url::of(url).unwrap().unwrap()
    }

    fn told(url: &str) -> String {
        let error = Url::of(url).unwrap().err().unwrap();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("sesame"), "{told}");
        told
    }

    #[test]
    fn it_says_who_is_asked_for_whom() {
        let url = parsed(
            "redis-sentinel://me:ses%40me@one:1/3?node=two&node=[::1]:3&sentinelServiceName=the%20primary\
             &sentinelUsername=guard&sentinelPassword=p%26w",
        );
        let addresses: Vec<_> = url
            .sentinels
            .iter()
            .map(|it| it.addr().to_string())
            .collect();
        assert_eq!(addresses, ["one:1", "two:26379", "::1:3"]);
        for sentinel in &url.sentinels {
            let settings = sentinel.redis_settings();
            assert_eq!(settings.username(), Some("guard"));
            assert_eq!(settings.password(), Some("p&w"));
            assert_eq!(settings.db(), 0);
        }
        assert_eq!(url.service, "the primary");
        let settings = url.primary.redis_settings();
        assert_eq!(settings.username(), Some("me"));
        assert_eq!(settings.password(), Some("ses@me"));
        assert_eq!(settings.db(), 3);
    }

    #[test]
    fn the_primary_s_password_is_not_for_sentinels() {
        let url = parsed("valkey-sentinel://me:sesame@one?sentinelServiceName=x");
        assert_eq!(url.sentinels[0].addr().to_string(), "one:26379");
        assert_eq!(url.sentinels[0].redis_settings().username(), None);
        assert_eq!(url.sentinels[0].redis_settings().password(), None);
    }

    #[test]
    #[cfg(feature = "tls")]
    fn with_tls_everybody_is_spoken_to_so() {
        let url = parsed("rediss-sentinel://one?node=two&sentinelServiceName=x");
        for info in url.sentinels.iter().chain([&url.primary]) {
            assert!(matches!(
                info.addr(),
                redis::ConnectionAddr::TcpTls {
                    insecure: false,
                    ..
                }
            ));
        }
    }

    #[test]
    fn other_urls_are_others() {
        for url in ["redis://one", "sentinel://one", "redis-sentinel:one", ""] {
            assert!(Url::of(url).is_none(), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_password() {
        let start = "redis-sentinel://me:sesame@one";
        let name = "sentinelServiceName=mymaster&sentinelPassword=sesame";
        for (url, why) in [
            (format!("{start}/0"), "add sentinelServiceName=NAME"),
            (
                format!("{start}?sentinelServiceName="),
                "add sentinelServiceName=NAME",
            ),
            (
                format!("{start}:1,two:2/0?{name}"),
                "a parameter node=HOST:PORT",
            ),
            (format!("{start}?{name}&sesame"), "there is another one"),
            (
                format!("{start}?{name}&node=:sesame@two"),
                "a parameter node is not",
            ),
            (
                format!("{start}?{name}&node=two:x"),
                "a parameter node is not",
            ),
            (format!("{start}/sesame?{name}"), "Invalid database number"),
            (format!("redis-sentinel://?{name}"), "hostname"),
        ] {
            let told = told(&url);
            assert!(told.contains(why), "{told}");
            assert!(told.contains("redis-sentinel://host1:26379/0"), "{told}");
        }
    }
}
