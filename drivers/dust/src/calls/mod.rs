//! What the contract's calls do.

mod claim;
mod forget;
mod list;
mod publish;

use std::sync::Arc;

use oneflight_store::{KeyState, LeaseId, Renewal, Revision, StoreError, Token};

use crate::audience::key_state;
use crate::clock::Moment;
use crate::mirror::What;
use crate::path::Path;
use crate::session::Session;
use crate::shared::{Asking, Shared};
use crate::wire::{Deed, Done, Failure, Write};

/// The largest value: this is a place for pointers, and every mirror keeps every value.
pub(crate) const MAX_VALUE: u64 = 1 << 20;

/// One store, as its calls see it.
#[derive(Clone)]
pub(crate) struct Desk(pub(crate) Arc<Shared>);

impl Desk {
    /// The path of a key or a lock, if its mirror is kept here.
    pub(crate) fn path(&self, key: &Arc<str>) -> Result<Path, StoreError> {
        let path = Path::of_key(key)?;
        if self.look(|session, _| session.mirror.covers(&path)) {
            return Ok(path);
        }
        Err(StoreError::refused(format_args!(
            "{key:?} is not among the prefixes that this process mirrors; add it (`mirror`, or \
             `prefix=` in the address)"
        )))
    }

    /// Looks at the mirror.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Session, Moment) -> T) -> T {
        self.0.with(|state, now| look(&mut state.session, now))
    }

    /// Waits until the mirror follows the store.
    async fn ready(&self) -> Result<(), StoreError> {
        if self.look(|session, _| session.is_up()) {
            return Ok(());
        }
        self.wait(self.0.ask(None, |session, now| session.reach(now, 0)))
            .await
    }

    /// Waits until the mirror knows all operations up to this one.
    async fn reach(&self, seq: u64) -> Result<(), StoreError> {
        self.wait(self.0.ask(None, |session, now| session.reach(now, seq)))
            .await
    }

    /// Waits until the mirror knows all that was committed before now.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        self.wait(self.0.ask(None, |session, now| session.catch_up(now)))
            .await
    }

    async fn wait(&self, asking: Asking) -> Result<(), StoreError> {
        match asking.await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.into_error("look")),
        }
    }

    fn write(&self, path: Path, deed: Deed) -> Asking {
        let lease = matches!(deed, Deed::Lease { .. }).then(|| path.clone());
        self.0.ask(lease, |session, now| {
            session.write(now, Write { path, deed })
        })
    }

    pub(crate) async fn renew(
        self,
        lease: LeaseId,
        ttl: std::time::Duration,
    ) -> Result<Renewal, StoreError> {
        let lock = self.path(&lease.lock)?;
        let token = lease.token;
        match self.write(lock, Deed::Renew { token, ttl }).await {
            Ok(_) => Ok(Renewal::Renewed),
            Err(Failure::NotHeld) => Ok(Renewal::Lost),
            Err(failure) => Err(failure.into_error("renewal")),
        }
    }

    pub(crate) async fn release(self, lease: LeaseId) -> Result<(), StoreError> {
        let lock = self.path(&lease.lock)?;
        let token = lease.token;
        match self.write(lock, Deed::Release { token }).await {
            Ok(_) | Err(Failure::NotHeld) => Ok(()),
            Err(failure) => Err(failure.into_error("release")),
        }
    }

    pub(crate) async fn read(self, key: Arc<str>) -> Result<KeyState, StoreError> {
        let key = self.path(&key)?;
        self.ready().await?;
        self.look(|session, now| key_state(session, now, &key))
    }
}

/// A lease in hand, given up if nobody keeps it.
struct Grant {
    shared: Arc<Shared>,
    lock: Path,
    token: Option<Token>,
}

impl Grant {
    fn new(shared: &Arc<Shared>, lock: &Path, token: Token) -> Self {
        Self {
            shared: Arc::clone(shared),
            lock: lock.clone(),
            token: Some(token),
        }
    }

    fn keep(mut self) {
        self.token = None;
    }

    /// Gives it up, and waits until that is sent: this process may end next.
    async fn give_up(mut self) {
        if let Some(token) = self.token.take() {
            let lock = self.lock.clone();
            let sent = self
                .shared
                .ask(None, |session, now| session.send_release(now, lock, token));
            drop(sent.await);
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let lock = self.lock.clone();
            self.shared
                .with(|state, now| state.session.release(now, lock, token));
        }
    }
}

/// The token of the lease that stands there, lapsed or not.
fn lease_at(session: &Session, lock: &Path) -> Option<Token> {
    match &session.mirror.row(lock)?.what {
        What::Lease(lease) => Some(lease.token),
        What::Gone | What::Text(_) | What::Unkept | What::Other(_) => None,
    }
}

/// Somebody has written over a lock.
fn occupied(lock: &Path) -> StoreError {
    StoreError::Malformed {
        key: Arc::clone(lock.text()),
        reason: "it is the lock of a fill, and holds something that is no lease".into(),
    }
}

/// The operation of a write; of one that changed nothing, the last one known.
fn revision(done: Done, session: &Session) -> Revision {
    Revision::new(done.seq.unwrap_or_else(|| session.mirror.seqs.through()))
}

/// Refuses to write where Dust would remove other keys along with what stands there.
fn guard(session: &Session, key: &Path) -> Result<(), StoreError> {
    if session.mirror.is_map(key) {
        return Err(StoreError::Malformed {
            key: Arc::clone(key.text()),
            reason: "other keys stand below it, which Dust would remove with it".into(),
        });
    }
    Ok(())
}

/// The token, if the server has told one.
fn token_of(done: Done) -> Result<Token, StoreError> {
    let token = done.token.and_then(Token::new);
    token.ok_or_else(|| StoreError::unavailable("Dust has granted a lease without a token"))
}
