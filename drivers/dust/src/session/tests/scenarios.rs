//! What happens between a few clients and the server, one scenario after another.

use oneflight_store::{StoreError, Token};
use serde_json::json;

use super::pair::World;
use super::*;
use crate::mirror::What;
use crate::session::News;
use crate::wire::Condition;

/// A world in which everybody is up.
fn up(clients: usize) -> World {
    let mut world = World::new(clients);
    for n in 0..clients {
        world.client(n, |session, now| session.reach(now, 0));
    }
    world.rest();
    assert!(
        world
            .clients
            .iter()
            .all(|client| client.said.session.is_up())
    );
    world
}

fn publish(key: &str, value: &str, lock: &str, token: u64) -> Write {
    let only = Condition::Fence {
        lock: path(lock),
        token: Token::new(token).unwrap(),
    };
    Write {
        path: path(key),
        deed: Deed::Set {
            value: value.to_owned(),
            only,
        },
    }
}

fn granted(answer: Option<&Result<Done, Failure>>) -> u64 {
    match answer {
        Some(Ok(Done {
            token: Some(token), ..
        })) => *token,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn the_echo_answers_before_the_ack() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| session.write(now, lease("l", 1000, "me")));
    world.take(0, 0);
    world.go_on(0);
    assert_eq!(world.answer(0, ticket), None);
    world.hear(0);
    assert_eq!(granted(world.answer(0, ticket)), 1);
    // The answer changes nothing more.
    world.hear(0);
    assert_eq!(granted(world.answer(0, ticket)), 1);
}

#[test]
fn the_ack_answers_before_the_echo_and_the_mirror_knows() {
    let mut said = Said::new(settings("store:test/blog", Wire::Json));
    said.with(|session| session.reach(ms(0), 0));
    said.with(|session| session.opened(ms(0), ms(0), None));
    let from = |fields: serde_json::Value| Message::Text(fields.to_string());
    let ok = json!({"status": "ok", "response": {"store_seq": 0, "permissions": {"read": true, "write": true}}});
    said.receive(
        ms(1),
        &from(json!(["1", "1", "store:test/blog", "phx_reply", ok])),
    );
    said.receive(
        ms(1),
        &from(json!(["1", null, "store:test/blog", "catch_up_complete", {"through_seq": 0}])),
    );
    let write = Write {
        path: path("k"),
        deed: Deed::Set {
            value: "v".into(),
            only: Condition::Absent,
        },
    };
    let (ticket, sent) = said.with(|session| session.write(ms(2), write));
    let reference = sent[0].reference.clone();
    let ok = json!({"status": "ok", "response": {"store_seq": 1}});
    said.receive(
        ms(3),
        &from(json!(["1", reference, "store:test/blog", "phx_reply", ok])),
    );
    assert_eq!(
        said.answer(ticket),
        Some(&Ok(Done {
            seq: Some(1),
            ..Done::default()
        }))
    );
    assert_eq!(said.text("k").as_deref(), Some("v"));
    assert_eq!(said.session.mirror.seqs.through(), 1);
}

#[test]
fn a_publish_gives_up_its_lease_before_it_is_answered() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| session.write(now, lease("l", 1000, "me")));
    world.settle();
    let token = granted(world.answer(0, ticket));
    let ticket = world.client(0, |session, now| {
        session.write(now, publish("k", "1", "l", token))
    });
    world.take(0, 0);
    world.go_on(0);
    world.hear(0);
    let order = &world.clients[0].said.order;
    let last: Vec<&str> = order
        .iter()
        .rev()
        .take(2)
        .rev()
        .map(String::as_str)
        .collect();
    assert_eq!(last, ["release", &format!("answer {ticket}")], "{order:?}");
    world.settle();
    assert!(world.store().entry("l").is_none());
}

#[test]
fn an_answer_lost_with_the_connection_is_settled_from_the_past() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.take(0, 0);
    world.go_on(0);
    world.cut(0);
    world.rest();
    assert_eq!(granted(world.answer(0, ticket)), 1);
    assert_eq!(world.store().seq(), 1, "it was not sent again");
}

#[test]
fn what_never_arrived_is_sent_again() {
    let mut world = up(1);
    world.cut(0);
    world.settle();
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.rest();
    assert_eq!(granted(world.answer(0, ticket)), 1);
}

#[test]
fn a_lease_granted_to_who_has_left_is_given_up() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.client(0, |session, _| session.abandon(ticket));
    world.rest();
    assert!(world.store().entry("l").is_none());
    assert_eq!(world.store().seq(), 2, "a lease and a release");
    // And before it was sent, it is not sent at all.
    world.cut(0);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.client(0, |session, _| session.abandon(ticket));
    world.rest();
    assert_eq!(world.store().seq(), 2);
}

#[test]
fn a_lease_that_arrives_late_of_all_is_given_up() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    // It lies on the old connection while the new one joins and hears nothing of it.
    world.client(0, |session, _| session.abandon(ticket));
    world.cut(0);
    world.rest_of_new();
    assert!(world.clients[0].said.session.is_up());
    assert_eq!(world.store().seq(), 0);
    world.take(0, 0);
    assert_eq!(world.store().seq(), 1, "it has arrived");
    world.rest();
    assert!(world.store().entry("l").is_none(), "a ghost lease");
}

/// What was sent first is granted after all, while what was sent again is told that it is held.
#[test]
fn who_is_held_by_itself_leaves_no_ghost() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.cut(0);
    world.rest_of_new();
    assert!(world.clients[0].said.session.is_up());
    // The old connection's lease arrives, and nobody is told before the new one's is refused.
    world.take(0, 0);
    world.take(0, 1);
    world.hear(0);
    assert_eq!(world.answer(0, ticket), Some(&Err(Failure::Held)));
    world.rest();
    assert!(world.store().entry("l").is_none(), "a ghost lease");
}

/// What was sent first is given up, and who asks anew is granted: a snapshot shows that one as well.
#[test]
fn who_asks_anew_after_a_ghost_keeps_its_lease() {
    let mut world = up(1);
    let label = r#"{"user":"u","host":"h","pid":1,"attempt":"a","ttl_ms":60000}"#;
    let ask = |world: &mut World| {
        let lease = lease("l", 60_000, label);
        world.client(0, |session, now| session.write(now, lease))
    };
    ask(&mut world);
    world.cut(0);
    world.rest_of_new();
    world.take(0, 0);
    world.take(0, 1);
    world.hear(0);
    world.rest();
    assert!(world.store().entry("l").is_none(), "a ghost lease");
    let anew = ask(&mut world);
    world.rest();
    let token = granted(world.answer(0, anew));
    world.store().compact();
    world.cut(0);
    world.rest();
    world.rest();
    let entry = world.store().entry("l").cloned();
    let held = entry.map(|entry| entry.value["token"].as_u64());
    assert_eq!(held, Some(Some(token)), "given up though it is held");
}

/// What was sent again is granted and given up, and then what was sent first is granted, too.
#[test]
fn who_is_granted_twice_leaves_no_ghost() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.cut(0);
    world.rest_of_new();
    world.client(0, |session, _| session.abandon(ticket));
    // The lease that was sent again, and its release.
    for _ in 0..2 {
        world.take(0, 1);
        world.go_on(0);
        while world.hear(0) {}
    }
    assert!(world.store().entry("l").is_none(), "not given up");
    world.take(0, 0);
    assert!(world.store().entry("l").is_some(), "not granted twice");
    world.settle();
    assert!(world.store().entry("l").is_none(), "a ghost lease");
}

#[test]
fn after_a_snapshot_a_lease_is_known_by_its_label() {
    let mut world = up(1);
    let label = r#"{"user":"u","host":"h","pid":1,"attempt":"a","ttl_ms":60000}"#;
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, label))
    });
    world.take(0, 0);
    world.go_on(0);
    world.store().compact();
    world.cut(0);
    world.rest();
    assert_eq!(granted(world.answer(0, ticket)), 1);
    assert_eq!(world.store().seq(), 1);
}

#[test]
fn a_gap_that_nothing_fills_is_filled_by_joining_again() {
    let mut world = up(2);
    let value = json!({"op": "set", "path": "k", "value": "by HTTP", "client_op_id": "x"});
    world.store().write(0, "http", &value).unwrap();
    world.settle();
    assert_eq!(world.clients[1].said.text("k"), None, "nobody is told");
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.settle();
    assert_eq!(granted(world.answer(0, ticket)), 2);
    let reached = world.client(0, |session, now| session.reach(now, 2));
    assert_eq!(world.answer(0, reached), None);
    world.pass(100);
    world.settle();
    assert_eq!(world.answer(0, reached), None, "an event may yet fill it");
    world.pass(150);
    world.settle();
    assert!(world.answer(0, reached).is_some());
    assert_eq!(world.clients[0].said.text("k").as_deref(), Some("by HTTP"));
    assert_eq!(world.clients[1].said.text("k").as_deref(), Some("by HTTP"));
}

#[test]
fn a_heartbeat_finds_what_nobody_was_told_of() {
    let mut world = up(1);
    let value = json!({"op": "set", "path": "k", "value": "by HTTP", "client_op_id": "x"});
    world.store().write(0, "http", &value).unwrap();
    for _ in 0..50 {
        world.pass(500);
        world.settle();
    }
    assert_eq!(world.clients[0].said.text("k").as_deref(), Some("by HTTP"));
    assert_eq!(world.clients[0].said.dials, 1);
}

#[test]
fn joining_again_loses_no_write() {
    let mut world = up(1);
    let tickets: Vec<_> = (0..5)
        .map(|n| {
            world.client(0, |session, now| {
                session.write(now, lease(&format!("l/{n}"), 60_000, "me"))
            })
        })
        .collect();
    world.client(0, |session, now| session.rejoin(now));
    let more = world.client(0, |session, now| {
        session.write(now, lease("more", 60_000, "me"))
    });
    world.rest();
    for ticket in tickets.into_iter().chain([more]) {
        granted(world.answer(0, ticket));
    }
    assert_eq!(world.store().seq(), 6);
}

#[test]
fn catching_up_is_with_all_that_was_before() {
    let mut world = up(2);
    let ticket = world.client(1, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    // Committed, and nobody is told yet.
    world.take(1, 0);
    let caught = world.client(0, |session, now| session.catch_up(now));
    world.take(0, 0);
    world.hear(0);
    assert_eq!(world.answer(0, caught), None);
    world.settle();
    assert!(world.answer(0, caught).is_some());
    let row = world.clients[0]
        .said
        .session
        .mirror
        .row(&path("l"))
        .unwrap();
    assert!(matches!(row.what, What::Lease(_)));
    granted(world.answer(1, ticket));
}

#[test]
fn a_read_only_token_is_told_before_the_first_lease() {
    let mut world = World::with(1, oneflight_test_dust::Token::read_only("dust_tok_1"));
    let ticket = world.client(0, |session, now| session.write(now, lease("l", 1000, "me")));
    world.rest();
    let Some(Err(Failure::Store(StoreError::Refused(told)))) = world.answer(0, ticket) else {
        panic!()
    };
    assert!(told.contains("entries:write"), "{told}");
    assert!(
        world.clients[0]
            .said
            .frames
            .iter()
            .all(|frame| frame.event != "write")
    );
}

#[test]
fn a_short_rate_limit_is_waited_for_and_a_long_one_is_told() {
    let mut world = World::with(
        1,
        oneflight_test_dust::Token::full("dust_tok_1").writes_per_minute(1),
    );
    let first = world.client(0, |session, now| {
        session.write(now, lease("a", 60_000, "me"))
    });
    let second = world.client(0, |session, now| {
        session.write(now, lease("b", 60_000, "me"))
    });
    world.settle();
    granted(world.answer(0, first));
    let Some(Err(Failure::RateLimited(after))) = world.answer(0, second) else {
        panic!()
    };
    let after = *after;
    assert!(after > ms(2000));
    let frames = world.clients[0].said.frames.len();
    let third = world.client(0, |session, now| {
        session.write(now, lease("b", 60_000, "me"))
    });
    assert!(
        matches!(world.answer(0, third), Some(Err(Failure::RateLimited(_)))),
        "at once"
    );
    assert_eq!(world.clients[0].said.frames.len(), frames);
    let left = after - ms(1000);
    for _ in 0..left.as_millis() / 500 {
        world.pass(500);
        world.settle();
    }
    let fourth = world.client(0, |session, now| {
        session.write(now, lease("b", 60_000, "me"))
    });
    assert_eq!(world.answer(0, fourth), None);
    world.rest();
    granted(world.answer(0, fourth));
}

#[test]
fn what_nobody_waits_for_waits_for_a_short_rate_limit_too() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.settle();
    let token = Token::new(granted(world.answer(0, ticket))).unwrap();
    let sent = world.client(0, |session, now| {
        session.limited_until = Some(now + ms(1500));
        session.release(now, path("l"), token);
        session.is_releasing(&path("l"), token)
    });
    assert!(sent, "given up later");
    world.pass(1600);
    world.settle();
    assert!(world.store().entry("l").is_none());
}

#[test]
fn who_is_not_let_in_is_told_at_once_and_tries_again_later() {
    let mut world = World::with(1, oneflight_test_dust::Token::full("another"));
    let ticket = world.client(0, |session, now| session.write(now, lease("l", 1000, "me")));
    assert!(matches!(
        world.answer(0, ticket),
        Some(Err(Failure::Store(StoreError::Refused(_))))
    ));
    let dials = world.clients[0].said.dials;
    world.pass(5000);
    assert_eq!(world.clients[0].said.dials, dials);
    world.pass(15_000);
    assert!(world.clients[0].said.dials > dials);
}

#[test]
fn an_outage_fails_calls_after_a_while_and_ends() {
    let mut said = Said::new(settings("store:test/blog", Wire::Json));
    let (ticket, _) = said.with(|session| session.write(ms(0), lease("l", 1000, "me")));
    assert_eq!(said.dials, 1);
    let mut now = ms(0);
    let mut failed_at = None;
    for _ in 0..400 {
        said.with(|session| session.dial_failed(now, StoreError::unavailable("nobody there")));
        now += ms(10);
        said.with(|session| session.tick(now));
        if failed_at.is_none() && said.answer(ticket).is_some() {
            failed_at = Some(now);
        }
    }
    assert_eq!(failed_at, Some(ms(2000)));
    assert!((6..20).contains(&said.dials), "{} dials in 4 s", said.dials);
    let news = said.session.news();
    assert!(matches!(news[..], [News::Down(_)]), "{news:?}");
    let (ticket, _) = said.with(|session| session.write(now, lease("l", 1000, "me")));
    assert!(said.answer(ticket).is_some(), "at once");
}

#[test]
fn the_first_call_does_not_wait_for_who_takes_connections_and_says_nothing() {
    let mut said = Said::new(settings("store:test/blog", Wire::Json));
    let (ticket, _) = said.with(|session| session.reach(ms(0), 0));
    said.with(|session| session.opened(ms(0), ms(10), None));
    said.with(|session| session.tick(ms(4999)));
    assert_eq!(said.answer(ticket), None);
    assert_eq!(said.session.deadline(), Some(ms(5000)));
    said.with(|session| session.tick(ms(5000)));
    assert!(matches!(
        said.answer(ticket),
        Some(Err(Failure::Store(StoreError::Unavailable(_))))
    ));
    // It waits on, and there is no hurry any more.
    assert_eq!(said.session.deadline(), Some(ms(10_010)));
}

/// Whoever came to watch after the connection was lost is told, too, that it does not come back.
#[test]
fn an_outage_that_lasts_is_told_again() {
    let mut world = up(1);
    world.client(0, |session, now| {
        session.news();
        session.closed(now, "cut");
    });
    let mut said = world.clients.remove(0).said;
    let news = said.session.news();
    assert!(matches!(news[..], [News::Down(_)]), "{news:?}");
    let mut now = ms(1_000_000);
    for _ in 0..3 {
        said.with(|session| session.dial_failed(now, StoreError::unavailable("nobody there")));
        now += ms(2000);
        said.with(|session| session.tick(now));
    }
    let news = said.session.news();
    assert!(matches!(news[..], [News::Down(_)]), "{news:?}");
}

#[test]
fn a_channel_that_crashes_is_joined_again() {
    let mut world = up(1);
    world.pass(3000);
    let join = world.clients[0]
        .said
        .session
        .link
        .join()
        .unwrap()
        .to_owned();
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    let crash = json!([join, join, "store:test/blog", "phx_error", {}]);
    world.client(0, |session, now| {
        session.received(now, &Message::Text(crash.to_string()))
    });
    world.rest();
    granted(world.answer(0, ticket));
    assert_eq!(world.clients[0].said.dials, 1);
}

#[test]
fn a_store_made_anew_is_told_as_a_gap() {
    let mut world = up(1);
    world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    world.rest();
    world.client(0, |session, _| drop(session.news()));
    world.make_anew();
    for _ in 0..5 {
        world.pass(1);
        world.settle();
    }
    let news = world.client(0, |session, _| session.news());
    assert!(
        matches!(news[..], [News::Down(_), News::Changed(_), News::Up]),
        "{news:?}"
    );
    assert_eq!(world.clients[0].said.session.mirror.seqs.through(), 0);
    assert_eq!(world.clients[0].said.session.mirror.rows().count(), 0);
}

/// Nobody is told that there is nothing, before it is known what there is.
#[test]
fn a_store_put_back_is_not_taken_for_an_empty_one() {
    let mut said = Said::new(settings("store:test/blog", Wire::Json));
    said.with(|session| session.reach(ms(0), 0));
    said.with(|session| session.opened(ms(0), ms(0), None));
    let from = |join: &str, event: &str, payload: serde_json::Value| {
        let reference = (event == "phx_reply").then_some(join);
        Message::Text(json!([join, reference, "store:test/blog", event, payload]).to_string())
    };
    let joined = |seq: u64| json!({"status": "ok", "response": {"store_seq": seq}});
    said.receive(ms(1), &from("1", "phx_reply", joined(9)));
    said.receive(
        ms(1),
        &from("1", "catch_up_complete", json!({"through_seq": 9})),
    );
    assert!(said.session.is_up());
    // It joins again, and the server is back at an earlier state.
    said.with(|session| session.closed(ms(2), "cut"));
    said.with(|session| session.tick(ms(2)));
    said.with(|session| session.opened(ms(2), ms(2), None));
    said.receive(ms(3), &from("2", "phx_reply", joined(5)));
    assert!(!said.session.is_up(), "the mirror is empty");
    said.receive(
        ms(3),
        &from("3", "phx_reply", json!({"status": "ok", "response": {}})),
    );
    assert!(!said.session.is_up());
    said.receive(ms(4), &from("4", "phx_reply", joined(5)));
    said.receive(
        ms(4),
        &from("4", "catch_up_complete", json!({"through_seq": 5})),
    );
    assert!(said.session.is_up());
}

/// However much is told live meanwhile.
#[test]
fn who_is_not_told_the_end_of_the_past_connects_again() {
    let mut said = Said::new(settings("store:test/blog", Wire::Json));
    said.with(|session| session.reach(ms(0), 0));
    said.with(|session| session.opened(ms(0), ms(0), None));
    let ok = json!({"status": "ok", "response": {"store_seq": 1}});
    let joined = json!(["1", "1", "store:test/blog", "phx_reply", ok]);
    said.receive(ms(0), &Message::Text(joined.to_string()));
    let event = |join: Option<&str>, seq: u64| {
        let event = json!({"op": "set", "path": "k", "value": "v", "store_seq": seq});
        Message::Text(json!([join, null, "store:test/blog", "event", event]).to_string())
    };
    said.receive(ms(9000), &event(Some("1"), 1));
    for seq in 2..12 {
        assert_eq!(said.dials, 1, "the past goes on until {seq}");
        said.receive(ms(9000 + 900 * seq), &event(None, seq));
    }
    said.with(|session| session.tick(ms(19_000)));
    assert!(said.hung_up);
}

#[test]
fn a_silent_server_is_found_out() {
    let mut world = up(1);
    let ticket = world.client(0, |session, now| {
        session.write(now, lease("l", 60_000, "me"))
    });
    // Nothing arrives any more.
    world.pass(9_900);
    assert_eq!(world.clients[0].said.dials, 1);
    world.pass(200);
    world.pass(1);
    assert_eq!(world.clients[0].said.dials, 2);
    world.rest();
    granted(world.answer(0, ticket));
    let mut idle = up(1);
    idle.pass(20_000);
    idle.pass(20_000);
    idle.pass(1);
    assert_eq!(idle.clients[0].said.dials, 2, "no answer to the heartbeat");
}
