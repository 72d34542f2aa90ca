//! A participant, from outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::words::{Call, Deed, Driver, Event, Landed, Order, Remains, Report};
use crate::time::BOUND;

/// No call takes longer whose own limits are a few seconds, whatever happens meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of a fleet. It is killed when it is dropped.
#[derive(Debug)]
pub struct Participant {
    /// Its driver.
    pub driver: Driver,
    child: Child,
    orders: Option<ChildStdin>,
    told: Arc<Told>,
    reader: Option<JoinHandle<()>>,
    last: u64,
}

/// What it has reported so far.
#[derive(Debug, Default)]
struct Told {
    reports: Mutex<Vec<Report>>,
    more: Condvar,
    is_over: AtomicBool,
}

/// The program, and what makes it a participant: a program of its own beside the tests, or the example
/// that runs, in another role.
fn program() -> Command {
    let this = std::env::current_exe().unwrap();
    let directory = this.parent().unwrap();
    if directory.ends_with("examples") {
        let mut command = Command::new(this);
        command.arg("participant");
        return command;
    }
    // …/<profile>/deps/<test>: what cargo builds for the tests of this package.
    let profile: PathBuf = directory.parent().unwrap().into();
    Command::new(profile.join("participant"))
}

impl Participant {
    /// Starts one, and returns when it is ready. It records to `tape` if there is one.
    #[must_use]
    pub fn start(driver: Driver, url: &str, tape: Option<&Path>) -> Self {
        let participant = Self::starting(driver, url, tape);
        participant.await_ready();
        participant
    }

    /// Waits until it takes orders.
    #[track_caller]
    pub fn await_ready(&self) {
        self.await_report("a participant that is ready", |report| {
            (report.event == Event::Ready).then_some(())
        });
    }

    /// Starts one.
    #[must_use]
    pub fn starting(driver: Driver, url: &str, tape: Option<&Path>) -> Self {
        let mut command = program();
        command.arg(serde_json::to_value(driver).unwrap().as_str().unwrap());
        let mut child = command
            .arg(url)
            .args(tape)
            // Not in the foreground of whatever terminal this runs at.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Arc::new(Told::default());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn({
            let told = Arc::clone(&told);
            move || {
                // A line may be cut off by its writer's death.
                let reports = lines
                    .map_while(Result::ok)
                    .map_while(|line| serde_json::from_str(&line).ok());
                for report in reports {
                    told.reports.lock().unwrap().push(report);
                    told.more.notify_all();
                }
                let _reports = told.reports.lock().unwrap();
                told.is_over.store(true, Ordering::SeqCst);
                told.more.notify_all();
            }
        });
        Self {
            driver,
            orders: child.stdin.take(),
            child,
            told,
            reader: Some(reader),
            last: 0,
        }
    }

    /// Its number with the system.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something; the number of that.
    pub fn order(&mut self, key: &str, deed: Deed) -> u64 {
        self.last += 1;
        self.tell(self.last, key, deed);
        self.last
    }

    /// Tells it to call.
    pub fn call(&mut self, key: &str, call: &Call) -> u64 {
        self.order(key, Deed::Call(call.clone()))
    }

    /// Tells it to give up a call.
    pub fn leave(&mut self, id: u64) {
        self.tell(id, "", Deed::Leave);
    }

    fn tell(&mut self, id: u64, key: &str, deed: Deed) {
        let key = key.to_owned();
        let mut line = serde_json::to_vec(&Order { id, key, deed }).unwrap();
        line.push(b'\n');
        // It may be dead.
        self.orders.as_mut().unwrap().write_all(&line).ok();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a report, with a bound.
    #[track_caller]
    pub fn await_report<T>(&self, what: &str, is: impl Fn(&Report) -> Option<T>) -> T {
        match self.report_within(BOUND, is) {
            Some(found) => found,
            None => panic!("waited in vain for {what}; {:?}", self.reports()),
        }
    }

    /// Waits for a report for so long, and in vain if it is dead.
    fn report_within<T>(&self, bound: Duration, is: impl Fn(&Report) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + bound;
        let mut reports = self.told.reports.lock().unwrap();
        let mut seen = 0;
        loop {
            if let Some(found) = reports[seen..].iter().find_map(&is) {
                return Some(found);
            }
            seen = reports.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.told.is_over.load(Ordering::SeqCst) {
                return None;
            }
            reports = self.told.more.wait_timeout(reports, left).unwrap().0;
        }
    }

    /// Waits until it is told that somebody else holds the key.
    #[track_caller]
    pub fn await_held(&self, key: &str) {
        self.await_report("a caller that waits", |report| {
            (report.key == key && report.event == Event::Held).then_some(())
        });
    }

    /// Waits until a call fills; the token and the moment.
    #[track_caller]
    pub fn await_filling(&self, id: u64) -> (Option<u64>, i64) {
        self.await_report("a fill", |report| match report.event {
            Event::Filling(token) if report.id == id => Some((token, report.at)),
            _ => None,
        })
    }

    /// Waits until something ordered is done.
    #[track_caller]
    pub fn landed(&self, id: u64) -> Landed {
        match self.report_within(PATIENCE, |report| landing(report, id)) {
            Some(landed) => landed,
            None => panic!("call {id} hangs; {:?}", self.reports()),
        }
    }

    /// What it has reported so far.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.told.reports.lock().unwrap().clone()
    }

    /// What it has reported since this was asked last.
    #[must_use]
    pub fn news(&self) -> Vec<Report> {
        std::mem::take(&mut self.told.reports.lock().unwrap())
    }

    /// How many fills of a key have begun.
    #[must_use]
    pub fn fills(&self, key: &str) -> usize {
        let reports = self.told.reports.lock().unwrap();
        let fills = reports
            .iter()
            .filter(|report| report.key == key && matches!(report.event, Event::Filling(_)));
        fills.count()
    }

    /// Tells it that there are no more orders, and waits for its end: what is left of the driver and the
    /// store then.
    #[track_caller]
    pub fn rests(mut self) -> Remains {
        drop(self.orders.take());
        let left = self.await_report("a participant that rests", |report| match &report.event {
            Event::Rested(left) => Some(left.clone()),
            _ => None,
        });
        assert!(self.child.wait().unwrap().success());
        left
    }

    /// Lets it end, and nothing must be left.
    #[track_caller]
    pub fn ends_in_peace(self) {
        let left = self.rests();
        let nothing = Remains {
            threads: Vec::new(),
            sockets: 0,
        };
        assert_eq!(left, nothing);
    }

    /// Waits until it is stopped.
    #[track_caller]
    pub fn await_stopped(&self) {
        crate::program::await_stopped(self.pid());
    }
}

fn landing(report: &Report, id: u64) -> Option<Landed> {
    match &report.event {
        Event::Landed(landed) if report.id == id => Some(landed.clone()),
        _ => None,
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        // It has ended already, or is to end now.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}
