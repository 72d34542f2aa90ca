//! The machine in plain threads that share nothing but channels: one owns it and keeps the time, one
//! calls the store, and the callers' own run the fills.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{thread, time::Duration};

use oneflight_core::{Instant, Policy};
use oneflight_embedding::{Desks, Job, Key, Landed, Letter, Line, OnDrop, clock, watcher};
use oneflight_store::{Bytes, Entry, Errand, MemoryStore, blocking::Store};

type Told = oneflight_embedding::Told<Sender<Letter>>;
type Good<'a> = &'a dyn Fn(&Entry) -> bool;
type Fill<'a> = &'a dyn Fn() -> Option<Bytes>;

/// One process, until `callers` is done and all is cleaned up after it.
pub(crate) fn serve<T>(store: &dyn Store, process: u64, callers: impl FnOnce(&Process) -> T) -> T {
    let (tell, told) = channel();
    thread::scope(|scope| {
        let watches = tell.clone();
        scope.spawn(move || machine(store, process, &told, &watches));
        let _close = OnDrop(|| drop(tell.send(Told::Close)));
        callers(&Process(tell.clone(), Line::default()))
    })
}

fn machine(store: &dyn Store, process: u64, told: &Receiver<Told>, tell: &Sender<Told>) {
    let (to_store, errands) = channel::<Errand<Key>>();
    let (mut desks, now) = (Desks::new(process), clock());
    thread::scope(|scope| {
        scope.spawn(move || {
            let news = errands
                .into_iter()
                .filter_map(|errand| errand.carry_out(store));
            news.for_each(|news| drop(tell.send(Told::News(news))));
        });
        while !desks.is_over() {
            let deadline = desks.deadline().unwrap_or(Instant::NEVER);
            let first = told.recv_timeout(deadline.since(now())).ok();
            for job in desks.tell(now(), first.into_iter().chain(told.try_iter())) {
                match job {
                    Job::Send(errand) => drop(to_store.send(errand)),
                    Job::Watch(flight, lock) => {
                        let tell = tell.clone();
                        let watcher = watcher(&flight, move |told| drop(tell.send(told)));
                        desks.watches(&flight, store.watch(flight.key.clone(), lock, watcher));
                    }
                    Job::Post(mailbox, letter) => drop(mailbox.send(letter)),
                }
            }
        }
        drop(to_store); // The store's thread sends what is left, and ends.
    });
}

/// The callers' end.
pub(crate) struct Process(Sender<Told>, Line);

impl Process {
    /// Waits for a value that is `good`, and runs `fill` on this thread if it has to.
    pub(crate) fn get(&self, key: &Key, policy: Policy, good: Good<'_>, fill: Fill<'_>) -> Landed {
        let (mailbox, mail) = channel();
        let board = |me| Told::Board(me, key.clone(), policy, mailbox);
        let me = self.1.next(|me| drop(self.0.send(board(me))));
        for letter in mail {
            let told = match letter {
                Letter::Judge(entry) => Told::Judged(key.clone(), me, good(&entry)),
                Letter::Fill(flight, attempt) => {
                    // A fill that panics has failed: its lease must not be renewed any longer.
                    let filled = catch_unwind(AssertUnwindSafe(fill));
                    Told::Filled(flight, attempt, filled.unwrap_or(None))
                }
                Letter::Land(landed) => return landed,
            };
            drop(self.0.send(told));
        }
        unreachable!("the machine's thread ends after its callers")
    }
}

fn main() {
    let (store, fills) = (MemoryStore::new(), AtomicU32::new(0));
    let fill = || {
        thread::sleep(Duration::from_millis(50));
        fills.fetch_add(1, Relaxed);
        Some(Bytes::from("42"))
    };
    serve(&store, 1, |process| {
        let call = || drop(process.get(&"report".into(), Policy::DEFAULT, &|_| true, &fill));
        thread::scope(|callers| (0..6).for_each(|_| drop(callers.spawn(call))));
    });
    println!("6 threads, {} fill", fills.into_inner());
}
