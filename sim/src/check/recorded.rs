//! What can be judged of a store without seeing it: the answers' tokens and revisions order what it
//! did, whatever the processes' clocks say.

use std::collections::BTreeMap;

use oneflight_core::{Outcome, Revision, Token};

use crate::coverage::revision_of;
use crate::trace::{Digest, Key, NodeId};

#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// Who was granted a token.
    grants: BTreeMap<(Key, Token), (NodeId, u64)>,
    /// What was published, by revision.
    published: BTreeMap<(Key, Revision), (Option<Token>, Option<Digest>)>,
    /// What calls landed with.
    landed: BTreeMap<(Key, Revision), Digest>,
    wrong: Vec<(&'static str, Key, String)>,
}

impl Recorded {
    pub(super) fn granted(&mut self, key: Key, token: Token, node: NodeId, flight: u64) {
        let owner = *self.grants.entry((key, token)).or_insert((node, flight));
        if owner != (node, flight) {
            self.wrong.push((
                "S1 TokenMonotonic",
                key,
                format!(
                    "token {token} was granted to {owner:?} and to {:?}",
                    (node, flight)
                ),
            ));
        }
    }

    pub(super) fn published(
        &mut self,
        key: Key,
        revision: Revision,
        token: Option<Token>,
        digest: Option<Digest>,
    ) {
        let known = self
            .published
            .entry((key, revision))
            .or_insert((token, digest));
        if known.0 != token {
            let (known, other) = (known.0, token);
            self.wrong.push((
                "S1 TokenMonotonic",
                key,
                format!("revision {revision} was published under tokens {known:?} and {other:?}"),
            ));
        }
    }

    pub(super) fn landed(&mut self, key: Key, outcome: Outcome, digest: Option<Digest>) {
        if let (Some(revision), Some(digest)) = (revision_of(outcome), digest) {
            let known = *self.landed.entry((key, revision)).or_insert(digest);
            if known != digest {
                self.wrong.push((
                    "S4 Provenance",
                    key,
                    format!("revision {revision} was served as {known:?} and as {digest:?}"),
                ));
            }
        }
    }

    /// What is wrong, once all is known.
    pub(super) fn finish(mut self) -> Vec<(&'static str, Key, String)> {
        let mut last: Option<(Key, Revision, Token)> = None;
        for ((key, revision), (token, digest)) in &self.published {
            if let (Some(digest), Some(landed)) = (digest, self.landed.get(&(*key, *revision)))
                && digest != landed
            {
                self.wrong.push((
                    "S4 Provenance",
                    *key,
                    format!(
                        "revision {revision} was published as {digest:?}, served as {landed:?}"
                    ),
                ));
            }
            let Some(token) = token else { continue };
            if let Some((before, earlier, older)) = last
                && before == *key
                && older > *token
            {
                self.wrong.push((
                    "S3 NoStalePublish",
                    *key,
                    format!(
                        "revision {revision} was published under token {token}, after revision \
                         {earlier} under {older}"
                    ),
                ));
            }
            last = Some((*key, *revision, *token));
        }
        self.wrong
    }
}
