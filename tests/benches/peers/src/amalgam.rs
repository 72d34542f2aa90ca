//! amalgam-cache, put together as in its own example for Redis: values, locks and backplane.

use std::sync::Arc;
use std::time::Duration;

use ::amalgam::provider::{
    JsonSerializer, RedisBackplane, RedisDistributedCache, RedisDistributedLocker,
};
use ::amalgam::{Cache, FactoryError};

use crate::Result;
use crate::clock::now;
use crate::participant;

/// One participant. `strict` is the profile whose writes are fenced by the lease.
pub(crate) async fn run(url: &str, lease: Duration, strict: bool) -> Result<()> {
    let mut builder = Cache::<String>::builder()
        .distributed(Arc::new(RedisDistributedCache::connect(url).await?))
        .serializer(Arc::new(JsonSerializer))
        .backplane(Arc::new(RedisBackplane::connect(url).await?))
        .distributed_locker(Arc::new(RedisDistributedLocker::connect(url).await?))
        .lease_ttl(lease);
    if strict {
        builder = builder.strict();
    }
    let cache = builder.try_build_ready().await?;
    // The backplane's connection goes on being served while this waits.
    let task =
        tokio::task::spawn_blocking(|| participant::start().map_err(|error| error.to_string()))
            .await??;
    let fill = task.fill.clone();
    let value = cache
        .get_or_set(task.key.as_str(), |_| async move {
            Ok::<_, FactoryError>(fill.run().await)
        })
        .await;
    let at = now();
    let fill = task.fill;
    tokio::task::spawn_blocking(move || fill.report(at, value).map_err(|error| error.to_string()))
        .await??;
    cache.shutdown().await?;
    Ok(())
}
