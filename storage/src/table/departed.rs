//! Departed rows: those that the system has deleted lately, because they had expired or a cache gave them up.
//!
//! A transaction that comes to write such a row, and whose snapshot still has it, has no rival: it sees the deletion and
//! inserts the row again ([`crate::mvcc`], late commits). So the commits of the system are remembered for as long as there is
//! a snapshot before them. A writer that comes while the system's transaction runs waits for its end, which waits for
//! nobody.

use crate::ids::{Timestamp, TransactionId};
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::sync::{Backoff, Mutex};
use std::collections::VecDeque;

/// Commits that are remembered at most. A transaction that would need an older one fails as if it had a rival.
const COMMITS_MAX: usize = 1 << 16;

/// Deletions of the system in a table.
#[derive(Debug, Default)]
pub(super) struct Departed {
    /// Its commits, in order.
    commits: Mutex<VecDeque<Timestamp>>,
    /// Its transaction that runs, of which there is one at a time; 0 for none.
    running: AtomicU64,
}

impl Departed {
    /// Adds a commit; those up to the horizon are forgotten.
    pub(super) fn add(&self, commit: Timestamp, horizon: Timestamp) {
        let mut commits = self.commits.lock();
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
        self.commits.lock().binary_search(&commit).is_ok()
    }

    /// Notes the system's transaction, before its first deletion.
    pub(super) fn begin(&self, transaction: TransactionId) {
        self.running.store(transaction.0, Release);
    }

    /// Notes that a transaction has ended: what it has deleted is committed and stamped, or is about to be undone.
    pub(super) fn end(&self, transaction: TransactionId) {
        // Another one may have begun.
        let _ = self
            .running
            .compare_exchange(transaction.0, 0, Release, Acquire);
    }

    /// Waits until the system's transaction has ended, if that is the one; returns whether it was.
    pub(super) fn wait(&self, transaction: TransactionId) -> bool {
        // Acquire: with the end comes what was stamped before.
        let is_running = || self.running.load(Acquire) == transaction.0;
        if !is_running() {
            return false;
        }
        let mut backoff = Backoff::default();
        while is_running() {
            backoff.wait();
        }
        true
    }
}
