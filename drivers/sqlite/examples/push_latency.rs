//! How long a value takes from one process to another.
//!
//!     cargo run --release -p oneflight-sqlite --example push_latency [rounds] [directory]
//!
//! A child process watches a key; its parent claims and publishes it again and again. Each value is
//! the moment its publish began, on the monotonic clock, which all processes share; the child takes
//! the time as its callback is called. Then the parent is silent, and the child says what its waiting
//! costs. At last one process, and then forty at once, wait for a value and end as soon as they have
//! it: how long the system takes from the end of `main` until the process is gone.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this measures with the clocks of Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::env;
    use std::error::Error;
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use oneflight_sqlite::SqliteStore;
    use oneflight_store::blocking::Store;
    use oneflight_store::{
        AttemptId, Bytes, Claim, ClaimRequest, Holder, LeaseId, Revision, WatchEvent,
    };
    use rustix::time::{ClockId, clock_gettime};

    const IDLE: Duration = Duration::from_secs(10);

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        if let [role, path, rounds] = &arguments[..]
            && role == "child"
        {
            return child(path, rounds.parse()?);
        }
        if let [role, path, key] = &arguments[..]
            && role == "waiter"
        {
            return waiter(path, key);
        }
        let rounds = arguments
            .first()
            .map_or(Ok(2000), |rounds| rounds.parse())?;
        let directory = match arguments.get(1) {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        parent(directory.path().join("store.db"), rounds)
    }

    fn parent(path: PathBuf, rounds: usize) -> Result<(), Box<dyn Error>> {
        let store = SqliteStore::open(&path)?;
        let mut child = Command::new(env::current_exe()?)
            .arg("child")
            .arg(&path)
            .arg(rounds.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        lines.next().ok_or("the child is gone")??;

        let mut published = Vec::new();
        let mut seen = Revision::NEVER;
        for round in 0..rounds {
            let (key, lock): (Arc<str>, Arc<str>) = ("key".into(), "lock".into());
            let holder = Holder {
                host: "here".into(),
                pid: std::process::id(),
                user: "me".into(),
            };
            let claim = store.claim(ClaimRequest {
                key: Arc::clone(&key),
                lock: Arc::clone(&lock),
                ttl: Duration::from_secs(10),
                seen,
                holder,
                attempt: AttemptId(round as u128),
            })?;
            let Claim::Granted { token, .. } = claim else {
                return Err(format!("not granted: {claim:?}").into());
            };
            let began = now();
            let value = Bytes::from(began.to_be_bytes().to_vec());
            let lease = LeaseId { lock, token };
            if let oneflight_store::Publication::Published(revision) =
                store.publish(lease, key, value, None)?
            {
                seen = revision;
            }
            published.push(now() - began);
            thread::sleep(Duration::from_millis(1));
        }
        print("publish itself", published);
        for line in lines {
            println!("{}", line?);
        }
        child.wait()?;
        without_pause(&store)?;
        exits(&store, &path, 1, 40)?;
        exits(&store, &path, 40, 4)
    }

    /// How long it takes until a process that waited is gone.
    fn exits(
        store: &SqliteStore,
        path: &Path,
        at_once: usize,
        rounds: usize,
    ) -> Result<(), Box<dyn Error>> {
        let (mut exits, mut all) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let key = format!("{at_once} at once, {round}");
            let mut waiting = Vec::new();
            for _ in 0..at_once {
                let mut child = Command::new(env::current_exe()?)
                    .arg("waiter")
                    .arg(path)
                    .arg(&key)
                    .stdout(Stdio::piped())
                    .spawn()?;
                let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
                lines.next().ok_or("the child is gone")??;
                waiting.push((child, lines));
            }
            thread::sleep(Duration::from_millis(50));
            let reapers: Vec<_> = waiting
                .into_iter()
                .map(|(mut child, mut lines)| {
                    thread::spawn(move || {
                        child.wait().ok();
                        let gone = now();
                        let ended = lines.next()?.ok()?.parse::<i64>().ok()?;
                        Some((gone, ended))
                    })
                })
                .collect();
            let began = now();
            store.put(
                key.into(),
                Bytes::from_static(&[0; 64]),
                None,
                Revision::new(u64::MAX),
            )?;
            for reaper in reapers {
                let reaped = reaper.join().ok().flatten();
                let (gone, ended) = reaped.ok_or("a child has failed")?;
                exits.push(gone - ended);
                all.push(gone - began);
            }
        }
        print(&format!("{at_once} at once, end of main to exit"), exits);
        print(&format!("{at_once} at once, put to exit"), all);
        Ok(())
    }

    fn waiter(path: &str, key: &str) -> Result<(), Box<dyn Error>> {
        let store = SqliteStore::open(path)?;
        let (tell, told) = channel();
        let watcher = Arc::new(move |event: WatchEvent| {
            tell.send(event).ok();
        });
        let watch = store.watch(key.into(), "lock".into(), watcher);
        told.recv()?;
        println!("ready");
        while !matches!(told.recv()?, WatchEvent::Key(state) if state.entry.is_some()) {}
        drop(watch);
        drop(store);
        println!("{}", now());
        Ok(())
    }

    /// What the calls cost one after another, with nobody else there.
    fn without_pause(store: &SqliteStore) -> Result<(), Box<dyn Error>> {
        let rounds = 20_000_u32;
        let mut calls = [("read", Vec::new()), ("put", Vec::new())];
        for _ in 0..rounds {
            let began = now();
            let revision = store.read("other".into())?.revision;
            let read = now();
            store.put("other".into(), Bytes::from_static(&[0; 64]), None, revision)?;
            calls[0].1.push(read - began);
            calls[1].1.push(now() - read);
        }
        for (call, taken) in calls {
            print(call, taken);
        }
        Ok(())
    }

    fn child(path: &str, rounds: usize) -> Result<(), Box<dyn Error>> {
        let store = SqliteStore::open(path)?;
        let (tell, told) = channel();
        let watcher = Arc::new(move |event: WatchEvent| {
            tell.send((now(), event)).ok();
        });
        let watch = store.watch("key".into(), "lock".into(), watcher);
        told.recv()?;
        println!("ready");

        let mut taken = Vec::new();
        while let Ok((at, event)) = told.recv_timeout(Duration::from_secs(1)) {
            if let WatchEvent::Key(state) = event
                && let Some(entry) = state.entry
            {
                taken.push(at - i64::from_be_bytes((&entry.value[..]).try_into()?));
            }
        }
        let missed = rounds - taken.len();
        print("publish to callback", taken);
        println!("of {rounds} values {missed} were overtaken by a later one");

        let (before, woken) = (cpu(), wakes()?);
        thread::sleep(IDLE);
        let used = cpu() - before;
        println!(
            "waiting: {:.3} % of one core, {:.1} wakes per second",
            used as f64 / IDLE.as_nanos() as f64 * 100.0,
            (wakes()? - woken) as f64 / IDLE.as_secs_f64(),
        );
        drop(watch);
        Ok(())
    }

    fn print(what: &str, mut nanos: Vec<i64>) {
        nanos.sort_unstable();
        let at = |part: f64| {
            let index = (nanos.len().saturating_sub(1)) as f64 * part;
            nanos.get(index as usize).copied().unwrap_or(0) as f64 / 1000.0
        };
        println!(
            "{what}: p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, max {:.1} µs",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }

    fn now() -> i64 {
        read(ClockId::Monotonic)
    }

    fn cpu() -> i64 {
        read(ClockId::ProcessCPUTime)
    }

    fn read(clock: ClockId) -> i64 {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// How often the threads of this process have gone to sleep so far.
    fn wakes() -> Result<i64, Box<dyn Error>> {
        let mut sum = 0;
        for task in std::fs::read_dir("/proc/self/task")? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.unwrap_or("0").trim().parse::<i64>()?;
        }
        Ok(sum)
    }
}
