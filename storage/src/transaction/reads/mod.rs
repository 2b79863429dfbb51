//! What a transaction has read, so that its commit can ask whether that is still so.
//!
//! ```text
//!   find by a unique key      row 7, columns a b        nothing: key (a)=(1) of index t_pkey
//!   find by another key       key (c)=(1) of index t_c
//!   range of an index         keys from .. to ..        narrowed to where the scan stopped
//!   scan of a table           bounds, and a test        narrowed likewise
//! ```
//!
//! A [`Read`] says which rows the answer was made of, and of which of their columns: rows that are
//! not like that, now or then, were no part of it. It is not what was found that is remembered, but what
//! was asked, because rows that come later count as well.
//!
//! 1. The storage's own access functions record, so that none can be forgotten. A look-up through the
//!    transaction itself records into a list that belongs to it, without latch or allocation; views, which
//!    may outlive it and move between threads, share one behind a latch.
//! 2. It makes no difference when a read is recorded, before or after the look at the rows: a
//!    commit asks about everything since the snapshot ([`super::validate`]).
//! 3. What is rolled back was read all the same: its reads stay, and each change that is undone becomes a
//!    read, since while it stood it kept rivals from the row.
//! 4. Memory is reserved from the ledger. Where it is refused, or reads are very many, those of the table
//!    with most of them become one: the whole table. So a read never fails for being recorded.
//!
//! A transaction that is begun to read only records nothing: it sees what was committed up to its
//! snapshot, and all that committed then has been checked. Under snapshot isolation only what is asked for
//! by name is recorded ([`Transaction::share`](super::Transaction::share)).

mod check;
mod columns;
mod list;

pub use columns::Columns;

pub(super) use check::Check;
pub(super) use list::{Handle, ListMark, ReadList};

use crate::block::RowRef;
use crate::ids::{IndexId, RowId, TableId};
use crate::pool::Ledger;
use crate::sync::Mutex;
use crate::value::{ColumnBounds, Value};
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

/// What a caller asks of the rows of a scan beside bounds: they are not part of the answer where it
/// says so.
pub trait RowTest: Send + Sync + Debug {
    /// Whether the row may pass. Who cannot say says yes.
    fn may_match(&self, row: &RowRef<'_>) -> bool;

    /// Bytes that it keeps on the heap.
    fn bytes(&self) -> usize;
}

/// Something that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) table: TableId,
    /// Of the rows that were part of the answer.
    pub(super) columns: Columns,
    pub(super) what: What,
}

/// Which rows were part of the answer.
#[derive(Debug)]
pub(super) enum What {
    /// This one, found by a unique key: whatever happens to the key happens to the row first.
    Row(RowId),
    /// Those with a key.
    Key(IndexId, Box<[u8]>),
    /// Those with keys in a range.
    Range(Box<KeyRange>),
    /// Those within bounds.
    Scan(Box<RowScan>),
    /// All.
    Table,
}

/// A range of keys.
#[derive(Debug)]
pub(super) struct KeyRange {
    pub(super) index: IndexId,
    pub(super) low: Bound<Box<[u8]>>,
    pub(super) high: Bound<Box<[u8]>>,
    pub(super) test: Option<Arc<dyn RowTest>>,
}

/// Rows of a table.
#[derive(Debug)]
pub(super) struct RowScan {
    /// Only rows before this one.
    pub(super) end: RowId,
    pub(super) bounds: Box<[ColumnBounds]>,
    pub(super) test: Option<Arc<dyn RowTest>>,
}

impl Read {
    pub(super) fn row(table: TableId, row: RowId, columns: Columns) -> Self {
        Self {
            table,
            columns,
            what: What::Row(row),
        }
    }

    /// The keys of an index between two bounds.
    pub(super) fn range(
        table: TableId,
        index: IndexId,
        columns: Columns,
        (low, high): (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Self {
        let range = KeyRange {
            index,
            low: low.map(Box::from),
            high: high.map(Box::from),
            test: None,
        };
        Self {
            table,
            columns,
            what: What::Range(Box::new(range)),
        }
    }

    /// Bytes that it takes on the heap.
    fn bytes(&self) -> usize {
        let end = |bound: &Bound<Box<[u8]>>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.len(),
            Bound::Unbounded => 0,
        };
        match &self.what {
            What::Row(_) | What::Table => 0,
            What::Key(_, key) => key.len(),
            What::Range(range) => {
                let ends = end(&range.low) + end(&range.high);
                size_of::<KeyRange>() + ends + test_bytes(range.test.as_ref())
            }
            What::Scan(scan) => {
                let bounds = scan.bounds.iter();
                let bounds =
                    bounds.map(|bounds| value_bytes(&bounds.low) + value_bytes(&bounds.high));
                let bounds = size_of_val(&*scan.bounds) + bounds.sum::<usize>();
                size_of::<RowScan>() + bounds + test_bytes(scan.test.as_ref())
            }
        }
    }

    fn set_test(&mut self, test: Arc<dyn RowTest>) {
        match &mut self.what {
            What::Range(range) => range.test = Some(test),
            What::Scan(scan) => scan.test = Some(test),
            What::Row(_) | What::Key(..) | What::Table => {}
        }
    }
}

fn test_bytes(test: Option<&Arc<dyn RowTest>>) -> usize {
    test.map_or(0, |test| test.bytes())
}

fn value_bytes(bound: &Bound<Value>) -> usize {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => {
            value.as_ref().bytes().map_or(0, <[u8]>::len)
        }
        Bound::Unbounded => 0,
    }
}

/// The reads of all views of one transaction.
#[derive(Debug, Default)]
pub(super) struct SharedReads(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: ReadList,
    /// Whether the transaction has asked which of them are still so: nobody asks about later ones.
    is_over: bool,
    /// Whether there were later ones.
    is_late: bool,
}

impl SharedReads {
    pub(super) fn push(&self, read: Read, ledger: &Arc<Ledger>) -> Option<Handle> {
        let mut shared = self.0.lock();
        if shared.is_over {
            shared.is_late = true;
            return None;
        }
        shared.list.push(read, ledger)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().list.is_empty()
    }

    pub(super) fn mark(&self) -> ListMark {
        self.0.lock().list.mark()
    }

    pub(super) fn cut(&self, mark: ListMark) {
        self.0.lock().list.cut(mark);
    }

    /// Takes them out.
    pub(super) fn take(&self) -> ReadList {
        std::mem::take(&mut self.0.lock().list)
    }

    /// The transaction, which has changed something, is about to commit.
    pub(super) fn end(&self) {
        self.0.lock().is_over = true;
    }

    /// Whether something was read that the commit had no occasion to ask about.
    pub(super) fn is_late(&self) -> bool {
        self.0.lock().is_late
    }
}

/// A read that is under way, and may turn out to be of less than was said.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) reads: Arc<SharedReads>,
    pub(super) handle: Handle,
}

impl Recorded {
    fn change(&self, change: impl FnOnce(&mut Read)) {
        if let Some(read) = self.reads.0.lock().list.get_mut(self.handle) {
            change(read);
        }
    }

    /// Rows that fail the test are no part of the answer. Without memory for the test they count as part
    /// of it.
    pub(super) fn set_test(&self, test: Arc<dyn RowTest>, ledger: &Arc<Ledger>) {
        let list = &mut self.reads.0.lock().list;
        if list.get_mut(self.handle).is_some()
            && list.reserve_more(test.bytes() as u64, ledger)
            && let Some(read) = list.get_mut(self.handle)
        {
            read.set_test(test);
        }
    }

    /// Only rows before this one were looked at.
    pub(super) fn stop_before(&self, row: RowId) {
        self.change(|read| {
            if let What::Scan(scan) = &mut read.what {
                scan.end = row;
            }
        });
    }

    /// No keys beyond this one were looked at.
    pub(super) fn stop_at(&self, key: &[u8], backward: bool) {
        self.change(|read| {
            if let What::Range(range) = &mut read.what {
                let end = match backward {
                    true => &mut range.low,
                    false => &mut range.high,
                };
                *end = Bound::Included(Box::from(key));
            }
        });
    }
}
