//! What the trace calls things.

use oneflight_store::{
    Claim, KeyState, Loss, Profile, Publication, PutOutcome, Renewal, Revision, StoreError,
};
use oneflight_trace::{Answer, Digest, Header, Line, StoreProfile, VERSION, nanos};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::hub::Names;

pub(super) fn header(driver: &str, profile: &Profile) -> Line<Names> {
    Line::Header(Header {
        oneflight: VERSION,
        recorder: driver.to_owned(),
        seed: None,
        profile: String::new(),
        store: StoreProfile {
            atomic_claim: profile.atomic_claim,
            atomic_publish: profile.atomic_publish,
            idempotent_claim: profile.idempotent_claim,
            push: profile.push,
            lapsed_holder_may_publish: profile.lapsed_holder_may_publish,
            may_forget_writes: matches!(
                profile.loses,
                Loss::LastWrites | Loss::LastWritesAndLeases
            ),
            may_forget_tokens: false,
            may_evict_locks: profile.loses == Loss::LastWritesAndLeases,
        },
        bounds: None,
        config: serde_json::json!({ "store": profile.name }),
    })
}

/// The clock of this machine since it was started, where the system names it.
pub(super) fn clock() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

/// A key as the trace spells it: alone, or with the lock key that its callers chose.
impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(lock) = &self.lock else {
            return serializer.serialize_str(&self.key);
        };
        let mut names = serializer.serialize_struct("Names", 2)?;
        names.serialize_field("key", &*self.key)?;
        names.serialize_field("lock", &**lock)?;
        names.end()
    }
}

fn failed(error: &StoreError) -> Answer {
    match error {
        StoreError::Refused(_) => Answer::Refused,
        StoreError::Malformed { .. } => Answer::Malformed,
        StoreError::Unavailable(_) | _ => Answer::Unavailable,
    }
}

pub(crate) fn claimed(came: &Result<Claim, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(Claim::Granted {
            token,
            remaining,
            generation,
        }) => Answer::Granted {
            token: *token,
            remaining: nanos(*remaining),
            generation: *generation,
        },
        Ok(Claim::Held {
            token, remaining, ..
        }) => Answer::Held {
            token: *token,
            remaining: remaining.map(nanos),
        },
        Ok(Claim::Newer { entry, latest }) => Answer::Newer {
            revision: entry.revision,
            token: entry.token,
            digest: Digest::of(&entry.value),
            latest: *latest,
        },
        Err(error) => failed(error),
    })
}

pub(crate) fn renewed(came: &Result<Renewal, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(Renewal::Renewed) => Answer::Renewed,
        Ok(Renewal::Lost) => Answer::Lost,
        Err(error) => failed(error),
    })
}

pub(crate) fn published(came: &Result<Publication, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(Publication::Published(revision)) => Answer::Published {
            revision: *revision,
        },
        Ok(Publication::Fenced) => Answer::Fenced,
        Err(error) => failed(error),
    })
}

/// A store does not say whether there was anything to be freed.
pub(crate) fn released(came: &Result<(), StoreError>) -> Option<Answer> {
    came.as_ref().err().map(failed)
}

pub(crate) fn put(came: &Result<PutOutcome, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(PutOutcome::Written(revision)) => Answer::Written {
            revision: *revision,
        },
        Ok(PutOutcome::Newer(revision)) => Answer::Kept {
            revision: *revision,
        },
        Err(error) => failed(error),
    })
}

pub(crate) fn looked(came: &Result<KeyState, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(KeyState { revision, entry }) => Answer::State {
            revision: *revision,
            digest: entry.as_ref().map(|entry| Digest::of(&entry.value)),
        },
        Err(error) => failed(error),
    })
}

pub(crate) fn forgotten(came: &Result<Revision, StoreError>) -> Option<Answer> {
    Some(match came {
        Ok(revision) => Answer::Written {
            revision: *revision,
        },
        Err(error) => failed(error),
    })
}
