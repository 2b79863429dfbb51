//! RETURNING: what a change shows of the rows that it has changed.
//!
//! All of it is kept until the change is done: a statement that fails shows nothing, and one whose rows are
//! only partly read has changed all of them. A row that comes by itself is evaluated as it lies, and
//! stays a list of values where no second one follows; batches are evaluated as a whole.

use super::super::batch::Batch;
use super::super::eval::{Evaluator, Row, eval_scalar};
use super::super::{BATCH_ROWS, Cursor, ExecContext, arrow_schema};
use crate::error::Result;
use crate::exec::scan::lock_rows::Kept;
use crate::plan::statement::Returning;
use remora_storage::Value;
use remora_storage::value::ColumnBuilder;

/// What a change has come to.
#[derive(Debug)]
pub(crate) struct Changes {
    /// How many rows it has changed.
    pub rows: u64,
    /// What it shows of them.
    pub shown: Shown,
}

/// What a change shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// It has no RETURNING.
    Nothing,
    /// A single row.
    Row(Vec<Value>),
    /// These.
    Rows(Box<Cursor>),
}

impl Changes {
    /// Of so many rows.
    pub(super) fn new(
        rows: u64,
        returned: Option<Box<Returned<'_>>>,
        context: &ExecContext,
    ) -> Result<Self> {
        let shown = match returned {
            None => Shown::Nothing,
            // What was evaluated of rows that were left alone after all is not shown.
            Some(returned) if rows == 0 => Returned::new(returned.plan).finish(context)?,
            Some(returned) => returned.finish(context)?,
        };
        Ok(Self { rows, shown })
    }
}

/// What is shown so far.
#[derive(Debug)]
pub(crate) struct Returned<'p> {
    plan: &'p Returning,
    /// For batches.
    evaluators: Vec<Evaluator>,
    /// The first row, as long as it is the only one.
    first: Option<Vec<Value>>,
    /// Rows that came one by one.
    pending: Vec<ColumnBuilder>,
    pending_rows: usize,
    kept: Kept,
}

impl<'p> Returned<'p> {
    /// `None` where nothing is shown. In a box, so that a change that shows nothing does not move the room for it.
    pub(super) fn of(plan: Option<&'p Returning>) -> Option<Box<Self>> {
        plan.map(|plan| Box::new(Self::new(plan)))
    }

    fn new(plan: &'p Returning) -> Self {
        Self {
            plan,
            evaluators: Vec::new(),
            first: None,
            pending: Vec::new(),
            pending_rows: 0,
            kept: Kept::default(),
        }
    }

    /// Forgets rows of batches that were left alone, by their numbers, ascending: somebody else has changed them
    /// within the statement.
    pub(super) fn leave_out(&mut self, rows: &[usize]) -> Result<()> {
        match rows {
            [] => Ok(()),
            rows => self.kept.leave_out(rows),
        }
    }

    /// Shows a row.
    pub(super) fn row<R: Row + ?Sized>(&mut self, row: &R, context: &ExecContext) -> Result<()> {
        let is_first = self.first.is_none() && self.pending.is_empty() && self.kept.is_empty();
        let values = self.plan.exprs.iter();
        let values = values.map(|expr| Ok(eval_scalar(expr, row, context)?.into_value()));
        let values = values.collect::<Result<Vec<_>>>()?;
        if is_first {
            self.first = Some(values);
            return Ok(());
        }
        if let Some(first) = self.first.take() {
            self.push(&first, context)?;
        }
        self.push(&values, context)
    }

    fn push(&mut self, values: &[Value], context: &ExecContext) -> Result<()> {
        if self.pending.is_empty() {
            let columns = self.plan.schema.iter();
            let columns = columns.map(|field| ColumnBuilder::new(field.data_type, 64));
            self.pending = columns.collect();
        }
        let mut is_long = false;
        for (builder, value) in self.pending.iter_mut().zip(values) {
            builder.push(value.as_ref());
            is_long |= match value {
                Value::Text(text) => text.len() > LONG,
                Value::Bytea(bytes) => bytes.len() > LONG,
                _ => false,
            };
        }
        self.pending_rows += 1;
        match self.pending_rows >= BATCH_ROWS || is_long {
            true => self.keep_pending(context),
            false => Ok(()),
        }
    }

    fn keep_pending(&mut self, context: &ExecContext) -> Result<()> {
        let rows = std::mem::take(&mut self.pending_rows);
        if rows == 0 {
            return Ok(());
        }
        let columns = self.pending.iter_mut().map(ColumnBuilder::finish);
        let batch = Batch::new(columns.collect(), rows);
        self.kept.push(batch, context)
    }

    /// Shows the rows of a batch.
    pub(super) fn batch(&mut self, batch: &Batch, context: &ExecContext) -> Result<()> {
        if batch.rows == 0 {
            return Ok(());
        }
        if self.evaluators.is_empty() {
            let exprs = self.plan.exprs.iter();
            self.evaluators = exprs.map(|expr| Evaluator::new(expr.clone())).collect();
        }
        let columns = Evaluator::arrays(&self.evaluators, batch, context)?;
        let shown = Batch::new(columns, batch.rows);
        self.kept.push(shown, context)
    }

    fn finish(mut self, context: &ExecContext) -> Result<Shown> {
        if let Some(row) = self.first {
            return Ok(Shown::Row(row));
        }
        self.keep_pending(context)?;
        let schema = arrow_schema(&self.plan.schema);
        let rows = Cursor::of_kept(self.kept, schema, context);
        Ok(Shown::Rows(Box::new(rows)))
    }
}

/// Strings from this length on are reserved for at once.
const LONG: usize = 16 << 10;
