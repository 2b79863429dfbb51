//! Departed rows: those that the system has deleted lately, because they had expired or a cache gave them up.
//!
//! A transaction that comes to write such a row, and whose snapshot still has it, has no rival: it sees the deletion and
//! inserts the row again ([`crate::mvcc`], late commits). So the commits of the system are remembered for as long as there is
//! a snapshot before them.

use crate::ids::Timestamp;
use crate::sync::Mutex;
use std::collections::VecDeque;

/// Commits that are remembered at most. A transaction that would need an older one fails as if it had a rival.
const COMMITS_MAX: usize = 1 << 16;

/// The commits, in order.
#[derive(Debug, Default)]
pub(super) struct Departed(Mutex<VecDeque<Timestamp>>);

impl Departed {
    /// Adds a commit; those up to the horizon are forgotten.
    pub(super) fn add(&self, commit: Timestamp, horizon: Timestamp) {
        let mut commits = self.0.lock();
        while commits.front().is_some_and(|oldest| *oldest <= horizon) {
            commits.pop_front();
        }
        if commits.len() == COMMITS_MAX {
            commits.pop_front();
        }
        commits.push_back(commit);
    }

    /// Whether a commit was the system's.
    pub(super) fn has(&self, commit: Timestamp) -> bool {
        self.0.lock().binary_search(&commit).is_ok()
    }
}
