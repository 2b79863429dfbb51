//! Late commits: deletions that a transaction sees although they are later than its snapshot.
//!
//! ```text
//!   transaction   begins at 40 .............. UPDATE of row 7: inserted again as row 12
//!   eviction                  deletes row 7 at 52
//!   sees          up to 40                    up to 40, and 52
//! ```
//!
//! The system deletes rows that a cache gives up in transactions of its own. A transaction that updates such a row must not
//! fail, because no other transaction has asked for the deletion. It sees the deletion from then on, and inserts the row
//! again. System transactions only delete: seeing one of them hides rows, and shows no part of another change.

use super::stamp::OwnerId;
use crate::ids::Timestamp;
use crate::sync::Mutex;
use std::collections::HashMap;

/// The late commits of the transactions that see some, in order.
#[derive(Debug, Default)]
pub(super) struct LateCommits(Mutex<HashMap<OwnerId, Vec<Timestamp>>>);

impl LateCommits {
    pub(super) fn add(&self, owner: OwnerId, commit: Timestamp) {
        let mut commits = self.0.lock();
        let seen = commits.entry(owner).or_default();
        if let Err(at) = seen.binary_search(&commit) {
            seen.insert(at, commit);
        }
    }

    pub(super) fn has(&self, owner: OwnerId, commit: Timestamp) -> bool {
        let commits = self.0.lock();
        commits
            .get(&owner)
            .is_some_and(|seen| seen.binary_search(&commit).is_ok())
    }

    pub(super) fn forget(&self, owner: OwnerId) {
        self.0.lock().remove(&owner);
    }
}
