//! What a store is on, and how it is asked.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyStatus, Pending, StoreError, Subscription, Watcher,
};

use crate::call::{self, Call};
use crate::cluster::{Cluster, Member as _, Seeds};
use crate::fault::Place;
use crate::flavour::{Flavour, Server as _};
use crate::layout::Channels;
use crate::line::{self, Way as _};
use crate::list::List;
use crate::source::Source;

/// All clones are one.
pub(crate) enum Home<F: Flavour> {
    Server(Arc<F::Server>),
    Cluster(Arc<Cluster<F>>),
}

impl<F: Flavour> Clone for Home<F> {
    fn clone(&self) -> Self {
        match self {
            Self::Server(server) => Self::Server(Arc::clone(server)),
            Self::Cluster(cluster) => Self::Cluster(Arc::clone(cluster)),
        }
    }
}

impl<F: Flavour> Home<F> {
    /// What a URL says.
    pub(crate) fn open(url: &str, flavour: F) -> Result<Self, StoreError> {
        match Seeds::of_url(url) {
            Some(seeds) => Ok(Self::across(seeds?, flavour)),
            None => Ok(Self::on(Source::open(url)?, &flavour)),
        }
    }

    pub(crate) fn on(source: Source, flavour: &F) -> Self {
        Self::Server(Arc::new(flavour.server(source)))
    }

    pub(crate) fn across(seeds: Seeds, flavour: F) -> Self {
        Self::Cluster(Arc::new(Cluster::new(seeds, flavour)))
    }

    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Server(server) => server.place(),
            Self::Cluster(cluster) => cluster.place(),
        }
    }

    pub(crate) fn channels(&self) -> &Channels {
        match self {
            Self::Server(server) => &server.hub().channels,
            Self::Cluster(cluster) => cluster.channels(),
        }
    }

    pub(crate) fn call<T: Send + 'static>(&self, call: Call<T>) -> Pending<T> {
        match self.clone() {
            Self::Server(server) => Box::pin(async move {
                let answer = line::ask(&*server, &call).await;
                answer.map_err(|fault| fault.error)
            }),
            Self::Cluster(cluster) => Box::pin(async move { cluster.ask(&call).await }),
        }
    }

    /// The same, of a call that carries a value.
    pub(crate) fn checked<T: Send + 'static>(&self, value: &Bytes, call: Call<T>) -> Pending<T> {
        match call::within_limit(self.place(), value) {
            Ok(()) => self.call(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    pub(crate) fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        match self.clone() {
            Self::Server(server) => Box::pin(async move {
                let claim = line::claim(&*server, &request, &AtomicBool::new(false)).await;
                claim.map_err(|fault| fault.error)
            }),
            Self::Cluster(cluster) => Box::pin(async move { cluster.claim(&request).await }),
        }
    }

    pub(crate) fn list(&self) -> Pending<Vec<KeyStatus>> {
        match self.clone() {
            Self::Server(server) => Box::pin(async move {
                let mut list = List::default();
                line::list(&*server, &mut list).await?;
                Ok(list.into_lines())
            }),
            Self::Cluster(cluster) => Box::pin(async move { cluster.list().await }),
        }
    }

    pub(crate) fn watch(
        &self,
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    ) -> Subscription {
        match self {
            Self::Server(server) => server.watch(key, lock, watcher),
            Self::Cluster(cluster) => cluster.watch(key, lock, watcher),
        }
    }

    pub(crate) fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        match self {
            Self::Server(server) => server.listen(listener),
            Self::Cluster(cluster) => cluster.listen(listener),
        }
    }
}
