//! Transactions: the one way to read and change tables.
//!
//! A [`Transaction`] is owned by one connection. [`ReadView`] is what a statement reads through:
//! it is cheap to clone, keeps its snapshot registered while it lives, and sees the transaction's
//! own changes of *earlier* commands only. A statement by key needs none: it asks the transaction
//! ([`Transaction::find`]), and so takes no share in anything.
//!
//! The life of a change (`write`, `commit`):
//!
//! 1. A version with the transaction's marker is chained over the row; whoever finds a newer state
//!    than the one it sees has lost (first writer wins). Nobody ever waits for a row.
//! 2. Entries are added to the indexes whose key came or changed, each under the key's latch, after
//!    the unique check.
//! 3. Commit encodes the log frame and reserves its space; in the commit section it takes the next
//!    timestamp, hands the frame over and sets the state of its slot: from then on its markers mean
//!    *committed*. Nothing in the section can fail after the checks.
//! 4. Outside of it the markers are replaced by the timestamp, and the write set goes to the
//!    collector.
//!
//! A failed change takes itself back before it returns, a failed statement is taken back by
//! [`Transaction::rollback_to`], a failed or dropped transaction as a whole: the write set is the
//! undo log, read backwards.
//!
//! That is snapshot isolation: write skew is possible. A serializable transaction records what it reads
//! besides (`reads`), and its commit fails where that is not so any more (`validate`). Rows can be held
//! without being changed (`lock`). Who has lost against somebody who is still running may wait for what
//! becomes of him (`waiting`).
//!
//! A transaction or a view that is kept open keeps what it sees. Rows are looked at in operations
//! ([`crate::mvcc::Operation`]), each no longer than a look-up or a batch, so that what is unlinked is
//! freed soon, however old a snapshot is.

mod alter;
mod build;
mod capture;
mod commit;
mod compact;
mod core;
mod ddl;
mod departure;
mod foreign;
mod function;
mod lock;
mod lookup;
mod options;
mod reads;
mod record;
mod reindex;
mod relief;
mod replay;
mod restore;
mod scan;
mod sequence;
mod shown;
mod types;
mod unique;
mod validate;
mod view;
mod waiting;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use self::core::{Core, DurabilityStatus};
pub use crate::block::RowRef;
pub use crate::block::{Sum, Vector, VectorColumn};
pub use crate::maintenance::Compacted;
pub use capture::BlockCapture;
pub use commit::Committing;
pub use lookup::{Between, KeyRead, PointRead, ROWS_MAX, ReadKey, Reader};
pub use options::{Durability, Isolation, TableHold, TransactionOptions};
pub use reads::{Columns, RowTest};
pub use record::ReadMark;
pub use reindex::Gathered;
pub use replay::RowReplay;
pub use scan::{IndexScan, ScanBatch, TableScan, VectorScan};
pub use unique::KeyHolder;
pub use view::ReadView;
use waiting::Awaited;
pub use waiting::Waited;

use self::ddl::DdlStep;
use self::reads::{ReadList, SharedReads};
use crate::catalog::Catalog;
use crate::ids::{Lsn, TableId, Timestamp, TransactionId};
use crate::mvcc::Registration;
use crate::write_set::{WriteKind, WriteSet};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

/// A running transaction; dropped without commit, it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    core: Arc<Core>,
    registration: Registration,
    options: TransactionOptions,
    /// Its time, which is never read before its snapshot is taken.
    time: Option<i64>,
    command: u64,
    /// The catalog of the snapshot.
    base: Guard<Arc<Catalog>>,
    /// The catalog with its own DDL, if there was any.
    own: Option<Arc<Catalog>>,
    ddl: Vec<DdlStep>,
    set: WriteSet,
    /// What it read itself.
    reads: RefCell<ReadList>,
    /// What its views read.
    shared: OnceCell<Arc<SharedReads>>,
    /// Commits that evicted rows for its writes, which its next command sees.
    departures: Option<Box<SmallVec<[Timestamp; 2]>>>,
}

/// A moment within a transaction, to which it can be rolled back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(pub u64);

/// What a commit came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    /// Its place in commit order; `None` where it had changed nothing.
    pub timestamp: Option<Timestamp>,
    /// Where its frame ends in the log; `None` where nothing was logged.
    pub lsn: Option<Lsn>,
}

impl Transaction {
    /// Its id, as named in conflicts.
    pub fn id(&self) -> TransactionId {
        self.registration.transaction()
    }

    /// The timestamp of its snapshot.
    pub fn snapshot(&self) -> Timestamp {
        self.registration.snapshot()
    }

    /// What it was begun as.
    pub fn options(&self) -> TransactionOptions {
        self.options
    }

    /// Its time, in microseconds since 1970, once somebody has asked.
    #[inline]
    pub fn time(&self) -> Option<i64> {
        self.time
    }

    /// Sets its time, from now to its end.
    pub fn set_time(&mut self, micros: i64) {
        self.time = Some(micros);
    }

    /// Says when its commit is to return; `None` for the database's level.
    pub fn set_durability(&mut self, durability: Option<Durability>) {
        self.options.durability = durability;
    }

    /// Whether it has changed anything.
    pub fn has_writes(&self) -> bool {
        let mut entries = self.set.entries().iter();
        entries.any(|entry| entry.kind != WriteKind::Lock)
    }

    /// The catalog it sees: the one of its snapshot plus its own DDL.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.own.as_ref().unwrap_or(&self.base)
    }

    /// Starts the next command and returns the moment before it. What was written before becomes
    /// visible to views made from now on. Call once a statement, before [`Self::view`].
    pub fn begin_command(&mut self) -> Mark {
        self.command += 1;
        if self.departures.is_some() {
            self.see_departures();
        }
        self.set.seal();
        Mark(self.set.len() as u64)
    }

    /// The view of the current command.
    pub fn view(&self) -> ReadView {
        ReadView::new(
            Arc::clone(&self.core),
            self.registration.clone(),
            self.command,
            self.shared_reads().cloned(),
        )
    }

    /// Undoes everything since `mark`: rows, index entries, DDL. Later marks become invalid.
    pub fn rollback_to(&mut self, mark: Mark) {
        self.undo_to(mark, self.records());
        self.core.waiting.call(Awaited::Rival(self.id()));
    }

    /// The same; where the transaction `goes_on`, it has seen what it changed.
    fn undo_to(&mut self, mark: Mark, goes_on: bool) {
        let end = mark.0 as usize;
        if self.set.len() <= end {
            return;
        }
        let core = Arc::clone(&self.core);
        let mut collector = core.collector();
        while self.set.len() > end
            && let Some(write) = self.set.pop()
        {
            if let WriteKind::Ddl(step) = write.kind {
                self.undo_ddl(step);
                continue;
            }
            if write.kind == WriteKind::TakenBack {
                continue;
            }
            let written = self.set.entry(&write);
            // Indexes that this transaction created since have entries of the row as well.
            let entry = written.now_in(self.catalog()).unwrap_or(written);
            let committed = core.catalog.load();
            let committed = entry.now_in(&committed).unwrap_or(entry);
            let operation = self.registration.enter();
            if goes_on {
                self.note_undone(entry, &write, &operation);
            }
            collector.undo(entry, &committed.indexes, &write, &operation);
            if write.kind == WriteKind::Insert
                && let Some(count) = entry.rows.count()
            {
                let rows = count.note_undo();
                // Of an insertion that found no room there is none now, either.
                if entry.def.bound.is_some_and(|bound| rows < bound.max_rows) {
                    core.waiting.call_for_room(entry.def.id, 1);
                }
            }
        }
    }

    /// Undoes everything. Dropping the transaction does the same.
    pub fn rollback(self) {
        drop(self);
    }

    fn leave_gates(&mut self) {
        for touched in self.set.touched() {
            let gate = touched.entry.rows.gate();
            gate.leave(self.registration.transaction(), touched.rows);
        }
    }

    /// Lets writers go on who wait for what this transaction of the system deletes.
    fn end_departures(&self) {
        if self.options.sweeps.is_some() {
            for touched in self.set.touched() {
                touched.entry.rows.end_departures(self.id());
            }
        }
    }

    /// The tables whose structure it changed.
    fn restructured(&self) -> impl Iterator<Item = TableId> {
        self.ddl.iter().filter_map(|step| step.object().table())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.end_departures();
        self.undo_to(Mark(0), false);
        self.leave_gates();
        self.core.waiting.call(Awaited::Rival(self.id()));
    }
}
