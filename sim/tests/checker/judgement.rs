//! What the checker makes of a story.

use oneflight_sim::check::{Checker, Violation};
use oneflight_sim::trace::{Header, Record, Trace, VERSION, What};
use oneflight_sim::world::Observer as _;

use crate::story::Story;

impl Story {
    pub(crate) fn judge(&self) -> Vec<Violation> {
        let header = Header {
            oneflight: VERSION,
            recorder: "story".to_owned(),
            seed: None,
            profile: String::new(),
            store: self.profile,
            bounds: self.bounds,
            config: serde_json::Value::Null,
        };
        let trace = Trace {
            headers: vec![header],
            records: self.records.clone(),
            names: self.names.clone(),
            ..Trace::default()
        };
        if !self.sees_store {
            return Checker::check(&trace);
        }
        let mut checker = Checker::of(&trace.headers).seeing_the_store();
        let found = tell(&mut checker, &trace);
        // Who has judged before judges the same, and so does who is told without a record.
        let mut used = checker.anew(self.profile, self.bounds).seeing_the_store();
        assert_eq!(tell_without(&mut used, &trace), found);
        found
    }

    /// The story breaks these, in this order, and no others.
    #[track_caller]
    pub(crate) fn breaks(&self, invariants: &[&str]) {
        let violations = self.judge();
        let found: Vec<&str> = violations
            .iter()
            .map(|violation| violation.invariant.split(' ').next().unwrap_or_default())
            .collect();
        assert_eq!(found, invariants, "{violations:#?}");
    }

    #[track_caller]
    pub(crate) fn passes(&self) {
        self.breaks(&[]);
    }
}

fn tell(checker: &mut Checker, trace: &Trace) -> Vec<Violation> {
    for Record { at, node, what } in &trace.records {
        checker.see(*at, *node, what);
    }
    checker.finish()
}

/// The same, without a record of what a machine was told.
fn tell_without(checker: &mut Checker, trace: &Trace) -> Vec<Violation> {
    for Record { at, node, what } in &trace.records {
        match what {
            What::Told {
                now,
                notice,
                orders,
            } => checker.see_told(*at, *node, *now, notice, orders),
            what => checker.see(*at, *node, what),
        }
    }
    checker.finish()
}
