//! What one command sees.

use super::operation::Operation;
use super::stamp::{OwnerId, Stamp, StampKind};
use super::timeline::State;
use crate::ids::{Timestamp, TransactionId};

/// A snapshot together with the owner's own command: the point from which rows are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Viewpoint<'r> {
    operation: &'r Operation<'r>,
    command: u64,
}

/// A stamp once its owner was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolved {
    /// Never inserted, or rolled back.
    Nothing,
    /// Committed then.
    Committed(Timestamp),
    /// Written by this transaction, by that command.
    Own(u64),
    /// Written by another transaction that has not committed (yet).
    Rival(OwnerId),
}

impl<'r> Viewpoint<'r> {
    pub(super) fn new(operation: &'r Operation<'r>, command: u64) -> Self {
        Self { operation, command }
    }

    /// The operation whose borrow protects what is read.
    #[inline]
    pub fn operation(&self) -> &'r Operation<'r> {
        self.operation
    }

    /// The snapshot.
    pub fn snapshot(&self) -> Timestamp {
        self.operation.snapshot()
    }

    /// Resolves the stamp that `read` loads (with Acquire); a marker is resolved through its
    /// owner's slot.
    ///
    /// A slot may be released and claimed anew at any time. So the word is read once more after
    /// the slot's state: a transaction stamps or unlinks all its words before it leaves its slot,
    /// hence a word that still holds the marker proves that the state read was its owner's.
    #[inline(always)]
    pub fn resolve(&self, read: impl Fn() -> Stamp) -> Resolved {
        let mut stamp = read();
        loop {
            match stamp.kind() {
                StampKind::Never | StampKind::Aborted => return Resolved::Nothing,
                StampKind::Committed(timestamp) => return Resolved::Committed(timestamp),
                StampKind::Uncommitted { owner, command } => {
                    if owner == self.operation.owner() {
                        return Resolved::Own(command);
                    }
                    let state = self.operation.timeline().state(owner);
                    let again = read();
                    if again == stamp {
                        return match state {
                            State::Committed(timestamp) => Resolved::Committed(timestamp),
                            State::Undecided => Resolved::Rival(owner),
                        };
                    }
                    stamp = again;
                }
            }
        }
    }

    /// Whether the command sees what has that stamp.
    #[inline]
    pub fn sees(&self, read: impl Fn() -> Stamp) -> bool {
        // Mostly it was committed long ago, and there is nobody to be asked.
        read().is_committed_by(self.operation.snapshot()) || self.sees_resolved(self.resolve(read))
    }

    /// Whether the command sees what resolved so.
    pub fn sees_resolved(&self, resolved: Resolved) -> bool {
        match resolved {
            Resolved::Committed(timestamp) => {
                timestamp <= self.operation.snapshot() || self.operation.sees_late(timestamp)
            }
            Resolved::Own(command) => command < self.command,
            Resolved::Nothing | Resolved::Rival(_) => false,
        }
    }

    /// The transaction behind a stamp that is in the way, to be named in a conflict.
    pub fn rival(&self, resolved: Resolved) -> TransactionId {
        let timeline = self.operation.timeline();
        match resolved {
            Resolved::Committed(timestamp) => timeline.transaction_at(timestamp),
            Resolved::Rival(owner) => timeline.transaction_of(owner),
            Resolved::Own(_) => self.operation.transaction(),
            Resolved::Nothing => TransactionId(0),
        }
    }
}
