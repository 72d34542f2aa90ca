//! A participant with the tokio driver.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use oneflight_tokio::{Recorder, SingleFlight};
use tokio::runtime::Builder;
use tokio::task::{AbortHandle, JoinSet};

use super::role::{fill, forgotten, landed, looked, open, orders, own, prepared, report, rest};
use super::words::{Deed, Driver, Event, Landed, Order};

pub(super) fn run(url: &str, recorder: Option<Recorder>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let before = own();
    runtime.block_on(async {
        let mut builder = SingleFlight::builder(open(Driver::Tokio, url));
        if let Some(recorder) = recorder {
            builder = builder.recorder(recorder);
        }
        let flights = builder.build();
        report(0, "", Event::Ready);
        serve(&flights).await;
        flights.close().await;
    });
    // What they still have to do, they do on their runtime.
    rest(&before, |pause| {
        runtime.block_on(async { tokio::time::sleep(pause).await });
    });
}

async fn serve(flights: &SingleFlight) {
    let (sender, mut orders_read) = tokio::sync::mpsc::unbounded_channel();
    let reader = std::thread::spawn(move || {
        // Nobody is told once nobody listens.
        for order in orders() {
            drop(sender.send(order));
        }
    });
    let mut calls = JoinSet::new();
    let mut leaving: HashMap<u64, AbortHandle> = HashMap::new();
    while let Some(order) = orders_read.recv().await {
        let id = order.id;
        if let Deed::Leave = order.deed {
            if let Some(call) = leaving.remove(&id) {
                call.abort();
            }
            continue;
        }
        let order = Arc::new(order);
        let leaving_it = Leaving(Some(Arc::clone(&order)));
        let call = calls.spawn(carry_out(flights.clone(), order, leaving_it));
        // A handle keeps what its task has taken up.
        leaving.retain(|_, call| !call.is_finished());
        leaving.insert(id, call);
        while calls.try_join_next().is_some() {}
    }
    // Those that panicked or were given up are errors here.
    while calls.join_next().await.is_some() {}
    reader.join().unwrap();
}

/// Reports that a call was given up, or has panicked, unless it has landed.
struct Leaving(Option<Arc<Order>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(order) = self.0.take() {
            let how = match std::thread::panicking() {
                true => "panicked",
                false => "left",
            };
            report(order.id, &order.key, Event::Landed(Landed::just(how)));
        }
    }
}

/// What it is given is dropped with it, even if it never begins.
async fn carry_out(flights: SingleFlight, order: Arc<Order>, mut leaving: Leaving) {
    let (id, key) = (order.id, order.key.as_str());
    let how = match &order.deed {
        Deed::Call(call) => {
            let pause = async |time: Duration| tokio::time::sleep(time).await;
            let prepared = prepared!(flights, key, call);
            landed(
                prepared
                    .run(|lease| fill(id, key, call, lease.token(), pause))
                    .await,
            )
        }
        Deed::Get => looked(flights.key(key).get::<String>().await),
        Deed::Forget => forgotten(flights.key(key).forget().await),
        Deed::Leave => return,
    };
    leaving.0 = None;
    report(id, key, Event::Landed(how));
}
