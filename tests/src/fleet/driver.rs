//! The drivers, as the scenarios need them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{Revision, Store, StoreError, Token};
use oneflight_tokio::{Error, Landing};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Ground, LONG};

/// How a call in a scenario ends.
pub type Landed = Result<Landing<String>, Error<String, String>>;

/// What a call wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The key.
    pub key: String,
    /// How long its lease lives.
    pub lease_ttl: Duration,
    /// How long it waits for others.
    pub wait_timeout: Duration,
    /// How long the store may take to answer.
    pub store_timeout: Duration,
}

impl Wish {
    /// For a key, with all the time in the world; but a store that does not answer for 5 s is gone.
    #[must_use]
    pub fn of(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            lease_ttl: LONG,
            wait_timeout: LONG,
            store_timeout: Duration::from_secs(5),
        }
    }
}

/// A driver over a store, which stands for a process.
pub trait Driver: Clone + Send + Sync + 'static {
    /// Over this store, with this many local copies.
    fn over(store: Arc<dyn Store>, copies: usize) -> Self;

    /// Opens the store as a process with this driver does.
    fn open(ground: &impl Ground) -> Arc<dyn Store>;

    /// Begins a call in a task or a thread of its own. The fill is given its token.
    fn call<F>(
        &self,
        wish: Wish,
        fill: impl FnMut(Token) -> F + Send + 'static,
    ) -> JoinHandle<Landed>
    where
        F: Future<Output = Result<String, String>> + Send;

    /// Forgets a key.
    fn forget(
        &self,
        key: &'static str,
    ) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Gives back what is still held.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The async driver.
#[derive(Clone, Debug)]
pub struct Tokio(oneflight_tokio::SingleFlight);

impl Driver for Tokio {
    fn over(store: Arc<dyn Store>, copies: usize) -> Self {
        let builder = oneflight_tokio::SingleFlight::builder(store);
        Self(builder.local_copies(copies).build())
    }

    fn open(ground: &impl Ground) -> Arc<dyn Store> {
        ground.open()
    }

    fn call<F>(
        &self,
        wish: Wish,
        mut fill: impl FnMut(Token) -> F + Send + 'static,
    ) -> JoinHandle<Landed>
    where
        F: Future<Output = Result<String, String>> + Send,
    {
        let flights = self.0.clone();
        tokio::spawn(async move {
            let call = flights.key(&wish.key).lease_ttl(wish.lease_ttl);
            let call = call
                .wait_timeout(wish.wait_timeout)
                .store_timeout(wish.store_timeout);
            call.run(|lease| fill(lease.token().unwrap())).await
        })
    }

    async fn forget(&self, key: &'static str) -> Result<Revision, StoreError> {
        self.0.key(key).forget().await
    }

    async fn close(self) {
        self.0.close().await;
    }
}

/// The driver for threads: each call has one.
#[derive(Clone, Debug)]
pub struct Threads(oneflight_blocking::SingleFlight);

impl Driver for Threads {
    fn over(store: Arc<dyn Store>, copies: usize) -> Self {
        let builder = oneflight_blocking::SingleFlight::builder(store);
        Self(builder.local_copies(copies).build())
    }

    fn open(ground: &impl Ground) -> Arc<dyn Store> {
        ground.open_for_threads()
    }

    fn call<F>(
        &self,
        wish: Wish,
        mut fill: impl FnMut(Token) -> F + Send + 'static,
    ) -> JoinHandle<Landed>
    where
        F: Future<Output = Result<String, String>> + Send,
    {
        let flights = self.0.clone();
        let scenario = Handle::current();
        spawn_blocking(move || {
            let call = flights.key(&wish.key).lease_ttl(wish.lease_ttl);
            let call = call
                .wait_timeout(wish.wait_timeout)
                .store_timeout(wish.store_timeout);
            call.run(|lease| scenario.block_on(fill(lease.token().unwrap())))
        })
    }

    async fn forget(&self, key: &'static str) -> Result<Revision, StoreError> {
        let flights = self.0.clone();
        let forget = spawn_blocking(move || flights.key(key).forget());
        forget.await.unwrap()
    }

    async fn close(self) {
        let close = spawn_blocking(move || self.0.close());
        close.await.unwrap();
    }
}
