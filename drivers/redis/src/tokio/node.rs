//! One server, and the task that keeps the connection to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use oneflight_store::{ChangeListener, StoreError, Subscription, Watcher};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::link::{Kept, Link, Phase, keep};
use super::up::Up;
use crate::cluster::Member;
use crate::fault::{self, Place};
use crate::flavour::Server;
use crate::hub::Hub;
use crate::layout::Channels;
use crate::line::Way;
use crate::source::Source;

/// On which runtime tasks are started: on the current one, unless one was chosen.
#[derive(Clone, Default)]
pub(super) struct Runtime(Arc<Mutex<Option<Handle>>>);

impl Runtime {
    pub(super) fn choose(&self, runtime: Handle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
    }

    fn get(&self) -> Option<Handle> {
        let chosen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.clone().or_else(|| Handle::try_current().ok())
    }
}

pub(super) struct Node {
    link: Arc<Link>,
    runtime: Runtime,
    /// Ends the task.
    task: Mutex<Option<AbortHandle>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

impl Node {
    pub(super) fn new(source: Source, runtime: Runtime) -> Self {
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        let channels = Channels::new(source.database());
        let link = Link {
            hub: Arc::new(Hub::new(channels, move || ring.notify_one())),
            place: source.place(),
            source,
            bell,
            phase: watch::Sender::new(Phase::default()),
            waiting: AtomicUsize::new(0),
        };
        Self {
            link: Arc::new(link),
            runtime,
            task: Mutex::new(None),
        }
    }
}

impl Server for Node {
    fn place(&self) -> &Place {
        &self.link.place
    }

    fn is_connected(&self) -> bool {
        self.link.phase.borrow().connection().is_some()
    }
}

impl Member for Node {
    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let watch = self.link.hub.watch(key, lock, watcher);
        // Else it begins with the first call that can.
        drop(self.start());
        watch
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.link.hub.listen(listener);
        drop(self.start());
        changes
    }

    fn unsure(&self) {
        self.link.hub.all_unknown();
    }
}

/// A call that waits for a connection.
struct Waiting<'a>(&'a Link);

impl<'a> Waiting<'a> {
    fn new(link: &'a Link) -> Self {
        link.waiting.fetch_add(1, Ordering::SeqCst);
        link.bell.notify_one();
        Self(link)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node {
    /// Starts the task, unless there is one.
    fn start(&self) -> Result<(), StoreError> {
        if self.link.phase.borrow().is_kept {
            return Ok(());
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if self.link.phase.borrow().is_kept {
            return Ok(());
        }
        let Some(runtime) = self.runtime.get() else {
            return Err(fault::no_runtime(&self.link.place));
        };
        self.link.phase.send_modify(|phase| phase.is_kept = true);
        *task = Some(
            runtime
                .spawn(keep(Kept(Arc::clone(&self.link))))
                .abort_handle(),
        );
        Ok(())
    }
}

impl Way for Node {
    type Line = Up;

    fn hub(&self) -> &Hub {
        &self.link.hub
    }

    async fn line(&self) -> Result<Up, StoreError> {
        self.start()?;
        let mut phases = self.link.phase.subscribe();
        let before = phases.borrow_and_update().failed;
        let _waiting = match phases.borrow().connection() {
            Some(up) => return Ok(up.clone()),
            None => Waiting::new(&self.link),
        };
        let phase = phases
            .wait_for(|phase| phase.connection().is_some() || phase.failed > before)
            .await;
        // INVARIANT: `self` holds the sender.
        let gone = || StoreError::unavailable("the store is closed");
        let phase = phase.map_err(|_| gone())?;
        match phase.connection() {
            Some(up) => Ok(up.clone()),
            None => Err(phase.error.clone().unwrap_or_else(gone)),
        }
    }
}
