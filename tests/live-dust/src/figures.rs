//! What is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use oneflight_store::{AttemptId, Claim, ClaimRequest, Holder, Revision, Store, default_lock};
use tokio::sync::oneshot;

use crate::Meeting;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(300);

/// How many fills there were, and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Stampede {
    /// How many callers wanted each key at the same time.
    pub callers: usize,
    /// How many keys there were.
    pub keys: usize,
    /// How many fills ran.
    pub fills: usize,
    /// How long all of it took.
    pub took: Duration,
}

/// So many callers, each a client of its own, want each of so many keys at the same time, one key after
/// another; a fill takes up to 5 ms.
pub async fn stampede(meeting: &Meeting, callers: usize, keys: usize) -> Stampede {
    let processes: Vec<_> = (0..callers).map(|_| meeting.process()).collect();
    let fills = AtomicUsize::new(0);
    let since = Instant::now();
    for number in 0..keys {
        let key = meeting.key(format_args!("stampede/{number}"));
        let time = Duration::from_micros(fastrand::u64(..=5_000));
        let calls = processes.iter().map(|process| {
            let (key, fills) = (&key, &fills);
            async move {
                let fill = |_| async {
                    fills.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(time).await;
                    Ok::<_, String>(number)
                };
                let landing = process
                    .key(key)
                    .store_timeout(LONG)
                    .run(fill)
                    .await
                    .unwrap();
                assert!(landing.coordinated && *landing.value == number);
            }
        });
        join_all(calls).await;
    }
    let took = since.elapsed();
    join_all(processes.iter().map(|process| process.close())).await;
    Stampede {
        callers,
        keys,
        fills: fills.into_inner(),
        took,
    }
}

/// From the moment a value is acknowledged to its publisher until a caller who waits for it has it.
pub async fn follower(meeting: &Meeting, rounds: usize) -> Vec<Duration> {
    let (leader, follower) = (meeting.process(), meeting.process());
    let mut times = Vec::new();
    for round in 0..rounds {
        let key = meeting.key(format_args!("follower/{round}"));
        let (started, starts) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let leading = async {
            let mut once = Some((started, ended));
            let call = leader.key(&key);
            let fill = |_| {
                let once = once.take();
                async move {
                    let (started, ended) = once.unwrap();
                    started.send(()).unwrap();
                    ended.await.unwrap();
                    Ok::<_, String>(round)
                }
            };
            call.run(fill).await.unwrap();
            Instant::now()
        };
        let following = async {
            starts.await.unwrap();
            let waiting = async {
                let call = follower.key(&key);
                call.run(|_| async { Err::<usize, _>("nobody fills twice".to_owned()) })
                    .await
                    .unwrap();
                Instant::now()
            };
            let ending = async {
                // By then it waits: nothing more comes of it.
                tokio::time::sleep(Duration::from_millis(30)).await;
                end.send(()).unwrap();
            };
            futures_util::join!(waiting, ending).0
        };
        let (committed, landed) = futures_util::join!(leading, following);
        times.push(landed.saturating_duration_since(committed));
    }
    times
}

/// From the moment a fill fails until a caller who waits for it begins its own.
pub async fn handover(meeting: &Meeting, rounds: usize) -> Vec<Duration> {
    let (leader, waiter) = (meeting.process(), meeting.process());
    let mut times = Vec::new();
    for round in 0..rounds {
        let key = meeting.key(format_args!("handover/{round}"));
        let (started, starts) = oneshot::channel();
        let leading = async {
            let mut started = Some(started);
            let mut failed = None;
            let failed_at = &mut failed;
            let call = leader.key(&key);
            let fill = |_| {
                started.take().unwrap().send(()).unwrap();
                async {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    Err::<usize, _>(Instant::now())
                }
            };
            if let Err(oneflight_tokio::Error::Aborted(at)) = call.run(fill).await {
                *failed_at = Some(*at);
            }
            failed
        };
        let waiting = async {
            starts.await.unwrap();
            let begun = Arc::new(std::sync::Mutex::new(None));
            let call = waiter.key(&key);
            let fill = |_| {
                *begun.lock().unwrap() = Some(Instant::now());
                async { Ok::<_, String>(round) }
            };
            call.run(fill).await.unwrap();
            begun.lock().unwrap().take()
        };
        let (failed, begun) = futures_util::join!(leading, waiting);
        times.push(begun.unwrap().saturating_duration_since(failed.unwrap()));
    }
    times
}

/// From the lapse of a dead holder's lease until a waiter's fill begins, for waiters who come in at
/// different times of its life.
pub async fn takeover(meeting: &Meeting, rounds: usize) -> Vec<Duration> {
    const TTL: Duration = Duration::from_millis(1_000);
    let dead = meeting.open();
    dead.catch_up().await.unwrap();
    let mut times = Vec::new();
    for round in 0..rounds {
        let key = meeting.key(format_args!("takeover/{round}"));
        let request = ClaimRequest {
            key: key.as_str().into(),
            lock: default_lock(&key).into(),
            ttl: TTL,
            seen: Revision::NEVER,
            holder: Holder {
                host: "dead".into(),
                pid: 1,
                user: "dead".into(),
            },
            attempt: AttemptId(fastrand::u128(..)),
        };
        let asked = Instant::now();
        let claim = dead.claim(request).await.unwrap();
        assert!(matches!(claim, Claim::Granted { .. }), "{claim:?}");
        // It lapses between these two.
        let lapse = asked + TTL;
        tokio::time::sleep(TTL.mul_f64(round as f64 / rounds as f64 * 0.95)).await;
        // One who has never spoken to the server before.
        let waiter = meeting.process();
        let begun = std::sync::Mutex::new(None);
        let fill = |_| {
            *begun.lock().unwrap() = Some(Instant::now());
            async { Ok::<_, String>(round) }
        };
        waiter
            .key(&key)
            .lease_ttl(Duration::from_secs(30))
            .run(fill)
            .await
            .unwrap();
        let begun = begun.into_inner().unwrap().unwrap();
        assert!(begun + Duration::from_millis(5) > lapse, "before the lapse");
        times.push(begun.saturating_duration_since(lapse));
    }
    times
}

/// The least, the middle and the most.
#[must_use]
pub fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!(
        "{:.1} ms at least, {:.1} in the middle, {:.1} at most",
        at(0.0),
        at(0.5),
        at(1.0)
    )
}
