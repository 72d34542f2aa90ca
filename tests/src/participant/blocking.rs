//! A participant with the blocking driver: a thread for each call.

use std::thread;

use futures_util::FutureExt as _;
use oneflight_blocking::{Recorder, SingleFlight};

use super::role::{fill, forgotten, landed, looked, open, orders, own, prepared, report, rest};
use super::words::{Deed, Driver, Event, Landed, Order};

pub(super) fn run(url: &str, recorder: Option<Recorder>) {
    let before = own();
    let mut builder = SingleFlight::builder(open(Driver::Blocking, url));
    if let Some(recorder) = recorder {
        builder = builder.recorder(recorder);
    }
    let flights = builder.build();
    report(0, "", Event::Ready);
    let mut calls = Vec::new();
    for order in orders() {
        let flights = flights.clone();
        calls.push(thread::spawn(move || carry_out(&flights, &order)));
        calls.retain(|call| !call.is_finished());
    }
    for call in calls {
        // Those that panicked are errors here.
        call.join().ok();
    }
    flights.close();
    drop(flights);
    rest(&before, thread::sleep);
}

/// Reports that a call has panicked, unless it has landed.
struct Panicking<'a>(Option<&'a Order>);

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        if let Some(order) = self.0 {
            let landed = Landed::just("panicked");
            report(order.id, &order.key, Event::Landed(landed));
        }
    }
}

fn carry_out(flights: &SingleFlight, order: &Order) {
    let mut panicking = Panicking(Some(order));
    let (id, key) = (order.id, order.key.as_str());
    let how = match &order.deed {
        Deed::Call(call) => {
            let run = prepared!(flights, key, call);
            landed(run.run(|lease| {
                let pause = async |time| thread::sleep(time);
                let filled = fill(id, key, call, lease.token(), pause).now_or_never();
                // INVARIANT: this pause sleeps in place.
                filled.unwrap()
            }))
        }
        Deed::Get => looked(flights.key(key).get::<String>()),
        Deed::Forget => forgotten(flights.key(key).forget()),
        Deed::Leave => {
            panicking.0 = None;
            return;
        }
    };
    panicking.0 = None;
    report(id, key, Event::Landed(how));
}
