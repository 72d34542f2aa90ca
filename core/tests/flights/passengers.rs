//! Who lands with what, and when.

use oneflight_core::{FillResult, Policy};

use crate::scenario::*;

#[test]
fn riders_who_landed_early_leave_no_timer_behind() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let orders = process.published(8);
    assert_eq!(
        orders,
        [land(1, computed(8)), land(2, awaited(8)), retired(1)]
    );
    process.assert_quiescent();
}
