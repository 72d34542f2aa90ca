//! The words of spans and metrics: few, so that no label grows without bound.

use crate::error::Error;
use crate::landing::Source;

/// Lists the variants of an enum of words, and spells them.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$of:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What has gone wrong, though calls may end well all the same.
    Fault {
        /// The lease lapsed under a fill.
        Lapsed => "lapsed",
        /// The fill ran for its `fill_timeout`.
        Overdue => "overdue",
        /// The lease was released, forgotten or somebody else's while the fill ran.
        Overtaken => "overtaken",
        /// The publish came too late.
        Fenced => "fenced",
        /// A fill ran, or its value stayed, without the store.
        Degraded => "degraded",
        /// The watch on a key broke off.
        WatchEnded => "watch_ended",
        /// The stream of changes broke off.
        Gap => "gap",
    }
}

words! {
    /// A call to the store.
    StoreCall {
        Claim => "claim",
        Renew => "renew",
        Publish => "publish",
        Release => "release",
        Put => "put",
        Read => "read",
        Forget => "forget",
    }
}

/// How a call ended: where its value came from, and what is to be said about it.
macro_rules! endings {
    ($($(#[$of:meta])* $variant:ident => $source:literal, $outcome:literal;)*) => {
        /// How a call ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Ending { $($(#[$of])* $variant,)* }

        impl Ending {
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Where the value came from.
            pub(crate) const fn source(self) -> &'static str {
                match self { $(Self::$variant => $source,)* }
            }

            /// What is to be said about it.
            pub(crate) const fn outcome(self) -> &'static str {
                match self { $(Self::$variant => $outcome,)* }
            }
        }
    };
}

endings! {
    /// A copy of this process.
    Local => "local", "ok";
    Cached => "cached", "ok";
    Stale => "cached", "stale";
    Awaited => "awaited", "ok";
    AwaitedAlone => "awaited", "uncoordinated";
    Computed => "computed", "ok";
    ComputedAlone => "computed", "uncoordinated";
    /// A look that found nothing fresh.
    Absent => "none", "absent";
    Aborted => "none", "aborted";
    Panicked => "none", "panicked";
    TimedOut => "none", "timed_out";
    Fenced => "none", "fenced";
    Unavailable => "none", "unavailable";
    Refused => "none", "refused";
    Malformed => "none", "malformed";
    Unpublished => "none", "unpublished";
    /// The caller has given it up.
    Left => "none", "left";
}

impl Ending {
    pub(crate) const fn of(source: Source, stale: bool, coordinated: bool) -> Self {
        match (source, coordinated) {
            (Source::Cached, _) if stale => Self::Stale,
            (Source::Cached, _) => Self::Cached,
            (Source::Awaited, true) => Self::Awaited,
            (Source::Awaited, false) => Self::AwaitedAlone,
            (Source::Computed, true) => Self::Computed,
            (Source::Computed, false) => Self::ComputedAlone,
        }
    }

    pub(crate) const fn of_error<V, E>(error: &Error<V, E>) -> Self {
        match error {
            Error::Aborted(_) => Self::Aborted,
            Error::Panicked => Self::Panicked,
            Error::TimedOut => Self::TimedOut,
            Error::Fenced => Self::Fenced,
            Error::Unavailable(_) => Self::Unavailable,
            Error::Refused(_) => Self::Refused,
            Error::Malformed { .. } => Self::Malformed,
            Error::Unpublished { .. } => Self::Unpublished,
        }
    }
}
