//! Fleets of tasks over any store: written once, run by every store that is a [`Ground`].
//!
//! Each [`SingleFlight`] stands for a process: they share nothing but the store. To have a new store
//! pass all of it, make its ground and name it in `tests/fleets.rs`.

mod told;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oneflight_dust::DustStore;
use oneflight_sqlite::SqliteStore;
use oneflight_store::{
    AttemptId, Claim, ClaimRequest, Holder, LeaseId, LockState, MemoryStore, Publication, Revision,
    Store, Token,
};
use oneflight_test_dust::{DustServer, STORE, TOKEN};
use oneflight_tokio::{Error, Landing, SingleFlight, Source};
use tokio::sync::{Notify, oneshot};

use self::told::Told;
use crate::time::{BOUND, soon};

/// Where a fleet meets: one store, which any number of processes open.
pub trait Ground: Send + Sync + 'static {
    /// A fresh one, with nothing in it.
    fn new() -> Self;
    /// Opens it, as one more process does.
    fn open(&self) -> Arc<dyn Store>;
}

/// A [`MemoryStore`].
#[derive(Debug)]
pub struct Memory(MemoryStore);

impl Ground for Memory {
    fn new() -> Self {
        Self(MemoryStore::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A file with a [`SqliteStore`].
#[derive(Debug)]
pub struct Sqlite(tempfile::TempDir);

impl Ground for Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path().join("store.db")).unwrap())
    }
}

/// A server that does as Dust does.
#[derive(Debug)]
pub struct Dust(DustServer);

impl Ground for Dust {
    fn new() -> Self {
        Self(DustServer::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(open_dust(&self.0))
    }
}

/// The same with mirrors that are behind, each by another time, and with events out of order.
#[derive(Debug)]
pub struct DustBehind(DustServer);

impl Ground for DustBehind {
    fn new() -> Self {
        let server = DustServer::new();
        server.reorder(Duration::from_millis(5), 7);
        Self(server)
    }

    fn open(&self) -> Arc<dyn Store> {
        let store = open_dust(&self.0);
        let behind = Duration::from_millis(fastrand::u64(..=40));
        self.0.delay_events(store.device(), behind);
        Arc::new(store)
    }
}

fn open_dust(server: &DustServer) -> DustStore {
    let address = format!("dust+ws://{}/{STORE}", server.address());
    DustStore::new(address.parse().unwrap(), TOKEN)
}

/// How a call in a scenario ends.
type Landed = Result<Landing<String>, Error<String, String>>;

/// Longer than any scenario takes.
const LONG: Duration = Duration::from_secs(3600);

/// A process that keeps this many local copies.
fn process(ground: &impl Ground, copies: usize) -> SingleFlight {
    SingleFlight::builder(ground.open())
        .local_copies(copies)
        .build()
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

/// A crowd: every task wants one key, every key is wanted by as many tasks in no order, and they are
/// spread over several processes. A fill takes up to 2 ms. Panics if any task does not land well.
pub async fn crowd(
    ground: &impl Ground,
    processes: usize,
    copies: usize,
    tasks: usize,
    keys: usize,
) -> Crowd {
    let processes: Vec<_> = (0..processes).map(|_| process(ground, copies)).collect();
    let fills: Arc<Vec<AtomicUsize>> = Arc::new((0..keys).map(|_| AtomicUsize::new(0)).collect());
    let mut random = fastrand::Rng::with_seed(7);
    let mut wanted: Vec<usize> = (0..tasks).map(|task| task % keys).collect();
    random.shuffle(&mut wanted);

    let since = Instant::now();
    let tasks: Vec<_> = wanted
        .into_iter()
        .map(|number| {
            let flights = processes[random.usize(..processes.len())].clone();
            let fill_time = Duration::from_micros(random.u64(..=2_000));
            let fills = Arc::clone(&fills);
            tokio::spawn(async move {
                let fill = |_| async {
                    fills[number].fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(fill_time).await;
                    Ok::<_, String>(format!("value of {number}"))
                };
                let key = format!("key {number}");
                let call = flights.key(&key).lease_ttl(LONG).wait_timeout(LONG);
                // However slow the store is on a busy machine, it is not out of reach.
                let landing = call.store_timeout(LONG).run(fill).await.unwrap();
                assert_eq!(*landing.value, format!("value of {number}"));
                assert!(landing.coordinated && !landing.stale);
                landing.source
            })
        })
        .collect();
    let mut sources = [0; 3];
    for task in tasks {
        let source = soon("a task of the crowd", task).await.unwrap();
        sources[match source {
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

/// 20,000 tasks over 2,000 keys: every key is filled exactly once, in whichever process.
pub async fn every_key_is_filled_once(ground: impl Ground) {
    check(&crowd(&ground, 4, 10_000, 20_000, 2_000).await);
}

/// The same without local copies: every look goes to the store.
pub async fn every_key_is_filled_once_without_copies(ground: impl Ground) {
    check(&crowd(&ground, 4, 0, 20_000, 2_000).await);
}

/// Eight processes that all want each of 200 keys at the same time, for stores a network away.
pub async fn eight_processes_fill_every_key_once(ground: impl Ground) {
    let crowd = crowd(&ground, 8, 0, 1_600, 200).await;
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
    task: tokio::task::JoinHandle<Landed>,
    token: Token,
    end: Option<oneshot::Sender<Result<String, String>>>,
    /// How often its fill has begun.
    fills: Arc<AtomicUsize>,
}

impl Leader {
    /// Starts it, and returns when it fills. If it has to fill again, it gets `again`.
    async fn start(flights: &SingleFlight, ttl: Duration, again: &'static str) -> Self {
        let (filling, is_filling) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let fills = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (flights, fills) = (flights.clone(), Arc::clone(&fills));
            async move {
                let mut first = Some((filling, ended));
                let call = flights.key("k").lease_ttl(ttl).wait_timeout(LONG);
                call.run(|lease| {
                    fills.fetch_add(1, Ordering::SeqCst);
                    let first = first.take();
                    async move {
                        let Some((filling, ended)) = first else {
                            return Ok(again.to_owned());
                        };
                        filling.send(lease.token().unwrap()).unwrap();
                        ended.await.unwrap()
                    }
                })
                .await
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
    tasks: Vec<tokio::task::JoinHandle<Landed>>,
    tokens: Arc<Mutex<Vec<Token>>>,
}

impl Waiters {
    /// Starts them, and returns when each has found the lease held.
    async fn start(ground: &impl Ground, count: usize) -> Self {
        let tokens = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..count {
            let store = Arc::new(Told::new(ground.open()));
            let flights = SingleFlight::builder(Arc::clone(&store)).build();
            let tokens = Arc::clone(&tokens);
            tasks.push(tokio::spawn(async move {
                let call = flights.key("k").lease_ttl(LONG).wait_timeout(LONG);
                let landed = call
                    .run(|lease| {
                        tokens.lock().unwrap().push(lease.token().unwrap());
                        async move { Ok(format!("of waiter {number}")) }
                    })
                    .await;
                flights.close().await;
                landed
            }));
            soon("a waiter", store.watched.notified()).await;
        }
        Self { tasks, tokens }
    }

    /// All land with one value; how often they filled, and with which tokens.
    async fn landed(self) -> (String, Vec<Token>) {
        let mut values = Vec::new();
        for task in self.tasks {
            let landing = soon("a waiter's landing", task).await.unwrap().unwrap();
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
pub async fn an_abort_hands_over(ground: impl Ground) {
    let one = process(&ground, 0);
    let mut leader = Leader::start(&one, LONG, "again").await;
    let waiters = Waiters::start(&ground, 5).await;
    leader.end(Err("no"));
    let token = leader.token;
    let landed = leader.landed().await;
    assert!(matches!(landed, Err(Error::Aborted(error)) if *error == "no"));
    let (_, tokens) = waiters.landed().await;
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > token);
}

/// So does a panic…
pub async fn a_panic_hands_over(ground: impl Ground) {
    let one = process(&ground, 0);
    let (filling, is_filling) = oneshot::channel();
    let panic = Arc::new(Notify::new());
    let leader = tokio::spawn({
        let panic = Arc::clone(&panic);
        async move {
            let mut filling = Some(filling);
            let call = one.key("k").lease_ttl(LONG);
            let landed: Landed = call
                .run(|_| {
                    filling.take().unwrap().send(()).unwrap();
                    let panic = Arc::clone(&panic);
                    async move {
                        panic.notified().await;
                        std::panic::resume_unwind(Box::new("as a fill may"));
                    }
                })
                .await;
            landed
        }
    });
    soon("the leader's fill", is_filling).await.unwrap();
    let waiters = Waiters::start(&ground, 5).await;
    panic.notify_one();
    assert!(soon("the panic", leader).await.unwrap_err().is_panic());
    assert_eq!(waiters.landed().await.1.len(), 1);
}

/// …and a caller that leaves in the midst of its fill.
pub async fn a_caller_that_leaves_hands_over(ground: impl Ground) {
    let one = process(&ground, 0);
    let leader = Leader::start(&one, LONG, "again").await;
    let waiters = Waiters::start(&ground, 5).await;
    leader.task.abort();
    let (_, tokens) = waiters.landed().await;
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0] > leader.token);
}

/// The lease of a holder that is dead is taken once it has lapsed, and not before.
pub async fn a_dead_holder_is_taken_over(ground: impl Ground) {
    let ttl = Duration::from_millis(700);
    let before = Instant::now();
    let dead = claim(&*ground.open(), ttl).await;
    let waiters = Waiters::start(&ground, 5).await;
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
pub async fn a_holder_that_is_cut_off_rides_the_newer_value(ground: impl Ground) {
    let store = Arc::new(Told::new(ground.open()));
    let one = SingleFlight::builder(Arc::clone(&store))
        .local_copies(0)
        .build();
    let mut leader = Leader::start(&one, Duration::from_millis(500), "again").await;
    store.cut();
    let waiters = Waiters::start(&ground, 3).await;
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
pub async fn a_forget_voids_the_fill_under_way(ground: impl Ground) {
    let (one, two) = (process(&ground, 0), process(&ground, 0));
    let mut leader = Leader::start(&one, LONG, "new").await;
    let call = two.key("k");
    soon("the forget", call.forget()).await.unwrap();
    leader.end(Ok("old"));
    let fills = Arc::clone(&leader.fills);
    let landing = leader.landed().await.unwrap();
    assert_eq!(*landing.value, "new");
    assert_eq!(fills.load(Ordering::SeqCst), 2);
    assert_eq!(stored(&*ground.open()).await.as_deref(), Some("new"));
}

/// What is forgotten and filled again in one process reaches the copies of another.
pub async fn copies_follow(ground: impl Ground) {
    let (one, two) = (process(&ground, 100), process(&ground, 100));
    let put = async |flights: &SingleFlight, value: &'static str| {
        let call = flights.key("k").lease_ttl(LONG).wait_timeout(LONG);
        let run = call.run(|_| async { Ok::<_, String>(value.to_owned()) });
        soon("a landing", run).await.unwrap()
    };
    assert_eq!(put(&one, "first").await.source, Source::Computed);
    let copy = put(&two, "never").await;
    assert_eq!((&**copy.value, copy.source), ("first", Source::Cached));

    soon("the forget", one.key("k").forget()).await.unwrap();
    let second = put(&one, "second").await;
    assert_eq!(*second.value, "second");
    let since = Instant::now();
    while *put(&two, "never").await.value != "second" {
        assert!(since.elapsed() < BOUND, "the copy stays");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Who has waited long enough leaves, and nobody else notices.
pub async fn a_waiter_that_leaves_changes_nothing(ground: impl Ground) {
    let (one, two) = (process(&ground, 0), process(&ground, 0));
    let mut leader = Leader::start(&one, LONG, "again").await;
    let call = two.key("k").wait_timeout(Duration::from_millis(50));
    let run = call.run(|_| async { Err::<String, _>("it never fills".to_owned()) });
    let landed = soon("the time-out", run).await;
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
