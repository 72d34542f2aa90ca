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
    if before == "none" && !matches!(after, "none" | "claiming") {
        return Some("a flight begins with a claim");
    }
    if before == "none" && moves && !matches!(event, "boarded" | "judged absent" | "judged stale") {
        return Some("a flight begins for who has boarded, or has judged and is not satisfied");
    }
    if !moves || before == "none" {
        return None;
    }
    entered(before, event, after).or_else(|| left(before, event))
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
            matches!(event, "unavailable" | "refused" | "malformed"),
            "without a lease one fills when the store has failed",
        ),
        "backing off" => (
            matches!(
                (before, event),
                ("waiting", "lock released" | "watch lost")
                    | ("claiming", "held" | "judged absent" | "judged stale")
            ),
            "a pause follows news of the lock, or an answer that leads nowhere",
        ),
        _ => return None,
    };
    (!open).then_some(reason)
}

/// What ends no phase, or not this one.
fn left(before: &str, event: &str) -> Option<&'static str> {
    let news = matches!(
        event,
        "arrived from claim"
            | "arrived from watch"
            | "forgotten arrived"
            | "lock released"
            | "lock held"
            | "watch lost"
            | "watch refused"
            | "boarded"
            | "held"
            | "lease granted"
            | "judged absent"
            | "judged stale"
            | "judged fresh"
            | "judged malformed"
    );
    let fills = matches!(before, "filling" | "filling locally" | "publishing");
    if fills && news {
        return Some("who fills or publishes is not to be stopped by news");
    }
    let confirms = event == "lock held" && before != "backing off";
    if confirms || matches!(event, "renewed" | "released") {
        return Some("it confirms what is so");
    }
    let to_holders = matches!(
        event,
        "lease lost" | "fill value" | "fill error" | "fill panic" | "published" | "fenced"
    );
    if !fills && to_holders {
        return Some("it answers what only a holder orders");
    }
    let to_claims = matches!(event, "lease granted" | "held");
    let failures = matches!(event, "unavailable" | "refused" | "malformed");
    if matches!(before, "waiting" | "backing off") && (to_claims || failures || event == "boarded")
    {
        return Some("nothing is at the store that it could answer");
    }
    let heard = matches!(
        event,
        "boarded"
            | "lock released"
            | "watch lost"
            | "arrived from claim"
            | "arrived from watch"
            | "forgotten arrived"
    );
    (before == "claiming" && heard).then_some("a claim goes on until it is answered or judged")
}
