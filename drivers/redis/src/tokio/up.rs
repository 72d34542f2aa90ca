//! A connection that is there.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, select};
use oneflight_store::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;

use crate::fault::Place;
use crate::hub::Hub;
use crate::line::{self, Line};
use crate::pulse::Pulse;

/// Something the connection's task sees to its end.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
pub(crate) struct Up {
    pub(crate) number: u64,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) hub: Arc<Hub>,
    pub(crate) place: Place,
    pub(crate) jobs: mpsc::UnboundedSender<Job>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) lose: Arc<watch::Sender<Option<StoreError>>>,
    pub(crate) lost: watch::Receiver<Option<StoreError>>,
}

impl Up {
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// Until it is lost, and why.
    pub(crate) async fn lost(&self) -> StoreError {
        let mut lost = self.lost.clone();
        let error = lost.wait_for(Option::is_some).await;
        // INVARIANT: `self` holds the sender.
        let error = error.ok().and_then(|error| error.clone());
        error.unwrap_or_else(|| StoreError::unavailable("the connection is lost"))
    }
}

/// Queues a question on the connection, ahead of whatever is sent later, and has the task see to its end.
fn queue<T: Send + 'static>(
    jobs: &mpsc::UnboundedSender<Job>,
    question: impl Future<Output = T> + Send + 'static,
    answered: impl FnOnce(T) + Send + 'static,
) {
    // A task whose budget is spent would send nothing now, and the rest out of turn.
    let mut question = Box::pin(unconstrained(question));
    // A first look sends it; whoever waits for it looks again.
    let mut context = Context::from_waker(Waker::noop());
    let answer = question.as_mut().poll(&mut context);
    // Not here, even if the answer is there: this is called under the lock of the hub, which it may be for.
    let job: Job = Box::pin(async move {
        answered(match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => question.await,
        });
    });
    // Else the task is gone, and with it the connection.
    drop(jobs.send(job));
}

impl Line for Up {
    fn number(&self) -> u64 {
        self.number
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    fn lose(&self, error: StoreError) {
        self.lose.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert(error);
            is_first
        });
    }

    async fn send(&self, command: &Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        let question = self.pulse.ask();
        let mut connection = self.connection.clone();
        let answer = pin!(connection.send_packed_command(command));
        let answer = match select(answer, pin!(self.lost())).await {
            Either::Left((answer, _)) => answer.and_then(Value::extract_error),
            Either::Right((error, _)) => return Err(error),
        };
        question.answered();
        Ok(answer)
    }

    fn subscribe(&self, names: Vec<Arc<str>>) {
        let up = self.clone();
        let words = names.clone();
        let question = async move {
            let question = up.pulse.ask();
            let words: Vec<&str> = words.iter().map(|name| &**name).collect();
            let answer = up.connection.clone().subscribe(words).await;
            question.answered();
            answer
        };
        let up = self.clone();
        queue(&self.jobs, question, move |answer| {
            if let Err(error) = answer
                && !error.is_connection_dropped()
            {
                line::refused(&up, &names, &error);
            }
        });
    }

    fn unsubscribe(&self, names: Vec<Arc<str>>) {
        let up = self.clone();
        let question = async move {
            let question = up.pulse.ask();
            let words: Vec<&str> = names.iter().map(|name| &**name).collect();
            // What it says does not matter: nobody listens.
            drop(up.connection.clone().unsubscribe(words).await);
            question.answered();
        };
        queue(&self.jobs, question, |()| ());
    }

    fn ping(&self) {
        let up = self.clone();
        let question = async move { up.send(&redis::cmd("PING")).await };
        queue(&self.jobs, question, drop);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Whoever queues holds the lock of the hub, and what is refused is to be told there.
    #[tokio::test]
    async fn an_answer_that_is_there_at_once_is_heeded_later() {
        let (jobs, mut queued) = mpsc::unbounded_channel();
        let hub = Arc::new(Mutex::new(0));
        let held = hub.lock().unwrap();
        let told = Arc::clone(&hub);
        queue(&jobs, std::future::ready(7), move |answer| {
            *told.try_lock().unwrap() = answer;
        });
        drop(held);
        queued.recv().await.unwrap().await;
        assert_eq!(*hub.lock().unwrap(), 7);
    }
}
