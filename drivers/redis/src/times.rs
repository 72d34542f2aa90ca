//! How long things take at most. All finite: nothing hangs.

use std::time::Duration;

/// To connect, and to be let in.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// For a server to answer anything at all when something was asked. A call's own limit is its caller's,
/// and so is a watch's.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may be heard before it is asked whether there is still somebody, unless somebody watches
/// who is less patient.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// How often all this is looked after, unless somebody watches who is less patient.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// How often at most, however impatient they are.
pub(crate) const SHORTEST_TICK: Duration = Duration::from_millis(50);

/// How often at least, where nobody is woken by who comes and is less patient.
pub(crate) const UNASKED_TICK: Duration = Duration::from_millis(100);

/// What is shorter is no outage, however impatient they are: it may be the way to the server that takes so
/// long.
pub(crate) const SHORTEST_OUTAGE: Duration = Duration::from_millis(250);

/// Between attempts to connect: the first delay, and the longest.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(10);
pub(crate) const LAST_DELAY: Duration = Duration::from_millis(200);
