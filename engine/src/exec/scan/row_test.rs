//! A scan's filter as storage asks it, long after the scan: whether a row that others have changed since
//! would have been part of the answer.

use crate::exec::ExecContext;
use crate::exec::eval::{Row, eval_scalar, is_true};
use crate::plan::Expr;
use crate::plan::physical::{IndexScan, TableScan};
use remora_storage::transaction::{RowRef, RowTest};
use remora_storage::{ColumnId, Value, ValueRef};
use std::sync::Arc;

/// Whose filter it is.
#[derive(Clone, Debug)]
pub(in crate::exec) enum Scan {
    Table(Arc<TableScan>),
    Index(Arc<IndexScan>),
}

impl Scan {
    fn plan(&self) -> &TableScan {
        match self {
            Self::Table(scan) => scan,
            Self::Index(scan) => &scan.scan,
        }
    }
}

#[derive(Debug)]
struct FilterTest {
    scan: Scan,
    context: ExecContext,
}

/// The filter of a scan; `None` where it has none, or one that does not give the same again.
pub(in crate::exec) fn row_test(scan: Scan, context: &ExecContext) -> Option<Arc<dyn RowTest>> {
    let plan = scan.plan();
    let filter = plan.filter.as_ref()?;
    let columns = plan.columns.len();
    if !filter.is_stable() || filter.columns().last().is_some_and(|last| *last >= columns) {
        return None;
    }
    // The statement's clock is read when it is asked first; its copy must not go by another time.
    context.eval.clock.statement_start();
    // And it outlives the statement, whose parts and profile go before.
    let context = ExecContext {
        with: None,
        profiling: None,
        ..context.clone()
    };
    Some(Arc::new(FilterTest { scan, context }))
}

/// A stored row, read by position of a scan's column.
struct ScanRow<'a> {
    columns: &'a [ColumnId],
    row: &'a RowRef<'a>,
}

impl Row for ScanRow<'_> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self.row.get(self.columns[position])
    }
}

impl FilterTest {
    fn filter(&self) -> Option<&Expr> {
        self.scan.plan().filter.as_ref()
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.capacity(),
        Value::Bytea(bytes) => bytes.capacity(),
        _ => 0,
    }
}

impl RowTest for FilterTest {
    /// The parameters: the plan is shared with the statement.
    fn bytes(&self) -> usize {
        let parameters = &self.context.parameters;
        let values: usize = parameters.iter().map(value_bytes).sum();
        size_of::<Self>() + size_of_val(&**parameters) + values
    }

    /// A row that the filter fails on was part of the answer: the error.
    fn may_match(&self, row: &RowRef<'_>) -> bool {
        let columns = &self.scan.plan().columns;
        let row = ScanRow { columns, row };
        let memory = &self.context.eval.memory;
        let level = memory.level();
        let may_match = self.filter().is_none_or(|filter| {
            let value = eval_scalar(filter, &row, &self.context);
            value.map_or(true, |value| is_true(&value))
        });
        match level {
            // Mostly the statement has ended: its transaction is about to commit.
            0 => memory.end(),
            level => memory.back_to(level),
        }
        may_match
    }
}
