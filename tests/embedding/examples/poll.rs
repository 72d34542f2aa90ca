//! The machine in a loop written by hand, with no runtime: one thread polls the store's answers and the
//! fills, hears the watches, keeps the time, and sleeps when there is nothing to do.

use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::{future::poll_fn, pin::Pin, rc::Rc, sync::Arc};

use oneflight_core::{Instant, Outcome, PassengerId, Policy};
use oneflight_embedding::{Desks, Job, Key, Landed, Letter, clock, watcher};
use oneflight_store::{Bytes, Entry, MemoryStore, Store};

/// A caller is reached by its place in the list of calls.
type Told = oneflight_embedding::Told<usize>;
pub(crate) type Task<T> = Pin<Box<dyn Future<Output = Option<T>>>>;

/// Wants a value of a key, by these rules, that is good in its eyes; fills it if it has to.
pub(crate) type Call = (Key, Policy, fn(&Entry) -> bool, Rc<dyn Fn() -> Task<Bytes>>);

/// Knocks at the loop: something can go on.
struct Knock(Sender<Option<Told>>);

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        drop(self.0.send(None));
    }
}

/// One process: makes the calls, and answers how they ended once all is cleaned up after them.
pub(crate) fn serve(store: &impl Store, process: u64, calls: &[Call]) -> Vec<Landed> {
    let (tell, heard) = channel();
    let knock = Waker::from(Arc::new(Knock(tell.clone())));
    let (mut desks, now) = (Desks::new(process), clock());
    // Requests to the store and fills: the loop does not care.
    let (mut tasks, mut landed) = (Vec::<Task<Told>>::new(), Vec::new());
    let id = |place| PassengerId(place as u64 + 1);
    for (place, (key, policy, ..)) in calls.iter().enumerate() {
        drop(tell.send(Some(Told::Board(id(place), key.clone(), *policy, place))));
    }
    drop(tell.send(Some(Told::Close)));
    while !desks.is_over() {
        tasks.retain_mut(|task| {
            let polled = task.as_mut().poll(&mut Context::from_waker(&knock));
            polled.map(|told| drop(tell.send(told))).is_pending()
        });
        let deadline = desks.deadline().unwrap_or(Instant::NEVER);
        let first = heard.recv_timeout(deadline.since(now())).ok().flatten();
        let others = heard.try_iter().flatten();
        for job in desks.tell(now(), first.into_iter().chain(others)) {
            match job {
                Job::Send(errand) => {
                    let answer = errand.send(store);
                    tasks.push(Box::pin(async { answer.await.map(Told::News) }));
                }
                Job::Watch(flight, lock) => {
                    let tell = tell.clone();
                    let watcher = watcher(&flight, move |told| drop(tell.send(Some(told))));
                    desks.watches(&flight, store.watch(flight.key.clone(), lock, watcher));
                }
                Job::Post(place, Letter::Judge(entry)) => {
                    let (key, _, good, _) = &calls[place];
                    drop(tell.send(Some(Told::Judged(key.clone(), id(place), good(&entry)))));
                }
                Job::Post(place, Letter::Fill(flight, attempt)) => {
                    let fill = calls[place].3();
                    let filled = async move { Told::Filled(flight, attempt, fill.await) };
                    tasks.push(Box::pin(async { Some(filled.await) }));
                }
                Job::Post(_, Letter::Land(it)) => landed.push(it),
            }
        }
    }
    landed
}

fn main() {
    // A fill in ten slices: between them the loop has its turn.
    let fill = || -> Task<Bytes> {
        let mut slices = 0..10;
        Box::pin(poll_fn(move |cx| match slices.next() {
            Some(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(Some(Bytes::from("42"))),
        }))
    };
    let call: Call = ("report".into(), Policy::DEFAULT, |_| true, Rc::new(fill));
    let landed = serve(&MemoryStore::new(), 1, &vec![call; 6]);
    let filled = |it: &&Landed| matches!(it.0, Outcome::Computed { .. });
    println!("6 calls, {} fill", landed.iter().filter(filled).count());
}
