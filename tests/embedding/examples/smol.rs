//! The machine in smol: one task owns it, keeps the time and waits for the store's answers; the callers
//! are tasks of their own, and a call that is dropped leaves.

use std::{cell::Cell, iter, time::Duration};

use oneflight_core::{Instant, Policy};
use oneflight_embedding::{Desks, Job, Key, Landed, Letter, Line, OnDrop, clock, watcher};
use oneflight_store::{Bytes, Entry, MemoryStore, Store};
use smol::channel::{Receiver, Sender, unbounded};
use smol::{LocalExecutor, Timer, future};

type Told = oneflight_embedding::Told<Sender<Letter>>;

/// One process: the machine beside `callers`, until all is cleaned up after them.
pub(crate) async fn serve(store: impl Store, process: u64, callers: impl AsyncFnOnce(&Process)) {
    let (tell, told) = unbounded();
    let callers = async {
        let _close = OnDrop(|| drop(tell.try_send(Told::Close)));
        callers(&Process(tell.clone(), Line::default())).await;
    };
    future::zip(machine(&store, process, told, tell.clone()), callers).await;
}

async fn machine(store: &impl Store, process: u64, told: Receiver<Told>, tell: Sender<Told>) {
    let (mut desks, now) = (Desks::new(process), clock());
    let requests = LocalExecutor::new();
    while !desks.is_over() {
        let deadline = desks.deadline().unwrap_or(Instant::NEVER);
        let late = async {
            Timer::after(deadline.since(now())).await;
            None
        };
        let first = async { told.recv().await.ok() };
        let first = requests.run(future::or(first, late)).await;
        let others = iter::from_fn(|| told.try_recv().ok());
        for job in desks.tell(now(), first.into_iter().chain(others)) {
            let tell = tell.clone();
            match job {
                Job::Send(errand) => {
                    let news = errand.send(store);
                    let tell = move |news| drop(tell.try_send(Told::News(news)));
                    requests.spawn(async move { news.await.map(tell) }).detach();
                }
                Job::Watch(flight, lock) => {
                    let watcher = watcher(&flight, move |told| drop(tell.try_send(told)));
                    desks.watches(&flight, store.watch(flight.key.clone(), lock, watcher));
                }
                Job::Post(mailbox, letter) => drop(mailbox.try_send(letter)),
            }
        }
    }
}

/// The callers' end.
pub(crate) struct Process(Sender<Told>, Line);

impl Process {
    /// Waits for a value that is `good`, and runs `fill` if it has to. Dropped, it leaves.
    pub(crate) async fn get<G, F>(&self, key: &Key, policy: Policy, good: G, fill: F) -> Landed
    where
        G: Fn(&Entry) -> bool,
        F: AsyncFn() -> Option<Bytes>,
    {
        let (mailbox, mail) = unbounded();
        let board = |me| Told::Board(me, key.clone(), policy, mailbox);
        let me = self.1.next(|me| drop(self.0.try_send(board(me))));
        let _leave = OnDrop(|| drop(self.0.try_send(Told::Left(key.clone(), me))));
        loop {
            let told = match mail.recv().await.expect("the machine outlives its callers") {
                Letter::Judge(entry) => Told::Judged(key.clone(), me, good(&entry)),
                Letter::Fill(flight, attempt) => Told::Filled(flight, attempt, fill().await),
                Letter::Land(landed) => return landed,
            };
            drop(self.0.try_send(told));
        }
    }
}

fn main() {
    let fills = Cell::new(0);
    let fill = async || {
        Timer::after(Duration::from_millis(50)).await;
        fills.set(fills.get() + 1);
        Some(Bytes::from("42"))
    };
    let key = "report".into();
    smol::block_on(serve(MemoryStore::new(), 1, async |process| {
        let callers = LocalExecutor::new();
        for _ in 0..6 {
            callers
                .spawn(process.get(&key, Policy::DEFAULT, |_| true, &fill))
                .detach();
        }
        while !callers.is_empty() {
            callers.tick().await;
        }
    }));
    println!("6 tasks, {} fill", fills.get());
}
