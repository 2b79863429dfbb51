//! Scans of tables and indexes.

use super::reads::{Columns, Recorded, RowTest};
use super::view::{ends, ends_of_prefix};
use super::walk::{each_row, first_shown, is_gone};
use super::{ReadView, RowRef};
use crate::block::{Choice, Gatherer, Take, Vector, Visitor};
use crate::catalog::{IndexEntry, IntKey, TableEntry};
use crate::error::Result;
use crate::ids::{BLOCK_SLOTS, BlockNo, ColumnId, RowId, Slot};
use crate::index::{Cursor, Entries, Key, Look, WALKED};
use crate::mvcc::Viewpoint;
use crate::pool::Ledger;
use crate::table::{BlocksPassed, Found, Table, Taking};
use crate::value::{ColumnBounds, DataType, ValueRef};
use arrow_array::ArrayRef;
use std::ops::Bound;
use std::sync::Arc;

/// Entries that an index scan looks at in one step.
const INDEX_STEP: usize = 256;

/// Entries of rows that are gone that it passes in its first step over such.
const PASSED_AT_FIRST: usize = 8;

/// Rows as columns.
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// One array a column asked for, each of the column's Arrow type.
    pub columns: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
    /// The rows' ids, if they were asked for.
    pub ids: Vec<RowId>,
}

impl ScanBatch {
    fn of(batch: &mut Gatherer) -> Self {
        let rows = batch.held();
        let (columns, ids) = batch.finish();
        Self { columns, rows, ids }
    }
}

/// A scan in progress; owns what it needs.
#[derive(Debug)]
pub struct TableScan {
    view: ReadView,
    table: Arc<TableEntry>,
    batch: Taking<Gatherer>,
    at: RowId,
    end: RowId,
    recorded: Option<Recorded>,
}

fn typed(table: &TableEntry, columns: &[ColumnId]) -> Vec<(ColumnId, DataType)> {
    let typed = |id: &ColumnId| {
        let position = table.def.position(*id);
        let column = position.map(|at| &table.def.columns[at]);
        (*id, column.expect("a column of the table").data_type)
    };
    columns.iter().map(typed).collect()
}

impl TableScan {
    pub(super) fn new(
        view: ReadView,
        table: &Arc<TableEntry>,
        columns: &[ColumnId],
        bounds: &[ColumnBounds],
        batch_rows: usize,
    ) -> Self {
        let read = Columns::of(columns.iter().copied());
        Self {
            recorded: view.note_scan(table, read, bounds),
            batch: Taking {
                taker: Gatherer::new(&typed(table, columns), bounds),
                capacity: batch_rows.max(1),
                blocks: BlocksPassed::default(),
            },
            at: RowId::new(BlockNo(0), Slot(0)),
            // Rows that come from now on are invisible to the view.
            end: table.rows.next_row(),
            table: Arc::clone(table),
            view,
        }
    }

    /// The same with the ids of the rows.
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.batch.taker.want_ids();
        self
    }

    /// Says that rows which fail the test are of no use: whoever changes them is no rival.
    #[must_use]
    pub fn passing(self, test: Arc<dyn RowTest>) -> Self {
        if let Some(recorded) = &self.recorded {
            recorded.set_test(test, self.view.core().ledger());
        }
        self
    }

    /// How many blocks it has come to since the last call, and how many of them it has looked into.
    pub fn take_blocks(&mut self) -> (u64, u64) {
        self.batch.blocks.take()
    }

    /// The next batch; `None` at the end. A batch without rows says that a long stretch of the
    /// table had none, and that this is a good moment to ask whether to go on.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self) -> Result<Option<ScanBatch>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let operation = self.view.enter();
        let viewpoint = self.view.viewpoint(&operation);
        let rows = &self.table.rows;
        self.at = rows.gather(&viewpoint, self.at, self.end, &mut self.batch);
        Ok(Some(ScanBatch::of(&mut self.batch.taker)))
    }
}

impl Drop for TableScan {
    /// Rows that were not looked at were not read.
    fn drop(&mut self) {
        if self.at < self.end
            && let Some(recorded) = &self.recorded
        {
            recorded.stop_before(self.at);
        }
    }
}

/// A scan in progress that shows rows where they are, instead of making columns of them.
#[derive(Debug)]
pub struct VectorScan {
    view: ReadView,
    table: Arc<TableEntry>,
    choice: Choice,
    blocks: BlocksPassed,
    at: RowId,
    end: RowId,
}

impl VectorScan {
    pub(super) fn new(view: ReadView, table: &Arc<TableEntry>, bounds: &[ColumnBounds]) -> Self {
        Self {
            choice: Choice::new(bounds),
            blocks: BlocksPassed::default(),
            at: RowId::new(BlockNo(0), Slot(0)),
            // Rows that come from now on are invisible to the view.
            end: table.rows.next_row(),
            table: Arc::clone(table),
            view,
        }
    }

    /// Shows the rows of the next stretch of the table; `false` at the end.
    pub fn next(&mut self, visit: impl FnMut(&Vector<'_>)) -> bool {
        if self.at >= self.end {
            return false;
        }
        let mut taking = Taking {
            taker: Visitor::new(&self.choice, visit),
            capacity: BLOCK_SLOTS,
            blocks: self.blocks,
        };
        let operation = self.view.enter();
        let viewpoint = self.view.viewpoint(&operation);
        let rows = &self.table.rows;
        self.at = rows.gather(&viewpoint, self.at, self.end, &mut taking);
        self.blocks = taking.blocks;
        true
    }

    /// As [`TableScan::take_blocks`].
    pub fn take_blocks(&mut self) -> (u64, u64) {
        self.blocks.take()
    }
}

/// Rows by id, as a batch.
pub(super) fn fetch(
    view: &ReadView,
    table: &TableEntry,
    columns: &[ColumnId],
    rows: &[RowId],
) -> ScanBatch {
    let operation = view.enter();
    let viewpoint = view.viewpoint(&operation);
    let mut found = Found::default();
    let read = Columns::of(columns.iter().copied());
    for id in rows {
        view.note_row(table, *id, read);
        if let Some(row) = table.rows.visible(*id, &viewpoint) {
            found.ids.push(*id);
            found.rows.push(row);
        }
    }
    let mut batch = Gatherer::new(&typed(table, columns), &[]);
    batch.take_rows(&found.ids, &found.rows);
    ScanBatch {
        ids: found.ids,
        ..ScanBatch::of(&mut batch)
    }
}

/// An index range in progress; owns what it needs.
#[derive(Debug)]
pub struct IndexScan {
    view: ReadView,
    table: Arc<TableEntry>,
    columns: Box<[ColumnId]>,
    walk: Walk,
    batch: Gatherer,
    recorded: Option<Recorded>,
}

/// The entries of an index range, and the rows that have their keys.
#[derive(Debug)]
struct Walk {
    index: Arc<IndexEntry>,
    /// How rows are compared with its keys, where a key is an integer.
    int: Option<IntKey>,
    cursor: Cursor,
    entries: Entries,
}

impl Walk {
    /// Reads the next entries, at most `limit`; says how many there are.
    fn advance(&mut self, limit: usize) -> usize {
        let index = &self.index.index;
        index.scan(&mut self.cursor, limit, &mut self.entries);
        self.entries.len()
    }

    /// Passes entries whose rows the view does not show, to the first one whose row it does: where rows come and go, as those
    /// of a queue, there are many, and a few entries at a time would be sought each time. Those that an old snapshot alone keeps
    /// are passed by all later ones at once ([`GoneRanges`](crate::index::GoneRanges)).
    #[cold]
    fn pass_gone(
        &mut self,
        (table, ledger): (&TableEntry, &Arc<Ledger>),
        viewpoint: &Viewpoint<'_>,
    ) {
        let index = Arc::clone(&self.index);
        let gone = index.gone();
        // A row that the system has deleted may be taken back by who was there before.
        let looks = !self.cursor.is_backward() && !table.def.loses_rows();
        let mut look = match looks {
            true => gone.look(viewpoint.snapshot()),
            false => None,
        };
        // Those at hand were read before the look began: what was added among them until then, it does not know.
        let mut passed = self.entries.len();
        if let Some(look) = &mut look {
            look.go_on_at(&self.cursor);
        }
        let mut step = PASSED_AT_FIRST;
        while !self.cursor.is_done() {
            if looks && gone.skip(&mut self.cursor, viewpoint.snapshot()) {
                if let Some(look) = &mut look {
                    look.go_on_at(&self.cursor);
                }
                continue;
            }
            let before = self.cursor.clone();
            let entries = self.advance(step);
            let shown = first_shown(&index, &self.entries, &table.rows, viewpoint);
            let invisible = shown.unwrap_or(entries);
            passed += self.note_passed(invisible, look.as_mut(), table, viewpoint);
            if let Some(at) = shown {
                self.cursor = before;
                if let Some((key, row)) = at.checked_sub(1).map(|last| self.entries.entry(last)) {
                    self.cursor.stand_at(key, row);
                }
                break;
            }
            step = INDEX_STEP.min(2 * step);
        }
        if looks && passed >= WALKED && !gone.is_watched() {
            // Without memory for it, the next ones walk as well.
            let _ = gone.watch(ledger);
        }
    }

    /// Shows a look the first entries, whose rows the view does not show; returns how many they are.
    fn note_passed(
        &self,
        entries: usize,
        look: Option<&mut Look<'_>>,
        table: &TableEntry,
        viewpoint: &Viewpoint<'_>,
    ) -> usize {
        if let Some(look) = look {
            for entry in self.entries.iter().take(entries) {
                let as_of = (viewpoint, look.as_of());
                look.pass(
                    entry.0,
                    entry.1,
                    is_gone(&self.index, entry, &table.rows, as_of),
                );
            }
        }
        entries
    }

    /// Gives the rows of these entries.
    #[inline(always)]
    fn each_row<'a>(
        &self,
        rows: &'a Table,
        viewpoint: &Viewpoint<'a>,
        take: impl FnMut(RowId, RowRef<'a>),
    ) {
        let index = (&*self.index, self.int.as_ref());
        each_row(index, &self.entries, rows, viewpoint, take);
    }
}

impl IndexScan {
    pub(super) fn new(
        view: ReadView,
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        columns: &[ColumnId],
        cursor: Cursor,
    ) -> Self {
        Self {
            batch: Gatherer::new(&typed(table, columns), &[]),
            view,
            table: Arc::clone(table),
            columns: columns.into(),
            walk: Walk {
                index: Arc::clone(index),
                int: index.int_key(&table.rows),
                cursor,
                entries: Entries::new(),
            },
            recorded: None,
        }
    }

    pub(super) fn recorded_as(mut self, recorded: Option<Recorded>) -> Self {
        self.recorded = recorded;
        self
    }

    /// Says that rows which fail the test are of no use: whoever changes them is no rival.
    #[must_use]
    pub fn passing(self, test: Arc<dyn RowTest>) -> Self {
        if let Some(recorded) = &self.recorded {
            recorded.set_test(test, self.view.core().ledger());
        }
        self
    }

    /// The same with the ids of the rows.
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.batch.want_ids();
        self
    }

    /// Goes to the beginning of another range of the same index, once all of this one has been read; bounds are those of
    /// [`ReadView::range`]. Rows that were gathered stay.
    pub fn go_to(&mut self, low: Bound<&[ValueRef<'_>]>, high: Bound<&[ValueRef<'_>]>) {
        let (low, high) = ends(&self.walk.index, low, high);
        self.go_between(&low, &high);
    }

    /// Like [`IndexScan::go_to`], for the keys that begin with these values ([`ReadView::range_of_prefix`]).
    pub fn go_to_prefix(&mut self, values: &[ValueRef<'_>]) {
        let (low, high) = ends_of_prefix(&self.walk.index, values);
        self.go_between(&low, &high);
    }

    fn go_between(&mut self, low: &Bound<Key>, high: &Bound<Key>) {
        debug_assert!(self.walk.cursor.is_done(), "what is left was not read");
        let low = low.as_ref().map(|key| &**key);
        let high = high.as_ref().map(|key| &**key);
        let Walk { index, cursor, .. } = &mut self.walk;
        let (view, table) = (&self.view, &self.table);
        self.recorded = view.note_range(table, index, &self.columns, low, high);
        *cursor = Cursor::new(low, high, cursor.is_backward());
    }

    /// The next batch of at most `limit` rows in order, never empty; `None` at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self, limit: usize) -> Result<Option<ScanBatch>> {
        Ok(match self.gather(limit) {
            0 => None,
            _ => Some(self.gathered()),
        })
    }

    /// The rows that were gathered since the last call.
    pub fn gathered(&mut self) -> ScanBatch {
        ScanBatch::of(&mut self.batch)
    }

    /// Gathers the next rows in order, at most `limit`; says how many: none at the end.
    pub fn gather(&mut self, limit: usize) -> usize {
        let operation = self.view.enter();
        let viewpoint = self.view.viewpoint(&operation);
        let (mut found, mut rows) = (Found::default(), 0);
        let counts = self.batch.only_counts();
        while rows < limit && !self.walk.cursor.is_done() {
            // Not more than are wanted: the cursor has passed what it gave out.
            let step = INDEX_STEP.min(limit - rows);
            let entries = self.walk.advance(step);
            let (table, before) = (&self.table.rows, rows);
            if counts {
                self.walk.each_row(table, &viewpoint, |_, _| rows += 1);
                continue;
            }
            found.ids.reserve(entries);
            found.rows.reserve(entries);
            self.walk.each_row(table, &viewpoint, |id, row| {
                found.ids.push(id);
                found.rows.push(row);
            });
            rows = found.ids.len();
            if rows == before && step < INDEX_STEP {
                let ledger = self.view.core().ledger();
                self.walk.pass_gone((&self.table, ledger), &viewpoint);
            }
        }
        match (rows, counts) {
            (0, _) => {}
            (_, true) => self.batch.add_count(rows),
            (_, false) => self.batch.take_rows(&found.ids, &found.rows),
        }
        rows
    }

    /// Shows the next rows in order, where they are; `false` at the end.
    pub fn visit(&mut self, mut visit: impl FnMut(&Vector<'_>)) -> bool {
        if self.walk.cursor.is_done() {
            return false;
        }
        let operation = self.view.enter();
        let viewpoint = self.view.viewpoint(&operation);
        let table = &self.table.rows;
        if self.batch.only_counts() {
            let mut count = 0;
            self.walk.advance(INDEX_STEP);
            self.walk.each_row(table, &viewpoint, |_, _| count += 1);
            if count > 0 {
                visit(&Vector::of_count(count));
            }
            return true;
        }
        let mut rows = Vec::with_capacity(self.walk.advance(INDEX_STEP));
        self.walk
            .each_row(table, &viewpoint, |_, row| rows.push(row));
        Visitor::new(&Choice::new(&[]), visit).take_rows(&[], &rows);
        true
    }
}

impl Drop for IndexScan {
    /// Keys that were not looked at were not read.
    fn drop(&mut self) {
        let cursor = &self.walk.cursor;
        if !cursor.is_done()
            && let (Some(recorded), Some(key)) = (&self.recorded, cursor.edge())
        {
            recorded.stop_at(key, cursor.is_backward());
        }
    }
}
