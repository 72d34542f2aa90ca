//! L3 `Takeover`, L6 `Heartbeat`, L7 `Quiescent`: what becomes of leases that nobody gives back.

use std::time::Duration;

use oneflight_core::{Attempt, Command, Event, Outcome, Revision, Warning};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BOB, BOUNDS, CAT, MS, PAUSE, ROUNDING, SECOND, SLACK, TTL, token,
};

/// When a lease must have been taken over, from its lapse on.
const TAKEN: Nanos = ROUNDING + PAUSE + ROUNDING + SLACK;

/// Bob listens since before Ann was granted a lease; she never heard of it.
fn waiting() -> Story {
    let mut story = Story::new();
    story.waits(BOB, 1).wait(1).calls(ANN).grants(ANN, 1);
    story
}

fn taken_late(story: &Story) -> Story {
    story.branch(|it| _ = it.wait(TTL + TAKEN + 1).calls(CAT).grants(CAT, 2))
}

#[test]
fn l3_a_lapsed_lease_is_taken_over() {
    waiting()
        .wait(TTL + TAKEN)
        .calls(CAT)
        .grants(CAT, 2)
        .passes();
    taken_late(&waiting()).breaks(&["L3"]);
    let mut story = waiting();
    story.bounds = None;
    taken_late(&story).passes();
}

#[test]
fn l3_who_listens_no_more_has_seen_it_taken_over() {
    let mut story = waiting();
    story.wait(TTL + TAKEN);
    story.branch(|it| _ = it.unwatches(BOB)).passes();
    story.wait(1);
    story.branch(|it| _ = it.unwatches(BOB)).breaks(&["L3"]);
    story
        .fault(0, Fault::LockEvicted, 0)
        .unwatches(BOB)
        .passes();
}

#[test]
fn l3_a_lapse_is_judged_by_a_clock_that_may_be_wrong() {
    let mut story = waiting();
    story.bounds.as_mut().unwrap().drift_ppm = 100;
    // 110 ppm of the lease, nothing of so short a pause but its whole milliseconds.
    let drift = 110 * TTL / 1_000_000 + 330;
    story.wait(TTL + TAKEN + drift).calls(CAT);
    story.branch(|it| _ = it.grants(CAT, 2)).passes();
    story.wait(1).grants(CAT, 2).breaks(&["L3"]);
}

#[test]
fn l3_a_renewed_lease_lapses_later() {
    let mut story = waiting();
    story
        .wait(SECOND)
        .renews(ANN, 1)
        .wait(TTL + TAKEN)
        .calls(CAT);
    story.branch(|it| _ = it.grants(CAT, 2)).passes();
    story.wait(1).grants(CAT, 2).breaks(&["L3"]);
    // Whoever listens before the lapse is told of it, also who came with the renewal.
    for early in [1, 0] {
        let mut story = Story::new();
        story.calls(ANN).grants(ANN, 1).wait(SECOND).waits(BOB, 1);
        story.wait(early).renews(ANN, 1);
        taken_late(&story).breaks(&["L3"]);
    }
}

#[test]
fn l3_needs_somebody_who_knew_of_the_lease() {
    for (early, broken) in [(1, &["L3"][..]), (0, &[])] {
        let mut story = Story::new();
        story.calls(ANN).grants(ANN, 1).wait(TTL - early);
        story.waits(BOB, 1).wait(early + TAKEN + 1);
        story.calls(CAT).grants(CAT, 2).breaks(broken);
    }
    taken_late(&waiting().branch(|it| _ = it.unwatches(BOB))).passes();
    taken_late(&waiting().branch(|it| _ = it.frees(ANN, 1).wait(1).calls(AMY))).passes();
    taken_late(&waiting().branch(|it| _ = it.fault(0, Fault::LockEvicted, 0))).passes();
}

#[test]
fn l3_is_suspended_by_faults_of_who_waits() {
    for (node, broken) in [(0, &[][..]), (2, &[]), (1, &["L3"])] {
        taken_late(&waiting().branch(|it| _ = it.fault(node, Fault::PushLost, 0))).breaks(broken);
        let mut story = waiting();
        story.wait(TTL + TAKEN + 1).fault(node, Fault::PushLost, 0);
        story.calls(CAT).grants(CAT, 2).breaks(broken);
    }
    taken_late(&waiting().branch(|it| _ = it.down(2))).passes();
}

/// Ann holds a lease, and knows it.
fn holds() -> Story {
    let mut story = Story::new();
    story
        .at(2 * SECOND)
        .calls(ANN)
        .grants(ANN, 1)
        .hears_grant(ANN, 1);
    story
}

fn lapses(story: &Story) -> Story {
    story.branch(|it| _ = it.wait(TTL).calls(BOB).grants(BOB, 2))
}

#[test]
fn l6_a_healthy_holder_renews() {
    lapses(&holds()).breaks(&["L6"]);
    holds().wait(TTL).leaves(ANN).ends().breaks(&["L6"]);
    holds().wait(TTL - 1).leaves(ANN).ends().passes();
    holds()
        .wait(TTL - 1)
        .renews(ANN, 1)
        .wait(TTL - 1)
        .leaves(ANN)
        .ends()
        .passes();
    holds()
        .wait(TTL - 1)
        .renews(ANN, 1)
        .wait(TTL)
        .leaves(ANN)
        .ends()
        .breaks(&["L6"]);
    let mut story = holds();
    story.bounds = None;
    lapses(&story).passes();
}

#[test]
fn l6_who_never_heard_of_the_lease_does_not_renew_it() {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, 1);
    lapses(&story).passes();
    story.hears_grant(ANN, 7);
    lapses(&story).passes();
}

#[test]
fn l6_who_has_heard_of_the_lease_renews_it_before_it_fills() {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, 1);
    let granted = Event::LeaseGranted {
        attempt: story.attempt(ANN),
        token: token(1),
        remaining: Duration::from_nanos(TTL),
        generation: Revision::NEVER,
    };
    story.hears(ANN, granted);
    lapses(&story).breaks(&["L6"]);
}

#[test]
fn l6_an_ended_lease_does_not_lapse() {
    lapses(&holds().branch(|it| _ = it.frees(ANN, 1))).passes();
    holds().forgets(1).wait(TTL).leaves(ANN).ends().passes();
    lapses(&holds().branch(|it| _ = it.fault(0, Fault::LockEvicted, 0).wait(2 * TTL))).passes();
    holds()
        .fault(0, Fault::LockEvicted, 0)
        .wait(2 * TTL)
        .leaves(ANN)
        .ends()
        .passes();
}

#[test]
fn l6_a_fill_that_is_overdue_loses_its_lease() {
    for (warning, broken) in [
        (Warning::Overdue, &[][..]),
        (Warning::Lapsed, &["L6"]),
        (Warning::Taken, &["L6"]),
    ] {
        let token = Some(token(1));
        let mut story = holds();
        story.commands(ANN, Command::WarnLeaseLost { token, warning });
        lapses(&story).breaks(broken);
    }
}

#[test]
fn l6_who_was_refused_a_renewal_asks_for_no_more() {
    let attempt = Attempt::new(7);
    for (event, broken) in [
        (Event::Refused { attempt }, &[][..]),
        (Event::Malformed { attempt }, &["L6"]),
    ] {
        lapses(&holds().branch(|it| _ = it.hears(ANN, event))).breaks(broken);
    }
}

#[test]
fn l6_a_lease_as_short_as_its_renewal_may_lapse() {
    let limit = 6 * BOUNDS.trip + 3 * MS;
    for (ttl, broken) in [(limit, &[][..]), (limit + 1, &["L6"])] {
        let mut story = Story::new();
        story.policy.lease_ttl = Duration::from_nanos(ttl);
        story.calls(ANN).grants(ANN, 1).hears_grant(ANN, 1);
        story.wait(ttl).leaves(ANN).ends().breaks(broken);
    }
}

#[test]
fn l6_one_lost_message_is_no_excuse() {
    let lost = |faults: &[(u64, Fault)]| {
        let mut story = holds();
        for (node, fault) in faults {
            story.fault(*node, *fault, 0);
        }
        lapses(&story)
    };
    use Fault::{AnswerLost, Paused, PushLate, PushLost, RequestLost, WatchEnded};
    lost(&[(1, RequestLost)]).breaks(&["L6"]);
    lost(&[(1, AnswerLost)]).breaks(&["L6"]);
    lost(&[(0, RequestLost)]).breaks(&["L6"]);
    lost(&[(1, RequestLost), (1, AnswerLost)]).passes();
    lost(&[(0, RequestLost), (1, AnswerLost)]).passes();
    lost(&[(2, RequestLost), (1, AnswerLost)]).breaks(&["L6"]);
    lost(&[(1, PushLost), (1, PushLate), (1, WatchEnded)]).breaks(&["L6"]);
    lost(&[(1, Paused)]).passes();
    lost(&[(0, Paused)]).passes();
    lost(&[(2, Paused)]).breaks(&["L6"]);
    lapses(&holds().branch(|it| _ = it.down(1))).passes();
}

#[test]
fn l6_only_what_kept_it_from_its_last_renewals_is_an_excuse() {
    let early = 4 * BOUNDS.trip;
    for (ends, broken) in [(early, &[][..]), (early + 1, &["L6"])] {
        let mut story = Story::new();
        story.fault(1, Fault::Paused, SECOND - ends).wait(SECOND);
        story.calls(ANN).grants(ANN, 1).hears_grant(ANN, 1);
        lapses(&story).breaks(broken);
    }
    for (begins, broken) in [(TTL, &[][..]), (TTL + 1, &["L6"])] {
        let mut story = holds();
        story.wait(begins).fault(1, Fault::Paused, 0);
        story.wait(1).leaves(ANN).ends().breaks(broken);
    }
    // It was renewed since.
    for (waits, broken) in [(early, &[][..]), (early + 1, &["L6"])] {
        let mut story = holds();
        story
            .wait(SECOND)
            .fault(1, Fault::Paused, 0)
            .wait(waits)
            .renews(ANN, 1);
        lapses(&story).breaks(broken);
    }
}

/// Ann's fill may hold its lease for ten seconds.
fn limited() -> Story {
    let mut story = Story::new();
    story.policy.fill_timeout = Some(Duration::from_secs(10));
    story.wins(ANN, 1);
    story
}

const LIMIT: Nanos = 10 * SECOND + ROUNDING + BOUNDS.wake;

fn renewal(number: u64) -> Command {
    let attempt = Attempt::new(7);
    let token = token(number);
    Command::Renew { attempt, token }
}

#[test]
fn l6_a_fill_that_is_overdue_is_not_renewed() {
    limited().wait(LIMIT).commands(ANN, renewal(1)).passes();
    let mut story = limited();
    story.wait(LIMIT + 1);
    story
        .branch(|it| _ = it.commands(ANN, renewal(1)))
        .breaks(&["L6"]);
    // Some other command, some other lease, a fill that has ended.
    story
        .branch(|it| _ = it.commands(ANN, Command::Unwatch))
        .passes();
    story.branch(|it| _ = it.commands(ANN, renewal(2))).passes();
    story
        .branch(|it| _ = it.returns(ANN, Some(1)).commands(ANN, renewal(1)))
        .passes();
    story
        .branch(|it| _ = it.joins(ALF).commands(ANN, renewal(1)))
        .breaks(&["L6"]);
    story.bounds = None;
    story.commands(ANN, renewal(1)).passes();
}

#[test]
fn l7_a_flight_that_is_over_leaves_no_lease() {
    let release = Command::Release {
        attempt: Attempt::new(7),
        token: token(1),
    };
    lapses(&holds().branch(|it| _ = it.retires(ANN))).breaks(&["L7"]);
    holds()
        .retires(ANN)
        .wait(TTL)
        .leaves(ANN)
        .ends()
        .breaks(&["L7"]);
    lapses(&holds().branch(|it| _ = it.commands(ANN, release))).breaks(&["L7"]);
    // A release that is lost may be repeated too late.
    for (node, broken) in [(0, &[][..]), (1, &[]), (2, &["L7"])] {
        let mut story = holds();
        story.retires(ANN).fault(node, Fault::RequestLost, 0);
        lapses(&story).breaks(broken);
    }
}

#[test]
fn l7_nobody_is_kept_waiting_by_the_lease_that_its_own_claim_was_granted() {
    let mut story = Story::new();
    story.calls(ANN).calls(BOB).grants(ANN, 1);
    story.branch(|it| _ = it.hears_held(ANN, 1)).breaks(&["L7"]);
    // It is another lease, another's claim, or a later one.
    story.branch(|it| _ = it.hears_held(ANN, 2)).passes();
    story.branch(|it| _ = it.hears_held(BOB, 1)).passes();
    story
        .branch(|it| _ = it.claims_again(ANN).hears_held(ANN, 1))
        .passes();
    story
        .fault(0, Fault::LockEvicted, 0)
        .hears_held(ANN, 1)
        .passes();
}

#[test]
fn l7_nothing_is_left_at_the_end() {
    let mut story = Story::new();
    story.ends_with(&["node 1 still watches for flight 1", "node 1 is not idle"]);
    story.breaks(&["L7", "L7"]);
}

#[test]
fn l3_nobody_times_out_while_a_lapsed_lease_is_there_to_be_taken() {
    let mut story = waiting();
    story.wait(TTL + TAKEN);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .passes();
    story.wait(1);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .breaks(&["L3"]);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::Aborted, None))
        .passes();
    story
        .fault(0, Fault::LockEvicted, 0)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
}
