//! How this flavour does what is done meanwhile: as tasks of a runtime.

use std::future::Future;
use std::time::Duration;

use oneflight_store::StoreError;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::node::{Node, Runtime};
use crate::fault::{self, Place};
use crate::flavour::Flavour;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Tasks {
    runtime: Runtime,
}

/// Ends the task when it is dropped.
pub(super) struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Flavour for Tasks {
    type Server = Node;
    type Task = Task;

    const ENDED: &'static str = "the runtime that kept the connections has ended";

    fn server(&self, source: Source) -> Node {
        Node::new(source, self.runtime.clone())
    }

    fn spawn(
        &self,
        place: &Place,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Task, StoreError> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(fault::no_runtime(place));
        };
        self.runtime.choose(runtime.clone());
        Ok(Task(runtime.spawn(work).abort_handle()))
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
