//! Which transitions of a key's flight cannot happen, and why. One that does is a bug, of the machine or
//! of what is said here.

/// Why a triple of phase, event, next phase cannot be reached; `None` if it is not known to be
/// impossible.
#[must_use]
pub fn why_impossible(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let gone = |phase| matches!(phase, "departing" | "releasing" | "landed");
    let moves = before != after;
    if gone(before) || gone(after) {
        return Some("a flight that only cleans up has left its key at once");
    }
    if event == "other" {
        return Some("drivers tell of these facts by notices of their own");
    }
    if event == "malformed" {
        return Some("no simulated store answers so: the table of the core's tests does");
    }
    if before == "none" && !matches!(after, "none" | "claiming") {
        return Some("a flight begins with a claim");
    }
    if before == "none" && moves && !matches!(event, "boarded" | "judged absent" | "judged stale") {
        return Some("a flight begins for who has boarded, or has judged and is not satisfied");
    }
    if (before, after) == ("none", "none") && matches!(event, "boarded" | "judged absent") {
        return Some("who is not satisfied, and finds no flight, begins one");
    }
    let fills = matches!(before, "filling" | "filling locally");
    if matches!(event, "fill value" | "fill error" | "fill panic") && !(fills && moves) {
        return Some("a fill ends with its phase, or goes with its caller");
    }
    watched(before, event, after).or_else(|| {
        if !moves || before == "none" {
            return None;
        }
        entered(before, event, after).or_else(|| left(before, event, after))
    })
}

/// What comes from a watch.
fn watched(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let lock = matches!(event, "lock released" | "lock held" | "watch lost");
    let news = matches!(event, "arrived from watch" | "forgotten arrived");
    let refused = event == "watch refused";
    if (lock || news || refused) && !matches!(before, "claiming" | "waiting" | "backing off") {
        return Some("who fills or publishes has closed its watch, and so has who is gone");
    }
    if refused && after != "none" {
        return Some("a refused watch ends the calls of all aboard");
    }
    if lock && after == "none" {
        return Some("news of the lock ends no call");
    }
    match (before, event, after) {
        ("backing off", "lock held", "backing off")
        | ("waiting", "lock released" | "watch lost", "waiting") => {
            Some("it ends what the flight is in")
        }
        ("backing off", "lock released" | "lock held" | "watch lost", "claiming") => {
            Some("a pause is not cut short")
        }
        _ => None,
    }
}

/// The ways into a phase.
fn entered(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let (open, reason) = match after {
        "filling" => (
            (before, event) == ("claiming", "lease granted"),
            "a fill under a lease begins with the grant to a claim",
        ),
        "publishing" => (
            (before, event) == ("filling", "fill value"),
            "what is published is what a fill under a lease returned",
        ),
        "waiting" => (
            matches!(
                (before, event),
                ("claiming", "held") | ("backing off", "lock held")
            ),
            "who waits was told that the lock is held",
        ),
        "filling locally" => (
            matches!(
                (before, event),
                ("claiming", "unavailable") | ("publishing", "refused")
            ),
            "without a lease one fills when a claim has failed, or a publish that others wait for",
        ),
        "backing off" => (
            matches!(
                (before, event),
                ("waiting", "lock released" | "watch lost") | ("claiming", "held")
            ),
            "a pause follows news of the lock: a claim finds only what is newer than what it has seen",
        ),
        _ => return None,
    };
    (!open).then_some(reason)
}

/// What ends no phase, or not this one.
fn left(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let judged = matches!(
        event,
        "judged absent" | "judged stale" | "judged fresh" | "judged malformed"
    );
    let to_claims = matches!(event, "lease granted" | "held" | "arrived from claim");
    let failures = matches!(event, "unavailable" | "refused");
    let reason = match before {
        "filling" | "filling locally" if judged => return judged_before(before, event, after),
        "filling" | "filling locally" | "publishing" => {
            if to_claims || judged || event == "boarded" {
                "who fills or publishes is not to be stopped by news"
            } else if matches!(event, "published" | "fenced") && before != "publishing" {
                "it answers what only a publishing flight orders"
            } else if event == "lease lost" {
                "a fill or a publish under a lost lease goes on to its own end"
            } else if failures && before != "publishing" {
                "a renewal that has failed stops no fill"
            } else if (before, event) == ("publishing", "unavailable") {
                "a publish that was lost is sent again, until a timer gives it up"
            } else if (before, event) == ("publishing", "left") {
                "a value under way is published for those who come"
            } else if (before, event, after) == ("filling locally", "left", "claiming") {
                "the store has been tried on behalf of all aboard"
            } else {
                return confirms(event);
            }
        }
        "waiting" | "backing off" if (event, after) == ("left", "claiming") => {
            "who does not wait shares a claim, and has landed when it is answered"
        }
        "waiting" | "backing off" if to_claims || failures || event == "boarded" => {
            "nothing is at the store that it could answer"
        }
        "claiming" if matches!(event, "boarded" | "lock released" | "watch lost") => {
            "a claim goes on until it is answered or judged"
        }
        "claiming"
            if matches!(
                event,
                "arrived from claim" | "arrived from watch" | "forgotten arrived"
            ) =>
        {
            "a claim goes on until it is answered or judged"
        }
        "backing off" if event == "lock held" => return None,
        _ if event == "judged absent" => "who finds nothing goes on looking",
        _ if matches!(event, "lease lost" | "published" | "fenced") => {
            "it answers what only a holder orders"
        }
        _ => return confirms(event),
    };
    Some(reason)
}

/// A fill is held until its caller has judged what had come before.
fn judged_before(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let satisfied = matches!(event, "judged fresh" | "judged malformed");
    match (before, after) {
        ("filling locally", "claiming") => Some("the store has been tried on behalf of all aboard"),
        (_, "none") if !satisfied => Some("who is not satisfied fills, or claims anew"),
        _ => None,
    }
}

/// What says no more than what is so.
fn confirms(event: &str) -> Option<&'static str> {
    matches!(event, "renewed" | "released" | "lock held").then_some("it confirms what is so")
}
