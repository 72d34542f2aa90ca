//! What happens besides the calls, told as events.

use std::fmt;
use std::time::Duration;

use oneflight_core::Warning;
use oneflight_store::{Revision, StoreError, Token};

use super::{Fault, StoreCall};
use crate::hub::{Hub, Names};

/// Something that happened to a lease, a key or the store.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// The store has granted a lease to this process.
    Granted {
        names: Names,
        token: Token,
        generation: Revision,
        remaining: Duration,
    },
    /// A fill was warned.
    Warned {
        names: Names,
        token: Option<Token>,
        warning: Warning,
    },
    /// A publish came too late.
    Fenced { names: Names, token: Token },
    /// A fill runs without the store; or it ran under a lease, but its value could not be shared.
    Degraded {
        names: Names,
        from: Degraded,
        cause: Option<StoreError>,
    },
    /// The store did not carry out a call.
    Failed {
        names: Names,
        call: StoreCall,
        error: StoreError,
    },
    /// The watch on a key has broken off.
    WatchEnded { names: Names, error: StoreError },
    /// The stream of changes has broken off.
    Gap { error: StoreError },
    /// The stream of changes is up for the first time.
    Connected,
    /// The stream of changes is up again.
    Reconnected,
}

/// From where on a fill went without the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Degraded {
    Fill,
    Publish,
}

/// An event whose message is its name.
macro_rules! tell {
    ($level:ident, $target:literal, $name:literal, { $($fields:tt)* }) => {
        tracing::event!(
            name: $name,
            target: $target,
            tracing::Level::$level,
            { $($fields)* },
            $name
        )
    };
}

impl Hub {
    /// Tells of something. Never under the mutex.
    pub(crate) fn saw(&self, sighting: &Sighting) {
        if let Some(fault) = sighting.fault() {
            self.meters.fault(fault);
        }
        sighting.tell();
    }
}

impl Sighting {
    fn fault(&self) -> Option<Fault> {
        Some(match self {
            Self::Warned { warning, .. } => match warning {
                Warning::Taken => Fault::Overtaken,
                Warning::Overdue => Fault::Overdue,
                Warning::Lapsed | _ => Fault::Lapsed,
            },
            Self::Fenced { .. } => Fault::Fenced,
            Self::Degraded { .. } => Fault::Degraded,
            Self::WatchEnded { .. } => Fault::WatchEnded,
            Self::Gap { .. } => Fault::Gap,
            Self::Granted { .. } | Self::Failed { .. } | Self::Connected | Self::Reconnected => {
                return None;
            }
        })
    }

    fn tell(&self) {
        match self {
            Self::Granted {
                names,
                token,
                generation,
                remaining,
            } => tell!(DEBUG, "oneflight::lease", "lease granted", {
                key = &*names.key,
                token = token.get(),
                generation = generation.get(),
                remaining = remaining.as_secs_f64(),
            }),
            Self::Warned {
                names,
                token,
                warning: Warning::Taken,
            } => tell!(WARN, "oneflight::lease", "fill overtaken", {
                key = &*names.key,
                token = token.map(Token::get),
            }),
            Self::Warned { names, token, .. } => tell!(WARN, "oneflight::lease", "lease lost", {
                key = &*names.key,
                token = token.map(Token::get),
                why = self.fault().map(Fault::word),
            }),
            Self::Fenced { names, token } => tell!(WARN, "oneflight::lease", "publish fenced", {
                key = &*names.key,
                token = token.get(),
            }),
            Self::Degraded { names, from, cause } => tell!(WARN, "oneflight::store", "degraded", {
                key = &*names.key,
                from = match from {
                    Degraded::Fill => "fill",
                    Degraded::Publish => "publish",
                },
                error = %Cause(cause.as_ref()),
            }),
            Self::Failed { names, call, error } => {
                tell!(WARN, "oneflight::store", "store call failed", {
                    key = &*names.key,
                    call = call.word(),
                    error = %Cause(Some(error)),
                });
            }
            Self::WatchEnded { names, error } => tell!(WARN, "oneflight::store", "watch ended", {
                key = &*names.key,
                error = %Cause(Some(error)),
            }),
            Self::Gap { error } => tell!(WARN, "oneflight::changes", "gap", {
                error = %Cause(Some(error)),
            }),
            Self::Connected => tell!(DEBUG, "oneflight::changes", "connected", {}),
            Self::Reconnected => tell!(INFO, "oneflight::changes", "reconnected", {}),
        }
    }
}

/// What a store says, but for what it has found in place of an entry: that may be a piece of a value.
struct Cause<'a>(Option<&'a StoreError>);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(StoreError::Malformed { .. }) => {
                f.write_str("what is stored under the key is not a oneflight entry")
            }
            Some(error) => error.fmt(f),
            None => f.write_str("the store did not answer in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_in_place_of_an_entry_is_not_told() {
        let error = StoreError::Malformed {
            key: "k".into(),
            reason: "expected a number, found hunter2".into(),
        };
        let told = Cause(Some(&error)).to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
