//! Errands say to the store what the machine has ordered, and news to the machine what the store has
//! answered: the same in both flavours of the contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneflight_core::{
    Arrival, Attempt, Command, Event, FlightId, Instant, Lease, Notice, Outcome, Revision, Token,
    Warning,
};
use oneflight_store::{
    AttemptId, Bytes, ChangeListener, Claim, ClaimRequest, Entry, Errand, Holder, KeyState,
    KeyStatus, LeaseId, LockState, MemoryStore, News, Offload, Profile, Publication, PutOutcome,
    Renewal, StoreError, Subscription, WatchEvent, Watcher, blocking,
};

const ONE: Attempt = Attempt::new(1);
const TTL: Duration = Duration::from_secs(7);
const RETAIN: Option<Duration> = Some(Duration::from_secs(8));

fn token(number: u64) -> Token {
    Token::new(number).unwrap()
}

fn flight() -> FlightId<&'static str> {
    FlightId {
        key: "names",
        number: 5,
    }
}

fn holder() -> Holder {
    Holder {
        host: "here".into(),
        pid: 1,
        user: "me".into(),
    }
}

fn errand(command: Command) -> Errand<&'static str> {
    Errand {
        flight: flight(),
        command,
        key: "key".into(),
        lock: "lock".into(),
        ttl: TTL,
        value: Bytes::from("value"),
        retain: RETAIN,
        holder: holder(),
        process: 3,
    }
}

/// What a call was asked to do, in words; and how every call is answered.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<String>>,
    claim: Option<Claim>,
    lost: bool,
    error: Option<StoreError>,
}

impl Scripted {
    fn answer<T>(&self, asked: String, answer: T) -> Result<T, StoreError> {
        self.asked.lock().unwrap().push(asked);
        self.error.clone().map_or(Ok(answer), Err)
    }
}

impl blocking::Store for Scripted {
    fn profile(&self) -> &Profile {
        blocking::Store::profile(Box::leak(Box::new(MemoryStore::new())))
    }
    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let free = Claim::Granted {
            token: token(9),
            remaining: TTL,
            generation: Revision::new(4),
        };
        self.answer(format!("{request:?}"), self.claim.clone().unwrap_or(free))
    }
    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        let answer = if self.lost {
            Renewal::Lost
        } else {
            Renewal::Renewed
        };
        self.answer(format!("renew {lease:?} {ttl:?}"), answer)
    }
    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        let published = Publication::Published(Revision::new(6));
        let answer = if self.lost {
            Publication::Fenced
        } else {
            published
        };
        let asked = format!("publish {lease:?} {key} {value:?} {retain:?}");
        self.answer(asked, answer)
    }
    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.answer(format!("release {lease:?}"), ())
    }
    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        let asked = format!("put {key} {value:?} {retain:?} {seen}");
        self.answer(asked, PutOutcome::Written(Revision::new(6)))
    }
    fn read(&self, _: Arc<str>) -> Result<KeyState, StoreError> {
        panic!("no errand reads")
    }
    fn forget(&self, _: Arc<str>, _: Arc<str>) -> Result<Revision, StoreError> {
        panic!("no errand forgets")
    }
    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        panic!("no errand lists")
    }
    fn watch(&self, _: Arc<str>, _: Arc<str>, _: Arc<dyn Watcher>) -> Subscription {
        panic!("no errand watches")
    }
    fn changes(&self, _: Arc<dyn ChangeListener>) -> Subscription {
        panic!("no errand listens")
    }
}

/// The errand's call, and what came of it, after both flavours have said the same.
fn run(
    store: impl Fn() -> Scripted,
    command: Command,
) -> (Vec<String>, Option<News<&'static str>>) {
    let scripted = store();
    let news = errand(command).carry_out(&scripted);
    let asked = scripted.asked.into_inner().unwrap();
    let offload = Offload::new(store());
    let sent = block_on(errand(command).send(&offload));
    assert_eq!(sent, news, "the async flavour tells something else");
    assert_eq!(*offload.get_ref().asked.lock().unwrap(), asked);
    (asked, news)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}

fn answered(event: Event) -> Option<News<&'static str>> {
    let flight = flight();
    Some(News {
        notice: Notice::Answered { flight, event },
        entry: None,
        error: None,
    })
}

fn entry() -> Entry {
    Entry {
        value: Bytes::from("newer"),
        revision: Revision::new(8),
        token: Some(token(2)),
        age: TTL,
    }
}

fn lease(number: u64) -> String {
    let (lock, token) = ("lock".into(), token(number));
    format!("{:?}", LeaseId { lock, token })
}

const CLAIM: Command = Command::Claim {
    attempt: ONE,
    seen: Revision::new(4),
};

fn renew() -> Command {
    Command::Renew {
        attempt: ONE,
        token: token(9),
    }
}

fn publish() -> Command {
    Command::Publish {
        attempt: ONE,
        token: token(9),
    }
}

fn release() -> Command {
    Command::Release {
        attempt: ONE,
        token: token(9),
    }
}

#[test]
fn a_claim_asks_with_all_it_takes_and_may_be_granted() {
    let (asked, news) = run(Scripted::default, CLAIM);
    let request = ClaimRequest {
        key: "key".into(),
        lock: "lock".into(),
        ttl: TTL,
        seen: Revision::new(4),
        holder: holder(),
        attempt: AttemptId::new(3, 5, ONE),
    };
    assert_eq!(asked, [format!("{request:?}")]);
    let granted = Event::LeaseGranted {
        attempt: ONE,
        token: token(9),
        remaining: TTL,
        generation: Revision::new(4),
    };
    assert_eq!(news, answered(granted));
}

#[test]
fn a_claim_may_find_the_lease_held() {
    let held = || Scripted {
        claim: Some(Claim::Held {
            token: token(2),
            remaining: Some(TTL),
            holder: Some(holder()),
        }),
        ..Scripted::default()
    };
    let event = Event::Held {
        attempt: ONE,
        token: Some(token(2)),
        remaining: Some(TTL),
    };
    assert_eq!(run(held, CLAIM).1, answered(event));
}

#[test]
fn a_claim_may_bring_a_newer_value() {
    let newer = || Scripted {
        claim: Some(Claim::Newer {
            entry: entry(),
            latest: Some(token(3)),
        }),
        ..Scripted::default()
    };
    let notice = Notice::Arrived {
        flight: flight(),
        attempt: Some(ONE),
        latest: Some(token(3)),
        arrival: Arrival {
            revision: Revision::new(8),
            token: Some(token(2)),
            value: true,
        },
    };
    let news = News {
        notice,
        entry: Some(entry()),
        error: None,
    };
    assert_eq!(run(newer, CLAIM).1, Some(news));
}

#[test]
fn a_renewal_lives_on_or_is_lost() {
    let (asked, news) = run(Scripted::default, renew());
    assert_eq!(asked, [format!("renew {} {TTL:?}", lease(9))]);
    assert_eq!(news, answered(Event::Renewed { attempt: ONE }));
    let lost = || Scripted {
        lost: true,
        ..Scripted::default()
    };
    assert_eq!(
        run(lost, renew()).1,
        answered(Event::LeaseLost { attempt: ONE })
    );
}

#[test]
fn what_was_published_is_kept_under_its_revision_and_token() {
    let (asked, news) = run(Scripted::default, publish());
    let value = Bytes::from("value");
    assert_eq!(
        asked,
        [format!("publish {} key {value:?} {RETAIN:?}", lease(9))]
    );
    let revision = Revision::new(6);
    let published = answered(Event::Published {
        attempt: ONE,
        revision,
    });
    let entry = Entry {
        value,
        revision,
        token: Some(token(9)),
        age: Duration::ZERO,
    };
    let published = published.map(|news| News {
        entry: Some(entry),
        ..news
    });
    assert_eq!(news, published);
    let lost = || Scripted {
        lost: true,
        ..Scripted::default()
    };
    assert_eq!(
        run(lost, publish()).1,
        answered(Event::Fenced { attempt: ONE })
    );
}

#[test]
fn a_release_is_answered_and_a_put_is_not() {
    let (asked, news) = run(Scripted::default, release());
    assert_eq!(asked, [format!("release {}", lease(9))]);
    assert_eq!(news, answered(Event::Released { attempt: ONE }));
    let (asked, news) = run(
        Scripted::default,
        Command::Put {
            seen: Revision::new(4),
        },
    );
    assert_eq!(
        asked,
        [format!("put key {:?} {RETAIN:?} 4", Bytes::from("value"))]
    );
    assert_eq!(news, None);
}

#[test]
fn an_error_is_told_in_kind_and_kept() {
    let reason: Arc<str> = "why".into();
    let malformed = StoreError::Malformed {
        key: "key".into(),
        reason: Arc::clone(&reason),
    };
    let cases = [
        (
            StoreError::Unavailable(Arc::clone(&reason)),
            Event::Unavailable { attempt: ONE },
        ),
        (StoreError::Refused(reason), Event::Refused { attempt: ONE }),
        (malformed, Event::Malformed { attempt: ONE }),
    ];
    for (error, event) in cases {
        for command in [CLAIM, renew(), publish(), release()] {
            let failing = || Scripted {
                error: Some(error.clone()),
                ..Scripted::default()
            };
            let news = answered(event).map(|news| News {
                error: Some(error.clone()),
                ..news
            });
            assert_eq!(run(failing, command).1, news, "{command:?}");
        }
        let failing = || Scripted {
            error: Some(error.clone()),
            ..Scripted::default()
        };
        assert_eq!(
            run(
                failing,
                Command::Put {
                    seen: Revision::NEVER
                }
            )
            .1,
            None
        );
    }
}

#[test]
fn other_commands_are_no_errands() {
    let lease = Lease {
        token: token(9),
        expires: Instant::NEVER,
        generation: Revision::NEVER,
    };
    let others = [
        Command::Watch,
        Command::Unwatch,
        Command::Fill {
            attempt: ONE,
            lease: Some(lease),
        },
        Command::WarnLeaseLost {
            token: None,
            warning: Warning::Lapsed,
        },
        Command::Land(Outcome::TimedOut),
    ];
    for command in others {
        assert_eq!(
            run(Scripted::default, command),
            (Vec::new(), None),
            "{command:?}"
        );
    }
}

#[test]
fn a_watch_tells_of_the_key_of_the_lock_and_of_its_end() {
    let state = |entry| KeyState {
        revision: Revision::new(8),
        entry,
    };
    let arrived = |value: Option<Entry>| News {
        notice: Notice::Arrived {
            flight: flight(),
            attempt: None,
            latest: None,
            arrival: Arrival {
                revision: Revision::new(8),
                token: value.as_ref().and_then(|entry| entry.token),
                value: value.is_some(),
            },
        },
        entry: value,
        error: None,
    };
    let told = |event| News::watched(flight(), event);
    assert_eq!(
        told(WatchEvent::Key(state(Some(entry())))),
        arrived(Some(entry()))
    );
    assert_eq!(told(WatchEvent::Key(state(None))), arrived(None));
    let free = told(WatchEvent::Lock(LockState::Free));
    assert_eq!(Some(free), answered(Event::LockReleased));
    let held = LockState::Held {
        token: token(2),
        remaining: Some(TTL),
        holder: None,
    };
    let remaining = Some(TTL);
    assert_eq!(
        Some(told(WatchEvent::Lock(held))),
        answered(Event::LockHeld { remaining })
    );
    let ends = [
        (StoreError::unavailable("gone"), Event::WatchLost),
        (StoreError::refused("no"), Event::WatchRefused),
    ];
    for (error, event) in ends {
        let ended = answered(event).map(|news| News {
            error: Some(error.clone()),
            ..news
        });
        assert_eq!(Some(told(WatchEvent::Ended(error))), ended);
    }
}

#[test]
fn an_attempt_is_told_from_every_other() {
    let id = AttemptId::new;
    assert_eq!(id(3, 5, ONE), id(3, 5, ONE));
    assert_eq!(id(3, 5, ONE).0, (3 << 64) | (5 << 24) | 1);
    for other in [id(4, 5, ONE), id(3, 6, ONE), id(3, 5, Attempt::new(2))] {
        assert_ne!(other, id(3, 5, ONE));
    }
}
