//! Scans of tables and indexes.

use super::ReadView;
use crate::block::{RowRef, gather};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId, RowId, Slot};
use crate::index::{Cursor, Entries};
use crate::table::Found;
use crate::value::DataType;
use arrow_array::ArrayRef;
use std::sync::Arc;

/// Entries that an index scan looks at in one step.
const INDEX_STEP: usize = 256;

/// Rows as columns.
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// One array a column asked for, each of the column's Arrow type.
    pub columns: Vec<ArrayRef>,
    /// The rows' ids.
    pub rows: Vec<RowId>,
}

/// A scan in progress; owns what it needs.
#[derive(Debug)]
pub struct TableScan {
    view: ReadView,
    table: Arc<TableEntry>,
    columns: Vec<(ColumnId, DataType)>,
    batch_rows: usize,
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
        batch_rows: usize,
    ) -> Self {
        Self {
            columns: typed(table, columns),
            batch_rows: batch_rows.max(1),
            at: RowId::new(BlockNo(0), Slot(0)),
            // Rows that come from now on are invisible to the view.
            end: table.rows.next_row(),
            table: Arc::clone(table),
            view,
        }
    }

    /// The next batch, never empty; `None` at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self) -> Result<Option<ScanBatch>> {
        let viewpoint = self.view.viewpoint();
        while self.at < self.end {
            let mut found = Found::default();
            self.at =
                self.table
                    .rows
                    .collect(&viewpoint, self.at, self.end, self.batch_rows, &mut found);
            if found.ids.is_empty() {
                continue;
            }
            let columns = self.columns.iter();
            let columns = columns.map(|(id, data_type)| gather(&found.rows, *id, *data_type));
            return Ok(Some(ScanBatch {
                columns: columns.collect(),
                rows: found.ids,
            }));
        }
        Ok(None)
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
    let mut ids = Vec::with_capacity(rows.len());
    let mut images: Vec<RowRef<'_>> = Vec::with_capacity(rows.len());
    for id in rows {
        if let Some(image) = table.rows.visible(*id, &viewpoint) {
            ids.push(*id);
            images.push(image);
        }
    }
    let columns = typed(table, columns);
    let columns = columns
        .iter()
        .map(|(id, data_type)| gather(&images, *id, *data_type));
    ScanBatch {
        columns: columns.collect(),
        rows: ids,
    }
}

/// An index range in progress; owns what it needs.
#[derive(Debug)]
pub struct IndexScan {
    view: ReadView,
    table: Arc<TableEntry>,
    index: Arc<IndexEntry>,
    columns: Vec<(ColumnId, DataType)>,
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
            columns: typed(table, columns),
            view,
            table: Arc::clone(table),
            index: Arc::clone(index),
            cursor,
            entries: Entries::new(),
        }
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
        let mut found = Found::default();
        let mut scratch = Vec::new();
        while found.ids.len() < limit && !self.cursor.is_done() {
            // Not more than are wanted: the cursor has passed what it gave out.
            let step = INDEX_STEP.min(limit - found.ids.len());
            self.index
                .index
                .scan(&mut self.cursor, step, &mut self.entries);
            found.ids.reserve(self.entries.len());
            found.rows.reserve(self.entries.len());
            for (key, id) in self.entries.iter() {
                if let Some(row) = self.table.rows.visible(id, &viewpoint)
                    && self.index.has_key(&row, key, &mut scratch)
                {
                    found.ids.push(id);
                    found.rows.push(row);
                }
            }
        }
        if found.ids.is_empty() {
            return Ok(None);
        }
        let columns = self.columns.iter();
        let columns = columns.map(|(id, data_type)| gather(&found.rows, *id, *data_type));
        Ok(Some(ScanBatch {
            columns: columns.collect(),
            rows: found.ids,
        }))
    }
}
