//! To remove a value, and to void the fill under way.
//!
//! Two operations, the second of which removes the value. First the lease is given up in its holder's name,
//! whose token the mirror knows: every lease that was granted before the call, because the mirror has caught
//! up with the store since. So a fill that began before is fenced before the value is gone, and cannot bring
//! it back; a fill that begins between the two reads what is so after the call was made, and at worst loses
//! its value to the removal.

use std::sync::Arc;

use oneflight_store::{Revision, StoreError};

use super::{Desk, guard, revision};
use crate::mirror::What;
use crate::wire::{Deed, Failure};

impl Desk {
    pub(crate) async fn forget(
        self,
        key: Arc<str>,
        lock: Arc<str>,
    ) -> Result<Revision, StoreError> {
        let (key, lock) = (self.path(&key)?, self.path(&lock)?);
        self.catch_up().await?;
        let token = self.look(|session, _| {
            guard(session, &key)?;
            Ok::<_, StoreError>(match session.mirror.row(&lock).map(|row| &row.what) {
                // A lapsed one as well: whether it has lapsed, the server knows better.
                Some(What::Lease(lease)) => Some(lease.token),
                Some(What::Gone | What::Text(_) | What::Unkept | What::Other(_)) | None => None,
            })
        })?;
        if let Some(token) = token {
            match self.write(lock, Deed::Release { token }).await {
                Ok(_) | Err(Failure::NotHeld) => {}
                Err(failure) => return Err(failure.into_error("forget")),
            }
        }
        match self.write(key.clone(), Deed::Delete).await {
            Ok(done) => Ok(self.look(|session, _| revision(done, session))),
            Err(failure) => Err(failure.into_error("forget")),
        }
    }
}
