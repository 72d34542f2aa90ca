//! Whether every ring is heard: here nobody looks unless it is woken, for there is no backstop.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use oneflight_store::{Change, WatchEvent};
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::ear::{Ear, WITHOUT_BACKSTOP};
use crate::signal::Bell;

/// A wait of this length is one that was not ended by what it waited for.
const LONG: Duration = Duration::from_secs(30);

impl Scene {
    fn signal(&self) -> PathBuf {
        self.directory.path().join("store.db-signal")
    }

    /// The bell, as another open store would have it.
    fn bell(&self) -> Bell {
        let database = self.directory.path().join("store.db");
        if !database.exists() {
            fs::write(&database, "").unwrap();
        }
        Bell::open(&self.signal(), &fs::metadata(database).unwrap()).unwrap()
    }
}

fn hears(bell: &Bell) -> Ear {
    let ear = Ear::new(bell);
    assert!(matches!(ear, Ear::Hearing(_)), "{ear:?}");
    ear
}

#[test]
fn a_ring_before_the_wait_ends_it_and_no_other() {
    let scene = Scene::new();
    let (rung, heard) = (scene.bell(), scene.bell());
    rung.ring();
    let ear = hears(&heard);
    assert!(!ear.wait(Duration::ZERO), "it was rung before");
    for _ in 0..3 {
        rung.ring();
        rung.ring();
        assert!(ear.wait(LONG));
        assert!(!ear.wait(Duration::from_millis(5)));
        ear.wake();
        assert!(ear.wait(LONG));
        assert!(!ear.wait(Duration::ZERO));
        heard.ring();
        ear.wake();
        assert!(ear.wait(LONG));
        assert!(!ear.wait(Duration::ZERO), "one wait takes both");
    }
}

/// Four listeners and four ringers, with nothing between them but the bell. Each number is rung for
/// once, by one ringer, as soon as all have heard the one before; so no later ring makes up for one
/// that was lost.
#[test]
fn each_ring_is_heard_by_each_listener() {
    let scene = Scene::new();
    let rounds = 4000_u64;
    let rung = AtomicU64::new(0);
    let heard = [const { AtomicU64::new(0) }; 4];
    let bells = [(); 4].map(|()| scene.bell());
    thread::scope(|scope| {
        for heard in &heard {
            let bell = scene.bell();
            let rung = &rung;
            scope.spawn(move || {
                let ear = hears(&bell);
                loop {
                    let number = rung.load(Ordering::SeqCst);
                    heard.store(number, Ordering::SeqCst);
                    if number == rounds {
                        return;
                    }
                    assert!(ear.wait(LONG), "lost after {number}");
                }
            });
        }
        let mut turns = bells.iter().cycle();
        for number in 1..=rounds {
            rung.store(number, Ordering::SeqCst);
            turns.next().unwrap().ring();
            let since = Instant::now();
            while heard
                .iter()
                .any(|heard| heard.load(Ordering::SeqCst) < number)
            {
                assert!(since.elapsed() < LONG, "{number}: {heard:?}");
                thread::yield_now();
            }
        }
    });
}

/// Eight ring at once and as fast as they can, eight listen for long, and others come and go. What
/// counts is the last ring of each burst: no one may sleep on after it.
#[test]
fn the_last_of_many_rings_is_heard_whoever_comes_and_goes() {
    let scene = Scene::new();
    let (rung, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let heard = [const { AtomicU64::new(0) }; 8];
    thread::scope(|scope| {
        for heard in &heard {
            let bell = scene.bell();
            let (rung, over) = (&rung, &over);
            scope.spawn(move || {
                let ear = hears(&bell);
                while !over.load(Ordering::SeqCst) {
                    heard.store(rung.load(Ordering::SeqCst), Ordering::SeqCst);
                    assert!(ear.wait(LONG), "{heard:?} of {rung:?}");
                }
            });
        }
        for _ in 0..2 {
            let (scene, over) = (&scene, &over);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let bell = scene.bell();
                    let ear = hears(&bell);
                    ear.wait(Duration::from_micros(300));
                }
            });
        }
        for _ in 0..60 {
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let bell = scene.bell();
                        for _ in 0..50 {
                            rung.fetch_add(1, Ordering::SeqCst);
                            bell.ring();
                        }
                    });
                }
            });
            let last = rung.load(Ordering::SeqCst);
            let since = Instant::now();
            while heard
                .iter()
                .any(|heard| heard.load(Ordering::SeqCst) < last)
            {
                assert!(since.elapsed() < LONG, "{last}: {heard:?}");
                thread::sleep(Duration::from_micros(100));
            }
        }
        over.store(true, Ordering::SeqCst);
        scene.bell().ring();
    });
}

#[test]
fn a_full_pipe_rings_all_the_same() {
    let scene = Scene::new();
    let (bell, heard) = (scene.bell(), scene.bell());
    // It listens, but does not wake for long, as a process that was stopped.
    let stopped = hears(&heard);
    for _ in 0..200_000 {
        bell.ring();
    }
    assert!(stopped.wait(LONG));
    let late = hears(&heard);
    for _ in 0..10_000 {
        assert!(!late.wait(Duration::ZERO));
        assert!(!stopped.wait(Duration::ZERO));
        bell.ring();
        assert!(late.wait(Duration::ZERO));
        assert!(stopped.wait(Duration::ZERO));
    }
}

struct Listening {
    process: Child,
    ends: Option<ChildStdin>,
    heard: Receiver<u64>,
}

impl Listening {
    fn start(scene: &Scene) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::bell::listen", "--nocapture"])
            .env("ONEFLIGHT_TEST_DB", scene.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, heard) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let number = line.strip_prefix("heard ").and_then(|it| it.parse().ok());
                if number.is_some_and(|number| tell.send(number).is_err()) {
                    return;
                }
            }
        });
        let ends = process.stdin.take();
        let listening = Self {
            process,
            ends,
            heard,
        };
        listening.until(0);
        listening
    }

    #[track_caller]
    fn until(&self, number: u64) {
        while self.heard.recv_timeout(LONG).unwrap() < number {}
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn end(mut self) {
        drop(self.ends.take());
        assert!(self.process.wait().unwrap().success());
    }
}

/// Says what it hears, until its input ends; nothing where no test has started it as a process.
#[test]
fn listen() {
    let Some(path) = std::env::var_os("ONEFLIGHT_TEST_DB") else {
        return;
    };
    WITHOUT_BACKSTOP.store(true, Ordering::SeqCst);
    let store = SqliteStore::open(path).unwrap();
    let say = |number: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nheard {number}").unwrap();
        out.flush().unwrap();
    };
    let (key, lock) = ("watched".into(), "watched/lock".into());
    let _watch = store.watch(
        key,
        lock,
        Arc::new(move |event| {
            if let WatchEvent::Key(state) = event {
                say(state.revision.get());
            }
        }),
    );
    let _changes = store.changes(Arc::new(|change| {
        assert!(!matches!(change, Change::Gap(_)), "{change:?}");
    }));
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Each value is written once all processes have heard of the one before, so nothing makes up for a
/// ring that was lost.
#[test]
fn each_change_is_heard_by_each_process() {
    let scene = Scene::new();
    let stores = [(); 3].map(|()| SqliteStore::open(scene.path()).unwrap());
    let mut listening: Vec<_> = (0..4).map(|_| Listening::start(&scene)).collect();
    let mut turns = stores.iter().cycle();
    let mut change = || put(turns.next().unwrap(), "watched", "value").get();
    for _ in 0..2000 {
        let number = change();
        listening.iter().for_each(|one| one.until(number));
    }
    // A process that is stopped keeps nobody from hearing, and hears when it goes on.
    let stopped = listening.pop().unwrap();
    stopped.signal(Signal::STOP);
    let mut last = 0;
    for _ in 0..500 {
        last = change();
        listening.iter().for_each(|one| one.until(last));
    }
    stopped.signal(Signal::CONT);
    stopped.until(last);
    // Neither does one that is killed, nor one that comes.
    let mut killed = listening.pop().unwrap();
    killed.signal(Signal::KILL);
    killed.process.wait().unwrap();
    listening.push(stopped);
    listening.push(Listening::start(&scene));
    for _ in 0..1500 {
        let number = change();
        listening.iter().for_each(|one| one.until(number));
    }
    listening.into_iter().for_each(Listening::end);
}

/// Whatever has the name of the pipe is left alone, and changes are looked for.
#[test]
fn what_is_no_pipe_is_left_alone() {
    type Make = fn(&Scene);
    let cases: [(&str, Make); 4] = [
        ("a file", |scene| fs::write(scene.signal(), "mine").unwrap()),
        ("a directory", |scene| {
            fs::create_dir(scene.signal()).unwrap();
        }),
        ("a link", |scene| {
            let target = scene.directory.path().join("target");
            fs::write(&target, "mine").unwrap();
            std::os::unix::fs::symlink(target, scene.signal()).unwrap();
        }),
        ("a link to nothing", |scene| {
            let target = scene.directory.path().join("target");
            std::os::unix::fs::symlink(target, scene.signal()).unwrap();
        }),
    ];
    for (what, make) in cases {
        let scene = Scene::new();
        make(&scene);
        let before = fs::symlink_metadata(scene.signal()).unwrap();
        let (store, other) = (scene.open(), scene.open());
        let (tell, told) = channel();
        let _changes = store.changes(Arc::new(move |change| drop(tell.send(change))));
        assert_eq!(told.recv_timeout(LONG), Ok(Change::Connected), "{what}");
        let since = Instant::now();
        for _ in 0..10 {
            put(&other, "key", "value");
            assert!(matches!(told.recv_timeout(LONG), Ok(Change::Moved { .. })));
        }
        assert!(since.elapsed() < SECOND, "{what}: {:?}", since.elapsed());
        let after = fs::symlink_metadata(scene.signal()).unwrap();
        assert_eq!(before.file_type(), after.file_type(), "{what}");
        assert_eq!(
            before.modified().unwrap(),
            after.modified().unwrap(),
            "{what}"
        );
        if let Ok(mine) = fs::read(scene.signal()) {
            assert_eq!(mine, b"mine", "{what}");
        }
        assert_eq!(
            scene.directory.path().join("target").exists(),
            what == "a link"
        );
    }
}
