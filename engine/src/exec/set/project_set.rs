//! ProjectSet: rows of table functions, beside the row of the input that they are called for.
//!
//! The arguments are evaluated for a whole batch; then row by row the calls are started, and asked for at most
//! a batch of rows at a time. The operator remembers where it was.

use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::cut::is_cut_for;
use crate::exec::eval::Evaluator;
use crate::exec::pipeline::{Operator, Step};
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::function::table::{TableCallee, TableRows};
use crate::function::{BATCH_BYTES_MAX, PIECE_BYTES};
use crate::plan::Expr;
use crate::plan::project_set::TableCall;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, ValueRef};
use std::sync::Arc;

/// Calls table functions for each row.
#[derive(Debug)]
pub(in crate::exec) struct ProjectSet {
    calls: Vec<Call>,
    ordinality: bool,
    progress: Option<Progress>,
    /// Whether batches are cut for the arguments.
    is_cut: bool,
}

/// A function and what it is called on.
#[derive(Debug)]
struct Call {
    function: TableCallee,
    columns: Vec<DataType>,
    arguments: Vec<Evaluator>,
}

/// How far a batch has come.
#[derive(Debug)]
struct Progress {
    /// Of each call, the arguments for all rows.
    arguments: Vec<Vec<ArrayRef>>,
    /// The row whose calls give rows.
    row: usize,
    /// Of each call, what gives its rows; `None` where it has none. Empty before the row is begun.
    open: Vec<Option<Box<dyn TableRows>>>,
    /// Rows given for that row.
    given: i64,
    /// The levels of the values of functions before these calls, and before the rows that they give.
    before_calls: u64,
    before_rows: u64,
}

/// Rows being put together.
struct Output {
    inputs: Vec<u32>,
    ordinals: Vec<i64>,
    /// Those of each call.
    columns: Vec<Vec<ColumnBuilder>>,
}

impl ProjectSet {
    pub(in crate::exec) fn new(calls: &[TableCall], ordinality: bool) -> Self {
        let call = |call: &TableCall| Call {
            function: call.function.clone(),
            columns: call.columns().into_iter().map(|(_, found)| found).collect(),
            arguments: call.arguments.iter().cloned().map(Evaluator::new).collect(),
        };
        Self {
            is_cut: {
                let arguments = || calls.iter().flat_map(|call| &call.arguments);
                arguments().all(Expr::is_stable) && arguments().any(is_cut_for)
            },
            calls: calls.iter().map(call).collect(),
            ordinality,
            progress: None,
        }
    }

    fn begin(&self, input: &Batch, context: &ExecContext) -> Result<Progress> {
        let of_call = |call: &Call| Evaluator::arrays(&call.arguments, input, context);
        let arguments = || self.calls.iter().map(of_call).collect::<Result<_>>();
        let memory = &context.eval.memory;
        let arguments = match self.is_cut && input.rows > 1 {
            true => memory.capped(arguments)?,
            false => arguments()?,
        };
        Ok(Progress {
            arguments,
            row: 0,
            open: Vec::new(),
            given: 0,
            before_calls: memory.level(),
            before_rows: memory.level(),
        })
    }

    /// Starts the calls for the row that `progress` is at.
    fn open(&self, progress: &mut Progress, context: &ExecContext) -> Result<()> {
        let memory = &context.eval.memory;
        memory.back_to(progress.before_calls);
        for (call, arrays) in self.calls.iter().zip(&progress.arguments) {
            let values = call
                .arguments
                .iter()
                .zip(arrays)
                .map(|(argument, array)| value_at(array, argument.data_type(), progress.row));
            let values: Vec<ValueRef<'_>> = values.collect();
            let null = values.iter().any(|value| matches!(value, ValueRef::Null));
            progress.open.push(match null && call.function.is_strict() {
                true => None,
                false => {
                    let owned = |value: ValueRef<'_>| {
                        // A copy of a long one takes a while.
                        if value.bytes().is_some_and(|bytes| bytes.len() > PIECE_BYTES) {
                            context.check()?;
                        }
                        Ok(value.to_owned())
                    };
                    let values = values.into_iter().map(owned).collect::<Result<Vec<_>>>()?;
                    Some(call.function.start(&values, &context.eval)?)
                }
            });
        }
        progress.before_rows = memory.level();
        Ok(())
    }

    /// The next rows, at most a batch.
    fn fill(&self, progress: &mut Progress, rows: usize, context: &ExecContext) -> Result<Output> {
        let builder = |data_type| ColumnBuilder::new(data_type, BATCH_ROWS);
        let builders = |call: &Call| call.columns.iter().copied().map(builder).collect();
        let mut output = Output {
            inputs: Vec::new(),
            ordinals: Vec::new(),
            columns: self.calls.iter().map(builders).collect(),
        };
        while progress.row < rows && output.has_room() {
            if progress.open.is_empty() {
                self.open(progress, context)?;
            }
            let wanted = BATCH_ROWS - output.inputs.len();
            let given = output.side_by_side(progress, wanted, context)?;
            if given < wanted {
                progress.row += 1;
                progress.open.clear();
                progress.given = 0;
            }
        }
        Ok(output)
    }
}

impl Output {
    fn has_room(&self) -> bool {
        self.inputs.len() < BATCH_ROWS && (self.variable_bytes() as u64) < BATCH_BYTES_MAX
    }

    fn variable_bytes(&self) -> usize {
        let columns = self.columns.iter().flatten();
        columns.map(ColumnBuilder::variable_bytes).sum()
    }

    /// Appends the next rows of the calls that are open; returns how many the longest has given.
    fn side_by_side(
        &mut self,
        progress: &mut Progress,
        wanted: usize,
        context: &ExecContext,
    ) -> Result<usize> {
        let mut given = Vec::with_capacity(self.columns.len());
        for (open, columns) in progress.open.iter_mut().zip(&mut self.columns) {
            given.push(match open {
                Some(rows) => rows.next(wanted, columns, &context.eval)?,
                None => 0,
            });
        }
        let most = given.iter().copied().max().unwrap_or(0);
        for (columns, given) in self.columns.iter_mut().zip(given) {
            for column in columns {
                (given..most).for_each(|_| column.push(ValueRef::Null));
            }
        }
        let inputs = self.inputs.len() + most;
        self.inputs.resize(inputs, progress.row as u32);
        self.ordinals
            .extend(progress.given + 1..=progress.given + most as i64);
        progress.given += most as i64;
        Ok(most)
    }
}

impl Operator for ProjectSet {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => self.begin(input, context)?,
        };
        let memory = &context.eval.memory;
        memory.back_to(progress.before_rows);
        let mut output = self.fill(&mut progress, input.rows, context)?;
        memory.take(output.variable_bytes())?;
        let rows = output.inputs.len();
        let mut columns = input.take(&UInt32Array::from(output.inputs))?.columns;
        let given = output.columns.iter_mut().flatten();
        columns.extend(given.map(ColumnBuilder::finish));
        if self.ordinality {
            columns.push(Arc::new(Int64Array::from(output.ordinals)));
        }
        let batch = Batch::new(columns, rows);
        if progress.row == input.rows {
            return Ok(Step::Done(batch));
        }
        self.progress = Some(progress);
        Ok(Step::More(batch))
    }
}
