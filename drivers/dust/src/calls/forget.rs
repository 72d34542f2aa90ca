//! To remove a value, and to void the fill under way.
//!
//! The lock is seized first: the lease that stands there is given up in its holder's name, whose token the
//! mirror knows, and in the same breath taken for this call. So no fill that began before the value is gone
//! can publish after it, and none begins in between. Then the value is deleted, and the lock is free again.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{AttemptId, ClaimRequest, Holder, Revision, StoreError};

use super::{Desk, Grant, guard, lease_at, occupied, revision, token_of};
use crate::holder::Label;
use crate::path::Path;
use crate::wire::{Deed, Failure};

/// How long the lock stays seized if this process dies before the value is gone.
const SEIZED: Duration = Duration::from_secs(10);
/// How often another may be faster.
const MOST_ROUNDS: usize = 16;

impl Desk {
    pub(crate) async fn forget(
        self,
        key: Arc<str>,
        lock: Arc<str>,
    ) -> Result<Revision, StoreError> {
        let (at, on) = (self.path(&key)?, self.path(&lock)?);
        // Every lease that was granted before the call is known by then.
        self.catch_up().await?;
        self.look(|session, _| guard(session, &at))?;
        let holder = label(key, lock).text();
        let seized = self.seize(&on, &holder).await?;
        let deleted = self.write(at, Deed::Delete).await;
        seized.give_up().await;
        match deleted {
            Ok(done) => Ok(self.look(|session, _| revision(done, session))),
            Err(failure) => Err(failure.into_error("forget")),
        }
    }

    async fn seize(&self, lock: &Path, holder: &str) -> Result<Grant, StoreError> {
        for _ in 0..MOST_ROUNDS {
            // A lapsed one as well: whether it has lapsed, the server knows better.
            let standing = self.look(|session, _| lease_at(session, lock));
            let releasing = standing.map(|token| self.write(lock.clone(), Deed::Release { token }));
            let deed = Deed::Lease {
                ttl: SEIZED,
                holder: holder.to_owned(),
            };
            let leasing = self.write(lock.clone(), deed);
            if let Some(releasing) = releasing {
                match releasing.await {
                    Ok(_) | Err(Failure::NotHeld) => {}
                    Err(failure) => return Err(failure.into_error("forget")),
                }
            }
            match leasing.await {
                Ok(done) => return Ok(Grant::new(&self.0, lock, token_of(done)?)),
                Err(Failure::Held) => self.catch_up().await?,
                Err(Failure::Occupied) => return Err(occupied(lock)),
                Err(failure) => return Err(failure.into_error("forget")),
            }
        }
        Err(StoreError::unavailable(format_args!(
            "the lease on {:?} changes hands too fast",
            lock.text()
        )))
    }
}

/// Who has seized the lock: an attempt that nobody repeats.
fn label(key: Arc<str>, lock: Arc<str>) -> Label {
    let random = || u128::from(RandomState::new().hash_one(()));
    Label::new(&ClaimRequest {
        key,
        lock,
        ttl: SEIZED,
        seen: Revision::NEVER,
        holder: Holder::this_process(),
        attempt: AttemptId(random() << 64 | random()),
    })
}
