//! TableScan: all rows of a table, block by block.
//!
//! The bounds of columns are evaluated once, at the start, and tested by storage; a NULL among them
//! means no rows, because no comparison with it is true. The rest of the predicate is evaluated
//! over what storage gives.

use super::filter::Filter;
use super::row_test::{Scan, row_test};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::eval_constant;
use crate::exec::pipeline::Source;
use crate::plan::Expr;
use crate::plan::physical::{self, ColumnRange};
use arrow_array::{ArrayRef, Int64Array};
use remora_storage::ReadView;
use remora_storage::transaction::{ScanBatch, TableScan as Rows};
use remora_storage::value::ColumnBounds;
use std::ops::Bound;
use std::sync::Arc;

/// Reads a table and keeps the rows that pass the scan's bounds and filter.
#[derive(Debug)]
pub(in crate::exec) struct TableScan {
    plan: Arc<physical::TableScan>,
    view: ReadView,
    batch_rows: usize,
    stage: Stage,
    shape: Shape,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Reading(Box<Rows>),
    Ended,
}

impl TableScan {
    /// Batches have at most `batch_rows` rows.
    pub(in crate::exec) fn new(
        plan: &Arc<physical::TableScan>,
        view: ReadView,
        batch_rows: usize,
    ) -> Self {
        Self {
            shape: Shape::new(plan),
            plan: Arc::clone(plan),
            view,
            batch_rows,
            stage: Stage::Waiting,
        }
    }

    fn open(&mut self, context: &ExecContext) -> Result<()> {
        self.stage = Stage::Ended;
        let plan = &self.plan;
        if let Some(bounds) = bounds(&plan.bounds, context)? {
            let mut rows = (self.view).scan(&plan.table, &plan.columns, &bounds, self.batch_rows);
            if self.view.is_recording()
                && let Some(test) = row_test(Scan::Table(Arc::clone(plan)), context)
            {
                rows = rows.passing(test);
            }
            let rows = if plan.row_id { rows.with_ids() } else { rows };
            self.stage = Stage::Reading(Box::new(rows));
        }
        Ok(())
    }
}

/// Bounds as storage wants them; `None` where one is NULL.
pub(in crate::exec) fn bounds(
    ranges: &[ColumnRange],
    context: &ExecContext,
) -> Result<Option<Vec<ColumnBounds>>> {
    let end = |bound: &Bound<Expr>| -> Result<Bound<_>> {
        let value = |expr| eval_constant(expr, context).map(crate::exec::eval::Datum::into_value);
        Ok(match bound {
            Bound::Included(expr) => Bound::Included(value(expr)?),
            Bound::Excluded(expr) => Bound::Excluded(value(expr)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    let mut bounds = Vec::with_capacity(ranges.len());
    for range in ranges {
        bounds.push(ColumnBounds {
            column: range.column,
            low: end(&range.low)?,
            high: end(&range.high)?,
        });
    }
    let is_null = |bound: &Bound<_>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => remora_storage::Value::is_null(value),
        Bound::Unbounded => false,
    };
    let nothing = |bounds: &ColumnBounds| is_null(&bounds.low) || is_null(&bounds.high);
    Ok((!bounds.iter().any(nothing)).then_some(bounds))
}

impl Source for TableScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        if let Stage::Waiting = self.stage {
            self.open(context)?;
        }
        let Stage::Reading(rows) = &mut self.stage else {
            return Ok(None);
        };
        let next = rows.next()?;
        if let Some(profiling) = &context.profiling {
            profiling.passed(rows.take_blocks());
        }
        match next {
            Some(rows) => self.shape.apply(rows, context).map(Some),
            None => Ok(None),
        }
    }

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        self.stage = Stage::Waiting;
        self.shape.restart();
        Ok(true)
    }
}

/// How rows of storage become rows of a scan: the same for a table and for an index.
#[derive(Debug)]
pub(in crate::exec) struct Shape {
    row_id: bool,
    filter: Option<Filter>,
}

impl Shape {
    pub(in crate::exec) fn new(plan: &physical::TableScan) -> Self {
        Self {
            row_id: plan.row_id,
            filter: plan.filter.clone().map(Filter::new),
        }
    }

    /// Forgets what its filter has made of parameters.
    pub(in crate::exec) fn restart(&mut self) {
        self.filter.iter_mut().for_each(Filter::restart);
    }

    /// Appends the RowIds if they are wanted, and filters.
    pub(in crate::exec) fn apply(&self, read: ScanBatch, context: &ExecContext) -> Result<Batch> {
        self.filtered(self.rows(read), context)
    }

    /// Appends the RowIds if they are wanted.
    pub(in crate::exec) fn rows(&self, read: ScanBatch) -> Batch {
        let mut columns = read.columns;
        if self.row_id {
            // A RowId has 46 bits: it never wraps into a negative BIGINT.
            let ids = read.ids.iter().map(|row| row.0 as i64);
            columns.push(Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef);
        }
        Batch::new(columns, read.rows)
    }

    /// Those of the rows that pass; columns behind the scan's own stay beside them.
    pub(in crate::exec) fn filtered(&self, batch: Batch, context: &ExecContext) -> Result<Batch> {
        match &self.filter {
            Some(filter) if batch.rows > 0 => filter.apply(&batch, context),
            _ => Ok(batch),
        }
    }
}
