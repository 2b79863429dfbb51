//! TableScan: all rows of a table, block by block.

use super::ExecContext;
use super::batch::Batch;
use super::filter::Filter;
use super::pipeline::Source;
use crate::error::Result;
use crate::plan::physical;
use arrow_array::{ArrayRef, Int64Array};
use remora_storage::ReadView;
use remora_storage::transaction::{ScanBatch, TableScan as Rows};
use std::sync::Arc;

/// Reads a table and keeps the rows that pass the scan's filter.
#[derive(Debug)]
pub(super) struct TableScan {
    rows: Rows,
    shape: Shape,
}

impl TableScan {
    /// Batches have at most `batch_rows` rows.
    ///
    /// The filter is applied to what the scan gives. Pruning by zone maps belongs here: the bounds
    /// that the filter puts on columns, handed to `ReadView::scan` so that it passes over blocks.
    pub(super) fn new(plan: &physical::TableScan, view: &ReadView, batch_rows: usize) -> Self {
        Self {
            rows: view.scan(&plan.table, &plan.columns, batch_rows),
            shape: Shape::new(plan),
        }
    }
}

impl Source for TableScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        match self.rows.next()? {
            Some(rows) => self.shape.apply(rows, context).map(Some),
            None => Ok(None),
        }
    }
}

/// How rows of storage become rows of a scan: the same for a table and for an index.
#[derive(Debug)]
pub(super) struct Shape {
    row_id: bool,
    filter: Option<Filter>,
}

impl Shape {
    pub(super) fn new(plan: &physical::TableScan) -> Self {
        Self {
            row_id: plan.row_id,
            filter: plan.filter.clone().map(Filter::new),
        }
    }

    /// Appends the RowIds if they are wanted, and filters.
    pub(super) fn apply(&self, read: ScanBatch, context: &ExecContext) -> Result<Batch> {
        let count = read.rows.len();
        let mut columns = read.columns;
        if self.row_id {
            // A RowId has 46 bits: it never wraps into a negative BIGINT.
            let ids = read.rows.iter().map(|row| row.0 as i64);
            columns.push(Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef);
        }
        let batch = Batch::new(columns, count);
        match &self.filter {
            Some(filter) => filter.apply(&batch, context),
            None => Ok(batch),
        }
    }
}
