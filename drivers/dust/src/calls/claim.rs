//! To lease, and then to look again.
//!
//! Dust leases without looking at the value, so between the caller's look and the grant another may have
//! published. Therefore a grant counts only once the mirror is known to hold everything that was committed
//! before it: the token of a lease is the number of the operation that granted it, operations are numbered
//! without gaps in the order in which they are committed, and the mirror is known to have come so far when
//! none of the operations up to that one is missing. What does not come as an event within a moment is asked
//! for by joining again, which tells all of the past. If by then the key has moved on above what the caller
//! has seen, the lease is given up at once, and the caller gets the newer value.

use std::time::Duration;

use oneflight_store::{Claim, ClaimRequest, StoreError, Token};

use super::{Desk, Grant, guard, lease_at, occupied, token_of};
use crate::audience::key_state;
use crate::clock::Moment;
use crate::holder::Label;
use crate::mirror::What;
use crate::path::Path;
use crate::session::Session;
use crate::wire::{Deed, Failure};

/// How often a claim looks again because what it was told of has passed by.
const MOST_ROUNDS: usize = 16;
/// A lease that the server says is live, though by what is known of its clock it should have lapsed.
const ANY_MOMENT: Duration = Duration::from_millis(100);

/// What there is to be done about a claim.
enum Step {
    Answer(Claim),
    /// A lease of this very attempt stands, with so much left of it.
    Own(Token, Duration),
    /// The lock seems to be free.
    Lease,
}

impl Desk {
    pub(crate) async fn claim(self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let (key, lock) = (self.path(&request.key)?, self.path(&request.lock)?);
        self.ready().await?;
        let mut refused = None;
        for _ in 0..MOST_ROUNDS {
            let step =
                self.look(|session, now| step(session, now, &key, &lock, &request, refused))?;
            match step {
                Step::Answer(claim) => return Ok(claim),
                Step::Own(token, remaining) => {
                    self.reach(token.get()).await?;
                    return self.granted(&key, &request, token, remaining);
                }
                Step::Lease => {}
            }
            let holder = Label::new(&request).text();
            let ttl = request.ttl;
            match self.write(lock.clone(), Deed::Lease { ttl, holder }).await {
                Ok(done) => {
                    let token = token_of(done)?;
                    let grant = Grant::new(&self.0, &lock, token);
                    self.reach(token.get()).await?;
                    let claim = self.granted(&key, &request, token, ttl)?;
                    match claim {
                        Claim::Granted { .. } => grant.keep(),
                        Claim::Newer { .. } | Claim::Held { .. } => grant.give_up().await,
                    }
                    return Ok(claim);
                }
                // By whom, the mirror knows when it is told of all that was before.
                Err(Failure::Held) => {
                    refused = self.look(|session, _| lease_at(session, &lock));
                    if refused.is_none() {
                        self.catch_up().await?;
                        refused = self.look(|session, _| lease_at(session, &lock));
                    }
                }
                Err(Failure::Occupied) => return Err(occupied(&lock)),
                Err(failure) => return Err(failure.into_error("claim")),
            }
        }
        Err(StoreError::unavailable(format_args!(
            "the lease on {:?} changes hands too fast",
            lock.text()
        )))
    }

    /// The lease is ours, and everything before it is known.
    fn granted(
        &self,
        key: &Path,
        request: &ClaimRequest,
        token: Token,
        remaining: Duration,
    ) -> Result<Claim, StoreError> {
        self.look(|session, now| {
            let state = key_state(session, now, key)?;
            if state.revision > request.seen
                && let Some(entry) = state.entry
            {
                return Ok(Claim::Newer {
                    entry,
                    latest: Some(token),
                });
            }
            Ok(Claim::Granted {
                token,
                remaining,
                generation: state.revision,
            })
        })
    }
}

/// What the mirror says to a claim. `refused`: the lease that stood there when the server said that the lock
/// is held.
fn step(
    session: &Session,
    now: Moment,
    key: &Path,
    lock: &Path,
    request: &ClaimRequest,
    refused: Option<Token>,
) -> Result<Step, StoreError> {
    let state = key_state(session, now, key)?;
    let row = session.mirror.row(lock);
    if state.revision > request.seen
        && let Some(entry) = state.entry
    {
        let latest = row.and_then(|row| row.latest);
        return Ok(Step::Answer(Claim::Newer { entry, latest }));
    }
    guard(session, key)?;
    let lease = match row.map(|row| &row.what) {
        Some(What::Lease(lease)) => lease,
        Some(What::Gone) | None => return Ok(Step::Lease),
        // The server will say what it is.
        Some(What::Text(_) | What::Unkept | What::Other(_)) => return Ok(Step::Lease),
    };
    // A lease that this process gives up is given up before it asks for another.
    if session.is_releasing(lock, lease.token) {
        return Ok(Step::Lease);
    }
    let left = lease.remaining(&session.clock, now);
    let Some(remaining) = left.or((refused == Some(lease.token)).then_some(ANY_MOMENT)) else {
        return Ok(Step::Lease);
    };
    if lease
        .label
        .as_ref()
        .is_some_and(|label| label.is_of(request.attempt))
    {
        return Ok(Step::Own(lease.token, lease.assured(&session.clock, now)));
    }
    Ok(Step::Answer(Claim::Held {
        token: lease.token,
        remaining: Some(remaining),
        holder: lease.label.as_ref().map(|label| label.holder()),
    }))
}
