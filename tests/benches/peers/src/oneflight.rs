//! oneflight, as it comes: the store connects with the first call.

use std::time::Duration;

use oneflight_redis::RedisStore;
use oneflight_tokio::SingleFlight;

use crate::Result;
use crate::clock::now;
use crate::participant;

/// One participant.
pub(crate) async fn run(url: &str, lease: Duration) -> Result<()> {
    let flights = SingleFlight::new(RedisStore::open(url)?);
    let task = participant::start()?;
    let fill = task.fill.clone();
    let landing = flights
        .key(&task.key)
        .lease_ttl(lease)
        .run(|_| {
            let fill = fill.clone();
            async move { Ok::<_, String>(fill.run().await) }
        })
        .await;
    let at = now();
    let fill = task.fill;
    // The driver goes on being served while this waits.
    tokio::task::spawn_blocking(move || {
        let value = landing.map(|landing| (*landing.value).clone());
        fill.report(at, value).map_err(|error| error.to_string())
    })
    .await??;
    flights.close().await;
    Ok(())
}
