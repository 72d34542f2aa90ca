//! How this flavour does what is done meanwhile: on a thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use oneflight_store::StoreError;

use super::bell::Bell;
use super::node::Node;
use super::timers::Timers;
use crate::fault::Place;
use crate::flavour::Flavour;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Threads {
    timers: Arc<Timers>,
}

/// Ends the thread when it is dropped.
pub(super) struct Task(Arc<Bell>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Flavour for Threads {
    type Server = Node;
    type Task = Task;

    const ENDED: &'static str = "the thread that asks who keeps what has ended";

    fn server(&self, source: Source) -> Node {
        Node::new(source)
    }

    fn spawn(
        &self,
        place: &Place,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Task, StoreError> {
        let bell = Arc::new(Bell::default());
        let (ring, timers) = (Arc::clone(&bell), Arc::clone(&self.timers));
        let spawned = thread::Builder::new()
            .name("oneflight-map".to_owned())
            .spawn(move || run(work, &ring, &timers));
        spawned.map(|_| Task(bell)).map_err(|error| {
            StoreError::unavailable(format_args!(
                "{place}: the thread that asks who keeps what did not start: {error}"
            ))
        })
    }

    async fn sleep(&self, time: Duration) {
        self.timers.sleep(time).await;
    }
}

/// Until the work is done, or all is over.
fn run(work: impl Future<Output = ()>, bell: &Arc<Bell>, timers: &Timers) {
    let waker = Waker::from(Arc::clone(bell));
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    while !bell.is_over() && work.as_mut().poll(&mut context).is_pending() {
        match timers.next() {
            Some(moment) => bell.wait_until(moment),
            None => bell.wait(),
        }
        timers.wake(Instant::now());
    }
}
