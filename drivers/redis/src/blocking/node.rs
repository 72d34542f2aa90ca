//! One server, and the threads that keep the connection to it.

use std::sync::{Arc, Mutex};

use oneflight_store::{ChangeListener, StoreError, Subscription, Watcher};

use super::bell::Bell;
use super::link::{Link, Phase};
use super::up::Up;
use crate::cluster::Member;
use crate::fault::Place;
use crate::flavour::Server;
use crate::hub::Hub;
use crate::layout::Channels;
use crate::line::Way;
use crate::source::Source;

pub(super) struct Node {
    link: Arc<Link>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl Node {
    pub(super) fn new(source: Source) -> Self {
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        let channels = Channels::new(source.database());
        let link = Link {
            hub: Arc::new(Hub::new(channels, move || ring.ring())),
            place: source.place(),
            source,
            bell,
            phase: Mutex::new(Phase::default()),
        };
        Self {
            link: Arc::new(link),
        }
    }
}

impl Server for Node {
    fn place(&self) -> &Place {
        &self.link.place
    }

    fn is_connected(&self) -> bool {
        self.link.is_connected()
    }
}

impl Member for Node {
    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let watch = self.link.hub.watch(key, lock, watcher);
        // Else it begins with the first call that can.
        drop(self.link.start());
        watch
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.link.hub.listen(listener);
        drop(self.link.start());
        changes
    }

    fn unsure(&self) {
        self.link.hub.all_unknown();
    }
}

impl Way for Node {
    type Line = Up;

    fn hub(&self) -> &Hub {
        &self.link.hub
    }

    async fn line(&self) -> Result<Up, StoreError> {
        self.link.line().await
    }
}
