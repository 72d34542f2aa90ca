//! Fleets of tasks or threads over any store: written once, run by every store that is a [`Ground`] and
//! by every [`Driver`].
//!
//! Each driver stands for a process: they share nothing but the store. To have a new store pass all of
//! it, make its ground and name it in `tests/fleets.rs`.

mod driver;
mod told;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oneflight_store::{
    AttemptId, Claim, ClaimRequest, Holder, LeaseId, LockState, Publication, Revision, Store, Token,
};
use oneflight_tokio::{Error, Source};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub use self::driver::{Driver, Landed, Threads, Tokio, Wish};
use self::told::Told;
use crate::ground::Ground;
use crate::time::{BOUND, soon};

/// Longer than any scenario takes.
const LONG: Duration = Duration::from_secs(3600);

/// A process that keeps this many local copies.
fn process<D: Driver>(ground: &impl Ground, copies: usize) -> D {
    D::over(D::open(ground), copies)
}

/// What a crowd did.
#[derive(Debug)]
pub struct Crowd {
    /// How many fills ran.
    pub fills: usize,
    /// How many keys were filled more than once.
    pub refilled: usize,
    /// How many calls landed `Computed`, `Awaited` and `Cached`.
    pub sources: [usize; 3],
    /// How long all of it took.
    pub took: Duration,
}

/// A crowd: every caller wants one key, every key is wanted by as many callers in no order, and they are
/// spread over several processes. A fill takes up to 2 ms. Panics if any caller does not land well.
pub async fn crowd<D: Driver>(
    ground: &impl Ground,
    processes: usize,
    copies: usize,
    callers: usize,
    keys: usize,
) -> Crowd {
    let processes: Vec<D> = (0..processes).map(|_| process(ground, copies)).collect();
    let fills: Arc<Vec<AtomicUsize>> = Arc::new((0..keys).map(|_| AtomicUsize::new(0)).collect());
    let mut random = fastrand::Rng::with_seed(7);
    let mut wanted: Vec<usize> = (0..callers).map(|caller| caller % keys).collect();
    random.shuffle(&mut wanted);

    let since = Instant::now();
    let calls: Vec<_> = wanted
        .into_iter()
        .map(|number| {
            let flights = &processes[random.usize(..processes.len())];
            let fill_time = Duration::from_micros(random.u64(..=2_000));
            let fills = Arc::clone(&fills);
            let wish = Wish {
                // However slow the store is on a busy machine, it is not out of reach.
                store_timeout: LONG,
                ..Wish::of(format!("key {number}"))
            };
            let call = flights.call(wish, move |_| {
                fills[number].fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::time::sleep(fill_time).await;
                    Ok(format!("value of {number}"))
                }
            });
            (number, call)
        })
        .collect();
    let mut sources = [0; 3];
    for (number, call) in calls {
        let landing = soon("a call of the crowd", call).await.unwrap().unwrap();
        assert_eq!(*landing.value, format!("value of {number}"));
        assert!(landing.coordinated && !landing.stale);
        sources[match landing.source {
            Source::Computed => 0,
            Source::Awaited => 1,
            Source::Cached | _ => 2,
        }] += 1;
    }
    let took = since.elapsed();
    for process in processes {
        process.close().await;
    }
    let fills = fills.iter().map(|fills| fills.load(Ordering::Relaxed));
    Crowd {
        fills: fills.clone().sum(),
        refilled: fills.filter(|fills| *fills > 1).count(),
        sources,
        took,
    }
}

/// 20,000 callers over 2,000 keys: every key is filled exactly once, in whichever process.
pub async fn every_key_is_filled_once<D: Driver>(ground: impl Ground) {
    check(&crowd::<D>(&ground, 4, 10_000, 20_000, 2_000).await);
}

/// The same without local copies: every look goes to the store.
pub async fn every_key_is_filled_once_without_copies<D: Driver>(ground: impl Ground) {
    check(&crowd::<D>(&ground, 4, 0, 20_000, 2_000).await);
}

/// Eight processes that all want each of 200 keys at the same time, for stores a network away.
pub async fn eight_processes_fill_every_key_once<D: Driver>(ground: impl Ground) {
    let crowd = crowd::<D>(&ground, 8, 0, 1_600, 200).await;
    println!("{crowd:?}");
    assert_eq!(
        (crowd.fills, crowd.refilled, crowd.sources[0]),
        (200, 0, 200)
    );
}

#[track_caller]
fn check(crowd: &Crowd) {
    println!("{crowd:?}");
    assert_eq!((crowd.fills, crowd.refilled), (2_000, 0));
    assert_eq!(crowd.sources[0], 2_000);
}

/// A fill that is under way until it is told how to end.
struct Leader {
    task: JoinHandle<Landed>,
    token: Token,
    end: Option<oneshot::Sender<Result<String, String>>>,
    /// How often its fill has begun.
    fills: Arc<AtomicUsize>,
}

impl Leader {
    /// Starts it, and returns when it fills. If it has to fill again, it gets `again`.
    async fn start(flights: &impl Driver, ttl: Duration, again: &'static str) -> Self {
        let (filling, is_filling) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let fills = Arc::new(AtomicUsize::new(0));
        let mut first = Some((filling, ended));
        let wish = Wish {
            lease_ttl: ttl,
            ..Wish::of("k")
        };
        let task = flights.call(wish, {
            let fills = Arc::clone(&fills);
            move |token| {
                fills.fetch_add(1, Ordering::SeqCst);
                let first = first.take();
                async move {
                    let Some((filling, ended)) = first else {
                        return Ok(again.to_owned());
                    };
                    filling.send(token).unwrap();
                    ended.await.unwrap()
                }
            }
        });
        let token = soon("the leader's fill", is_filling).await.unwrap();
        let end = Some(end);
        Self {
            task,
            token,
            end,
            fills,
        }
    }

    fn end(&mut self, result: Result<&str, &str>) {
        let end = self.end.take().unwrap();
        end.send(result.map(str::to_owned).map_err(str::to_owned))
            .unwrap();
    }

    async fn landed(self) -> Landed {
        soon("the leader's landing", self.task).await.unwrap()
    }
}

/// Callers that wait in processes of their own, and what their fills did.
struct Waiters {
    calls: Vec<JoinHandle<Landed>>,
    tokens: Arc<Mutex<Vec<Token>>>,
}

impl Waiters {
    /// Starts them, and returns when each has found the lease held.
    async fn start<D: Driver>(ground: &impl Ground, count: usize) -> Self {
        let tokens = Arc::new(Mutex::new(Vec::new()));
        let mut calls = Vec::new();
        for number in 0..count {
            let store = Arc::new(Told::new(D::open(ground)));
            let flights = D::over(Arc::clone(&store) as _, 10_000);
            let tokens = Arc::clone(&tokens);
            let call = flights.call(Wish::of("k"), move |token| {
                tokens.lock().unwrap().push(token);
                async move { Ok(format!("of waiter {number}")) }
            });
            calls.push(tokio::spawn(async move {
                let landed = call.await.unwrap();
                flights.close().await;
                landed
            }));
            soon("a waiter", store.watched.notified()).await;
        }
        Self { calls, tokens }
    }

    /// All land with one value; how often they filled, and with which tokens.
    async fn landed(self) -> (String, Vec<Token>) {
        let mut values = Vec::new();
        for call in self.calls {
            let landing = soon("a waiter's landing", call).await.unwrap().unwrap();
            assert!(landing.coordinated && !landing.stale);
            values.push((*landing.value).clone());
        }
        values.dedup();
        assert_eq!(values.len(), 1, "{values:?}");
        let tokens = self.tokens.lock().unwrap().clone();
        (values.remove(0), tokens)
    }
}

/// An error in one process has exactly one caller of another process fill at once.
pub async fn an_abort_hands_over<D: Driver>(ground: impl Ground) {
    let one: D = process(&ground, 0);
    let mut leader = Leader::start(&one, LONG, "again").await;
    let waiters = Waiters::start::<D>(&ground, 5).await;
    leader.end(Err("no"));
    let token = leader.token;
    let landed = leader.landed().await;
    assert!(matches!(landed, Err(Error::Aborted(error)) if *error == "no"));
    let (_, tokens) = waiters.landed().await;
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > token);
}

/// So does a panic…
pub async fn a_panic_hands_over<D: Driver>(ground: impl Ground) {
    let one: D = process(&ground, 0);
    let (filling, is_filling) = oneshot::channel();
    let mut filling = Some(filling);
    let panic = Arc::new(Notify::new());
    let leader = one.call(Wish::of("k"), {
        let panic = Arc::clone(&panic);
        move |_| {
            filling.take().unwrap().send(()).unwrap();
            let panic = Arc::clone(&panic);
            async move {
                panic.notified().await;
                std::panic::resume_unwind(Box::new("as a fill may"));
            }
        }
    });
    soon("the leader's fill", is_filling).await.unwrap();
    let waiters = Waiters::start::<D>(&ground, 5).await;
    panic.notify_one();
    assert!(soon("the panic", leader).await.unwrap_err().is_panic());
    assert_eq!(waiters.landed().await.1.len(), 1);
}

/// …and a caller that leaves in the midst of its fill. A thread cannot: it would have to panic.
pub async fn a_caller_that_leaves_hands_over(ground: impl Ground) {
    let one: Tokio = process(&ground, 0);
    let leader = Leader::start(&one, LONG, "again").await;
    let waiters = Waiters::start::<Tokio>(&ground, 5).await;
    leader.task.abort();
    let (_, tokens) = waiters.landed().await;
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > leader.token);
}

/// The lease of a holder that is dead is taken once it has lapsed, and not before.
pub async fn a_dead_holder_is_taken_over<D: Driver>(ground: impl Ground) {
    let ttl = Duration::from_millis(700);
    let before = Instant::now();
    let dead = claim(&*ground.open(), ttl).await;
    let waiters = Waiters::start::<D>(&ground, 5).await;
    let (value, tokens) = waiters.landed().await;
    assert!(before.elapsed() >= ttl, "it was still live");
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > dead.token);

    // The dead one was only slow. It changes nothing any more.
    let store = ground.open();
    let late = store.publish(dead, "k".into(), "\"late\"".into(), None);
    assert_eq!(soon("an answer", late).await, Ok(Publication::Fenced));
    assert_eq!(stored(&*store).await, Some(value));
}

/// A lease as a process would be granted it that then dies.
async fn claim(store: &dyn Store, ttl: Duration) -> LeaseId {
    let lock: Arc<str> = "_dust:sf/k".into();
    let claim = store.claim(ClaimRequest {
        key: "k".into(),
        lock: Arc::clone(&lock),
        ttl,
        seen: Revision::NEVER,
        holder: Holder::this_process(),
        attempt: AttemptId(0xdead),
    });
    match soon("an answer", claim).await.unwrap() {
        Claim::Granted { token, .. } => LeaseId { lock, token },
        other @ (Claim::Newer { .. } | Claim::Held { .. }) => panic!("not granted: {other:?}"),
    }
}

async fn stored(store: &dyn Store) -> Option<String> {
    let state = soon("an answer", store.read("k".into())).await.unwrap();
    let entry = state.entry?;
    Some(serde_json::from_slice(&entry.value).unwrap())
}

/// A holder whose store falls silent is overtaken; when it has a value, it rides the newer one.
pub async fn a_holder_that_is_cut_off_rides_the_newer_value<D: Driver>(ground: impl Ground) {
    let store = Arc::new(Told::new(D::open(&ground)));
    let one = D::over(Arc::clone(&store) as _, 0);
    let mut leader = Leader::start(&one, Duration::from_millis(500), "again").await;
    store.cut();
    let waiters = Waiters::start::<D>(&ground, 3).await;
    let (value, tokens) = waiters.landed().await;
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > leader.token);

    store.mend();
    leader.end(Ok("late"));
    let fills = Arc::clone(&leader.fills);
    let landing = leader.landed().await.unwrap();
    assert_eq!(*landing.value, value);
    assert!(landing.coordinated);
    assert_eq!(fills.load(Ordering::SeqCst), 1);
    assert_eq!(stored(&*ground.open()).await, Some(value));
}

/// What was computed from data before a forget does not come back.
pub async fn a_forget_voids_the_fill_under_way<D: Driver>(ground: impl Ground) {
    let (one, two): (D, D) = (process(&ground, 0), process(&ground, 0));
    let mut leader = Leader::start(&one, LONG, "new").await;
    soon("the forget", two.forget("k")).await.unwrap();
    leader.end(Ok("old"));
    let fills = Arc::clone(&leader.fills);
    let landing = leader.landed().await.unwrap();
    assert_eq!(*landing.value, "new");
    assert_eq!(fills.load(Ordering::SeqCst), 2);
    assert_eq!(stored(&*ground.open()).await.as_deref(), Some("new"));
}

/// What is forgotten and filled again in one process reaches the copies of another.
pub async fn copies_follow<D: Driver>(ground: impl Ground) {
    let (one, two): (D, D) = (process(&ground, 100), process(&ground, 100));
    let put = async |flights: &D, value: &'static str| {
        let call = flights.call(Wish::of("k"), move |_| async { Ok(value.to_owned()) });
        soon("a landing", call).await.unwrap().unwrap()
    };
    assert_eq!(put(&one, "first").await.source, Source::Computed);
    let copy = put(&two, "never").await;
    assert_eq!((&**copy.value, copy.source), ("first", Source::Cached));

    soon("the forget", one.forget("k")).await.unwrap();
    let second = put(&one, "second").await;
    assert_eq!(*second.value, "second");
    let since = Instant::now();
    while *put(&two, "never").await.value != "second" {
        assert!(since.elapsed() < BOUND, "the copy stays");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Who has waited long enough leaves, and nobody else notices.
pub async fn a_waiter_that_leaves_changes_nothing<D: Driver>(ground: impl Ground) {
    let (one, two): (D, D) = (process(&ground, 0), process(&ground, 0));
    let mut leader = Leader::start(&one, LONG, "again").await;
    let wish = Wish {
        wait_timeout: Duration::from_millis(50),
        ..Wish::of("k")
    };
    let call = two.call(wish, |_| async { Err("it never fills".to_owned()) });
    let landed = soon("the time-out", call).await.unwrap();
    assert!(matches!(landed, Err(Error::TimedOut)), "{landed:?}");
    two.close().await;
    leader.end(Ok("value"));
    let fills = Arc::clone(&leader.fills);
    let landing = leader.landed().await.unwrap();
    assert_eq!(
        (landing.source, &**landing.value),
        (Source::Computed, "value")
    );
    assert_eq!(fills.load(Ordering::SeqCst), 1);
    let listed = soon("an answer", ground.open().list()).await.unwrap();
    assert!(
        listed.iter().all(|key| key.state == LockState::Free),
        "{listed:?}"
    );
}
