//! Fleets on a Dust server: what they do, and how fast. Everything here is for tests: what cannot go on
//! fails.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "all of this is for tests"
)]

pub mod figures;
pub mod mixed;

use std::sync::Arc;
use std::time::Duration;

use oneflight_dust::{Address, DustStore};
use oneflight_test_dust::{DustServer, STORE, TOKEN};
use oneflight_tokio::SingleFlight;

/// Where a fleet meets: a store, and a path in it that nobody else uses.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// The store.
    pub address: Address,
    /// What opens it.
    token: String,
    /// What all keys begin with.
    pub prefix: String,
    /// The stand-in, and how far its clients' mirrors are behind, at most.
    behind: Option<(Arc<DustServer>, Duration)>,
}

impl Meeting {
    /// On the server that `DUST_URL` and `DUST_TOKEN` name; nothing if they do not.
    ///
    /// # Errors
    ///
    /// What is wrong with `DUST_URL`.
    pub fn live() -> Result<Option<Self>, String> {
        let (Ok(url), Ok(token)) = (std::env::var("DUST_URL"), std::env::var("DUST_TOKEN")) else {
            return Ok(None);
        };
        let address = url.parse().map_err(|bad| format!("DUST_URL: {bad}"))?;
        let prefix = format!("oneflight-live/{:016x}", fastrand::u64(..));
        Ok(Some(Self {
            address,
            token,
            prefix,
            behind: None,
        }))
    }

    /// On the stand-in, with mirrors that are up to so far behind.
    #[must_use]
    pub fn stand_in(server: &Arc<DustServer>, behind: Duration) -> Self {
        let address = format!("dust+ws://{}/{STORE}", server.address());
        Self {
            address: address.parse().unwrap(),
            token: TOKEN.to_owned(),
            prefix: "live".to_owned(),
            behind: Some((Arc::clone(server), behind)),
        }
    }

    /// For a process that was started for this meeting.
    #[must_use]
    pub fn joined(url: &str, prefix: &str) -> Self {
        Self {
            address: url.parse().unwrap(),
            token: std::env::var("DUST_TOKEN").unwrap_or_default(),
            prefix: prefix.to_owned(),
            behind: None,
        }
    }

    /// One more client.
    #[must_use]
    pub fn open(&self) -> DustStore {
        let builder = DustStore::builder(self.address.clone(), &self.token);
        let store = builder.mirror(&self.prefix).build();
        if let Some((server, behind)) = &self.behind {
            server.delay_events(store.device(), behind.mul_f64(fastrand::f64()));
        }
        store
    }

    /// One more process, as it were.
    #[must_use]
    pub fn process(&self) -> SingleFlight {
        SingleFlight::builder(self.open()).local_copies(0).build()
    }

    /// A key that only this fleet uses.
    #[must_use]
    pub fn key(&self, name: impl std::fmt::Display) -> String {
        format!("{}/{name}", self.prefix)
    }
}
