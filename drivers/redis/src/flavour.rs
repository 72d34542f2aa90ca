//! What each flavour does in its own way.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use oneflight_store::StoreError;

use crate::cluster::Member;
use crate::fault::Place;
use crate::line::Way;
use crate::source::Source;

/// Keeps connections, and does what is to be done meanwhile.
pub(crate) trait Flavour: Send + Sync + 'static {
    type Server: Server;

    /// What is done meanwhile; it ends when this is dropped.
    type Task: Send;

    /// Why nobody does it any more.
    const ENDED: &'static str;

    /// Prepares to connect.
    fn server(&self, source: Source) -> Self::Server;

    /// Begins to do this.
    fn spawn(
        &self,
        place: &Place,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self::Task, StoreError>;

    /// For what has been spawned.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// One server, and the connection to it.
pub(crate) trait Server: Member + Way {
    fn place(&self) -> &Place;

    fn is_connected(&self) -> bool;

    /// Whether somebody listens, and nothing can be heard.
    fn is_unheard(&self) -> bool {
        !self.is_connected() && self.hub().has_subscribers()
    }
}

/// What comes of this; `None` if this moment comes first.
pub(crate) async fn before<T>(
    moment: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(work), pin!(moment)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(((), _)) => None,
    }
}
