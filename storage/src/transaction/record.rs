//! How a transaction and its views record what they read ([`super::reads`]).

use super::reads::{Columns, ListMark, Read, ReadList, Recorded, RowScan, SharedReads, What};
use super::{Isolation, ReadView, Transaction};
use crate::catalog::{IndexEntry, TableEntry};
use crate::ids::{ColumnId, RowId, TableId};
use crate::index::{Cursor, Key};
use crate::mvcc::Operation;
use crate::value::{ColumnBounds, ValueRef};
use crate::write_set::{Write, WriteKind};
use std::ops::Bound;
use std::sync::Arc;

/// How much a transaction had read.
#[derive(Clone, Copy, Debug)]
pub struct ReadMark {
    own: ListMark,
    /// None where others read on meanwhile.
    shared: Option<ListMark>,
}

impl Transaction {
    /// How much it has read by now.
    pub fn read_mark(&self) -> ReadMark {
        let shared = match self.shared.get() {
            None => Some(ListMark::default()),
            // Without the views that are still read through.
            Some(reads) => (Arc::strong_count(reads) == 1).then(|| reads.mark()),
        };
        let own = self.reads.borrow().mark();
        ReadMark { own, shared }
    }

    /// Relies no more on what was read since; a mark is good for once. To be called where nothing that came
    /// of it was shown to anybody, and the views of that time are gone.
    pub fn forget_reads(&self, since: ReadMark) {
        self.reads.borrow_mut().cut(since.own);
        if let (Some(reads), Some(mark)) = (self.shared.get(), since.shared) {
            reads.cut(mark);
        }
    }

    /// Whether what it reads is recorded.
    #[inline]
    pub(super) fn records(&self) -> bool {
        self.options.isolation == Isolation::Serializable && !self.options.read_only
    }

    /// Records something, whatever the level.
    pub(super) fn record(&self, read: Read) {
        self.reads.borrow_mut().push(read, self.core.ledger());
    }

    /// Records a row that was read, or was to be changed and is not.
    pub(super) fn note_row(&self, table: &TableEntry, row: RowId, columns: Columns) {
        if self.records() {
            self.record(Read::row(table.def.id, row, columns));
        }
    }

    /// Records what a look-up has come to. Of a table whose rows the system deletes it is the key that counts, even where a row
    /// was found: that the row is deleted is no conflict, and the next one that has the key is.
    #[inline]
    pub(super) fn note_key(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        columns: Columns,
        found: Option<RowId>,
    ) {
        if self.records()
            && let found = found.filter(|_| !table.def.loses_rows())
            && let Some(read) = Read::of_key(table.def.id, index, key, columns, found)
        {
            self.record(read);
        }
    }

    /// Records a walk over a range of an index, as far as it came.
    pub(super) fn note_walk(
        &self,
        (table, index): (&TableEntry, &IndexEntry),
        columns: Columns,
        (mut low, mut high): (Bound<&[u8]>, Bound<&[u8]>),
        cursor: &Cursor,
    ) {
        if !self.records() {
            return;
        }
        let edge = cursor.edge().filter(|_| !cursor.is_done());
        match edge {
            Some(edge) if cursor.is_backward() => low = Bound::Included(edge),
            Some(edge) => high = Bound::Included(edge),
            None => {}
        }
        let columns = columns.with(key_columns(index));
        self.record(Read::range(
            table.def.id,
            index.def.id,
            columns,
            (low, high),
        ));
    }

    /// What views record into.
    pub(super) fn shared_reads(&self) -> Option<&Arc<SharedReads>> {
        self.records()
            .then(|| self.shared.get_or_init(Arc::default))
    }

    /// Whether anything was recorded.
    pub(super) fn has_read(&self) -> bool {
        let shared = self.shared.get();
        !self.reads.borrow().is_empty() || shared.is_some_and(|reads| !reads.is_empty())
    }

    /// All that was recorded.
    pub(super) fn take_reads(&mut self) -> [ReadList; 2] {
        let shared = self.shared.get().map(|reads| reads.take());
        [self.reads.take(), shared.unwrap_or_default()]
    }

    /// Makes a read of a change that is about to be undone: while it stood, it said that the row was as it
    /// was, and its keys were free.
    pub(super) fn note_undone(&self, table: &TableEntry, write: &Write, operation: &Operation<'_>) {
        if write.kind != WriteKind::Insert {
            self.note_row(table, write.row, Columns::ALL);
        }
        if !matches!(write.kind, WriteKind::Insert | WriteKind::Update(_)) {
            return;
        }
        let place = table.rows.place(write.row, operation);
        let newest = place.and_then(|(block, slot)| block.newest(slot, operation).image());
        let Some(image) = newest else {
            return;
        };
        for index in table.indexes.iter().filter(|index| index.def.unique) {
            let mut key = Key::new();
            if !index.encode_row(&mut key, &image) {
                self.record(Read::key(table.def.id, index, &key, Columns::NONE));
            }
        }
    }
}

pub(super) fn key_columns(index: &IndexEntry) -> Columns {
    Columns::of(index.def.columns.iter().map(|key| key.column))
}

impl Read {
    fn key(table: TableId, index: &IndexEntry, key: &[u8], columns: Columns) -> Self {
        Self {
            table,
            columns: columns.with(key_columns(index)),
            what: What::Key(index.def.id, Box::from(key)),
        }
    }

    /// Of a look-up by a full key; a key with a NULL in it is that of no row.
    fn of_key(
        table: TableId,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        columns: Columns,
        found: Option<RowId>,
    ) -> Option<Self> {
        if let Some(row) = found.filter(|_| index.def.unique) {
            return Some(Self::row(table, row, columns.with(key_columns(index))));
        }
        if key.iter().any(|value| value.is_null()) {
            return None;
        }
        let mut bytes = Key::new();
        index.encode(&mut bytes, key);
        Some(Self::key(table, index, &bytes, columns))
    }
}

impl ReadView {
    /// Records something, if the transaction's reads are recorded.
    #[inline]
    fn record(&self, read: impl FnOnce() -> Option<Read>) -> Option<Recorded> {
        let reads = self.reads.as_ref()?;
        let handle = reads.push(read()?, self.core().ledger())?;
        let reads = Arc::clone(reads);
        Some(Recorded { reads, handle })
    }

    pub(super) fn note_row(&self, table: &TableEntry, row: RowId, columns: Columns) {
        self.record(|| Some(Read::row(table.def.id, row, columns)));
    }

    pub(super) fn note_key(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        columns: Columns,
        found: Option<RowId>,
    ) {
        self.record(|| {
            let found = found.filter(|_| !table.def.loses_rows());
            Read::of_key(table.def.id, index, key, columns, found)
        });
    }

    pub(super) fn note_scan(
        &self,
        table: &TableEntry,
        columns: Columns,
        bounds: &[ColumnBounds],
    ) -> Option<Recorded> {
        let scan = || RowScan {
            end: RowId(u64::MAX),
            bounds: Box::from(bounds),
            test: None,
        };
        self.record(|| {
            Some(Read {
                table: table.def.id,
                columns,
                what: What::Scan(Box::new(scan())),
            })
        })
    }

    pub(super) fn note_range(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        columns: &[ColumnId],
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> Option<Recorded> {
        self.record(|| {
            let columns = Columns::of(columns.iter().copied()).with(key_columns(index));
            let ends = (low, high);
            Some(Read::range(table.def.id, index.def.id, columns, ends))
        })
    }
}
