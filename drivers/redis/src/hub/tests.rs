//! Questions, answers and pushes, in the orders they may come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oneflight_store::{KeyState, LockState, Revision, StoreError, Token, WatchEvent, Watcher};

use super::{Hub, LINGER};
use crate::layout::Channels;
use crate::message::Push;
use crate::moment::LockAt;
use crate::pace::Pace;
use crate::times::SHORTEST_OUTAGE;

const KEY: &str = "key";
const LOCK: &str = "_dust:sf/key";
const CHANNEL: &str = "oneflight:0:key:key";

type Heard = Arc<Mutex<Vec<WatchEvent>>>;

struct Scene {
    hub: Arc<Hub>,
    heard: Heard,
    rung: Arc<AtomicUsize>,
}

/// Somebody with a patience.
struct Patient(Duration, Heard);

impl Watcher for Patient {
    fn notify(&self, event: WatchEvent) {
        self.1.lock().unwrap().push(event);
    }

    fn patience(&self) -> Duration {
        self.0
    }
}

impl Scene {
    fn new() -> Self {
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = Arc::clone(&rung);
        let ring = move || {
            bell.fetch_add(1, Ordering::SeqCst);
        };
        Self {
            hub: Arc::new(Hub::new(Channels::new(0), ring)),
            heard: Arc::default(),
            rung,
        }
    }

    fn connected() -> Self {
        let scene = Self::new();
        let number = scene.hub.next_connection();
        scene.hub.connected(number);
        scene
    }

    /// The server is one of a cluster.
    fn clustered() -> Self {
        let scene = Self::connected();
        scene.hub.tell_turns(|_| ());
        scene
    }

    fn push(&self, push: Push) {
        self.hub.pushed(1, push);
    }

    fn told(&self, words: &str) {
        self.push(Push::Told(CHANNEL.to_owned(), words.as_bytes().to_vec()));
    }

    fn watch(&self) -> oneflight_store::Subscription {
        let heard = Arc::clone(&self.heard);
        let watcher = move |event| heard.lock().unwrap().push(event);
        self.hub.watch(KEY.into(), LOCK.into(), Arc::new(watcher))
    }

    fn watch_for(&self, patience: Duration) -> oneflight_store::Subscription {
        let watcher = Arc::new(Patient(patience, Arc::clone(&self.heard)));
        self.hub.watch(KEY.into(), LOCK.into(), watcher)
    }

    fn heard(&self) -> Vec<WatchEvent> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    fn asks(&self) -> (super::Ticket, Vec<String>) {
        let mut asked = Vec::new();
        let ticket = self.hub.depart(1, KEY, LOCK, |names| asked = names);
        (ticket, texts(&asked))
    }

    fn looks(&self) -> usize {
        self.hub.take_wanted(1, drop).len()
    }
}

fn texts(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(|name| String::from(&**name)).collect()
}

fn nothing(revision: u64) -> KeyState {
    KeyState {
        revision: Revision::new(revision),
        entry: None,
    }
}

fn held(token: u64) -> LockAt {
    let remaining = Some(Duration::from_secs(300));
    LockAt::held(Token::new(token).unwrap(), remaining, None)
}

fn tokens(events: &[WatchEvent]) -> Vec<Option<u64>> {
    let locks = events.iter().filter_map(|event| match event {
        WatchEvent::Lock(LockState::Free) => Some(None),
        WatchEvent::Lock(LockState::Held { token, .. }) => Some(Some(token.get())),
        WatchEvent::Key(_) | WatchEvent::Ended(_) => None,
    });
    locks.collect()
}

fn revisions(events: &[WatchEvent]) -> Vec<u64> {
    let keys = events.iter().filter_map(|event| match event {
        WatchEvent::Key(state) => Some(state.revision.get()),
        WatchEvent::Lock(_) | WatchEvent::Ended(_) => None,
    });
    keys.collect()
}

fn stands() -> Push {
    Push::Stands(CHANNEL.to_owned())
}

#[test]
fn who_was_told_that_a_lease_is_held_watches_without_asking() {
    let scene = Scene::connected();
    let (ticket, asked) = scene.asks();
    assert_eq!(asked, [CHANNEL]);
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    let _watch = scene.watch();
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![0], vec![Some(7)])
    );
    assert_eq!(scene.looks(), 0);
    // Who comes later asks for no channel either.
    assert_eq!(scene.asks().1, [""; 0]);
}

#[test]
fn an_answer_that_a_push_has_overtaken_counts_for_nothing() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.told("v,9,7;f,7\nvalue");
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    let _watch = scene.watch();
    let heard = scene.heard();
    assert_eq!((revisions(&heard), tokens(&heard)), (vec![9], vec![None]));
}

#[test]
fn an_answer_counts_for_nothing_while_the_subscription_does_not_stand() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    let _watch = scene.watch();
    assert_eq!(scene.heard(), []);
    assert_eq!(scene.looks(), 1);
}

#[test]
fn an_answer_from_before_a_gap_counts_for_nothing_after_it() {
    let scene = Scene::connected();
    let _watch = scene.watch();
    assert_eq!(scene.looks(), 1);
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let error = StoreError::unavailable("gap");
    scene.hub.disconnected(1, &error);
    let number = scene.hub.next_connection();
    scene.hub.connected(number);
    let mut asked = Vec::new();
    assert_eq!(
        scene.hub.take_wanted(number, |names| asked = names).len(),
        1
    );
    assert_eq!(texts(&asked), [CHANNEL]);
    scene.hub.pushed(number, stands());
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    assert_eq!(scene.heard(), []);
    // What the old connection still had to say is not heard.
    scene.told("v,9,7;f,7\nvalue");
    assert_eq!(scene.heard(), []);
}

#[test]
fn a_value_that_was_not_told_is_looked_at() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let _watch = scene.watch();
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    scene.heard();
    scene.looks();
    let (early, _) = scene.asks();
    scene.told("r,9;f,7\n");
    assert_eq!(tokens(&scene.heard()), [None]);
    assert_eq!(scene.looks(), 1);
    let (late, _) = scene.asks();
    scene.hub.learn(early, Some(nothing(0)), &held(7));
    assert_eq!(scene.heard(), []);
    scene.hub.learn(late, Some(nothing(9)), &LockAt::ended(7));
    assert_eq!(revisions(&scene.heard()), [9]);
}

#[test]
fn a_channel_that_is_refused_ends_its_watches() {
    let scene = Scene::connected();
    let _watch = scene.watch();
    let (_, asked) = scene.asks();
    let error = StoreError::refused("no");
    let names: Vec<Arc<str>> = asked.iter().map(|name| name.as_str().into()).collect();
    scene.hub.refused(1, &names, &error);
    assert_eq!(scene.heard(), [WatchEvent::Ended(error.clone())]);
    // So it does those that come later.
    let _another = scene.watch();
    assert_eq!(scene.heard(), [WatchEvent::Ended(error)]);
    assert_eq!(scene.looks(), 0);
}

#[test]
fn what_nobody_watches_any_more_is_not_looked_at_again() {
    let scene = Scene::connected();
    let watch = scene.watch();
    assert_eq!(scene.looks(), 1);
    let error = StoreError::unavailable("not now");
    let failed = || scene.hub.look_failed((KEY.into(), LOCK.into()), &error);
    failed();
    // Not at once: it cannot be looked at just now.
    assert_eq!(scene.looks(), 0);
    scene.hub.look_again();
    assert_eq!(scene.looks(), 1);
    drop(watch);
    failed();
    scene.hub.look_again();
    assert_eq!(scene.looks(), 0);
}

#[test]
fn only_what_nobody_uses_for_long_is_given_back() {
    let scene = Scene::connected();
    let watch = scene.watch();
    scene.asks();
    scene.push(stands());
    let left = |now| {
        let mut left: Vec<String> = Vec::new();
        scene.hub.leave_idle(now, |names| left = texts(&names));
        left
    };
    let later = || Instant::now() + LINGER;
    assert_eq!(left(later()), [""; 0]);
    drop(watch);
    assert_eq!(left(Instant::now()), [""; 0]);
    assert_eq!(left(later()), [CHANNEL]);
    assert_eq!(scene.asks().1, [CHANNEL]);
}

/// Some servers answer a call first, and then tell of what it has changed.
#[test]
fn who_watches_after_a_call_is_not_told_how_things_stood_before() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(5)), &held(7));
    scene.hub.unknown(&[CHANNEL.into()]);
    let _watch = scene.watch();
    assert_eq!(scene.heard(), []);
    assert_eq!(scene.looks(), 1);
    scene.told(";f,7\n");
    assert_eq!(tokens(&scene.heard()), [None]);
}

/// The last messages of a subscription that was given back come after it is asked for once more. What was
/// told between the two is not told by them.
#[test]
fn what_comes_late_of_an_earlier_subscription_tells_nothing() {
    let scene = Scene::connected();
    scene.asks();
    scene.push(stands());
    let later = Instant::now() + LINGER;
    let mut left = 0;
    scene.hub.leave_idle(later, |names| left = names.len());
    assert_eq!(left, 1);
    let (ticket, asked) = scene.asks();
    assert_eq!(asked, [CHANNEL]);
    scene.told(";h,7,300000000\nholder");
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(5)), &LockAt::ended(7));
    let _watch = scene.watch();
    let heard = scene.heard();
    assert_eq!((revisions(&heard), tokens(&heard)), (vec![5], vec![None]));
}

/// In a cluster, what the server has told that kept the slot before comes by way of others, and late.
#[test]
fn what_is_older_than_what_was_told_is_no_news() {
    let scene = Scene::clustered();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let _watch = scene.watch();
    scene.hub.learn(ticket, Some(nothing(8)), &held(9));
    let late = || {
        for words in [
            "v,5,4;f,4\nold",
            ";h,5,300000000\n1 1 hu",
            "v,6,5;f,5\nold",
            "r,7;\n",
        ] {
            scene.told(words);
        }
    };
    late();
    scene.told("v,10,9;f,9\nnew");
    late();
    scene.told(";h,9,300000000\n1 1 hu");
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![8, 10], vec![Some(9), None])
    );
    // So it is for those who come now.
    let _another = scene.watch();
    let heard = scene.heard();
    assert_eq!((revisions(&heard), tokens(&heard)), (vec![10], vec![None]));
    // Who takes the lock next is news.
    scene.told(";h,11,300000000\n1 1 hu");
    assert_eq!(tokens(&scene.heard()), [Some(11); 2]);
}

/// One server tells in order. But it may have lost what it knew, and its clock be behind: because of a
/// `FLUSHALL`, or because it follows another primary by now.
#[test]
fn what_the_only_server_tells_is_news_whatever_its_number() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let _watch = scene.watch();
    scene.hub.learn(ticket, Some(nothing(8)), &held(9));
    scene.heard();
    scene.told(";h,7,300000000\n1 1 hu");
    scene.told("v,6,7;f,7\nvalue");
    scene.told("r,5;\n");
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![6], vec![Some(7), None])
    );
    assert_eq!(scene.looks(), 1);
}

#[test]
fn an_answer_counts_if_what_came_before_it_is_older() {
    let scene = Scene::clustered();
    let _watch = scene.watch();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.told("v,5,4;f,4\nold");
    scene.hub.learn(ticket, Some(nothing(8)), &held(9));
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![5, 8], vec![None, Some(9)])
    );
    let _another = scene.watch();
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![8], vec![Some(9)])
    );
}

/// In a cluster, what another server passes on may be lost on the way.
#[test]
fn an_answer_that_is_newer_than_what_was_told_is_news_to_all() {
    let scene = Scene::clustered();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let _watch = scene.watch();
    scene.hub.learn(ticket, Some(nothing(5)), &held(4));
    scene.hub.all_unknown();
    scene.heard();
    let _another = scene.watch();
    let (ticket, _) = scene.asks();
    scene.hub.learn(ticket, Some(nothing(8)), &LockAt::ended(7));
    let heard = scene.heard();
    assert_eq!(
        (revisions(&heard), tokens(&heard)),
        (vec![8; 2], vec![None; 2])
    );
    // What they know by now is told to nobody once more.
    let (ticket, _) = scene.asks();
    scene.hub.learn(ticket, Some(nothing(8)), &LockAt::ended(7));
    assert_eq!(scene.heard(), []);
}

/// A lease that has run out may be renewed, until somebody takes it.
#[test]
fn a_lapsed_lease_that_is_renewed_is_news() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    let _watch = scene.watch();
    scene
        .hub
        .learn(ticket, Some(nothing(0)), &LockAt::lapsed(7));
    scene.told(";h,7,300000000\n1 1 hu");
    assert_eq!(tokens(&scene.heard()), [None, Some(7)]);
}

/// A server that comes back may have lost what it knew, and its clock be behind.
#[test]
fn what_a_server_tells_that_was_away_is_news() {
    let scene = Scene::connected();
    let _watch = scene.watch();
    scene.asks();
    scene.push(stands());
    scene.told("v,9,7;f,7\nvalue");
    scene.heard();
    scene.hub.disconnected(1, &StoreError::unavailable("gone"));
    let number = scene.hub.next_connection();
    scene.hub.connected(number);
    scene.hub.take_wanted(number, drop);
    let push = |push| scene.hub.pushed(number, push);
    push(stands());
    push(Push::Told(CHANNEL.to_owned(), b"v,3,2;f,2\n".to_vec()));
    let heard = scene.heard();
    assert_eq!((revisions(&heard), tokens(&heard)), (vec![3], vec![None]));
}

/// While the key was elsewhere, what was told may have been lost between two servers.
#[test]
fn what_may_have_been_elsewhere_is_looked_at() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(5)), &held(7));
    scene.hub.all_unknown();
    let _watch = scene.watch();
    assert_eq!(scene.heard(), []);
    assert_eq!(scene.looks(), 1);
}

#[test]
fn an_outage_ends_the_watches_of_those_whose_patience_is_over() {
    let scene = Scene::connected();
    let millis = Duration::from_millis;
    let _watches = [10, 800, 900].map(|patience| scene.watch_for(millis(patience)));
    let ended = |outage| {
        let error = StoreError::unavailable("silent");
        scene.hub.outlasts(millis(outage), || error.clone());
        let heard = scene.heard();
        let is_end = |event: &WatchEvent| *event == WatchEvent::Ended(error.clone());
        assert!(heard.iter().all(is_end), "{heard:?}");
        heard.len()
    };
    // However impatient: the way to the server may take so long.
    assert_eq!(ended(200), 0);
    assert_eq!(ended(799), 1);
    assert_eq!(ended(800), 1);
    assert_eq!(ended(800), 0);
    assert_eq!(ended(5_000), 1);
}

#[test]
fn who_is_not_told_how_things_stand_is_told_in_time_that_they_are_not_known() {
    let scene = Scene::connected();
    let error = StoreError::unavailable("loading");
    let look = || {
        scene.hub.look_again();
        scene.looks();
        scene.hub.look_failed((KEY.into(), LOCK.into()), &error);
        let healthy = || unreachable!("it answers");
        scene.hub.outlasts(Duration::ZERO, healthy);
    };
    let _patient = scene.watch_for(Duration::from_secs(60));
    let _hasty = scene.watch_for(SHORTEST_OUTAGE);
    look();
    let begun = Instant::now();
    assert_eq!(scene.heard(), []);
    while begun.elapsed() < SHORTEST_OUTAGE {
        std::thread::yield_now();
    }
    look();
    assert_eq!(scene.heard(), [WatchEvent::Ended(error.clone())]);
    // The patient one is told once it is known.
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(5)), &LockAt::ended(7));
    assert_eq!(revisions(&scene.heard()), [5]);
    look();
    assert_eq!(scene.heard(), []);
}

#[test]
fn who_is_less_patient_is_heeded_at_once_and_no_longer_than_there() {
    let scene = Scene::connected();
    let (ticket, _) = scene.asks();
    scene.push(stands());
    scene.hub.learn(ticket, Some(nothing(0)), &held(7));
    let rung = || scene.rung.swap(0, Ordering::SeqCst);
    let calm = Pace::of(Duration::MAX);
    rung();
    let patient = scene.watch_for(Duration::from_secs(60));
    assert_eq!((rung(), scene.hub.pace()), (0, calm));
    let short = Duration::from_millis(600);
    let hasty = [(); 2].map(|()| scene.watch_for(short));
    assert_eq!((rung(), scene.hub.pace()), (1, Pace::of(short)));
    let look = || {
        let nobody = || StoreError::unavailable("silent");
        scene.hub.outlasts(Duration::ZERO, nobody);
    };
    look();
    assert_eq!(scene.hub.pace(), Pace::of(short));
    drop(hasty);
    look();
    assert_eq!(scene.hub.pace(), calm);
    drop(patient);
}
