//! What a server of a cluster says of a call that is not for it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why the call has not happened, and what might help.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Turn {
    /// The slot is kept by another server, as `HOST:PORT`.
    Moved { slot: u16, to: String },
    /// The slot is on its way to another server. A call that needs two names of it could be made
    /// neither here nor there before it has arrived.
    OnItsWay,
    /// This server serves nothing at present: it is alone, or not all slots are served.
    Down,
}

impl Turn {
    pub(crate) fn of(error: &RedisError) -> Option<Self> {
        use ServerErrorKind as Kind;
        let ErrorKind::Server(kind) = error.kind() else {
            return None;
        };
        if kind == Kind::Moved {
            let (to, slot) = error.redirect_node()?;
            let to = to.to_owned();
            Some(Self::Moved { slot, to })
        } else if matches!(kind, Kind::Ask | Kind::TryAgain) {
            Some(Self::OnItsWay)
        } else if matches!(kind, Kind::ClusterDown | Kind::MasterDown) {
            Some(Self::Down)
        } else {
            None
        }
    }
}
