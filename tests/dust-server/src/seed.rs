//! Who is in the fleet besides us: a client that flies as those do which Dust's Elixir and TypeScript SDKs
//! bring along, with all that is wrong with that.
//!
//! It asks for the lease, and whoever gets it fills, without another look whether somebody else just did;
//! the others wait for an event of the key or a release of its lock, at most as long as a lease lives,
//! and try again after a pause of up to 250 ms. The fill is published under the fence of its lease, as JSON
//! text in a string, and the release is waited for. Renewals, every third of a lease, end at the first
//! that fails. Without a connection everybody fills for themselves.
//!
//! Left out are freshness (a value that is there is taken) and the copy's optimism (the SDKs show a write
//! to its own process before it is committed).

mod connection;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use connection::Connection;

const BACKOFF: std::ops::RangeInclusive<u64> = 1..=250;

/// A client, on the runtime on which it connects. Dropped it is gone as if its process had died: what it
/// held lapses.
#[derive(Debug)]
pub struct Seed {
    connection: Connection,
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedLease {
    lock: String,
    token: u64,
}

impl SeedLease {
    /// Of the fence.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedSource {
    /// It was in the copy.
    Cached,
    /// The caller's own fill.
    Computed,
    /// Its own fill, without a lease.
    Uncoordinated,
    /// Somebody else's.
    Awaited,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedError {
    /// There is no connection, or it broke before the answer.
    Unavailable,
    /// The server says no: `held`, `fenced`…
    Refused(String),
    /// The fill says no.
    Aborted(String),
    /// Nobody was quick enough.
    TimedOut,
}

/// How long a flight may take.
#[derive(Clone, Copy, Debug)]
pub struct SeedPolicy {
    /// How long a lease lives that is not renewed: 30 s.
    pub lease_ttl: Duration,
    /// How long a caller waits for others: `lease_ttl` and 5 s.
    pub wait_timeout: Duration,
}

impl Default for SeedPolicy {
    fn default() -> Self {
        Self::new(Duration::from_secs(30))
    }
}

impl SeedPolicy {
    /// With leases of so long.
    #[must_use]
    pub fn new(lease_ttl: Duration) -> Self {
        Self {
            lease_ttl,
            wait_timeout: lease_ttl + Duration::from_secs(5),
        }
    }
}

impl Seed {
    /// Connects, joins `ORG/NAME`, and returns when it has caught up. It connects again whenever its
    /// connection breaks.
    ///
    /// # Panics
    ///
    /// If it does not get that far.
    pub async fn connect(url: &str, token: &str, device: &str, store: &str) -> Self {
        let url = format!("{url}?token={token}&device_id={device}&capver=3&vsn=2.0.0");
        Self {
            connection: Connection::open(url, device, store).await,
        }
    }

    /// The value of a key, as it stands in the copy.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value> {
        let value = self.connection.copy().get(key)?;
        serde_json::from_str(value.as_str()?).ok()
    }

    /// Gets the value of `key`, from others or with `fill`, which gives a value or a reason to have none.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn single_flight<F>(
        &self,
        key: &str,
        policy: SeedPolicy,
        fill: F,
    ) -> Result<(Value, SeedSource), SeedError>
    where
        F: AsyncFnOnce(Option<SeedLease>) -> Result<Value, String>,
    {
        if let Some(value) = self.value(key) {
            return Ok((value, SeedSource::Cached));
        }
        let lock = format!("_dust:sf/{key}");
        let deadline = Instant::now() + policy.wait_timeout;
        loop {
            match self.lease(&lock, policy.lease_ttl).await {
                Ok(lease) => return self.fly(key, lease, policy, fill).await,
                Err(SeedError::Unavailable) => return self.alone(key, fill).await,
                Err(SeedError::Refused(reason)) if reason == "held" => {}
                Err(error) => return Err(error),
            }
            if let Some(value) = self.wait(key, &lock, policy, deadline).await {
                return Ok((value, SeedSource::Awaited));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SeedError::TimedOut);
            }
            let backoff = Duration::from_millis(fastrand::u64(BACKOFF));
            tokio::time::sleep(backoff.min(left)).await;
        }
    }

    /// With the lease.
    async fn fly<F>(
        &self,
        key: &str,
        lease: SeedLease,
        policy: SeedPolicy,
        fill: F,
    ) -> Result<(Value, SeedSource), SeedError>
    where
        F: AsyncFnOnce(Option<SeedLease>) -> Result<Value, String>,
    {
        let heart = self.beat(lease.clone(), policy.lease_ttl);
        let filled = fill(Some(lease.clone())).await;
        drop(heart);
        let published = match filled {
            Ok(value) => {
                let published = self.put(key, &value, Some(&lease)).await;
                published.map(|()| (value, SeedSource::Computed))
            }
            Err(reason) => Err(SeedError::Aborted(reason)),
        };
        if published != Err(SeedError::Refused("fenced".to_owned())) {
            // Whatever comes of it: the lease lapses.
            self.release(&lease).await.ok();
        }
        published
    }

    /// Without a server.
    async fn alone<F>(&self, key: &str, fill: F) -> Result<(Value, SeedSource), SeedError>
    where
        F: AsyncFnOnce(Option<SeedLease>) -> Result<Value, String>,
    {
        let value = fill(None).await.map_err(SeedError::Aborted)?;
        // If it comes to the others, so much the better.
        self.put(key, &value, None).await.ok();
        Ok((value, SeedSource::Uncoordinated))
    }

    /// For somebody else's value. Nothing if it is time to ask for the lease again.
    async fn wait(
        &self,
        key: &str,
        lock: &str,
        policy: SeedPolicy,
        deadline: Instant,
    ) -> Option<Value> {
        let mut events = self.connection.events();
        let until = deadline.min(Instant::now() + policy.lease_ttl);
        loop {
            if let Some(value) = self.value(key) {
                return Some(value);
            }
            loop {
                let event = tokio::time::timeout_at(until, events.recv()).await.ok()?;
                match event {
                    Ok(event) if event.path == lock && event.op == "release" => return None,
                    Ok(event) if event.path != key => {}
                    // If some were missed the key may be among them.
                    _ => break,
                }
            }
        }
    }

    /// Renews until it is dropped or until one renewal fails.
    fn beat(&self, lease: SeedLease, ttl: Duration) -> Heart {
        let connection = self.connection.handle();
        Heart(tokio::spawn(async move {
            let every = (ttl / 3).max(Duration::from_millis(1));
            let renew = json!({"op": "renew", "token": lease.token, "ttl_ms": milliseconds(ttl)});
            loop {
                tokio::time::sleep(every).await;
                if connection.write(&lease.lock, renew.clone()).await.is_err() {
                    return;
                }
            }
        }))
    }

    /// Asks for the lease of a lock.
    ///
    /// # Errors
    ///
    /// If it is not granted.
    pub async fn lease(&self, lock: &str, ttl: Duration) -> Result<SeedLease, SeedError> {
        let lease = json!({"op": "lease", "ttl_ms": milliseconds(ttl), "value": null});
        let granted = self.connection.handle().write(lock, lease).await?;
        Ok(SeedLease {
            lock: lock.to_owned(),
            token: granted["token"].as_u64().ok_or(SeedError::Unavailable)?,
        })
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// If nobody answers.
    pub async fn release(&self, lease: &SeedLease) -> Result<(), SeedError> {
        let release = json!({"op": "release", "token": lease.token, "value": null});
        self.connection.handle().write(&lease.lock, release).await?;
        Ok(())
    }

    /// Publishes a value.
    ///
    /// # Errors
    ///
    /// If it is not committed, for all that is known.
    pub async fn put(
        &self,
        key: &str,
        value: &Value,
        fence: Option<&SeedLease>,
    ) -> Result<(), SeedError> {
        let mut set = json!({"op": "set", "value": value.to_string()});
        if let Some(lease) = fence {
            set["fence"] = json!({"key": lease.lock, "token": lease.token});
        }
        self.connection.handle().write(key, set).await?;
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// It beats until it is dropped.
struct Heart(JoinHandle<()>);

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}
