//! Processes of a fleet, whatever they are embedded in: one fill, one value, nothing left behind.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ::smol::channel::unbounded;
use ::smol::{LocalExecutor, Task, Timer, block_on, future};
use oneflight_core::{Attempt, OnAbort, Outcome, Policy, Revision};
use oneflight_embedding::{Key, Landed};
use oneflight_store::blocking::Store as _;
use oneflight_store::{
    AttemptId, Bytes, Claim, ClaimRequest, Entry, Holder, LockState, MemoryStore, Token,
    default_lock,
};

#[path = "../examples/poll.rs"]
#[allow(dead_code, reason = "its main is run as a program")]
mod poll;
#[path = "../examples/smol.rs"]
#[allow(dead_code, reason = "its main is run as a program")]
mod smol;
#[path = "../examples/threads.rs"]
#[allow(dead_code, reason = "its main is run as a program")]
mod threads;

/// Longer than anything takes here unless it hangs.
const BOUND: Duration = Duration::from_secs(60);

/// What the callers of a test fill with: the number of the fill, or nothing at first.
struct Fills {
    begun: AtomicU32,
    last: Duration,
    fail: u32,
}

impl Fills {
    fn new(last: Duration, fail: u32) -> Arc<Self> {
        let begun = AtomicU32::new(0);
        Arc::new(Self { begun, last, fail })
    }

    fn begin(&self) -> (Instant, Option<Bytes>) {
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let value = (number > self.fail).then(|| Bytes::from(number.to_string()));
        (Instant::now() + self.last, value)
    }
}

/// A process of three callers who want a value that is good.
type Process = fn(&MemoryStore, u64, Policy, fn(&Entry) -> bool, &Arc<Fills>) -> Vec<Landed>;

const EMBEDDINGS: [(&str, Process); 3] = [
    ("threads", in_threads),
    ("smol", in_smol),
    ("poll", in_a_poll_loop),
];

fn in_threads(
    store: &MemoryStore,
    process: u64,
    policy: Policy,
    good: fn(&Entry) -> bool,
    fills: &Arc<Fills>,
) -> Vec<Landed> {
    let fill = || {
        let (end, value) = fills.begin();
        thread::sleep(end.saturating_duration_since(Instant::now()));
        value
    };
    threads::serve(store, process, |process| {
        thread::scope(|callers| {
            let call = || process.get(&key(), policy, &good, &fill);
            let calls = [
                callers.spawn(call),
                callers.spawn(call),
                callers.spawn(call),
            ];
            calls.map(|call| call.join().unwrap()).into()
        })
    })
}

fn in_smol(
    store: &MemoryStore,
    process: u64,
    policy: Policy,
    good: fn(&Entry) -> bool,
    fills: &Arc<Fills>,
) -> Vec<Landed> {
    let fill = async || {
        let (end, value) = fills.begin();
        Timer::at(end).await;
        value
    };
    let (key, mut landed) = (key(), Vec::new());
    block_on(smol::serve(store.clone(), process, async |process| {
        let callers = LocalExecutor::new();
        let call = || callers.spawn(process.get(&key, policy, good, &fill));
        let calls = [call(), call(), call()];
        callers
            .run(async {
                for call in calls {
                    landed.push(call.await);
                }
            })
            .await;
    }));
    landed
}

fn in_a_poll_loop(
    store: &MemoryStore,
    process: u64,
    policy: Policy,
    good: fn(&Entry) -> bool,
    fills: &Arc<Fills>,
) -> Vec<Landed> {
    let fills = Arc::clone(fills);
    let fill = move || -> poll::Task<Bytes> {
        let (end, value) = fills.begin();
        Box::pin(poll_fn(move |cx| {
            if Instant::now() >= end {
                return Poll::Ready(value.clone());
            }
            thread::yield_now();
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    };
    let call: poll::Call = (key(), policy, good, Rc::new(fill));
    poll::serve(store, process, &vec![call; 3])
}

fn key() -> Key {
    "key".into()
}

fn any(_: &Entry) -> bool {
    true
}

fn none(_: &Entry) -> bool {
    false
}

fn patient() -> Policy {
    Policy {
        wait_timeout: BOUND,
        ..Policy::DEFAULT
    }
}

fn wait_until(so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < BOUND, "it does not become so");
        thread::yield_now();
    }
}

/// The token of the lease that is held.
fn lease(store: &MemoryStore) -> Option<Token> {
    let lines = store.list().unwrap();
    lines.iter().find_map(|line| match line.state {
        LockState::Held { token, .. } => Some(token),
        LockState::Free => None,
    })
}

fn hold(store: &MemoryStore, seen: Revision) {
    let claim = store.claim(ClaimRequest {
        key: key(),
        lock: default_lock(&key()).into(),
        ttl: BOUND,
        seen,
        holder: Holder::this_process(),
        attempt: AttemptId::new(99, 1, Attempt::new(1)),
    });
    assert!(matches!(claim, Ok(Claim::Granted { .. })), "{claim:?}");
}

fn all_have(landed: &[Landed], value: &str) {
    assert_eq!(landed.len(), 3, "{landed:?}");
    for (outcome, found) in landed {
        assert_eq!(found.as_deref(), Ok(value.as_bytes()), "{outcome:?}");
    }
}

#[test]
fn two_processes_of_any_embedding_share_one_fill_that_outlives_its_ttl() {
    // Renewed often enough even on a machine that is slow to let anybody run.
    let ttl = Duration::from_millis(600);
    let policy = Policy {
        lease_ttl: ttl,
        ..patient()
    };
    thread::scope(|tests| {
        for (one, first) in EMBEDDINGS {
            for (other, second) in EMBEDDINGS {
                tests.spawn(move || {
                    let (store, fills) = (&MemoryStore::new(), &Fills::new(ttl * 2, 0));
                    let (first, second) = thread::scope(|fleet| {
                        let first = fleet.spawn(move || first(store, 1, policy, any, fills));
                        wait_until(|| lease(store).is_some());
                        let second = fleet.spawn(move || second(store, 2, policy, any, fills));
                        (first.join().unwrap(), second.join().unwrap())
                    });
                    all_have(&first, "1");
                    all_have(&second, "1");
                    for (outcome, _) in second {
                        let waited = matches!(outcome, Outcome::Awaited { .. });
                        assert!(waited, "{one} and {other}: {outcome:?}");
                    }
                    assert_eq!(fills.begun.load(SeqCst), 1, "{one} and {other}");
                    assert_eq!(lease(store), None, "{one} and {other} leave a lease behind");
                });
            }
        }
    });
}

#[test]
fn who_comes_later_finds_what_was_published() {
    for (name, process) in EMBEDDINGS {
        let (store, fills) = (MemoryStore::new(), Fills::new(Duration::ZERO, 0));
        all_have(&process(&store, 1, patient(), any, &fills), "1");
        all_have(&process(&store, 2, patient(), any, &fills), "1");
        assert_eq!(fills.begun.load(SeqCst), 1, "{name}");
    }
}

#[test]
fn a_fill_that_fails_lets_the_next_caller_try() {
    for (name, process) in EMBEDDINGS {
        let (store, fills) = (MemoryStore::new(), Fills::new(Duration::ZERO, 1));
        let policy = Policy {
            on_abort: OnAbort::Promote,
            ..patient()
        };
        let landed = process(&store, 1, policy, any, &fills);
        let (aborted, served): (Vec<_>, Vec<_>) = landed
            .into_iter()
            .partition(|(outcome, _)| *outcome == Outcome::Aborted);
        assert_eq!((aborted.len(), served.len()), (1, 2), "{name}");
        assert_eq!(aborted[0].1, Err(None), "{name}");
        for (outcome, value) in served {
            assert_eq!(value.as_deref(), Ok(&b"2"[..]), "{name}: {outcome:?}");
        }
        assert_eq!(fills.begun.load(SeqCst), 2, "{name}");
        assert_eq!(lease(&store), None, "{name} leaves a lease behind");
    }
}

#[test]
fn who_runs_out_of_patience_gets_the_value_it_judged_stale() {
    for (name, process) in EMBEDDINGS {
        let (store, fills) = (MemoryStore::new(), Fills::new(Duration::ZERO, 0));
        let old = Bytes::from("old");
        store.put(key(), old, None, Revision::NEVER).unwrap();
        let seen = store.read(key()).unwrap().revision;
        hold(&store, seen);
        let policy = Policy {
            wait_timeout: Duration::from_millis(50),
            ..Policy::DEFAULT
        };
        let landed = process(&store, 1, policy, none, &fills);
        all_have(&landed, "old");
        for (outcome, _) in landed {
            let stale = matches!(outcome, Outcome::Cached { stale: true, .. });
            assert!(stale, "{name}: {outcome:?}");
        }
        assert_eq!(fills.begun.load(SeqCst), 0, "{name}");
    }
}

#[test]
fn a_fill_that_panics_in_a_thread_has_failed() {
    let store = MemoryStore::new();
    let (outcome, _) = threads::serve(&store, 1, |process| {
        process.get(&key(), patient(), &any, &|| panic!("as it is meant to"))
    });
    assert_eq!(outcome, Outcome::Aborted);
    assert_eq!(lease(&store), None);
}

/// A caller in smol whose fill has begun and does not end, and what `then` does about it.
async fn with_a_caller_who_fills(
    process: &smol::Process,
    then: impl AsyncFnOnce(&LocalExecutor<'_>, Task<Landed>),
) {
    let (key, (filling, fills)) = (key(), unbounded());
    let endless = async || {
        filling.try_send(()).unwrap();
        future::pending().await
    };
    let callers = LocalExecutor::new();
    let call = callers.spawn(process.get(&key, patient(), any, endless));
    callers.run(fills.recv()).await.unwrap();
    then(&callers, call).await;
}

#[test]
fn a_call_dropped_in_its_fill_hands_its_lease_to_the_next() {
    let store = MemoryStore::new();
    block_on(smol::serve(store.clone(), 1, async |process| {
        with_a_caller_who_fills(process, async |callers, call| {
            let (key, lease) = (key(), lease(&store));
            let fill = async || {
                assert_eq!(self::lease(&store), lease, "it fills under another lease");
                Some(Bytes::from("next"))
            };
            let mut next = pin!(process.get(&key, patient(), any, fill));
            assert!(future::poll_once(&mut next).await.is_none());
            callers.run(call.cancel()).await;
            let (outcome, value) = next.await;
            assert_eq!(value.as_deref(), Ok(&b"next"[..]), "{outcome:?}");
        })
        .await;
    }));
    assert_eq!(lease(&store), None);
}

#[test]
fn the_last_call_that_is_dropped_releases_its_lease() {
    let store = MemoryStore::new();
    block_on(smol::serve(store.clone(), 1, async |process| {
        with_a_caller_who_fills(process, async |callers, call| {
            assert!(lease(&store).is_some());
            callers.run(call.cancel()).await;
        })
        .await;
    }));
    assert_eq!(lease(&store), None);
}
