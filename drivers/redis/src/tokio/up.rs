//! A connection that is there.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

use futures_util::future::{Either, select};
use oneflight_store::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;

use super::pulse::Pulse;
use crate::call::Call;
use crate::fault::{self, About, Place};
use crate::hub::Hub;

/// Something the connection's task sees to its end.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
pub(crate) struct Up {
    pub(crate) number: u64,
    connection: MultiplexedConnection,
    jobs: mpsc::UnboundedSender<Job>,
    pub(crate) pulse: Arc<Pulse>,
    lose: Arc<watch::Sender<Option<StoreError>>>,
    lost: watch::Receiver<Option<StoreError>>,
}

/// Why there is no answer, and whether that is because the connection was lost.
pub(crate) struct Fault {
    pub(crate) error: StoreError,
    pub(crate) is_lost: bool,
}

impl Up {
    pub(crate) fn new(
        number: u64,
        connection: MultiplexedConnection,
        jobs: mpsc::UnboundedSender<Job>,
        pulse: Arc<Pulse>,
        lose: Arc<watch::Sender<Option<StoreError>>>,
        lost: watch::Receiver<Option<StoreError>>,
    ) -> Self {
        Self {
            number,
            connection,
            jobs,
            pulse,
            lose,
            lost,
        }
    }

    /// Ends all that is under way, if it has not ended.
    pub(crate) fn lose(&self, error: StoreError) {
        self.lose.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert(error);
            is_first
        });
    }

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

    async fn send(&self, command: &Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        let _question = self.pulse.ask();
        let mut connection = self.connection.clone();
        let answer = pin!(connection.send_packed_command(command));
        let answer = match select(answer, pin!(self.lost())).await {
            Either::Left((answer, _)) => answer.and_then(Value::extract_error),
            Either::Right((error, _)) => return Err(error),
        };
        self.pulse.beat();
        Ok(answer)
    }

    /// Makes a call.
    pub(crate) async fn ask<T>(&self, place: &Place, call: &Call<T>) -> Result<T, Fault> {
        let lost = |error| Fault {
            error,
            is_lost: true,
        };
        let mut answer = self.send(&call.by_digest()).await.map_err(lost)?;
        if answer.as_ref().is_err_and(fault::is_unknown_script) {
            answer = self.send(&call.in_full()).await.map_err(lost)?;
        }
        match answer {
            Ok(value) => call.read(place, value).map_err(|error| Fault {
                error,
                is_lost: false,
            }),
            Err(error) => {
                let about = About {
                    key: &call.key,
                    places: call.places(),
                };
                let fault = Fault {
                    error: fault::of_call(place, &error, about),
                    is_lost: error.is_connection_dropped(),
                };
                // Another connection may lead to the new primary.
                if fault.is_lost || fault::is_read_only(&error) {
                    self.lose(fault.error.clone());
                }
                Err(fault)
            }
        }
    }

    /// Any other command.
    pub(crate) async fn query(&self, place: &Place, command: &Cmd) -> Result<Value, StoreError> {
        let answer = self.send(command).await?;
        answer.map_err(|error| fault::of_connection(place, &error))
    }

    /// Queues it on the connection, ahead of whatever is sent later, and has the task see to its end.
    fn queue(&self, job: impl Future<Output = ()> + Send + 'static) {
        // A task whose budget is spent would send nothing now, and the rest out of turn.
        let mut job: Job = Box::pin(unconstrained(job));
        // A first look sends it; whoever waits for it looks again.
        let mut context = Context::from_waker(Waker::noop());
        if job.as_mut().poll(&mut context).is_pending() {
            // Else the task is gone, and with it the connection.
            drop(self.jobs.send(job));
        }
    }

    /// Subscribes to these channels, with one command.
    pub(crate) fn subscribe(&self, names: Vec<Arc<str>>, hub: &Arc<Hub>, place: &Place) {
        let (up, hub, place) = (self.clone(), Arc::clone(hub), place.clone());
        self.queue(async move {
            let _question = up.pulse.ask();
            let words: Vec<&str> = names.iter().map(|name| &**name).collect();
            let mut connection = up.connection.clone();
            if let Err(error) = connection.subscribe(words).await
                && !error.is_connection_dropped()
            {
                let error = fault::of_connection(&place, &error);
                hub.refused(up.number, &names, &error);
            }
        });
    }

    pub(crate) fn unsubscribe(&self, names: Vec<Arc<str>>) {
        let up = self.clone();
        self.queue(async move {
            let _question = up.pulse.ask();
            let words: Vec<&str> = names.iter().map(|name| &**name).collect();
            // What it says does not matter: nobody listens.
            drop(up.connection.clone().unsubscribe(words).await);
        });
    }

    /// Asks whether somebody is there.
    pub(crate) fn ping(&self) {
        let up = self.clone();
        self.queue(async move {
            drop(up.send(&redis::cmd("PING")).await);
        });
    }
}
