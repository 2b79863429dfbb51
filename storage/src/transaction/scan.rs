//! Scans of tables and indexes.

use super::ReadView;
use crate::block::Gatherer;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId, RowId, Slot};
use crate::index::{Cursor, Entries};
use crate::table::{Found, Gathering};
use crate::value::{ColumnBounds, DataType};
use arrow_array::ArrayRef;
use std::sync::Arc;

/// Entries that an index scan looks at in one step.
const INDEX_STEP: usize = 256;

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
        let rows = batch.rows();
        let (columns, ids) = batch.finish();
        Self { columns, rows, ids }
    }
}

/// A scan in progress; owns what it needs.
#[derive(Debug)]
pub struct TableScan {
    view: ReadView,
    table: Arc<TableEntry>,
    batch: Gathering,
    at: RowId,
    end: RowId,
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
        Self {
            batch: Gathering {
                columns: Gatherer::new(&typed(table, columns), bounds),
                capacity: batch_rows.max(1),
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
        self.batch.columns = self.batch.columns.with_ids();
        self
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
        let viewpoint = self.view.viewpoint();
        let rows = &self.table.rows;
        self.at = rows.gather(&viewpoint, self.at, self.end, &mut self.batch);
        Ok(Some(ScanBatch::of(&mut self.batch.columns)))
    }
}

/// Rows by id, as a batch.
pub(super) fn fetch(
    view: &ReadView,
    table: &TableEntry,
    columns: &[ColumnId],
    rows: &[RowId],
) -> ScanBatch {
    let viewpoint = view.viewpoint();
    let mut found = Found::default();
    for id in rows {
        if let Some(row) = table.rows.visible(*id, &viewpoint) {
            found.ids.push(*id);
            found.rows.push(row);
        }
    }
    let mut batch = Gatherer::new(&typed(table, columns), &[]);
    batch.add_rows(&found.ids, &found.rows);
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
    index: Arc<IndexEntry>,
    batch: Gatherer,
    cursor: Cursor,
    entries: Entries,
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
            index: Arc::clone(index),
            cursor,
            entries: Entries::new(),
        }
    }

    /// The same with the ids of the rows.
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.batch = self.batch.with_ids();
        self
    }

    /// The next batch of at most `limit` rows in order, never empty; `None` at the end.
    ///
    /// A row is looked at once: to see whether its entry is its key still, and to read it.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self, limit: usize) -> Result<Option<ScanBatch>> {
        let viewpoint = self.view.viewpoint();
        let counts = self.batch.only_counts();
        let (mut found, mut rows, mut near) = (Found::default(), 0, None);
        while rows < limit && !self.cursor.is_done() {
            // Not more than are wanted: the cursor has passed what it gave out.
            let step = INDEX_STEP.min(limit - rows);
            self.index
                .index
                .scan(&mut self.cursor, step, &mut self.entries);
            if !counts {
                found.ids.reserve(self.entries.len());
                found.rows.reserve(self.entries.len());
            }
            for (key, id) in self.entries.iter() {
                if let Some(row) = self.table.rows.visible_near(id, &viewpoint, &mut near)
                    && self.index.has_key(&row, key)
                {
                    rows += 1;
                    if !counts {
                        found.ids.push(id);
                        found.rows.push(row);
                    }
                }
            }
        }
        match (rows, counts) {
            (0, _) => return Ok(None),
            (_, true) => self.batch.add_count(rows),
            (_, false) => self.batch.add_rows(&found.ids, &found.rows),
        }
        Ok(Some(ScanBatch::of(&mut self.batch)))
    }
}
