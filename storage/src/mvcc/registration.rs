//! A registered snapshot, held by a transaction and by all views of it.

use super::stamp::{OwnerId, Stamp};
use super::timeline::Timeline;
use crate::ids::{Timestamp, TransactionId};
use std::sync::Arc;

/// A share in a slot of the [`Timeline`]. While one of its clones lives, whatever its snapshot sees
/// stays where it is; rows are looked at in an [`super::Operation`].
#[derive(Debug)]
pub struct Registration {
    timeline: Arc<Timeline>,
    owner: OwnerId,
    snapshot: Timestamp,
    transaction: TransactionId,
}

impl Registration {
    pub(super) fn new(
        timeline: Arc<Timeline>,
        owner: OwnerId,
        snapshot: Timestamp,
        transaction: TransactionId,
    ) -> Self {
        Self {
            timeline,
            owner,
            snapshot,
            transaction,
        }
    }

    /// Whose slot it is.
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The registered snapshot.
    #[inline]
    pub fn snapshot(&self) -> Timestamp {
        self.snapshot
    }

    /// Has another snapshot, which was registered in the slot.
    #[inline]
    pub(super) fn set_snapshot(&mut self, snapshot: Timestamp) {
        self.snapshot = snapshot;
    }

    /// The transaction that claimed the slot.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// The timeline it is registered in.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Sees a commit that is later than the snapshot, from now on. Its transaction must have deleted rows and done nothing else.
    pub fn see_late(&self, commit: Timestamp) {
        self.timeline.see_late(self.owner, commit);
    }

    pub(super) fn sees_late(&self, commit: Timestamp) -> bool {
        self.timeline.sees_late(self.owner, commit)
    }

    /// The marker of what this owner's `command` writes.
    pub fn marker(&self, command: u64) -> Stamp {
        Stamp::uncommitted(self.owner, command)
    }
}

impl Clone for Registration {
    fn clone(&self) -> Self {
        self.timeline.hold(self.owner);
        Self {
            timeline: Arc::clone(&self.timeline),
            ..*self
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.timeline.leave(self.owner);
    }
}
