//! Fold: aggregates over all rows of a scan, of a table or of a range of an index, taken where the rows
//! are.
//!
//! Without GROUP BY, all that is left of the rows are a few values. Where the aggregates are of plain
//! columns and storage tests the whole predicate, no batches are made: storage shows its rows a vector
//! at a time, with a mask of those that pass, and each aggregate folds the column that it is of
//! ([`Folder`]). Blocks that are frozen are folded from their encoded columns.
//!
//! A query that is nothing else ([`fold_row`]) makes no batch of its only row, either: a range of some
//! hundred rows takes less time than a pipeline takes to be set up. Below other operators a fold is a
//! source like any other ([`FoldScan`]).
//!
//! The answers are those of `Aggregation` over batches, but for the last digits of sums of floats,
//! which depend on the order of adding there, too, and of sums of NUMERIC that need more than 38 digits
//! on the way: here they are rounded, or overflow, less often.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::eval::{Row, eval_scalar};
use crate::exec::memory::Held;
use crate::exec::pipeline::Source;
use crate::exec::scan::index_scan::open_range;
use crate::exec::scan::table_scan::bounds;
use crate::function::aggregate::{Accumulator, Folder};
use crate::plan::explain::NodeProfile;
use crate::plan::physical::{AggregateCall, IndexScan, Node, PhysicalPlan, TableScan};
use crate::plan::{Expr, ExprKind};
use remora_storage::transaction::{Columns, Vector};
use remora_storage::value::ColumnBuilder;
use remora_storage::{ColumnId, DataType, ReadView, Value, ValueRef};
use std::fmt;
use std::sync::Arc;

/// Aggregates of the rows of a table, or of a range of one of its indexes.
#[derive(Debug)]
pub(in crate::exec) struct Fold {
    rows: Rows,
    calls: Vec<Call>,
    held: Held,
    /// Where it is counted what the scan does, if that is asked for.
    scan: Option<Arc<NodeProfile>>,
}

#[derive(Debug)]
enum Rows {
    Table(Arc<TableScan>),
    Range(Arc<IndexScan>),
}

/// One aggregate, and the column that it is of.
struct Call {
    accumulator: Box<dyn Accumulator>,
    column: Option<ColumnId>,
    data_type: DataType,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.data_type, self.column)
    }
}

impl Call {
    /// `None` where the aggregate has to be given arrays.
    fn new(call: &AggregateCall, scan: &TableScan) -> Option<Self> {
        if call.distinct || call.filter.is_some() || !call.order.is_empty() {
            return None;
        }
        let column = argument(call, scan)?;
        let mut accumulator = call.start();
        accumulator.folder()?;
        Some(Self {
            accumulator,
            column,
            data_type: call.data_type,
        })
    }

    fn folder(&mut self) -> &mut dyn Folder {
        self.accumulator.folder().expect("`new` asked")
    }
}

impl Fold {
    /// The aggregates of all rows that `input` gives; `None` where it has to give batches.
    pub(in crate::exec) fn new(input: &Node, calls: &[AggregateCall]) -> Option<Self> {
        let (rows, scan) = match input {
            Node::TableScan(scan) => (Rows::Table(Arc::clone(scan)), &**scan),
            Node::IndexScan(range) if range.keys.is_walked() => {
                (Rows::Range(Arc::clone(range)), &range.scan)
            }
            _ => return None,
        };
        if scan.filter.is_some() {
            return None;
        }
        let calls = calls.iter().map(|call| Call::new(call, scan));
        Some(Self {
            calls: calls.collect::<Option<_>>()?,
            rows,
            held: Held::default(),
            scan: None,
        })
    }

    /// The same, counting what the scan does.
    pub(in crate::exec) fn measured(self, scan: Arc<NodeProfile>) -> Self {
        scan.fold();
        Self {
            scan: Some(scan),
            ..self
        }
    }

    /// Folds all rows and gives the results, one a call.
    fn run(
        mut self,
        view: &ReadView,
        context: &ExecContext,
        mut give: impl FnMut(DataType, Value),
    ) -> Result<()> {
        let (calls, held) = (&mut self.calls, &mut self.held);
        match &self.rows {
            Rows::Table(scan) => {
                if let Some(bounds) = bounds(&scan.bounds, context)? {
                    let read = Columns::of(calls.iter().filter_map(|call| call.column));
                    let mut rows = view.vectors(&scan.table, read, &bounds);
                    fold_all(calls, held, context, |visit| rows.next(visit))?;
                    if let Some(scan) = &self.scan {
                        scan.passed(rows.take_blocks());
                    }
                }
            }
            Rows::Range(plan) => {
                if let Some(mut rows) = open_range(plan, view, context)? {
                    fold_all(calls, held, context, |visit| rows.visit(visit))?;
                }
            }
        }
        for call in &mut self.calls {
            let value = call.folder().value()?;
            give(call.data_type, value);
        }
        Ok(())
    }
}

/// Has rows shown and folds them, until there are none.
fn fold_all(
    calls: &mut [Call],
    held: &mut Held,
    context: &ExecContext,
    mut next: impl FnMut(&mut dyn FnMut(&Vector<'_>)) -> bool,
) -> Result<()> {
    let mut is_more = true;
    while is_more {
        let mut result = Ok(());
        is_more = next(&mut |vector| {
            if result.is_ok() {
                result = calls.iter_mut().try_for_each(|call| {
                    let column = call.column.map(|id| vector.column(id));
                    call.folder().fold(vector, column)
                });
            }
        });
        result?;
        let bytes = calls.iter().map(|call| call.accumulator.bytes()).sum();
        if bytes > FREE_BYTES {
            held.reach(bytes, context)?;
        }
        context.check()?;
    }
    Ok(())
}

/// What a statement may hold without a reservation.
const FREE_BYTES: usize = 4096;

/// Runs a query that gives aggregates, or what is computed of them, of rows that can be folded; leaves
/// its only row in `row`. `false` where the query is another.
///
/// # Errors
/// Those of the statement's functions, 53200, 57014.
pub(crate) fn fold_row(
    plan: &PhysicalPlan,
    tx: &Transaction,
    context: &ExecContext,
    row: &mut Vec<Value>,
) -> Result<bool> {
    let (exprs, node) = match &plan.node {
        Node::Project { input, exprs } => (Some(exprs), &input.node),
        node => (None, node),
    };
    let Node::Aggregate {
        input,
        groups,
        aggregates,
        sets: None,
        ..
    } = node
    else {
        return Ok(false);
    };
    if !groups.is_empty() {
        return Ok(false);
    }
    let Some(fold) = Fold::new(&input.node, aggregates) else {
        return Ok(false);
    };
    row.clear();
    fold.run(&tx.view(), context, |_, value| row.push(value))?;
    if let Some(exprs) = exprs {
        let results = std::mem::take(row);
        for expr in exprs {
            row.push(eval_scalar(expr, &Results(&results), context)?.into_value());
        }
    }
    Ok(true)
}

/// The aggregates' results, for expressions over them.
struct Results<'r>(&'r [Value]);

impl Row for Results<'_> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self.0[position].as_ref()
    }
}

/// A fold as a source: one row.
#[derive(Debug)]
pub(in crate::exec) struct FoldScan {
    /// `None` once it has run.
    fold: Option<Fold>,
    view: ReadView,
    /// Input and aggregates, where the fold may run again.
    again: Option<Box<(Node, Vec<AggregateCall>)>>,
}

impl FoldScan {
    pub(in crate::exec) fn new(fold: Fold, view: &ReadView) -> Self {
        Self {
            fold: Some(fold),
            view: view.clone(),
            again: None,
        }
    }

    /// Makes the fold repeatable; `input` and `calls` are those of [`Fold::new`].
    pub(in crate::exec) fn repeated(self, input: &Node, calls: &[AggregateCall]) -> Self {
        Self {
            again: Some(Box::new((input.clone(), calls.to_vec()))),
            ..self
        }
    }
}

impl Source for FoldScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let Some(fold) = self.fold.take() else {
            return Ok(None);
        };
        let mut columns = Vec::new();
        fold.run(&self.view, context, |data_type, value| {
            columns.push(ColumnBuilder::repeat(data_type, &value, 1));
        })?;
        Ok(Some(Batch::new(columns, 1)))
    }

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        let again = self.again.as_deref();
        self.fold = again.and_then(|(input, calls)| Fold::new(input, calls));
        Ok(self.fold.is_some())
    }
}

/// The column that an aggregate is of, or that it is of none; `None` where it is of something else.
fn argument(call: &AggregateCall, scan: &TableScan) -> Option<Option<ColumnId>> {
    match call.arguments.as_slice() {
        [] => Some(None),
        [argument] => match uncast(argument).kind {
            ExprKind::Column(position) => scan.columns.get(position).map(|id| Some(*id)),
            _ => None,
        },
        _ => None,
    }
}

/// What an expression casts, where the value stays what it is.
fn uncast(expr: &Expr) -> &Expr {
    use DataType as T;
    match &expr.kind {
        ExprKind::Cast { input, .. } => match (input.data_type, expr.data_type) {
            (T::Numeric(_), T::Numeric(None)) | (T::Varchar(_), T::Varchar(None) | T::Text) => {
                input
            }
            _ => expr,
        },
        _ => expr,
    }
}
