//! Which transitions of a key's flight can happen though batches of random runs have not met them, and
//! what it takes. `core/tests/flights/rare.rs`, `answers.rs` and `judging.rs` show each group.

/// What it takes to reach a triple of phase, event, next phase; `None` if that is not known.
#[must_use]
pub fn what_it_takes(before: &str, event: &str, after: &str) -> Option<&'static str> {
    let late = matches!(
        event,
        "arrived from claim" | "lease lost" | "published" | "fenced" | "refused" | "renewed"
    );
    match (before, event, after) {
        ("backing off", _, "backing off") | ("filling locally", "renewed", "filling locally")
            if late =>
        {
            Some("an answer to an earlier flight of the key, in the short pause of a later one")
        }
        ("claiming" | "backing off", "watch refused", "none") => {
            Some("a watch is refused after the lease that its flight waits for has lapsed")
        }
        ("claiming", "lease granted", "none") => Some(
            "a claim is granted to one who is still judging what its predecessor meant to replace",
        ),
        ("publishing", "refused", "filling locally") => Some(
            "callers of different rules: who took over a publish needs the store, who rides does not",
        ),
        (
            "waiting" | "backing off",
            "arrived from watch" | "forgotten arrived",
            "none" | "claiming",
        ) => Some("its pilot judged a value before it heard of the lease that makes it fresh"),
        ("filling", "judged fresh" | "judged malformed", "none")
        | (
            "filling",
            "judged absent" | "judged stale" | "judged fresh" | "judged malformed",
            "claiming",
        ) => Some("a value comes from a watch just before the grant, and is judged after it"),
        ("filling locally", "judged malformed", "none") => Some(
            "what does not decode comes just before the store is found unreachable, and is judged after",
        ),
        _ => None,
    }
}
