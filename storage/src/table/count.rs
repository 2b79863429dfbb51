//! Counts of rows, which bounds are about: rows that are committed or inserted by a running transaction.
//!
//! A row counts from its insertion on, and until its deletion has become visible. So whoever inserts a row only where
//! the count has room leaves no snapshot that sees more rows than the bound. A table that is not bounded counts nothing.
//!
//! Orderings: Relaxed. Each change of the count is one operation on one word. A deletion is counted after its commit became visible,
//! by the thread that made it so; an insertion that is let through because of it commits under the commit section's latch,
//! and so at a later timestamp.

use crate::sync::atomic::AtomicI64;
use crate::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

/// How many rows a table has.
#[derive(Debug, Default)]
pub struct RowCount {
    /// Rows that are committed, or inserted by transactions that run.
    rows: AtomicI64,
    /// Rows that running transactions have inserted.
    uncommitted: AtomicI64,
}

impl RowCount {
    /// Rows that are committed, and those of running transactions.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed).max(0) as u64
    }

    /// Whether running transactions have inserted all of the rows.
    pub fn is_uncommitted(&self) -> bool {
        self.uncommitted.load(Relaxed) >= self.rows.load(Relaxed)
    }

    /// Begins again with so many rows. Nobody else writes to the table.
    pub(super) fn reset(&self, rows: u64) {
        self.rows.store(rows as i64, Relaxed);
    }

    /// Counts a row that a running transaction has inserted; returns how many there are with it.
    pub fn note_insert(&self) -> u64 {
        self.uncommitted.fetch_add(1, Relaxed);
        let rows = self.rows.fetch_add(1, Relaxed) + 1;
        rows.max(0) as u64
    }

    /// Takes back the count of an insertion that was undone; returns how many rows are left.
    pub fn note_undo(&self) -> u64 {
        self.uncommitted.fetch_sub(1, Relaxed);
        let rows = self.rows.fetch_sub(1, Relaxed) - 1;
        rows.max(0) as u64
    }

    /// Counts what a transaction has committed.
    pub fn note_commit(&self, inserted: u64, deleted: u64) {
        self.uncommitted.fetch_sub(inserted as i64, Relaxed);
        self.rows.fetch_sub(deleted as i64, Relaxed);
    }
}

impl super::Table {
    /// How many rows it has, if it has a bound.
    #[inline]
    pub fn count(&self) -> Option<&RowCount> {
        self.count.get().map(Arc::as_ref)
    }

    /// Makes a table without rows one that counts them.
    pub fn begin_count(&self) -> &Arc<RowCount> {
        self.count.get_or_init(Arc::default)
    }
}
